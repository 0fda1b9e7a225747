/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/record/labels.h"
#include "agent/record/registry.h"
#include "agent/record/signal.h"
#include "agent/record/signal_handlers.h"
#include "agent/record/tick.h"
#include "agent/record/tick_timers.h"
#include "test/lib/c/record_fixture.h"

static void boot(void)
{
	fixture_boot(8 << 20, 1);
	pa_signal_boot(sigaction, &pa_signal_handlers);
}

static void burn(int64_t cpu_ns)
{
	int64_t end_ns = pa_clock_thread_cpu_ns() + cpu_ns;
	while (pa_clock_thread_cpu_ns() < end_ns)
		;
}

/* Ticks in the ring: of one thread, or of all when tid is 0. */
static uint64_t drain_ticks(int32_t tid)
{
	struct fixture_event *event = malloc(sizeof(*event));
	uint64_t ticks = 0;
	while (fixture_next(event)) {
		assert_int_equal(event->head.kind, PA_EVENT_CPU);
		if (!tid || event->head.tid == tid)
			ticks += event->head.value[0];
	}
	free(event);
	return ticks;
}

static struct sigaction disposition(void)
{
	struct sigaction action;
	assert_int_equal(sigaction(pa_record.signal, NULL, &action), 0);
	return action;
}

static void ticks_count_the_cpu_time_of_a_thread(void **unused)
{
	(void)unused;
	boot();
	int64_t before_ns = pa_clock_thread_cpu_ns();
	assert_int_equal(pa_tick_start(1000), 0);
	burn(300 * PA_NS_PER_MS);
	pa_tick_stop();
	int64_t due = (pa_clock_thread_cpu_ns() - before_ns) / PA_NS_PER_MS;
	/* Nothing reads the ring meanwhile, so some may not fit. */
	uint64_t lost = fixture_count(&pa_record.counters.lost_cpu_ring);
	/* What starting and stopping took, and one by the phase. */
	assert_in_range(drain_ticks(getpid()) + lost, due - 3, due + 1);
}

static void first_pc_is_the_interrupted_instruction(void **unused)
{
	(void)unused;
	boot();
	assert_int_equal(pa_tick_start(1000), 0);
	burn(50 * PA_NS_PER_MS);
	pa_tick_stop();
	struct fixture_event *event = malloc(sizeof(*event));
	assert_true(fixture_next(event));
	assert_true(event->head.flags & PA_EVENT_LEAF);
	assert_true(event->head.flags & PA_EVENT_DEFERRED);
	assert_true(event->deferred.leaf);
	assert_string_not_equal(event->head.name, "");
	free(event);
	drain_ticks(0);
}

static void ticks_carry_the_labels_of_their_thread(void **unused)
{
	(void)unused;
	boot();
	const char *const pairs[] = { "k", "v", NULL };
	const struct pa_labels *labels = NULL;
	assert_int_equal(pa_labels_add(NULL, pairs, &labels), 0);
	assert_int_equal(pa_tick_start(1000), 0);
	burn(50 * PA_NS_PER_MS);
	pa_thread_self.labels = labels;
	burn(50 * PA_NS_PER_MS);
	pa_tick_stop();
	struct fixture_event *event = malloc(sizeof(*event));
	uint32_t before = 0, now = 0;
	while (fixture_next(event)) {
		if (event->head.flags & PA_EVENT_REST)
			continue;
		uint32_t expected = now ? labels->id : 0;
		if (!now && event->head.labels == labels->id)
			expected = labels->id;
		assert_int_equal(event->head.labels, expected);
		expected ? now++ : before++;
	}
	free(event);
	assert_true(before && now);
}

/*
 * Two halves of each 10 ms of CPU time. Ticks at equal distances come all in one half, or in few
 * places of both. The kernel delivers them up to 10 ms late (CONFIG_HZ=100).
 */
