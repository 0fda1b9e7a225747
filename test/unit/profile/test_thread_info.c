/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/arch/arch.h"
#include "agent/base/atomic.h"
#include "agent/base/clock.h"
#include "agent/profile/thread_info.h"
#include "agent/modules/maps.h"

#define LONGEST_NS (30 * PA_NS_PER_S)

/* Reads until the thread has come to this system call with this argument. */
static struct pa_thread_info read_blocked(int32_t tid, int32_t syscall_number, const void *argument)
{
	int64_t end_ns = pa_clock_mono_ns() + LONGEST_NS;
	struct pa_thread_info info;
	do {
		memset(&info, 0xff, sizeof(info));
		assert_true(pa_thread_info_read(tid, &info));
		if (info.syscall == syscall_number && info.argument == (uintptr_t)argument)
			return info;
		sched_yield();
	} while (pa_clock_mono_ns() < end_ns);
	fail_msg("the thread is not where it should be");
	return info;
}

static PA_ATOMIC(int32_t) thread_tid;

static int32_t wait_tid(void)
{
	int32_t tid;
	while (!(tid = pa_load_acquire(&thread_tid)))
		sched_yield();
	return tid;
}

static pthread_t start(void *(*run)(void *))
{
	pthread_t thread;
	pa_store_relaxed(&thread_tid, 0);
	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
	return thread;
}

/* ---- mutex ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *lock_mutex(void *unused)
{
	pa_store_release(&thread_tid, gettid());
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	return unused;
}

static void a_thread_that_waits_for_a_mutex_names_it_and_its_owner(void **unused)
{
	struct pa_thread_info info;
	(void)unused;
	pthread_mutex_lock(&mutex);
	pthread_t thread = start(lock_mutex);
	pthread_setname_np(thread, "x) R (\xff\n9");
	info = read_blocked(wait_tid(), SYS_futex, &mutex);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
	assert_string_equal(info.name, "x) R (\xef\xbf\xbd\n9");
	assert_int_equal(info.state, 'S');
	assert_int_equal(info.words[0], 2);
	assert_int_equal(info.words[2], gettid());
	assert_false(info.answered);
	assert_int_equal(info.wait, PA_WAIT_NONE);
	assert_int_equal(info.waited_ns, 0);
	assert_null(info.creator);
}

/* ---- a word that cannot be read ---- */

static uint32_t *word;

static void *wait_word(void *unused)
{
	pa_store_release(&thread_tid, gettid());
	syscall(SYS_futex, word, 0 /* FUTEX_WAIT */, *word, NULL, NULL, 0);
	return unused;
}

static void words_that_cannot_be_read_are_zeros(void **unused)
{
	struct pa_thread_info info;
	(void)unused;
	word = mmap(NULL, PA_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		0);
	memset(word, 0x55, 64);
	pthread_t thread = start(wait_word);
	info = read_blocked(wait_tid(), SYS_futex, word);
	assert_int_equal(info.words[3], 0x55555555);
	mprotect(word, PA_PAGE_BYTES, PROT_NONE);
	info = read_blocked(wait_tid(), SYS_futex, word);
	mprotect(word, PA_PAGE_BYTES, PROT_READ | PROT_WRITE);
	while (syscall(SYS_futex, word, 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0) != 1)
		sched_yield();
	pthread_join(thread, NULL);
	munmap(word, PA_PAGE_BYTES);
	for (int i = 0; i < 4; i++)
		assert_int_equal(info.words[i], 0);
}

/* ---- other system calls ---- */

static int pipe_fds[2];

static void *read_pipe(void *unused)
{
	char byte;
	pa_store_release(&thread_tid, gettid());
	(void)!read(pipe_fds[0], &byte, 1);
	return unused;
}

static void other_system_calls_have_no_words(void **unused)
{
	struct pa_thread_info info;
	(void)unused;
	assert_int_equal(pipe(pipe_fds), 0);
	pthread_t thread = start(read_pipe);
	info = read_blocked(wait_tid(), SYS_read, (void *)(uintptr_t)pipe_fds[0]);
	(void)!write(pipe_fds[1], "x", 1);
	pthread_join(thread, NULL);
	assert_int_equal(info.state, 'S');
	assert_int_equal(info.words[0], 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static PA_ATOMIC(bool) spin_ends;

static void *spin(void *unused)
{
	pa_store_release(&thread_tid, gettid());
	while (!pa_load_relaxed(&spin_ends))
		;
	return unused;
}

static void a_running_thread_is_in_no_system_call(void **unused)
{
	struct pa_thread_info info;
	(void)unused;
	pthread_t thread = start(spin);
	assert_true(pa_thread_info_read(wait_tid(), &info));
	pa_store_relaxed(&spin_ends, true);
	pthread_join(thread, NULL);
	assert_int_equal(info.state, 'R');
	assert_int_equal(info.syscall, -1);
	assert_int_equal(info.argument, 0);
}

/* ---- none ---- */

static void *tell(void *unused)
{
	pa_store_release(&thread_tid, gettid());
	return unused;
}

static void a_thread_that_is_gone_is_not_there(void **unused)
{
	int64_t end_ns = pa_clock_mono_ns() + LONGEST_NS;
	struct pa_thread_info info;
	(void)unused;
	pthread_join(start(tell), NULL);
	/* For join it is gone before it is for the kernel. */
	while (pa_thread_info_read(wait_tid(), &info))
		assert_true(pa_clock_mono_ns() < end_ns);
	/* As a thread without readable data. */
	assert_int_equal(info.syscall, -1);
	assert_int_equal(info.state, 0);
	assert_string_equal(info.name, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_that_waits_for_a_mutex_names_it_and_its_owner),
		cmocka_unit_test(words_that_cannot_be_read_are_zeros),
		cmocka_unit_test(other_system_calls_have_no_words),
		cmocka_unit_test(a_running_thread_is_in_no_system_call),
		cmocka_unit_test(a_thread_that_is_gone_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
