/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp.h"

#include <errno.h>
#include <sys/mman.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "bpf_filter.h"
#include "switches.h"
#include "peek.h"
#include "registry.h"
#include "thread_dump.h"
#include "sandbox.h"
#include "tick.h"

#include "../base/banned.h"

/* How long a filter for all threads waits for calls that checked pa_sandbox_all before it changed:
 * until they end; for uncounted ones a fixed time. */
#define CALLS_TIMEOUT_NS (100 * PA_NS_PER_MS)
#define CALLS_POLL_NS 100000
#define UNCOUNTED_CALLS_NS (2 * PA_NS_PER_MS)

static const struct {
	int number;
	uint32_t what_for;
	bool may_be_refused;
	uint64_t arguments[6];
} calls[] = {
#define X(name, what_for, may_be_refused, ...) \
	{ SYS_##name, (what_for), (may_be_refused), { __VA_ARGS__ } },
	PA_CALLS(X)
#undef X
		{ SYS_rt_sigreturn, PA_CALLS_RETURN, false, { 0 } },
};

static bool is_denied(uint32_t verdict, bool may_be_refused)
{
	switch (verdict & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG: return false;
	case SECCOMP_RET_ERRNO: return !may_be_refused;
	default: return true;
	}
}

static uint32_t denied_by(const struct sock_filter *code, uint32_t count)
{
	uint32_t denied = 0;
	for (size_t i = 0; i < PA_COUNT(calls); i++)
		if (is_denied(pa_bpf_filter_verdict(code, count, calls[i].number,
				      calls[i].arguments),
			    calls[i].may_be_refused))
			denied |= calls[i].what_for;
	return denied;
}

static bool copy_from_program(void *to, const void *from, size_t bytes)
{
	return pa_peek(to, (uintptr_t)from, bytes) == bytes;
}

/* The filter pointer may be invalid, as the kernel checks too. */
uint32_t pa_seccomp_denied(const struct sock_fprog *filter)
{
	struct sock_fprog program;
	uint32_t denied = PA_CALLS_ALL & ~PA_CALLS_CLOCK;
	if (!pa_sandbox_may(&pa_thread_self, PA_CALLS_READ | PA_CALLS_MAP) ||
		!copy_from_program(&program, filter, sizeof(program)))
		return denied;
	size_t bytes = program.len * sizeof(struct sock_filter);
	void *code = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED)
		return denied;
	if (copy_from_program(code, program.filter, bytes))
		denied = denied_by(code, program.len);
	munmap(code, bytes);
	return denied;
}

void pa_seccomp_confine(struct pa_thread *self, uint32_t denied)
{
	bool could = pa_sandbox_may(self, PA_CALLS_TIMER | PA_CALLS_RETURN);
	pa_store_relaxed(&self->denied, denied);
	pa_fence_full(); /* pairs with a thread that sends a signal and then reads the denied
			  * calls */
	if (!could)
		return;
	pa_tick_thread_confined(self);
	pa_thread_dump_settle(self->tid);
}

/* A thread in the agent's handler runs a few more instructions after it has ended its call. */
static void await_calls(void)
{
	int64_t end_ns = pa_clock_mono_ns() + CALLS_TIMEOUT_NS;
	bool busy;
	/* Ends: at end_ns. */
	while ((busy = pa_load_acquire(&pa_sandbox_calls) != 0) && pa_clock_mono_ns() < end_ns)
		pa_futex_sleep(CALLS_POLL_NS);
	if (busy)
		PA_COUNT_EVENT(filters_late);
	pa_futex_sleep(UNCOUNTED_CALLS_NS);
}

static void confine_all(struct pa_seccomp_step *step)
{
	bool could = pa_sandbox_may(&pa_thread_self, PA_CALLS_TIMER | PA_CALLS_RETURN);
	bool can_wait = pa_sandbox_may_wake();
	pa_store_relaxed(&pa_sandbox_all, step->had_all | step->denied);
	pa_fence_full();
	if (could && step->denied & (PA_CALLS_TIMER | PA_CALLS_RETURN)) {
		pa_thread_dump_settle(0);
		pa_tick_all_confined();
	}
	if (can_wait)
		await_calls();
}

void pa_seccomp_inspect(struct pa_seccomp_step *step, struct pa_thread *self)
{
	int saved_errno = errno;
	step->had = pa_load_relaxed(&self->denied);
	step->had_all = pa_load_relaxed(&pa_sandbox_all);
	if (!self->registered && pa_sandbox_may(self, PA_CALLS_IDENTITY))
		pa_registry_add(self);
	step->denied = step->filter ? pa_seccomp_denied(step->filter) : PA_CALLS_ALL;
	errno = saved_errno;
}

void pa_seccomp_enter(struct pa_seccomp_step *step, struct pa_thread *self)
{
	int saved_errno = errno;
	self->dispatched &= (uint8_t)~step->denied; /* denied by the filter from now on */
	if (step->denied & PA_CALLS_OF_PROGRAM && step->all_threads)
		confine_all(step);
	else if (step->denied & PA_CALLS_OF_PROGRAM)
		pa_seccomp_confine(self, step->had | step->denied);
	else if (step->all_threads)
		pa_store_relaxed(&pa_sandbox_all, step->had_all | step->denied);
	else
		pa_store_relaxed(&self->denied, step->had | step->denied);
	errno = saved_errno;
}

void pa_seccomp_cancel(const struct pa_seccomp_step *step, struct pa_thread *self)
{
	pa_store_relaxed(&self->denied, step->had);
	if (step->all_threads)
		pa_store_relaxed(&pa_sandbox_all, step->had_all);
}
