/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include <linux/futex.h>
#include <sys/syscall.h>

#include "test/lib/c/text_fixture.h"
#include "proto/text_state.h"

#define ANSWERED .answered = true
#define NO_CALL .syscall = -1
#define IN_FUTEX .syscall = SYS_futex, .argument = 0x7f00

/* The words for a thread whose innermost functions are names, NULL behind the last. */
static const char *words_for(struct pa_thread_info info, const char *const *names)
{
	struct pa_text_writer writer = { .sink = &sink };
	size_t count = 0;

	reset(NULL);
	while (names && names[count])
		count++;
	pa_text_state_put(&writer, &info, names, count);
	pa_text_writer_flush(&writer);
	return out.text;
}

#define WORDS(...) words_for((struct pa_thread_info){ ANSWERED, __VA_ARGS__ }, NULL)

/* Blocked in a futex with 77 in its first word and 42 as what would be an owner. */
static const char *futex_in(const char *name)
{
	return words_for((struct pa_thread_info){ ANSWERED, IN_FUTEX, .words = { 77, 0, 42, 0 } },
		(const char *[]){ "futex_abstimed_wait", name, "worker", "start_thread", NULL });
}

/* ---------------------------------------------------------------- tests */

static void wait_that_a_hook_told_has_its_words(void **unused)
{
	static const struct {
		enum pa_wait_kind wait;
		const char *words;
	} rows[] = {
		{ PA_WAIT_MUTEX, "mutex lock 0x1234" },
		{ PA_WAIT_RDLOCK, "rwlock read lock 0x1234" },
		{ PA_WAIT_WRLOCK, "rwlock write lock 0x1234" },
		{ PA_WAIT_SPIN, "spin lock 0x1234" },
		{ PA_WAIT_COND, "condition wait 0x1234" },
		{ PA_WAIT_SEM, "semaphore wait 0x1234" },
		{ PA_WAIT_BARRIER, "barrier wait 0x1234" },
		{ PA_WAIT_JOIN, "join" },
		{ PA_WAIT_FUTEX, "futex wait 0x1234" },
		{ PA_WAIT_FUTEX_PI, "futex lock 0x1234" },
	};

	(void)unused;
	assert_int_equal(PA_COUNT(rows), PA_WAIT_KINDS - 1);
	for (size_t i = 0; i < PA_COUNT(rows); i++)
		assert_string_equal(rows[i].words,
			WORDS(NO_CALL, .wait = rows[i].wait, .object = 0x1234, .state = 'S'));
}

static void hook_is_believed_before_names_and_calls(void **unused)
{
	(void)unused;
	assert_string_equal(words_for((struct pa_thread_info){ ANSWERED, IN_FUTEX, .object = 0x10,
					      .wait = PA_WAIT_COND },
				    (const char *[]){ "sem_wait", NULL }),
		"condition wait 0x10");
	assert_string_equal(WORDS(.syscall = SYS_read, .wait = PA_WAIT_SPIN, .object = 0x10),
		"spin lock 0x10");
}

static void wait_of_an_unknown_object_has_no_address(void **unused)
{
	(void)unused;
	assert_string_equal(WORDS(NO_CALL, .wait = PA_WAIT_SEM), "semaphore wait");
}

static void wait_kind_that_does_not_exist_is_none(void **unused)
{
	(void)unused;
	assert_string_equal(WORDS(NO_CALL, .wait = PA_WAIT_KINDS, .state = 'S'), "sleeping");
	assert_string_equal(WORDS(NO_CALL, .wait = (enum pa_wait_kind) - 1, .state = 'S'),
		"sleeping");
}

static void mutex_names_its_holder_when_that_is_plausible(void **unused)
{
	static const struct {
		uint32_t word;
		const char *words;
	} rows[] = {
		{ 0, "mutex lock 0x7f00" },
		{ 1, "mutex lock 0x7f00, held by 1" },
		{ 4194304, "mutex lock 0x7f00, held by 4194304" },
		{ 4194305, "mutex lock 0x7f00" },
		{ FUTEX_WAITERS | 4711, "mutex lock 0x7f00, held by 4711" },
		{ FUTEX_OWNER_DIED, "mutex lock 0x7f00" },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(rows); i++)
		assert_string_equal(rows[i].words,
			WORDS(IN_FUTEX, .wait = PA_WAIT_MUTEX, .object = 0x7f00,
				.words = { 2, 0, rows[i].word, 0 }));
}

