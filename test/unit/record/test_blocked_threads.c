/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/record/blocked_threads.h"
#include "agent/record/lock_waits.h"
#include "agent/record/labels.h"
#include "agent/record/registry.h"
#include "agent/record/sample.h"
#include "agent/record/stack_bounds.h"
#include "test/lib/c/blocked_call.h"
#include "test/lib/c/record_fixture.h"

#define WORD (7ull << 32 | 3)

static struct sleeper {
	PA_ATOMIC(int32_t) tid;
	PA_ATOMIC(int) woken;
	sem_t sem;
	int pipe[2], sockets[2];
} sleeper;

static void wake(int signal)
{
	(void)signal;
}

static int boot(void **unused)
{
	(void)unused;
	fixture_boot(4 << 20, 1);
	sleeper = (struct sleeper){ 0 };
	sem_init(&sleeper.sem, 0, 0);
	signal(SIGUSR1, wake);
	return pipe(sleeper.pipe) ? -1 : socketpair(AF_UNIX, SOCK_STREAM, 0, sleeper.sockets);
}

static int shut(void **unused)
{
	(void)unused;
	close(sleeper.pipe[0]);
	close(sleeper.pipe[1]);
	close(sleeper.sockets[0]);
	close(sleeper.sockets[1]);
	return 0;
}

static void be_there(void)
{
	prctl(PR_SET_NAME, "sleepy");
	pa_registry_add(&pa_thread_self);
	pa_thread_self.creator_pc = 0x1234;
	pa_labels_add(NULL, (const char *const[]){ "k", "v", NULL }, &pa_thread_self.labels);
	pa_store_release(&sleeper.tid, pa_thread_self.tid);
}

static void *pause_once(void *unused)
{
	be_there();
	pause();
	sleeper.woken++;
	return unused;
}

static void *read_once(void *unused)
{
	char byte;
	be_there();
	sleeper.woken += read(sleeper.pipe[0], &byte, 1) == 1;
	return unused;
}

static void *receive_once(void *reads)
{
	char byte;
	be_there();
	ssize_t got =
		reads ? read(sleeper.sockets[0], &byte, 1) : recv(sleeper.sockets[0], &byte, 1, 0);
	sleeper.woken += got == 1;
	return NULL;
}

static void *wait_for_semaphore(void *timed)
{
	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 600;
	be_there();
	if ((timed ? sem_timedwait(&sleeper.sem, &end) : sem_wait(&sleeper.sem)) != 0)
		sleeper.woken++;
	return NULL;
}

static struct pa_thread_dump_entry entry_of_sleeper(void)
{
	return (struct pa_thread_dump_entry){ .tid = pa_load_acquire(&sleeper.tid) };
}

static void sleeper_is_described_and_not_woken(void **unused)
{
	pthread_t thread;
	(void)unused;
	pthread_create(&thread, NULL, pause_once, NULL);
	blocked_call_await(&sleeper.tid, SYS_pause);
	struct pa_thread_dump_entry entry = entry_of_sleeper();
	assert_int_equal(pa_blocked_threads_answer(&entry, WORD), PA_BLOCKED_THREADS_WRITTEN);
	assert_string_equal(entry.name, "sleepy");
	assert_int_equal(entry.thread.creator_pc, 0x1234);
	assert_int_equal(entry.thread.wait, PA_WAIT_NONE);
	assert_int_equal(sleeper.woken, 0);

	struct fixture_event *event = malloc(sizeof(*event));
	assert_true(fixture_next(event));
	assert_int_equal(event->head.kind, PA_EVENT_DUMP);
	assert_int_equal(event->head.flags, PA_EVENT_LEAF | PA_EVENT_DEFERRED);
	assert_int_equal(event->head.value[0], WORD);
	assert_int_equal(event->head.tid, entry.tid);
	assert_string_equal(pa_labels_value(pa_labels_get(event->head.labels), "k"), "v");
	assert_true(event->deferred.few_regs && event->deferred.leaf);
	uintptr_t sp = event->deferred.regs.gpr[PA_REG_SP];
	assert_int_equal(event->deferred.stack_at, sp & ~7ul);
	/* Its own frame is in the copy. */
	bool found = false;
	for (size_t at = 0; at < event->deferred.stack_bytes; at += 8)
		found |= *(uintptr_t *)(event->stack + at) - (uintptr_t)pause_once < 256;
	assert_true(found);
	free(event);

	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	assert_int_equal(sleeper.woken, 1);
}