static void ticks_do_not_keep_step_with_the_program(void **unused)
{
	(void)unused;
	boot();
	const char *const pairs[] = { "half", "first", NULL };
	const struct pa_labels *labels = NULL;
	int64_t half_ns = 5 * PA_NS_PER_MS, now_ns = pa_clock_thread_cpu_ns();
	assert_int_equal(pa_labels_add(NULL, pairs, &labels), 0);
	assert_int_equal(pa_tick_start(100), 0);
	for (int i = 0; i < 400; i++) {
		pa_thread_self.labels = i % 2 ? labels : NULL;
		now_ns += half_ns;
		while (pa_clock_thread_cpu_ns() < now_ns)
			;
	}
	pa_tick_stop();
	pa_thread_self.labels = NULL;
	struct fixture_event *event = malloc(sizeof(*event));
	uint64_t first = 0, all = 0;
	while (fixture_next(event)) {
		first += event->head.labels ? event->head.value[0] : 0;
		all += event->head.value[0];
	}
	free(event);
	assert_in_range(all, 197, 201);
	assert_in_range(first, 65, 135);
}

static void disposition_is_the_programs_again_after_stop(void **unused)
{
	(void)unused;
	boot();
	struct sigaction before = disposition();
	assert_ptr_equal(before.sa_handler, SIG_DFL);
	assert_int_equal(pa_tick_start(1000), 0);
	assert_ptr_not_equal(disposition().sa_sigaction, NULL);
	burn(20 * PA_NS_PER_MS);
	pa_tick_stop();
	assert_ptr_equal(disposition().sa_handler, SIG_DFL);
	/* Nothing is pending: the default action would end this test. */
	burn(20 * PA_NS_PER_MS);
	drain_ticks(0);
}

static void second_start_is_busy(void **unused)
{
	(void)unused;
	boot();
	assert_int_equal(pa_tick_start(100), 0);
	assert_int_equal(pa_tick_start(100), -EBUSY);
	pa_tick_stop();
	assert_int_equal(pa_tick_start(100), 0);
	pa_tick_stop();
	drain_ticks(0);
}

enum { SHORT_THREADS = 200, SHORT_MS = 3 };
static PA_ATOMIC(int64_t) short_cpu_ns;

/* As the thread hook does. */
static void *live_shortly(void *unused)
{
	(void)unused;
	struct pa_thread *self = &pa_thread_self;
	pa_registry_started(self, &(struct pa_registry_stack_size){ 8 << 20, 4096, false });
	self->start_routine = (uintptr_t)live_shortly;
	pa_tick_thread_begin(self);
	burn(SHORT_MS * PA_NS_PER_MS);
	pa_tick_thread_end(self);
	pa_add_relaxed(&short_cpu_ns, pa_clock_thread_cpu_ns());
	return NULL;
}

static void short_threads_are_charged_what_they_used(void **unused)
{
	(void)unused;
	boot();
	assert_int_equal(pa_tick_start(100), 0);
	for (int i = 0; i < SHORT_THREADS; i++) {
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, live_shortly, NULL), 0);
		pthread_join(thread, NULL);
	}
	pa_tick_stop();
	double due = (double)pa_load_relaxed(&short_cpu_ns) / (10.0 * PA_NS_PER_MS);
	double got = (double)drain_ticks(0);
	/* 60 ticks are due, each thread has one with probability 0.3: 6.5 is one standard
	 * deviation. */
	assert_true(got > due - 33 && got < due + 33);
}

/* The kernel gives the next thread the number after last. False: it takes privileges. */
static bool next_tid_follows(int32_t last)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && dprintf(fd, "%d", last) > 0;
	if (fd >= 0)
		close(fd);
	return written;
}

static void *live_shortly_and_tell(void *tid)
{
	*(int32_t *)tid = (int32_t)syscall(SYS_gettid);
	return live_shortly(NULL);
}

static int32_t run_short_thread(void)
{
	pthread_t thread;
	int32_t tid = 0;
	assert_int_equal(pthread_create(&thread, NULL, live_shortly_and_tell, &tid), 0);
	pthread_join(thread, NULL);
	return tid;
}

/* At pid_max 32768 a program with many short threads gets each number again within seconds. */
static void thread_with_the_number_of_an_ended_one_is_charged(void **unused)
{
	(void)unused;
	boot();
	assert_int_equal(pa_tick_start(1000), 0);
	int32_t tid = run_short_thread();
	drain_ticks(0);
	bool again = next_tid_follows(tid - 1) && run_short_thread() == tid;
	pa_tick_stop();
	uint64_t ticks = drain_ticks(tid);
	if (!again)
		skip();
	/* One tick a ms: the first is due within one, and SHORT_MS later the last. */
	assert_in_range(ticks, SHORT_MS - 1, 20 * SHORT_MS);
}

