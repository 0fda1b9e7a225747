/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_guard.h"

#include <setjmp.h>
#include <unistd.h>

#include "../base/atomic.h"
#include "symbols.h"

static struct {
	jmp_buf out;
	PA_ATOMIC(pid_t) thread; /* thread that runs the work; relaxed: other threads only compare
				  * it with their own id */
} state;

PA_AGENT bool pa_symbols_guard(void (*work)(void *arg), void *arg)
{
	if (_setjmp(state.out)) {
		pa_store_relaxed(&state.thread, 0);
		return false;
	}
	pa_store_relaxed(&state.thread, gettid());
	work(arg);
	pa_store_relaxed(&state.thread, 0);
	return true;
}

PA_AGENT void pa_symbols_bail(void)
{
	/* In a forked child the number is the id of a thread of the parent, never its own. */
	if (pa_load_relaxed(&state.thread) == gettid())
		_longjmp(state.out, 1);
}
