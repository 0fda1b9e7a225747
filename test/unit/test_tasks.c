#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_thread_is_visited_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
