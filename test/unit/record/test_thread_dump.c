/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/arch/arch.h"
#include "agent/record/lock_waits.h"
#include "agent/record/labels.h"
#include "agent/record/registry.h"
#include "agent/record/thread_dump.h"
#include "agent/record/sample.h"
#include "agent/record/signal.h"
#include "test/lib/c/record_fixture.h"

/*
 * The code under test, with the patience that a test gives it: enough for a thread that waits for a
 * processor on a busy machine, and little where a silent thread is what the test is about.
 */
static int64_t patience_ns;
#undef PA_THREAD_DUMP_TIMEOUT_NS
#define PA_THREAD_DUMP_TIMEOUT_NS patience_ns
#undef PA_THREAD_DUMP_STARVED_NS
#define PA_THREAD_DUMP_STARVED_NS (60 * PA_NS_PER_S)
#define PA_BANNED_H /* it names setjmp, which is defined by now */
#include "agent/record/thread_dump.c"
#include "agent/record/signal_handlers.h"

enum { THREADS = 100 };

static struct {
	pthread_barrier_t there;
	pthread_mutex_t gate; /* held while the threads are to stay */
	PA_ATOMIC(int32_t) tids[THREADS];
} crowd;

static int boot(void **unused)
{
	(void)unused;
	fixture_boot(4 << 20, 1);
	pa_signal_boot(sigaction, &pa_signal_handlers);
	patience_ns = 60 * PA_NS_PER_S;
	return 0;
}

/* What each thread does before it waits at the gate. */
typedef void prepare_fn(void);

static void *wait_at_gate(void *prepare)
{
	static PA_ATOMIC(int) number;
	if (prepare)
		((prepare_fn *)prepare)();
	pa_store_relaxed(&crowd.tids[pa_add_relaxed(&number, 1) % THREADS],
		(int32_t)syscall(SYS_gettid));
	pthread_barrier_wait(&crowd.there);
	pthread_mutex_lock(&crowd.gate);
	pthread_mutex_unlock(&crowd.gate);
	return NULL;
}

static void gather(pthread_t *threads, int count, prepare_fn *prepare)
{
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 << 10);
	pthread_barrier_init(&crowd.there, NULL, (unsigned)count + 1);
	pthread_mutex_lock(&crowd.gate);
	for (int i = 0; i < count; i++)
		assert_int_equal(pthread_create(&threads[i], &small, wait_at_gate, (void *)prepare),
			0);
	pthread_barrier_wait(&crowd.there);
	pthread_attr_destroy(&small);
}

static void dismiss(pthread_t *threads, int count)
{
	pthread_mutex_unlock(&crowd.gate);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&crowd.there);
}

static struct pa_thread_dump call(int expected)
{
	struct pa_thread_dump dump;
	assert_int_equal(pa_thread_dump_begin(&dump), 0);
	assert_int_equal(pa_thread_dump_call(&dump), expected);
	return dump;
}

static const struct pa_thread_dump_entry *entry_of(const struct pa_thread_dump *dump, int32_t tid)
{
	for (uint32_t i = 0; i < dump->count; i++)
		if (dump->entries[i].tid == tid)
			return &dump->entries[i];
	fail_msg("thread %d is not listed", tid);
	return NULL;
}

static uint32_t state_of(const struct pa_thread_dump *dump, int32_t tid)
{
	return pa_load_acquire(&entry_of(dump, tid)->state);
}

static void every_thread_writes_its_own_stack(void **unused)
{
	pthread_t threads[THREADS];
	(void)unused;
	gather(threads, THREADS, NULL);
	struct pa_thread_dump dump = call(0);
	uint32_t answered = 0;
	for (uint32_t i = 0; i < dump.count; i++)
		answered += pa_load_acquire(&dump.entries[i].state) == PA_THREAD_DUMP_ANSWERED;
	/* A sanitizer may have threads of its own. */
	assert_true(answered > THREADS);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(state_of(&dump, crowd.tids[i]), PA_THREAD_DUMP_ANSWERED);
	assert_int_equal(state_of(&dump, getpid()), PA_THREAD_DUMP_ANSWERED);
	struct fixture_event *event = malloc(sizeof(*event));
	uint32_t events = 0;
	while (fixture_next(event)) {
		assert_int_equal(event->head.kind, PA_EVENT_DUMP);
		assert_true(event->head.flags & PA_EVENT_LEAF);
		assert_int_equal(event->head.value[0] >> 32, dump.generation);
		uint32_t index = (uint32_t)event->head.value[0];
		assert_int_equal(dump.entries[index].tid, event->head.tid);
		events++;
	}
	assert_int_equal(events, answered);
	free(event);
	dismiss(threads, THREADS);
}