#define BURST_THREADS 8

static struct {
	PA_ATOMIC(int) over, ready;
	PA_ATOMIC(int32_t) tids[BURST_THREADS];
} bursts;

static void *run_in_bursts(void *index)
{
	pa_store_release(&bursts.tids[(intptr_t)index], (int32_t)syscall(SYS_gettid));
	pa_add_acq_rel(&bursts.ready, 1);
	while (!pa_load_acquire(&bursts.over)) {
		burn(PA_NS_PER_MS / 10);
		usleep(1000);
	}
	return NULL;
}

static int64_t cpu_of_bursts(void)
{
	int64_t all_ns = 0;
	for (int i = 0; i < BURST_THREADS; i++)
		all_ns += pa_clock_ns(pa_tick_timers_clock(pa_load_acquire(&bursts.tids[i])));
	return all_ns;
}

/*
 * Such a thread meets a scheduler tick, where the kernel checks its timer, every few ms of its CPU
 * time only. At 1,000 Hz without the rest some ticks of each thread were missing.
 */
static void threads_that_live_on_are_charged_all_they_used(void **unused)
{
	pthread_t threads[BURST_THREADS];
	(void)unused;
	boot();
	pa_store_release(&bursts.over, 0);
	pa_store_release(&bursts.ready, 0);
	for (intptr_t i = 0; i < BURST_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_in_bursts, (void *)i), 0);
	while (pa_load_acquire(&bursts.ready) < BURST_THREADS)
		usleep(100);
	assert_int_equal(pa_tick_start(1000), 0);
	int64_t begin_ns = cpu_of_bursts();
	while (cpu_of_bursts() < begin_ns + BURST_THREADS * 10 * PA_NS_PER_MS)
		usleep(1000);
	int64_t used_ns = cpu_of_bursts() - begin_ns;
	pa_tick_stop();
	pa_store_release(&bursts.over, 1);
	for (int i = 0; i < BURST_THREADS; i++)
		pthread_join(threads[i], NULL);
	uint64_t got = 0, lost = fixture_count(&pa_record.counters.lost_cpu_ring);
	struct fixture_event *event = malloc(sizeof(*event));
	while (fixture_next(event))
		got += event->head.tid == getpid() ? 0 : event->head.value[0];
	free(event);
	uint64_t due = (uint64_t)(used_ns / PA_NS_PER_MS);
	/* Of each thread one more or less, by the phase of its ticks. */
	assert_in_range(got + lost, due - BURST_THREADS, due + 1 + BURST_THREADS);
}

static void child_of_fork_has_no_ticks_and_the_programs_disposition(void **unused)
{
	(void)unused;
	boot();
	assert_int_equal(pa_tick_start(1000), 0);
	pid_t child = fork();
	if (child == 0) {
		pa_tick_atfork_child();
		pa_signal_atfork_child();
		if (disposition().sa_handler != SIG_DFL)
			_exit(1);
		burn(30 * PA_NS_PER_MS); /* a tick would end us */
		_exit(pa_tick_start(100) == 0 ? 0 : 2);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pa_tick_stop();
	drain_ticks(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks_count_the_cpu_time_of_a_thread),
		cmocka_unit_test(first_pc_is_the_interrupted_instruction),
		cmocka_unit_test(ticks_carry_the_labels_of_their_thread),
		cmocka_unit_test(ticks_do_not_keep_step_with_the_program),
		cmocka_unit_test(disposition_is_the_programs_again_after_stop),
		cmocka_unit_test(second_start_is_busy),
		cmocka_unit_test(short_threads_are_charged_what_they_used),
		cmocka_unit_test(thread_with_the_number_of_an_ended_one_is_charged),
		cmocka_unit_test(threads_that_live_on_are_charged_all_they_used),
		cmocka_unit_test(child_of_fork_has_no_ticks_and_the_programs_disposition),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