static void *pause_on_a_known_stack(void *limit)
{
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0), hi = sp + (uintptr_t)limit;
	be_there();
	pa_stack_bounds_set(&pa_thread_self, sp - (64 << 10), sp - (64 << 10), hi);
	pause();
	return NULL;
}

/* Above is the thread's descriptor, and perhaps memory of other owners. */
static void copy_ends_with_the_stack_of_the_thread(void **unused)
{
	struct fixture_event *event = malloc(sizeof(*event));
	struct pa_thread known;
	pthread_t thread;
	(void)unused;
	pthread_create(&thread, NULL, pause_on_a_known_stack, (void *)512);
	blocked_call_await(&sleeper.tid, SYS_pause);
	struct pa_thread_dump_entry entry = entry_of_sleeper();
	assert_int_equal(pa_blocked_threads_answer(&entry, WORD), PA_BLOCKED_THREADS_WRITTEN);
	assert_true(fixture_next(event));
	assert_true(pa_registry_copy(entry.tid, &known));
	assert_int_equal(event->deferred.stack_at + event->deferred.stack_bytes, known.stack_hi);
	bool found = false;
	for (size_t at = 0; at < event->deferred.stack_bytes; at += 8)
		found |=
			*(uintptr_t *)(event->stack + at) - (uintptr_t)pause_on_a_known_stack < 256;
	assert_true(found);
	free(event);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
}

static void who_can_be_restarted_is_to_be_asked(void **unused)
{
	pthread_t thread;
	(void)unused;
	pthread_create(&thread, NULL, read_once, NULL);
	blocked_call_await(&sleeper.tid, SYS_read);
	struct pa_thread_dump_entry entry = entry_of_sleeper();
	assert_int_equal(pa_blocked_threads_answer(&entry, WORD), PA_BLOCKED_THREADS_NOT);
	assert_int_equal(write(sleeper.pipe[1], "x", 1), 1);
	pthread_join(thread, NULL);
	assert_int_equal(sleeper.woken, 1);
}

/* It may have a timeout. */
static void who_waits_on_a_socket_is_not_woken(void **unused)
{
	pthread_t thread;
	(void)unused;
	for (uintptr_t reads = 0; reads < 2; reads++) {
		pa_store_release(&sleeper.tid, 0);
		pthread_create(&thread, NULL, receive_once, (void *)reads);
		blocked_call_await(&sleeper.tid, reads ? SYS_read : SYS_recvfrom);
		struct pa_thread_dump_entry entry = entry_of_sleeper();
		assert_int_equal(pa_blocked_threads_answer(&entry, WORD),
			PA_BLOCKED_THREADS_WRITTEN);
		assert_int_equal(write(sleeper.sockets[1], "x", 1), 1);
		pthread_join(thread, NULL);
	}
	assert_int_equal(sleeper.woken, 2);
}

static void futex_wait_with_a_limit_is_not_woken_and_one_without_is_asked(void **unused)
{
	pthread_t thread;
	(void)unused;
	for (uintptr_t timed = 0; timed < 2; timed++) {
		pa_store_release(&sleeper.tid, 0);
		pthread_create(&thread, NULL, wait_for_semaphore, (void *)timed);
		blocked_call_await(&sleeper.tid, SYS_futex);
		struct pa_thread_dump_entry entry = entry_of_sleeper();
		assert_int_equal(pa_blocked_threads_answer(&entry, WORD),
			timed ? PA_BLOCKED_THREADS_WRITTEN : PA_BLOCKED_THREADS_NOT);
		sem_post(&sleeper.sem);
		pthread_join(thread, NULL);
		assert_int_equal(sleeper.woken, 0);
	}
}

static void who_is_awake_or_gone_is_to_be_asked(void **unused)
{
	(void)unused;
	struct pa_thread_dump_entry entry = { .tid = getpid() };
	assert_int_equal(pa_blocked_threads_answer(&entry, WORD), PA_BLOCKED_THREADS_NOT);
	entry.tid = 0x7ffffff0;
	assert_int_equal(pa_blocked_threads_answer(&entry, WORD), PA_BLOCKED_THREADS_NOT);
}

static int try_without_privileges(void)
{
	pthread_t thread;
	if (setgid(65534) != 0 || setuid(65534) != 0)
		return 1;
	pthread_create(&thread, NULL, pause_once, NULL);
	while (!pa_load_acquire(&sleeper.tid))
		sched_yield();
	struct pa_thread_dump_entry entry = entry_of_sleeper();
	enum pa_blocked_threads result;
	/* Until it has got as far as pause. */
	do {
		result = pa_blocked_threads_answer(&entry, WORD);
	} while (result == PA_BLOCKED_THREADS_NOT);
	return result == PA_BLOCKED_THREADS_UNKNOWN ? 0 : 2;
}