static void take_a_name(void)
{
	prctl(PR_SET_NAME, "fifteen-letters");
}

static void answers_carry_the_threads_name(void **unused)
{
	pthread_t thread;
	(void)unused;
	gather(&thread, 1, take_a_name);
	struct pa_thread_dump dump = call(0);
	bool found = false;
	for (uint32_t i = 0; i < dump.count; i++)
		found |= strcmp(dump.entries[i].name, "fifteen-letters") == 0;
	assert_true(found);
	dismiss(&thread, 1);
}

static void take_labels(void)
{
	pa_registry_add(&pa_thread_self);
	pa_labels_add(NULL, (const char *const[]){ "k", "v", NULL }, &pa_thread_self.labels);
}

static void answers_carry_the_threads_labels(void **unused)
{
	pthread_t thread;
	(void)unused;
	gather(&thread, 1, take_labels);
	struct pa_thread_dump dump = call(0);
	struct fixture_event *event = malloc(sizeof(*event));
	uint32_t with = 0;
	while (fixture_next(event)) {
		const struct pa_labels *labels = pa_labels_get(event->head.labels);
		if (!labels)
			continue;
		assert_string_equal(pa_labels_value(labels, "k"), "v");
		assert_int_not_equal(event->head.tid, getpid());
		assert_int_equal(event->head.tid, dump.entries[(uint32_t)event->head.value[0]].tid);
		with++;
	}
	assert_int_equal(with, 1);
	free(event);
	dismiss(&thread, 1);
}

static PA_ATOMIC(int32_t) small_altstack_tid;

static void use_small_altstack(void)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	pa_store_relaxed(&small_altstack_tid, (int32_t)syscall(SYS_gettid));
}

static void thread_that_blocks_the_signal_is_silent_and_delays_no_dump(void **unused)
{
	pthread_t threads[3];
	(void)unused;
	patience_ns = 200 * PA_NS_PER_MS; /* the caller itself answers as it asks */
	gather(&threads[0], 1, use_small_altstack);
	struct pa_thread_dump dump = call(0);
	assert_int_equal(state_of(&dump, small_altstack_tid), PA_THREAD_DUMP_SILENT);
	assert_int_equal(state_of(&dump, getpid()), PA_THREAD_DUMP_ANSWERED);
	dismiss(&threads[0], 1);
	/* The next dump is another one. */
	dump = call(0);
	assert_int_equal(state_of(&dump, getpid()), PA_THREAD_DUMP_ANSWERED);
}

static struct {
	pthread_barrier_t both;
	PA_ATOMIC(int32_t) polite;
	PA_ATOMIC(int) over;
} burners;

static void *burn_one_processor(void *nice)
{
	cpu_set_t first;
	CPU_ZERO(&first);
	assert_int_equal(sched_getaffinity(0, sizeof(first), &first), 0);
	int cpu = 0;
	while (!CPU_ISSET(cpu, &first))
		cpu++;
	CPU_ZERO(&first);
	CPU_SET(cpu, &first);
	assert_int_equal(sched_setaffinity(0, sizeof(first), &first), 0);
	if (nice) {
		assert_int_equal(setpriority(PRIO_PROCESS, 0, (int)(intptr_t)nice), 0);
		pa_store_release(&burners.polite, (int32_t)syscall(SYS_gettid));
	}
	pthread_barrier_wait(&burners.both);
	while (!pa_load_relaxed(&burners.over))
		;
	return NULL;
}

/* One of nice 19 has a turn after some hundred ms: it is not silent for that. */
static void thread_that_only_lacks_a_processor_is_waited_for(void **unused)
{
	pthread_t threads[2];
	(void)unused;
	patience_ns = PA_NS_PER_MS;
	pthread_barrier_init(&burners.both, NULL, 3);
	pa_store_release(&burners.over, 0);
	for (intptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, burn_one_processor,
					 (void *)(19 * i)),
			0);
	pthread_barrier_wait(&burners.both);
	for (int i = 0; i < 3; i++) {
		struct pa_thread_dump dump = call(0);
		assert_int_equal(state_of(&dump, pa_load_acquire(&burners.polite)),
			PA_THREAD_DUMP_ANSWERED);
	}
	pa_store_release(&burners.over, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&burners.both);
}