static void words_of_something_else_are_no_holder(void **unused)
{
	(void)unused;
	assert_string_equal(WORDS(.syscall = SYS_read, .argument = 0x7f00, .object = 0x7f00,
				    .wait = PA_WAIT_MUTEX, .words = { 2, 0, 42, 0 }),
		"mutex lock 0x7f00");
	assert_string_equal(WORDS(IN_FUTEX, .object = 0x8000, .wait = PA_WAIT_MUTEX,
				    .words = { 2, 0, 42, 0 }),
		"mutex lock 0x8000");
	assert_string_equal(WORDS(IN_FUTEX, .object = 0x7f00, .wait = PA_WAIT_RDLOCK,
				    .words = { 2, 0, 42, 0 }),
		"rwlock read lock 0x7f00");
}

static void join_names_the_thread_that_is_waited_for(void **unused)
{
	(void)unused;
	assert_string_equal(WORDS(IN_FUTEX, .wait = PA_WAIT_JOIN, .object = 0x7e00,
				    .words = { 4711 }),
		"join 4711");
	assert_string_equal(WORDS(IN_FUTEX, .wait = PA_WAIT_JOIN, .words = { 0 }), "join");
	assert_string_equal(WORDS(IN_FUTEX, .wait = PA_WAIT_JOIN, .words = { 2 }), "join");
	assert_string_equal(WORDS(IN_FUTEX, .wait = PA_WAIT_JOIN, .words = { 4194305 }), "join");
	assert_string_equal(WORDS(NO_CALL, .wait = PA_WAIT_JOIN, .words = { 4711 }), "join");
}

static void futex_is_told_by_the_function_that_waits(void **unused)
{
	static const char mutex[] = "mutex lock 0x7f00, held by 42";
	static const struct {
		const char *name, *words;
	} rows[] = {
		{ "pthread_mutex_lock", mutex },
		{ "pthread_mutex_timedlock", mutex },
		{ "pthread_mutex_clocklock", mutex },
		{ "mtx_lock", mutex },
		{ "mtx_timedlock", mutex },
		{ "__lll_lock_wait", mutex },
		{ "pthread_rwlock_rdlock", "rwlock read lock" },
		{ "pthread_rwlock_timedrdlock", "rwlock read lock" },
		{ "pthread_rwlock_clockrdlock", "rwlock read lock" },
		{ "pthread_rwlock_wrlock", "rwlock write lock" },
		{ "pthread_rwlock_timedwrlock", "rwlock write lock" },
		{ "pthread_rwlock_clockwrlock", "rwlock write lock" },
		{ "pthread_cond_wait", "condition wait" },
		{ "pthread_cond_timedwait", "condition wait" },
		{ "pthread_cond_clockwait", "condition wait" },
		{ "cnd_wait", "condition wait" },
		{ "cnd_timedwait", "condition wait" },
		{ "sem_wait", "semaphore wait 0x7f00" },
		{ "sem_timedwait", "semaphore wait 0x7f00" },
		{ "sem_clockwait", "semaphore wait 0x7f00" },
		{ "__new_sem_wait", "semaphore wait 0x7f00" },
		{ "__new_sem_wait_slow64.constprop.0", "semaphore wait 0x7f00" },
		{ "pthread_barrier_wait", "barrier wait" },
		{ "pthread_join", "join 77" },
		{ "pthread_timedjoin_np", "join 77" },
		{ "pthread_clockjoin_np", "join 77" },
		{ "__pthread_clockjoin_ex", "join 77" },
		{ "thrd_join", "join 77" },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(rows); i++)
		assert_string_equal(futex_in(rows[i].name), rows[i].words);
}

static void other_names_of_one_function_are_known(void **unused)
{
	(void)unused;
	assert_string_equal(futex_in("__pthread_cond_wait"), "condition wait");
	assert_string_equal(futex_in("___pthread_cond_wait"), "condition wait");
	assert_string_equal(futex_in("__GI___pthread_cond_wait"), "condition wait");
	assert_string_equal(futex_in("pthread_cond_wait.part.0"), "condition wait");
}

