#include "sandbox.h"

#include <errno.h>
#include <sys/mman.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "filter.h"
#include "on.h"
#include "peek.h"
#include "rollcall.h"
#include "tick.h"

#include "../base/banned.h"

/* How long a filter for all threads waits for those that looked at pa_sandbox_all before it was
 * changed: until they are done, and for those that were not counted. */
#define CALLS_PATIENCE_NS (100 * PA_NS_PER_MS)
#define CALLS_LOOK_NS 100000
#define ON_THEIR_WAY_NS (2 * PA_NS_PER_MS)

PA_ATOMIC(uint32_t) pa_sandbox_all;
PA_ATOMIC(uint32_t) pa_sandbox_calls;
PA_ATOMIC(uint32_t) pa_sandbox_unproven;

static const struct {
	int number;
	uint32_t what_for;
	bool may_be_refused;
	uint64_t arguments[6];
} calls[] = {
#define X(name, what_for, may_be_refused, ...)                                                    \
	{ SYS_##name, (what_for), (may_be_refused), { __VA_ARGS__ } },
	PA_CALLS(X)
#undef X
	{ SYS_rt_sigreturn, PA_CALLS_RETURN, false, { 0 } },
};

static bool is_denied(uint32_t verdict, bool may_be_refused)
{
	switch (verdict & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
		return false;
	case SECCOMP_RET_ERRNO:
		return !may_be_refused;
	default:
		return true;
	}
}

static uint32_t denied_by(const struct sock_filter *code, uint32_t count)
{
	uint32_t denied = 0;
	for (size_t i = 0; i < PA_COUNT(calls); i++)
		if (is_denied(pa_filter_verdict(code, count, calls[i].number, calls[i].arguments),
			    calls[i].may_be_refused))
			denied |= calls[i].what_for;
	return denied;
}

static bool copy(void *to, const void *from, size_t bytes)
{
	return pa_peek(to, (uintptr_t)from, bytes) == bytes;
}

/* The kernel checks pointers; so must we. */
uint32_t pa_sandbox_denied(const struct sock_fprog *filter)
{
	struct sock_fprog program;
	uint32_t denied = PA_CALLS_ALL & ~PA_CALLS_CLOCK;
	if (!pa_sandbox_may(&pa_thread_self, PA_CALLS_READ | PA_CALLS_MAP) ||
	    !copy(&program, filter, sizeof(program)))
		return denied;
	size_t bytes = program.len * sizeof(struct sock_filter);
	void *code = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED)
		return denied;
	if (copy(code, program.filter, bytes))
		denied = denied_by(code, program.len);
	munmap(code, bytes);
	return denied;
}

static void confine_this(struct pa_sandbox_step *step, struct pa_thread *self)
{
	bool could = pa_sandbox_may(self, PA_CALLS_TIMER | PA_CALLS_RETURN);
	pa_store_relaxed(&self->denied, step->had | step->denied);
	pa_fence_full(); /* against one who sends a signal, and then looks at what is denied */
	if (!could)
		return;
	pa_tick_thread_confined(self);
	pa_rollcall_settle(self->tid);
}

/* A thread that is in a handler of ours has a little to go after it said that it is done. */
static void await_calls(void)
{
	int64_t end_ns = pa_clock_mono_ns() + CALLS_PATIENCE_NS;
	bool busy;
	/* Ends: at end_ns. */
	while ((busy = pa_load_acquire(&pa_sandbox_calls) != 0) && pa_clock_mono_ns() < end_ns)
		pa_futex_rest(CALLS_LOOK_NS);
	if (busy)
		PA_COUNT_EVENT(filters_late);
	pa_futex_rest(ON_THEIR_WAY_NS);
}

static void confine_all(struct pa_sandbox_step *step)
{
	bool could = pa_sandbox_may(&pa_thread_self, PA_CALLS_TIMER | PA_CALLS_RETURN);
	bool can_wait = pa_sandbox_may_wake();
	pa_store_relaxed(&pa_sandbox_all, step->had_all | step->denied);
	pa_fence_full();
	if (could && step->denied & (PA_CALLS_TIMER | PA_CALLS_RETURN)) {
		pa_rollcall_settle(0);
		pa_tick_all_confined();
	}
	if (can_wait)
		await_calls();
}

void pa_sandbox_look(struct pa_sandbox_step *step, struct pa_thread *self)
{
	int saved_errno = errno;
	step->had = pa_load_relaxed(&self->denied);
	step->had_all = pa_load_relaxed(&pa_sandbox_all);
	if (!self->met && pa_sandbox_may(self, PA_CALLS_WHO))
		pa_thread_meet(self);
	step->denied = step->filter ? pa_sandbox_denied(step->filter) : PA_CALLS_ALL;
	errno = saved_errno;
}

void pa_sandbox_enter(struct pa_sandbox_step *step, struct pa_thread *self)
{
	int saved_errno = errno;
	if (step->denied & PA_CALLS_OF_PROGRAM && step->all_threads)
		confine_all(step);
	else if (step->denied & PA_CALLS_OF_PROGRAM)
		confine_this(step, self);
	else if (step->all_threads)
		pa_store_relaxed(&pa_sandbox_all, step->had_all | step->denied);
	else
		pa_store_relaxed(&self->denied, step->had | step->denied);
	errno = saved_errno;
}

void pa_sandbox_stay_out(const struct pa_sandbox_step *step, struct pa_thread *self)
{
	pa_store_relaxed(&self->denied, step->had);
	if (step->all_threads)
		pa_store_relaxed(&pa_sandbox_all, step->had_all);
}

bool pa_sandbox_may_wake(void)
{
	return pa_sandbox_may(&pa_thread_self, PA_CALLS_WAKE);
}

bool pa_sandbox_begin_wake(void)
{
	return pa_sandbox_begin(&pa_thread_self, PA_CALLS_WAKE);
}

void pa_sandbox_end(void)
{
	pa_sub_acq_rel(&pa_sandbox_calls, 1);
}

void pa_sandbox_atfork_child(void)
{
	pa_reset(&pa_sandbox_calls, 0);
}

void pa_sandbox_inherit(struct pa_thread *self, uint32_t denied)
{
	pa_store_relaxed(&self->denied, denied);
}