static void answer_to_an_earlier_dump_is_ignored(void **unused)
{
	(void)unused;
	struct pa_thread_dump dump = call(0);
	uint64_t events = fixture_count(&pa_record.counters.dump_answers);
	siginfo_t info = { .si_signo = pa_record.signal, .si_code = SI_TIMER };
	ucontext_t context = { 0 };
	info.si_pid = getpid();
	info.si_uid = PA_SIGNAL_QUEUED_UID;
	info.si_value.sival_ptr = (void *)((uintptr_t)dump.generation << 32);
	assert_true(pa_thread_dump_answer(&info, &context));
	assert_int_equal(fixture_count(&pa_record.counters.dump_answers), events);
}

static void signals_of_others_are_no_thread_dump(void **unused)
{
	(void)unused;
	siginfo_t info = { .si_signo = pa_record.signal, .si_code = SI_TKILL };
	ucontext_t context = { 0 };
	assert_false(pa_thread_dump_answer(&info, &context));
	info.si_code = SI_TIMER;
	info.si_uid = PA_SIGNAL_QUEUED_UID;
	info.si_pid = getpid() + 1;
	info.si_value.sival_ptr = (void *)(1ul << 32);
	assert_false(pa_thread_dump_answer(&info, &context));
	info.si_pid = getpid();
	info.si_value.sival_int = 7;
	info.si_value.sival_ptr = (void *)7;
	assert_false(pa_thread_dump_answer(&info, &context));
}

static void ignore(int signal)
{
	(void)signal;
}

static void program_that_uses_the_signal_keeps_it(void **unused)
{
	(void)unused;
	const struct sigaction own = { .sa_handler = ignore }, none = { .sa_handler = SIG_DFL };
	sigaction(pa_record.signal, &own, NULL);
	struct pa_thread_dump dump = call(-EADDRINUSE);
	assert_int_equal(state_of(&dump, getpid()), PA_THREAD_DUMP_SILENT);
	sigaction(pa_record.signal, &none, NULL);
}

static void wait_of_a_hook_is_told(void **unused)
{
	(void)unused;
	struct pa_thread *self = &pa_thread_self;
	static int object;
	pa_lock_waits_rates(1, 0);
	assert_true(pa_lock_waits_begin(self, PA_WAIT_COND, &object,
		(uintptr_t)__builtin_frame_address(0)));
	struct pa_thread_dump dump = call(0);
	const struct pa_thread_dump_entry *entry = entry_of(&dump, getpid());
	assert_int_equal(entry->thread.wait, PA_WAIT_COND);
	assert_ptr_equal(entry->thread.object, &object);
	assert_in_range(entry->thread.since_ns, 1, pa_clock_mono_ns());
	pa_lock_waits_thread_end(self);
	dump = call(0);
	assert_int_equal(entry_of(&dump, getpid())->thread.wait, PA_WAIT_NONE);
	pa_lock_waits_rates(0, 0);
}

/* The signal comes while the thread is in the call: it was not looked up before. */
static PA_ATOMIC(int) returned;
static int end_of_poll[2];

static void *poll_without_end(void *unused)
{
	pa_store_relaxed(&small_altstack_tid, (int32_t)syscall(SYS_gettid));
	struct pollfd end = { .fd = end_of_poll[0], .events = POLLIN };
	int result = poll(&end, 1, -1);
	pa_store_release(&returned, result);
	return unused;
}

static void wait_for_poll(int32_t tid)
{
	char text[256];
	do
		assert_true(pa_tasks_read(tid, "syscall", text, sizeof(text)));
	while (text[0] == 'r' || atoi(text) != SYS_poll);
}

static void interrupted_call_is_made_again(void **unused)
{
	pthread_t thread;
	(void)unused;
	pa_store_relaxed(&small_altstack_tid, 0);
	pa_store_relaxed(&returned, 7);
	assert_int_equal(pipe(end_of_poll), 0);
	pthread_create(&thread, NULL, poll_without_end, NULL);
	while (!pa_load_acquire(&small_altstack_tid))
		sched_yield();
	assert_int_equal(pa_signal_take(), 0);
	for (int i = 0; i < 20; i++) {
		siginfo_t info = { .si_signo = pa_record.signal, .si_code = SI_TIMER };
		info.si_pid = getpid();
		info.si_uid = PA_SIGNAL_QUEUED_UID;
		info.si_value.sival_ptr = (void *)(0x12345ul << 32);
		wait_for_poll(small_altstack_tid);
		assert_int_equal(syscall(SYS_rt_tgsigqueueinfo, getpid(), small_altstack_tid,
					 pa_record.signal, &info),
			0);
	}
	wait_for_poll(small_altstack_tid);
	assert_int_equal(pa_load_acquire(&returned), 7);
	pa_signal_release(true);
	assert_int_equal(write(end_of_poll[1], "x", 1), 1);
	pthread_join(thread, NULL);
	assert_int_equal(pa_load_acquire(&returned), 1);
	close(end_of_poll[0]);
	close(end_of_poll[1]);
}

