/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/atomic.h"
#include "agent/record/tasks.h"

/* More than one buffer of directory entries holds. */
enum { THREADS = 300 };

static pthread_barrier_t all_there, all_done;
static PA_ATOMIC(int32_t) tids[THREADS];
static struct {
	int known[THREADS], main, others;
} seen;

static void *wait_there(void *number)
{
	pa_store_relaxed(&tids[(uintptr_t)number], (int32_t)syscall(SYS_gettid));
	pthread_barrier_wait(&all_there);
	pthread_barrier_wait(&all_done);
	return NULL;
}

static void note(void *arg, int32_t tid)
{
	assert_ptr_equal(arg, &seen);
	if (tid == getpid()) {
		seen.main++;
		return;
	}
	for (int i = 0; i < THREADS; i++) {
		if (pa_load_relaxed(&tids[i]) == tid) {
			seen.known[i]++;
			return;
		}
	}
	seen.others++;
}

static void each_thread_is_visited_once(void **unused)
{
	pthread_t threads[THREADS];
	pthread_attr_t small;
	(void)unused;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	pthread_barrier_init(&all_there, NULL, THREADS + 1);
	pthread_barrier_init(&all_done, NULL, THREADS + 1);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], &small, wait_there, (void *)i), 0);
	pthread_barrier_wait(&all_there);
	assert_int_equal(pa_tasks_each(note, &seen), 0);
	pthread_barrier_wait(&all_done);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(seen.known[i], 1);
	}
	assert_int_equal(seen.main, 1);
	pthread_attr_destroy(&small);
}

static void room_for_signals_is_what_the_limit_leaves(void **unused)
{
	struct rlimit before, none;
	(void)unused;
	assert_int_equal(getrlimit(RLIMIT_SIGPENDING, &before), 0);
	assert_true(pa_tasks_own().signal_room > 0);
	none = (struct rlimit){ 0, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &none), 0);
	assert_int_equal(pa_tasks_own().signal_room, 0);
	assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &before), 0);
}

static void note_file(void *arg, int32_t fd)
{
	int *ends = arg;
	if (fd == ends[0] || fd == ends[1])
		ends[2]++;
}

static void files_are_visited_and_sockets_are_known(void **unused)
{
	int ends[3] = { 0 }, pair[2];
	int32_t tid = (int32_t)syscall(SYS_gettid);
	(void)unused;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pa_tasks_each_file(note_file, ends), 0);
	assert_int_equal(ends[2], 2);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_true(pa_tasks_is_socket(tid, pair[0]));
	assert_false(pa_tasks_is_socket(tid, ends[0]));
	assert_false(pa_tasks_is_socket(tid, 999));
	for (int i = 0; i < 2; i++) {
		close(ends[i]);
		close(pair[i]);
	}
}

static void threads_of_the_test_have_the_same_filters(void **unused)
{
	(void)unused;
	assert_int_equal(pa_tasks_filters((int32_t)syscall(SYS_gettid)), pa_tasks_own().filters);
	assert_int_equal(pa_tasks_filters(0x7ffffff0), PA_TASKS_ENDED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_thread_is_visited_once),
		cmocka_unit_test(room_for_signals_is_what_the_limit_leaves),
		cmocka_unit_test(files_are_visited_and_sockets_are_known),
		cmocka_unit_test(threads_of_the_test_have_the_same_filters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
