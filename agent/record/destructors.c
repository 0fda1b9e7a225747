/* SPDX-License-Identifier: Apache-2.0 */
#include "destructors.h"

#include <limits.h>
#include <link.h>
#include <sys/auxv.h>

#include "../arch/arch.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/phdr.h"
#include "switches.h"
#include "thread.h"

#include "../base/banned.h"

/* Longest wait of a thread of the program: a change takes microseconds. One that goes on all the
 * same may stay in jemalloc's list; one that waits for ever would be the agent's fault for sure. */
#define WAIT_NS (10 * PA_NS_PER_S)
#define NAP_NS (PA_NS_PER_MS / 10)

/* Of the words in pa_switches; the other bits count the threads in the destructor. */
#define HELD (1u << 31)

static struct {
	/* Of the program; each is written once. acq_rel */
	PA_ATOMIC(uintptr_t) wrapped[PA_DESTRUCTORS];
	PA_ATOMIC(uintptr_t) mallctl; /* release / acquire */
} state;

/* ---- ends of threads ---- */

static void enter_destructor(uint32_t place)
{
	PA_ATOMIC(uint32_t) *word = &pa_switches->destructors[place];
	uint32_t seen = pa_load_relaxed(word);
	int64_t end_ns = pa_clock_mono_ns() + WAIT_NS;
	/* Ends: at end_ns, or when no other thread comes in between. */
	for (;;) {
		int64_t left_ns = seen & HELD ? end_ns - pa_clock_mono_ns() : 0;
		if (left_ns > 0) {
			pa_futex_wait(word, seen, left_ns);
			seen = pa_load_relaxed(word);
		} else if (pa_cas_acq_rel(word, &seen, seen + 1)) {
			return;
		}
	}
}

/* In a forked child the count has begun at 0 again, also if its only thread is in a destructor. */
static void leave_destructor(uint32_t place)
{
	PA_ATOMIC(uint32_t) *word = &pa_switches->destructors[place];
	uint32_t seen = pa_load_relaxed(word);
	while (seen & ~HELD && !pa_cas_acq_rel(word, &seen, seen - 1))
		;
}

/*
 * Once a thread: a destructor that runs again has taken the thread off jemalloc's list before, and
 * mallctl would only make it run once more. "version" is a constant.
 */
static void settle_thread(void)
{
	pa_destructors_mallctl *mallctl = (pa_destructors_mallctl *)pa_load_acquire(&state.mallctl);
	const char *version;
	size_t bytes = sizeof(version);
	if (!mallctl || pa_thread_self.settled)
		return;
	pa_thread_self.settled = 1;
	(void)mallctl("version", &version, &bytes, NULL, 0);
}

static void run_destructor(uint32_t place, void *value)
{
	pa_destructors_run *destructor =
		(pa_destructors_run *)pa_load_acquire(&state.wrapped[place]);
	PA_ASSERT(place < PA_DESTRUCTORS && destructor);
	enter_destructor(place);
	settle_thread();
	destructor(value);
	leave_destructor(place);
}

/* libc tells a destructor the value, not the key: one function for each place. */
#define DEFINE_WRAPPER(place)                                    \
	static PA_ENTRY void run_destructor_##place(void *value) \
	{                                                        \
		PA_CALM_FLAGS();                                 \
		run_destructor(place, value);                    \
	}
DEFINE_WRAPPER(0)
DEFINE_WRAPPER(1)
DEFINE_WRAPPER(2)
DEFINE_WRAPPER(3)

static pa_destructors_run *const wrappers[PA_DESTRUCTORS] = {
	run_destructor_0,
	run_destructor_1,
	run_destructor_2,
	run_destructor_3,
};

/* ---- which ---- */

/* The executable's program headers, which the kernel passes to every process (getauxval(3)). */
static bool is_of_executable(uintptr_t address)
{
	const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM);
	uintptr_t bias = 0;
	for (size_t i = 0; headers && i < count; i++)
		if (headers[i].p_type == PT_PHDR)
			bias = (uintptr_t)headers - headers[i].p_vaddr;
	return headers && pa_phdr_find(headers, count, bias, PF_X, address);
}

/* The place of the destructor, which it gets here if there is room; PA_DESTRUCTORS: none. */
static uint32_t wrap_in_place(uintptr_t destructor)
{
	for (uint32_t place = 0; place < PA_DESTRUCTORS; place++) {
		uintptr_t found = 0;
		if (pa_cas_acq_rel(&state.wrapped[place], &found, destructor) ||
			found == destructor)
			return place;
	}
	return PA_DESTRUCTORS;
}

pa_destructors_run *pa_destructors_wrap(pa_destructors_run *destructor)
{
	if (!destructor || !is_of_executable((uintptr_t)destructor))
		return destructor;
	uint32_t place = wrap_in_place((uintptr_t)destructor);
	return place < PA_DESTRUCTORS ? wrappers[place] : destructor;
}

/* ---- changes ---- */

static PA_ATOMIC(uint32_t) *destructor_word(uintptr_t destructor)
{
	for (uint32_t place = 0; place < PA_DESTRUCTORS; place++)
		if (pa_load_acquire(&state.wrapped[place]) == destructor)
			return &pa_switches->destructors[place];
	return NULL;
}

bool pa_destructors_has(uintptr_t destructor)
{
	return destructor && destructor_word(destructor);
}

bool pa_destructors_hold(uintptr_t destructor, int64_t timeout_ns)
{
	PA_ATOMIC(uint32_t) *word = destructor_word(destructor);
	int64_t end_ns = pa_clock_mono_ns() + timeout_ns;
	PA_ASSERT(word && !(pa_load_relaxed(word) & HELD));
	pa_or_acq_rel(word, HELD);
	/* Ends: at end_ns. */
	while (pa_load_acquire(word) != HELD) {
		if (pa_clock_mono_ns() >= end_ns) {
			pa_destructors_release(destructor, NULL);
			return false;
		}
		pa_futex_sleep(NAP_NS);
	}
	return true;
}

void pa_destructors_release(uintptr_t destructor, pa_destructors_mallctl *mallctl)
{
	PA_ATOMIC(uint32_t) *word = destructor_word(destructor);
	PA_ASSERT(word);
	if (mallctl)
		pa_store_release(&state.mallctl, (uintptr_t)mallctl);
	pa_and_acq_rel(word, ~HELD);
	pa_futex_wake(word, INT_MAX);
}