static void names_that_only_look_like_it_are_not(void **unused)
{
	static const char *const names[] = { "my_sem_wait", "sem_waiter",
		"pthread_cond_wait_common", "_sem_wait", "____sem_wait", "ns::sem_wait(int)", "" };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(names); i++)
		assert_string_equal(futex_in(names[i]), "futex wait 0x7f00");
}

static void innermost_function_decides(void **unused)
{
	static const char *const names[] = { "futex_wait", "__lll_lock_wait",
		"__pthread_mutex_cond_lock", "pthread_cond_wait", NULL };

	(void)unused;
	assert_string_equal(words_for((struct pa_thread_info){ ANSWERED, IN_FUTEX }, names),
		"mutex lock 0x7f00");
}

static void only_the_first_functions_are_looked_at(void **unused)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "sem_wait",
		"pthread_join", NULL };

	(void)unused;
	assert_string_equal(words_for((struct pa_thread_info){ ANSWERED, IN_FUTEX }, names),
		"semaphore wait 0x7f00");
	assert_string_equal(words_for((struct pa_thread_info){ ANSWERED, IN_FUTEX },
				    (const char *[]){ "0", "1", "2", "3", "4", "5", "6", "7",
					    "sem_wait", NULL }),
		"futex wait 0x7f00");
}

static void futex_by_itself_is_a_lock_a_condition_or_a_park(void **unused)
{
	static const struct {
		const char *name, *words;
	} rows[] = {
		{ "__lll_lock_wait_private", "futex lock 0x7f00" },
		{ "<std::sys::sync::mutex::futex::Mutex>::lock_contended", "futex lock 0x7f00" },
		{ "std::sys::unix::locks::futex_condvar::Condvar::wait", "futex condition 0x7f00" },
		{ "std::thread::park", "park 0x7f00" },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(rows); i++) {
		assert_string_equal(futex_in(rows[i].name), rows[i].words);
		/* A hook knows the address alone. */
		assert_string_equal(words_for((struct pa_thread_info){ ANSWERED, NO_CALL,
						      .wait = PA_WAIT_FUTEX, .object = 0x7f00 },
					    (const char *[]){ rows[i].name, "main", NULL }),
			rows[i].words);
	}
}

static void futex_without_names_has_its_address(void **unused)
{
	(void)unused;
	assert_string_equal(WORDS(IN_FUTEX, .state = 'S'), "futex wait 0x7f00");
}

static void blocking_calls_have_names(void **unused)
{
#define CALL(name)                               \
	{                                        \
		SYS_##name, "system call " #name \
	}
	static const struct {
		int32_t number;
		const char *words;
	} rows[] = {
		CALL(read),
		CALL(write),
		CALL(readv),
		CALL(ppoll),
		CALL(pselect6),
		CALL(epoll_pwait),
		CALL(accept),
		CALL(accept4),
		CALL(recvfrom),
		CALL(recvmsg),
		CALL(recvmmsg),
		CALL(sendto),
		CALL(sendmsg),
		CALL(connect),
		CALL(nanosleep),
		CALL(clock_nanosleep),
		CALL(wait4),
		CALL(waitid),
		CALL(rt_sigsuspend),
		CALL(rt_sigtimedwait),
		CALL(semop),
		CALL(semtimedop),
		CALL(msgrcv),
		CALL(msgsnd),
		CALL(flock),
		CALL(fcntl),
		CALL(fsync),
		CALL(fdatasync),
		CALL(io_getevents),
		CALL(ioctl),
		CALL(openat),
		CALL(sched_yield),
#ifdef SYS_poll
		CALL(poll),
		CALL(select),
		CALL(epoll_wait),
		CALL(pause),
#endif
#ifdef SYS_io_uring_enter
		CALL(io_uring_enter),
#endif
	};
#undef CALL

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(rows); i++)
		assert_string_equal(WORDS(.syscall = rows[i].number, .state = 'S'), rows[i].words);
}

