/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_thread.h"

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "base/quiet.h"
#include "record/thread_ends.h"
#include "record/memlock.h"
#include "record/process.h"
#include "record/registry.h"
#include "record/sandbox.h"
#include "record/thread.h"
#include "own_stacks.h"
#include "slot_table.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#define AGENT_STACK_BYTES ((size_t)1 << 20)

/* Each thread has a copy of the program's static TLS: up to 13 of them under the memory cap. */
#define LARGEST_TLS_BYTES ((size_t)4 << 20)

struct trampoline {
	void *(*run)(void *);
	void *arg;
	uint32_t generation, followed; /* see base/thread_slot.h */
	uint32_t denied; /* calls denied by the filters of its creator, which it inherits */
	struct pa_own_stack *own_stack; /* NULL: one of libc, which has stack_bytes */
	size_t stack_bytes;
	bool detached;
	char name[PA_EVENT_NAME_BYTES];
};

static struct {
	/* Static, so that a forked child does not copy pages of own_memory.c. */
	struct trampoline first;
	PA_ATOMIC(uint32_t) first_taken; /* acq_rel by CAS */
	const struct pa_bridge *bridge;
	struct pa_lock *loader;
	unsigned *libc_threads;      /* glibc's __nptl_nthreads; NULL: unknown */
	size_t tls_bytes;            /* see pa_agent_thread_tls_bytes */
	PA_ATOMIC(uint32_t) exiting; /* release in note_exit */
} state;

/* As the runtimes of Rust and Java ask it. Without the function (not glibc's) the TLS is taken for
 * small. */
static size_t find_tls_bytes(void)
{
	size_t (*smallest_stack)(const pthread_attr_t *attr);
	pthread_attr_t attr;
	*(void **)&smallest_stack = dlsym(RTLD_DEFAULT, "__pthread_get_minstack");
	if (!smallest_stack || pthread_attr_init(&attr) != 0)
		return 0;
	size_t bytes = smallest_stack(&attr);
	pthread_attr_destroy(&attr);
	return PA_ALIGN_UP(bytes, PA_PAGE_BYTES);
}

void pa_agent_thread_boot(const struct pa_bridge *bridge, struct pa_lock *loader)
{
	state.bridge = bridge;
	state.loader = loader;
	state.libc_threads = dlsym(RTLD_DEFAULT, "__nptl_nthreads");
	state.tls_bytes = find_tls_bytes();
	pa_hooks_register_main();
}

size_t pa_agent_thread_tls_bytes(void)
{
	return state.tls_bytes;
}

static struct trampoline *take_trampoline(void)
{
	uint32_t free = 0;
	if (pa_cas_acq_rel(&state.first_taken, &free, 1))
		return &state.first;
	return state.bridge->memory.malloc(sizeof(struct trampoline));
}

static void leave_trampoline(struct trampoline *start)
{
	if (start == &state.first)
		pa_store_release(&state.first_taken, 0);
	else
		state.bridge->memory.free(start);
}

void pa_agent_thread_note_exit(void)
{
	pa_store_release(&state.exiting, 1);
}

/* A new thread inherits prctl(PR_SET_TSC); the core reads clocks through the vDSO. */
static void permit_time_stamps(void)
{
	if (pa_clock_uses_calls())
		prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0);
}

static void leave_realtime(void)
{
	const struct sched_param none = { 0 };
	if (sched_getscheduler(0) != SCHED_OTHER)
		sched_setscheduler(0, SCHED_OTHER, &none);
}

/*
 * libc ends the process when its count of threads reaches 0. Agent threads leave the count: a main
 * that calls pthread_exit() ends the process with its last other thread, as without the agent.
 */
static void stop_counting(void)
{
	unsigned *count = state.libc_threads;
	/* Threads that libc creates for itself (aio, getaddrinfo_a) do not wait for agent threads:
	 * if one of them was the last, the agent thread has to end the process. */
	if (count && __atomic_sub_fetch(count, 1, __ATOMIC_ACQ_REL) == 0 &&
		!pa_load_acquire(&state.exiting))
		exit(0);
}

/* Agent threads just created are still in libc's count. */
bool pa_agent_thread_is_alone(void)
{
	const unsigned *count = state.libc_threads;
	return count &&
		__atomic_load_n(count, __ATOMIC_ACQUIRE) <= 1 + pa_thread_ends_expected_agents();
}

/* Runs the thread until it returns, or until it must end and jumps back here: then true. */
PA_NOINLINE static bool run_in_slot(const struct trampoline *start, struct pa_thread_slot *slot)
{
	if (__builtin_setjmp(slot->way_out) != 0)
		return true;
	pa_thread_slot_unpin();
	start->run(start->arg);
	return false;
}

static void count_again(void)
{
	unsigned *count = state.libc_threads;
	if (count)
		__atomic_add_fetch(count, 1, __ATOMIC_ACQ_REL);
}

#ifdef __SANITIZE_ADDRESS__
/* libasan does not see agent threads start: its shadow of a reused stack is that of an earlier
 * thread. */