static void process_without_privileges_leaves_its_sleepers_alone(void **unused)
{
	int status;
	(void)unused;
	if (getuid() != 0)
		skip();
	pid_t child = fork();
	if (child == 0) {
		alarm(60);
		_exit(try_without_privileges());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void full_ring_is_told(void **unused)
{
	pthread_t thread;
	(void)unused;
	fixture_boot(64 << 10, 1);
	struct pa_event head = { .kind = PA_EVENT_FREE };
	while (pa_sample_plain(&head, NULL, 0))
		;
	pthread_create(&thread, NULL, pause_once, NULL);
	blocked_call_await(&sleeper.tid, SYS_pause);
	struct pa_thread_dump_entry entry = entry_of_sleeper();
	assert_int_equal(pa_blocked_threads_answer(&entry, WORD), PA_BLOCKED_THREADS_FULL);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
}

static void copy_of_a_thread_is_its_own_or_none(void **unused)
{
	pthread_t thread;
	struct pa_thread copy;
	(void)unused;
	pthread_create(&thread, NULL, pause_once, NULL);
	blocked_call_await(&sleeper.tid, SYS_pause);
	int32_t tid = pa_load_acquire(&sleeper.tid);
	assert_true(pa_registry_copy(tid, &copy));
	assert_int_equal(copy.tid, tid);
	assert_int_equal(copy.creator_pc, 0x1234);
	/* Another tid at the same place, and one that was never there. */
	assert_false(pa_registry_copy(tid + 65536, &copy));
	assert_false(pa_registry_copy(1, &copy));
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
}

/* How far the handler's return is moved back when a call in that page has ended with EINTR. The
 * page: prot; mov $number,%eax; syscall. */
static long moved_back(long number, uintptr_t last_argument, int prot)
{
	ucontext_t context = { 0 };
	greg_t *gregs = context.uc_mcontext.gregs;
	uint8_t *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	const uint8_t code[] = { 0xb8, (uint8_t)number, (uint8_t)(number >> 8), 0, 0, 0x0f, 0x05 };
	memcpy(page + 64, code, sizeof(code));
	greg_t end = (greg_t)(uintptr_t)page + 64 + (greg_t)sizeof(code);
	mprotect(page, 4096, prot);
	gregs[REG_RIP] = end;
	gregs[REG_RAX] = -EINTR;
	gregs[REG_R9] = (greg_t)last_argument;
	pa_blocked_threads_hide_interruption(&context);
	munmap(page, 4096);
	return (long)(end - gregs[REG_RIP]);
}

static void call_whose_arguments_are_gone_ends_as_it_ended(void **unused)
{
	(void)unused;
	const uintptr_t no_mask[2] = { 0, 8 }, mask[2] = { (uintptr_t)no_mask, 8 };
	const int prot = PROT_READ | PROT_EXEC;
	assert_int_equal(moved_back(SYS_poll, 0, prot), 2);
	assert_int_equal(moved_back(SYS_pselect6, 0, prot), 2);
	assert_int_equal(moved_back(SYS_pselect6, (uintptr_t)no_mask, prot), 2);
	assert_int_equal(moved_back(SYS_pselect6, (uintptr_t)mask, prot), 0);
	/* Memory that another thread has unmapped meanwhile. */
	assert_int_equal(moved_back(SYS_pselect6, 0x10000, prot), 0);
	/* Code that may only be executed. */
	assert_int_equal(moved_back(SYS_poll, 0, PROT_EXEC), 0);
	assert_int_equal(moved_back(SYS_poll, 0, PROT_NONE), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, boot, shut)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sleeper_is_described_and_not_woken),
		TEST(copy_ends_with_the_stack_of_the_thread),
		TEST(who_can_be_restarted_is_to_be_asked),
		TEST(who_waits_on_a_socket_is_not_woken),
		TEST(futex_wait_with_a_limit_is_not_woken_and_one_without_is_asked),
		TEST(who_is_awake_or_gone_is_to_be_asked),
		TEST(process_without_privileges_leaves_its_sleepers_alone),
		TEST(full_ring_is_told),
		TEST(call_whose_arguments_are_gone_ends_as_it_ended),
		TEST(copy_of_a_thread_is_its_own_or_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