static void other_calls_have_numbers(void **unused)
{
	char words[64];

	(void)unused;
	snprintf(words, sizeof(words), "system call %d", (int)SYS_getpid);
	assert_string_equal(WORDS(.syscall = SYS_getpid), words);
	assert_string_equal(WORDS(.syscall = 99999), "system call 99999");
	assert_string_equal(WORDS(.syscall = INT32_MAX), "system call 2147483647");
}

static void state_of_the_kernel_is_a_word(void **unused)
{
	static const struct {
		char state;
		const char *words;
	} rows[] = { { 'R', "running" }, { 'S', "sleeping" }, { 'D', "disk sleep" },
		{ 'T', "stopped" }, { 't', "stopped" }, { 'Z', "dead" }, { 'X', "dead" },
		{ 'I', "idle" }, { '?', "unknown" }, { 0, "running" } };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(rows); i++)
		assert_string_equal(WORDS(NO_CALL, .state = rows[i].state), rows[i].words);
}

static void thread_that_did_not_answer_is_told(void **unused)
{
	(void)unused;
	assert_string_equal(words_for((struct pa_thread_info){ NO_CALL }, NULL),
		"unknown, no answer");
	assert_string_equal(words_for((struct pa_thread_info){ NO_CALL, .state = 'D' }, NULL),
		"disk sleep, no answer");
	assert_string_equal(words_for((struct pa_thread_info){ IN_FUTEX, .words = { 1 } }, NULL),
		"futex wait 0x7f00, no answer");
}

static void minutes_are_told_from_one_on(void **unused)
{
	const int64_t minute = 60 * PA_NS_PER_S;

	(void)unused;
	assert_string_equal(WORDS(NO_CALL, .wait = PA_WAIT_SEM, .waited_ns = minute - 1),
		"semaphore wait");
	assert_string_equal(WORDS(NO_CALL, .wait = PA_WAIT_SEM, .waited_ns = minute),
		"semaphore wait, 1 minutes");
	assert_string_equal(WORDS(NO_CALL, .wait = PA_WAIT_SEM, .waited_ns = 180 * minute - 1),
		"semaphore wait, 179 minutes");
	assert_string_equal(words_for((struct pa_thread_info){ NO_CALL, .waited_ns = 2 * minute },
				    NULL),
		"unknown, no answer, 2 minutes");
	assert_string_equal(WORDS(IN_FUTEX, .wait = PA_WAIT_MUTEX, .object = 0x7f00,
				    .waited_ns = 3 * minute, .words = { 2, 0, 9 }),
		"mutex lock 0x7f00, held by 9, 3 minutes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(wait_that_a_hook_told_has_its_words, reset),
		cmocka_unit_test_setup(hook_is_believed_before_names_and_calls, reset),
		cmocka_unit_test_setup(wait_of_an_unknown_object_has_no_address, reset),
		cmocka_unit_test_setup(wait_kind_that_does_not_exist_is_none, reset),
		cmocka_unit_test_setup(mutex_names_its_holder_when_that_is_plausible, reset),
		cmocka_unit_test_setup(words_of_something_else_are_no_holder, reset),
		cmocka_unit_test_setup(join_names_the_thread_that_is_waited_for, reset),
		cmocka_unit_test_setup(futex_is_told_by_the_function_that_waits, reset),
		cmocka_unit_test_setup(other_names_of_one_function_are_known, reset),
		cmocka_unit_test_setup(names_that_only_look_like_it_are_not, reset),
		cmocka_unit_test_setup(innermost_function_decides, reset),
		cmocka_unit_test_setup(only_the_first_functions_are_looked_at, reset),
		cmocka_unit_test_setup(futex_by_itself_is_a_lock_a_condition_or_a_park, reset),
		cmocka_unit_test_setup(futex_without_names_has_its_address, reset),
		cmocka_unit_test_setup(blocking_calls_have_names, reset),
		cmocka_unit_test_setup(other_calls_have_numbers, reset),
		cmocka_unit_test_setup(state_of_the_kernel_is_a_word, reset),
		cmocka_unit_test_setup(thread_that_did_not_answer_is_told, reset),
		cmocka_unit_test_setup(minutes_are_told_from_one_on, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