PA_NOINLINE static void forget_stack(void)
{
	char *here = __builtin_frame_address(0);
	__asan_unpoison_memory_region(here - AGENT_STACK_BYTES, AGENT_STACK_BYTES);
}
#else
static void forget_stack(void)
{
}
#endif

/* Returns where the thread may return to libc. */
static void end_thread(const struct trampoline *start, bool asked)
{
	/* A return would make libc count this end. Happens only where the agent cannot work; leaves
	 * the stack mapped. pthread_join() waits for the kernel, and works. */
	if (!asked)
		syscall(SYS_exit, 0);
	/* The program's only thread waits for this one, and is not about to end. */
	if (start->detached)
		pa_own_stacks_leave(start->own_stack);
}

static PA_AGENT void *run_agent_thread(void *given)
{
	forget_stack();
	/* A new thread inherits flags and FPU state, which the program may have changed before a
	 * fork. */
	(void)pa_arch_calm_flags();
	pa_arch_fresh_fpu();
	permit_time_stamps();
	struct trampoline start = *(struct trampoline *)given;
	/* In this order: in between the thread counts twice as the agent's, see
	 * pa_agent_thread_is_alone. */
	stop_counting();
	pa_registry_add_agent();
	pa_sandbox_inherit(&pa_thread_self, start.denied);
	/* Expected until it has a slot: see pa_suspend_suspend. */
	struct pa_thread_slot *slot = pa_slot_table_take(start.generation, start.followed);
	pa_thread_slot_pin(); /* it cannot jump out yet */
	pa_thread_ends_agent_came();
	leave_trampoline(given);
	pa_own_stacks_enter(start.own_stack);
	struct pa_own_map *stack = pa_memlock_enter_thread(start.own_stack ? 0 : start.stack_bytes);
	leave_realtime();
	prctl(PR_SET_NAME, start.name);
	/* Without a slot it cannot be suspended. */
	bool asked = slot && run_in_slot(&start, slot);
	pa_memlock_leave_thread(stack);
	pa_registry_remove_agent();
	if (asked)
		count_again();
	pa_slot_table_leave();
	end_thread(&start, asked);
	return NULL;
}

/* pthread_create with all signals blocked from the thread's first instruction on, except those that
 * instructions raise. Through libc's function: the raw call would also block the signal by which
 * setuid() reaches all threads (nptl(7)). */
static int create_masked(pthread_t *thread, const pthread_attr_t *attr, struct trampoline *start)
{
	sigset_t all, before;
	pa_quiet_fill(&all);
	state.bridge->pthread_sigmask(SIG_SETMASK, &all, &before);
	pa_lock(state.loader);
	pa_thread_ends_expect_agent();
	int error = pa_hooks_thread_create(thread, attr, run_agent_thread, start);
	if (error)
		pa_thread_ends_agent_came();
	pa_unlock(state.loader);
	state.bridge->pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void prepare_trampoline(struct trampoline *start, pthread_attr_t *attr, const char *name)
{
	int detached = PTHREAD_CREATE_JOINABLE;
	start->generation = pa_slot_table_generation();
	start->followed = pa_slot_table_followed();
	start->denied = pa_load_relaxed(&pa_thread_self.denied);
	pthread_attr_getstacksize(attr, &start->stack_bytes);
	pthread_attr_getdetachstate(attr, &detached);
	start->detached = detached == PTHREAD_CREATE_DETACHED;
	start->own_stack = pa_own_stacks_take(attr);
	strncpy(start->name, name, sizeof(start->name) - 1);
}

/* Changes attr: the stack. */
static int create_agent_thread(pthread_t *thread, pthread_attr_t *attr, void *(*run)(void *),
	void *arg, const char *name)
{
	struct trampoline *start = take_trampoline();
	if (!start)
		return ENOMEM;
	*start = (struct trampoline){ .run = run, .arg = arg };
	prepare_trampoline(start, attr, name);
	struct pa_own_stack *stack = start->own_stack;
	bool detached = start->detached;
	int error = create_masked(thread, attr, start);
	if (error) {
		pa_own_stacks_give_back(stack);
		leave_trampoline(start);
	} else if (!detached) {
		pa_own_stacks_created(stack, *thread);
	}
	return error;
}

int pa_agent_thread_joinable(pthread_t *thread, pthread_attr_t *attr, void *(*run)(void *),
	void *arg)
{
	return create_agent_thread(thread, attr, run, arg, "pprofagent");
}

void pa_agent_thread_joined(pthread_t thread)
{
	pa_own_stacks_joined(thread);
}

int pa_agent_thread(void *(*run)(void *), void *arg, const char *name)
{
	pthread_attr_t attr;
	pthread_t thread;
	if (state.tls_bytes > LARGEST_TLS_BYTES || pthread_attr_init(&attr) != 0)
		return -ENOMEM;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, AGENT_STACK_BYTES + state.tls_bytes);
	int error = create_agent_thread(&thread, &attr, run, arg, name);
	pthread_attr_destroy(&attr);
	return -error;
}