/* A frame that is gone: the thread was cancelled in its wait, or jumped out of it. */
static void wait_of_a_frame_that_is_gone_is_not_told(void **unused)
{
	(void)unused;
	pa_lock_waits_rates(1, 0);
	assert_true(pa_lock_waits_begin(&pa_thread_self, PA_WAIT_COND, &unused,
		(uintptr_t)__builtin_frame_address(0) - (64 << 10)));
	struct pa_thread_dump dump = call(0);
	assert_int_equal(entry_of(&dump, getpid())->thread.wait, PA_WAIT_NONE);
	pa_lock_waits_thread_end(&pa_thread_self);
	pa_lock_waits_rates(0, 0);
}

static void full_ring_is_asked_again(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	patience_ns = 2 * PA_NS_PER_MS;
	/* Nothing reads the ring: the answer is lost, and is not counted as an answer. */
	struct pa_event head = { .kind = PA_EVENT_FREE };
	while (pa_sample_plain(&head, NULL, 0))
		;
	struct pa_thread_dump dump = call(0);
	assert_int_equal(state_of(&dump, getpid()), PA_THREAD_DUMP_SILENT);
	assert_int_equal(fixture_count(&pa_record.counters.dump_answers), 0);
}

/* Its TLS is its creator's: nothing of that may change. */
static struct {
	char stack[256 << 10] __attribute__((aligned(16)));
	PA_ATOMIC(int32_t) tid;
	PA_ATOMIC(uint32_t) stay;
} clone_of;

static int run_clone(void *unused)
{
	(void)unused;
	pa_store_release(&clone_of.tid, (int32_t)pa_arch_syscall(SYS_gettid, 0, 0, 0, 0));
	while (pa_load_acquire(&clone_of.stay))
		pa_arch_syscall(SYS_sched_yield, 0, 0, 0, 0);
	pa_arch_syscall(SYS_exit, 0, 0, 0, 0);
	return 0;
}

static void raw_clone_answers_without_touching_its_creators_tls(void **unused)
{
	(void)unused;
	pa_registry_add(&pa_thread_self);
	call(0); /* its own alternate stack, if it has one, is known from here on */
	struct pa_thread before = pa_thread_self;
	pa_store_release(&clone_of.stay, 1);
	int flags =
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	assert_true(clone(run_clone, clone_of.stack + sizeof(clone_of.stack), flags, NULL) > 0);
	while (!pa_load_acquire(&clone_of.tid))
		sched_yield();
	struct pa_thread_dump dump = call(0);
	assert_int_equal(state_of(&dump, clone_of.tid), PA_THREAD_DUMP_ANSWERED);
	pa_store_release(&clone_of.stay, 0);
	assert_memory_equal(&before, &pa_thread_self, sizeof(before));
}

static void child_of_fork_can_call_again(void **unused)
{
	(void)unused;
	pid_t child = fork();
	if (child == 0) {
		pa_signal_atfork_child();
		pa_thread_dump_atfork_child();
		pa_registry_atfork_child();
		struct pa_thread_dump dump;
		if (pa_thread_dump_begin(&dump) != 0 || pa_thread_dump_call(&dump) != 0)
			_exit(1);
		_exit(state_of(&dump, getpid()) == PA_THREAD_DUMP_ANSWERED ? 0 : 2);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, boot)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(signals_of_others_are_no_thread_dump),
		TEST(program_that_uses_the_signal_keeps_it),
#ifndef __SANITIZE_THREAD__ /* it holds signals back until the thread makes a call that it knows */
		TEST(every_thread_writes_its_own_stack),
		TEST(answers_carry_the_threads_name),
		TEST(answers_carry_the_threads_labels),
		TEST(thread_that_blocks_the_signal_is_silent_and_delays_no_dump),
		TEST(thread_that_only_lacks_a_processor_is_waited_for),
		TEST(answer_to_an_earlier_dump_is_ignored),
		TEST(wait_of_a_hook_is_told),
		TEST(interrupted_call_is_made_again),
		TEST(wait_of_a_frame_that_is_gone_is_not_told),
		TEST(full_ring_is_asked_again),
		TEST(raw_clone_answers_without_touching_its_creators_tls),
		TEST(child_of_fork_can_call_again),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
