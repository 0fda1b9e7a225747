/* SPDX-License-Identifier: Apache-2.0 */
#include "thread_ends.h"

#include "../base/atomic.h"
#include "../base/clock.h"
#include "../base/lock.h"

#include "../base/banned.h"

/* The kernel has at most 2^22 threads; the agent's are few. */
#define AGENT_BITS 8
#define AGENT ((uint32_t)1)
#define AGENTS (((uint32_t)1 << AGENT_BITS) - 1)
#define PROGRAM ((uint32_t)1 << AGENT_BITS)

/* A new agent thread leaves libc's count with its first instructions: this is the longest wait for
 * the scheduler to run it. */
#define TIMEOUT_NS (2 * PA_NS_PER_S)

/* Longest time from the moment the last threads begin to end to the end of the process. */
#define LAST_SLEEP_NS (5 * PA_NS_PER_MS)
#define LAST_SLEEPS 200

static struct {
	/* Number of expected agent threads, and PROGRAM for each thread of the program that has
	 * begun and not begun to end; futex; acq_rel. */
	PA_ATOMIC(uint32_t) word;
} state;

void pa_thread_ends_boot(struct pa_thread *self)
{
	self->counted = 1;
	pa_store_release(&state.word, PROGRAM);
}

void pa_thread_ends_atfork_child(struct pa_thread *self)
{
	pa_thread_ends_boot(self);
}

void pa_thread_ends_thread_begin(struct pa_thread *self)
{
	PA_ASSERT(!self->counted);
	self->counted = 1;
	pa_add_acq_rel(&state.word, PROGRAM);
}

void pa_thread_ends_await_agents(int64_t timeout_ns)
{
	int64_t end_ns = 0;
	/* Ends: at end_ns. */
	for (uint32_t now; (now = pa_load_acquire(&state.word)) & AGENTS;) {
		int64_t now_ns = pa_clock_mono_ns();
		if (!end_ns)
			end_ns = now_ns + timeout_ns;
		if (now_ns >= end_ns)
			return;
		pa_futex_wait(&state.word, now, end_ns - now_ns);
	}
}

void pa_thread_ends_thread_end(struct pa_thread *self)
{
	if (!self->counted)
		return;
	self->counted = 0;
	PA_ASSERT(pa_load_relaxed(&state.word) >= PROGRAM);
	pa_add_acq_rel(&state.word, -PROGRAM);
	pa_thread_ends_await_agents(TIMEOUT_NS);
}

void pa_thread_ends_expect_agent(void)
{
	/* From here on a thread that ends waits for the agent thread; one that ended before is not
	 * counted.
	 * Ends: after LAST_SLEEPS sleeps. */
	for (int i = 0; pa_add_acq_rel(&state.word, AGENT) < PROGRAM && i < LAST_SLEEPS; i++) {
		pa_thread_ends_agent_came();
		pa_futex_sleep(LAST_SLEEP_NS);
	}
}

void pa_thread_ends_agent_came(void)
{
	PA_ASSERT(pa_load_relaxed(&state.word) & AGENTS);
	if ((pa_add_acq_rel(&state.word, -AGENT) & AGENTS) == AGENT)
		pa_futex_wake(&state.word, INT32_MAX);
}

uint32_t pa_thread_ends_expected_agents(void)
{
	return pa_load_acquire(&state.word) & AGENTS;
}
