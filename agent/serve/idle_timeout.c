/* SPDX-License-Identifier: Apache-2.0 */
#include "idle_timeout.h"

#include "../base/atomic.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "render_thread.h"

enum { SERVING, ASKED, ENDING };

static struct {
	PA_ATOMIC(uint32_t) phase;     /* one of the enum; acq_rel by CAS */
	PA_ATOMIC(int64_t) last_ns;    /* time of the last connection; release / acquire */
	PA_ATOMIC(int64_t) after_ns;   /* release / acquire */
	PA_ATOMIC(uint32_t) may_hurry; /* release / acquire */
} state;

static bool change_phase(uint32_t from, uint32_t to)
{
	return pa_cas_acq_rel(&state.phase, &from, to);
}

void pa_idle_timeout_begin(int64_t after_ns)
{
	pa_store_release(&state.last_ns, pa_clock_mono_ns());
	pa_store_release(&state.after_ns, after_ns);
	pa_store_release(&state.may_hurry, 0);
	pa_store_release(&state.phase, SERVING);
}

void pa_idle_timeout_may_hurry(void)
{
	pa_store_release(&state.may_hurry, 1);
}

void pa_idle_timeout_hurry(void)
{
	if (pa_load_acquire(&state.after_ns) > 0)
		pa_store_release(&state.after_ns, 1);
}

bool pa_idle_timeout_is_asked(void)
{
	return pa_load_acquire(&state.phase) == ASKED;
}

int64_t pa_idle_timeout_left_ns(void)
{
	int64_t after_ns = pa_load_acquire(&state.after_ns);

	if (after_ns < 0)
		return -1;
	int64_t left = pa_load_acquire(&state.last_ns) + after_ns - pa_clock_mono_ns();
	if (left > PA_IDLE_TIMEOUT_LOOK_NS && pa_load_acquire(&state.may_hurry))
		return PA_IDLE_TIMEOUT_LOOK_NS;
	return left < 0 ? 0 : left;
}

int64_t pa_idle_timeout_look(void)
{
	int64_t left = pa_idle_timeout_left_ns();

	if (left != 0 || !change_phase(SERVING, ASKED))
		return left;
	pa_render_thread_wake();
	return 0;
}

bool pa_idle_timeout_resume(void)
{
	change_phase(ASKED, SERVING);
	if (pa_load_acquire(&state.phase) != SERVING)
		return false;
	pa_store_release(&state.last_ns, pa_clock_mono_ns());
	return true;
}

bool pa_idle_timeout_end(void)
{
	return change_phase(ASKED, ENDING);
}
