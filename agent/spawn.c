#include "spawn.h"

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "aside.h"
#include "base/quiet.h"
#include "record/ends.h"
#include "record/process.h"
#include "record/sandbox.h"
#include "record/thread.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#define AGENT_STACK_BYTES ((size_t)1 << 20)

struct trampoline {
	void *(*run)(void *);
	void *arg;
	uint32_t turn, followed; /* see base/seat.h */
	uint32_t denied;         /* by the filters of its creator, which are its own */
	char name[PA_THREAD_NAME_BYTES];
};

static struct {
	/* So that a forked child need not copy pages of own_memory.c. */
	struct trampoline first;
	PA_ATOMIC(uint32_t) first_taken; /* acq_rel by CAS */
	const struct pa_bridge *bridge;
	struct pa_lock *loader;
	unsigned *libc_threads; /* its __nptl_nthreads; NULL: unknown */
	PA_ATOMIC(uint32_t) exiting; /* release in note_exit */
} state;

void pa_spawn_boot(const struct pa_bridge *bridge, struct pa_lock *loader)
{
	state.bridge = bridge;
	state.loader = loader;
	state.libc_threads = dlsym(RTLD_DEFAULT, "__nptl_nthreads");
	pa_hooks_meet_main();
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

void pa_spawn_note_exit(void)
{
	pa_store_release(&state.exiting, 1);
}

static void leave_realtime(void)
{
	const struct sched_param none = { 0 };
	if (sched_getscheduler(0) != SCHED_OTHER)
		sched_setscheduler(0, SCHED_OTHER, &none);
}

/*
 * libc ends the process when its last thread ends, by a count of them. Ours do not count: a main
 * that leaves by pthread_exit() ends the process with its last other thread, as without us.
 */
static void stop_counting(void)
{
	unsigned *count = state.libc_threads;
	/* Those that libc starts for itself (aio, getaddrinfo_a) do not wait for ours: if one of
	 * them was the last, what it would have done is left to us. */
	if (count && __atomic_sub_fetch(count, 1, __ATOMIC_ACQ_REL) == 0 &&
	    !pa_load_acquire(&state.exiting))
		exit(0);
}

/* Those of ours that were just created still count. */
bool pa_process_is_alone(void)
{
	const unsigned *count = state.libc_threads;
	return count &&
		__atomic_load_n(count, __ATOMIC_ACQUIRE) <= 1 + pa_ends_expected_agents();
}

/* Where run never comes back from: asked to leave, the thread jumps out of it. True: it was. */
PA_NOINLINE static bool run_seated(const struct trampoline *start, struct pa_seat *seat)
{
	if (__builtin_setjmp(seat->way_out) != 0)
		return true;
	pa_seat_unpin();
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
/* libasan does not see our threads begin: what it remembers of a stack is an earlier thread's. */
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

static void *run_agent_thread(void *given)
{
	forget_stack();
	/* A new thread inherits them, and the program forked with what it likes. */
	(void)pa_regs_calm_flags();
	pa_regs_fresh_fpu();
	struct trampoline start = *(struct trampoline *)given;
	/* In this order: between the two it is counted twice as ours, see pa_process_is_alone. */
	stop_counting();
	pa_thread_become_agent();
	pa_sandbox_inherit(&pa_thread_self, start.denied);
	/* It is expected until it can be found by its seat: see pa_process_step_aside. */
	struct pa_seat *seat = pa_aside_sit(start.turn, start.followed);
	pa_seat_pin(); /* it has no way out yet */
	pa_ends_agent_came();
	leave_trampoline(given);
	leave_realtime();
	prctl(PR_SET_NAME, start.name);
	/* Without one it could not be told when to go. */
	bool asked = seat && run_seated(&start, seat);
	pa_thread_end_agent();
	if (asked)
		count_again();
	pa_aside_rise();
	/* The program's only thread waits for us, and is not about to end. */
	if (asked)
		return NULL;
	/* libc would count this end. It happens where the agent cannot work, and costs a stack that
	 * stays mapped; pthread_join() waits for the kernel, and works. */
	syscall(SYS_exit, 0);
	__builtin_unreachable();
}

/* pthread_create with all signals blocked from the thread's first instruction on, but for those
 * that it raises itself. By the libc function: the raw call would also block the signal by which
 * setuid() reaches all threads. */
static int create_masked(pthread_t *thread, const pthread_attr_t *attr, struct trampoline *start)
{
	sigset_t all, before;
	pa_quiet_fill(&all);
	state.bridge->pthread_sigmask(SIG_SETMASK, &all, &before);
	pa_lock(state.loader);
	pa_ends_expect_agent();
	int error = pa_hooks_thread_create(thread, attr, run_agent_thread, start);
	if (error)
		pa_ends_agent_came();
	pa_unlock(state.loader);
	state.bridge->pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static int create_agent_thread(pthread_t *thread, const pthread_attr_t *attr,
	void *(*run)(void *), void *arg, const char *name)
{
	struct trampoline *start = take_trampoline();
	if (!start)
		return ENOMEM;
	*start = (struct trampoline){
		.run = run, .arg = arg, .turn = pa_aside_turn(), .followed = pa_aside_followed(),
		.denied = pa_load_relaxed(&pa_thread_self.denied),
	};
	strncpy(start->name, name, sizeof(start->name) - 1);
	int error = create_masked(thread, attr, start);
	if (error)
		leave_trampoline(start);
	return error;
}

int pa_spawn_joinable(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
	void *arg)
{
	return create_agent_thread(thread, attr, run, arg, "pprofagent-http");
}

int pa_spawn(void *(*run)(void *), void *arg, const char *name)
{
	pthread_attr_t attr;
	pthread_t thread;
	if (pthread_attr_init(&attr) != 0)
		return -ENOMEM;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, AGENT_STACK_BYTES);
	int error = create_agent_thread(&thread, &attr, run, arg, name);
	pthread_attr_destroy(&attr);
	return -error;
}
