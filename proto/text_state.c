/* SPDX-License-Identifier: Apache-2.0 */
#include "text_state.h"

#include <inttypes.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#include "../agent/arch/arch.h"

/* libc waits in the first of so many functions. */
#define LIBC_NAMES 8
/* PID_MAX_LIMIT of 64-bit kernels: a larger number is not a thread. */
#define TID_MAX 4194304
#define MINUTE_NS (60 * PA_NS_PER_S)
/* Words of a futex: see struct pa_thread_info. */
enum { WORD_JOINED = 0, WORD_OWNER = 2 };
/* glibc 2.43 waits for a state of the joined thread where earlier versions wait for its id. */
#define JOIN_STATE_MAX 3

/* ---------------------------------------------------------------- tables */

static const char *const wait_texts[PA_WAIT_KINDS] = {
	[PA_WAIT_MUTEX] = "mutex lock",
	[PA_WAIT_RDLOCK] = "rwlock read lock",
	[PA_WAIT_WRLOCK] = "rwlock write lock",
	[PA_WAIT_SPIN] = "spin lock",
	[PA_WAIT_COND] = "condition wait",
	[PA_WAIT_SEM] = "semaphore wait",
	[PA_WAIT_BARRIER] = "barrier wait",
	[PA_WAIT_JOIN] = "join",
	[PA_WAIT_FUTEX_PI] = "futex lock",
};

static const char *const futex_texts[] = {
	[PA_FUTEX_UNDECIDED] = "futex wait",
	[PA_FUTEX_UNKNOWN] = "futex wait",
	[PA_FUTEX_LOCK] = "futex lock",
	[PA_FUTEX_CONDITION] = "futex condition",
	[PA_FUTEX_PARK] = "park",
};

/* Functions that wait in a futex, without the affixes that name_is ignores. */
static const struct {
	const char *name;
	enum pa_wait_kind wait;
} waiting_functions[] = {
	{ "pthread_mutex_lock", PA_WAIT_MUTEX },
	{ "pthread_mutex_timedlock", PA_WAIT_MUTEX },
	{ "pthread_mutex_clocklock", PA_WAIT_MUTEX },
	{ "mtx_lock", PA_WAIT_MUTEX },
	{ "mtx_timedlock", PA_WAIT_MUTEX },
	{ "lll_lock_wait", PA_WAIT_MUTEX },
	{ "pthread_rwlock_rdlock", PA_WAIT_RDLOCK },
	{ "pthread_rwlock_timedrdlock", PA_WAIT_RDLOCK },
	{ "pthread_rwlock_clockrdlock", PA_WAIT_RDLOCK },
	{ "pthread_rwlock_wrlock", PA_WAIT_WRLOCK },
	{ "pthread_rwlock_timedwrlock", PA_WAIT_WRLOCK },
	{ "pthread_rwlock_clockwrlock", PA_WAIT_WRLOCK },
	{ "pthread_cond_wait", PA_WAIT_COND },
	{ "pthread_cond_timedwait", PA_WAIT_COND },
	{ "pthread_cond_clockwait", PA_WAIT_COND },
	{ "cnd_wait", PA_WAIT_COND },
	{ "cnd_timedwait", PA_WAIT_COND },
	{ "sem_wait", PA_WAIT_SEM },
	{ "sem_timedwait", PA_WAIT_SEM },
	{ "sem_clockwait", PA_WAIT_SEM },
	{ "new_sem_wait*", PA_WAIT_SEM }, /* glibc: new_sem_wait_slow64 and similar */
	{ "pthread_barrier_wait", PA_WAIT_BARRIER },
	{ "pthread_join", PA_WAIT_JOIN },
	{ "pthread_timedjoin_np", PA_WAIT_JOIN },
	{ "pthread_clockjoin_np", PA_WAIT_JOIN },
	{ "pthread_clockjoin_ex", PA_WAIT_JOIN },
	{ "thrd_join", PA_WAIT_JOIN },
};

/* System calls that block. */
/* clang-format off */
#define CALL(name) [SYS_##name] = #name
#define OLD_CALL(name) CALL(name),
static const char *const call_names[] = {
	CALL(read), CALL(readv), CALL(pread64), CALL(preadv), CALL(preadv2),
	CALL(write), CALL(writev), CALL(pwrite64), CALL(pwritev), CALL(pwritev2),
	CALL(openat), CALL(close), CALL(ioctl), CALL(fcntl), CALL(flock),
	CALL(fsync), CALL(fdatasync), CALL(sync), CALL(syncfs), CALL(msync),
	CALL(sendfile), CALL(splice), CALL(copy_file_range), CALL(getdents64),
	CALL(mmap), CALL(munmap), CALL(mprotect), CALL(madvise),
	CALL(ppoll), CALL(pselect6), CALL(epoll_pwait),
	CALL(accept), CALL(accept4), CALL(connect),
	CALL(recvfrom), CALL(recvmsg), CALL(recvmmsg),
	CALL(sendto), CALL(sendmsg), CALL(sendmmsg),
	CALL(nanosleep), CALL(clock_nanosleep), CALL(sched_yield),
	CALL(wait4), CALL(waitid), CALL(clone), CALL(execve),
	CALL(rt_sigsuspend), CALL(rt_sigtimedwait),
	CALL(semop), CALL(semtimedop), CALL(msgrcv), CALL(msgsnd),
	CALL(mq_timedreceive), CALL(mq_timedsend), CALL(io_getevents), CALL(getrandom),
	PA_ARCH_OLD_CALLS(OLD_CALL)
#ifdef SYS_epoll_pwait2
	CALL(epoll_pwait2),
#endif
#ifdef SYS_io_uring_enter
	CALL(io_uring_enter),
#endif
#ifdef SYS_futex_waitv
	CALL(futex_waitv),
#endif
};
/* clang-format on */
#undef OLD_CALL
#undef CALL

/* ---------------------------------------------------------------- names */

static bool skip_name_prefix(const char **name, const char *prefix)
{
	size_t bytes = strlen(prefix);

	if (strncmp(*name, prefix, bytes) != 0)
		return false;
	*name += bytes;
	return true;
}

/* glibc has several names for one function, and compilers append ".constprop.0" and the like. */
static bool name_is(const char *name, const char *wanted)
{
	size_t bytes = strlen(wanted);

	if (wanted[bytes - 1] == '*')
		return strncmp(name, wanted, bytes - 1) == 0;
	return strncmp(name, wanted, bytes) == 0 && (!name[bytes] || name[bytes] == '.');
}

static enum pa_wait_kind wait_of_function(const char *name)
{
	size_t i;

	skip_name_prefix(&name, "__GI_");
	if (!skip_name_prefix(&name, "___"))
		skip_name_prefix(&name, "__");
	for (i = 0; i < PA_COUNT(waiting_functions); i++)
		if (name_is(name, waiting_functions[i].name))
			return waiting_functions[i].wait;
	return PA_WAIT_NONE;
}

/* The innermost function decides: a condition wait that reacquires its mutex waits for a mutex. */
static enum pa_wait_kind wait_of_names(const char *const *names, size_t count)
{
	enum pa_wait_kind wait = PA_WAIT_NONE;
	size_t i;

	for (i = 0; i < count && i < LIBC_NAMES && wait == PA_WAIT_NONE; i++)
		wait = wait_of_function(names[i]);
	return wait;
}

/* ---------------------------------------------------------------- words */

static void put_state_text(struct pa_text_writer *writer, const char *text)
{
	pa_text_writer_put(writer, text, strlen(text));
}

static bool in_futex(const struct pa_thread_info *info)
{
	return info->syscall == SYS_futex;
}

/* Both are read while the program runs: the word may have any value. */
static void put_tid(struct pa_text_writer *writer, const char *before, uint32_t tid)
{
	if (tid > 0 && tid <= TID_MAX)
		pa_text_writer_format(writer, "%s%" PRIu32, before, tid);
}

/* object: 0 if unknown. */
static void put_wait(struct pa_text_writer *writer, const struct pa_thread_info *info,
	enum pa_wait_kind wait, uintptr_t object)
{
	put_state_text(writer, wait_texts[wait]);
	if (wait == PA_WAIT_JOIN) {
		if (in_futex(info) && info->words[WORD_JOINED] > JOIN_STATE_MAX)
			put_tid(writer, " ", info->words[WORD_JOINED]);
		return;
	}
	if (object)
		pa_text_writer_format(writer, " 0x%" PRIxPTR, object);
	/* Only the mutex itself contains its owner. */
	if (wait == PA_WAIT_MUTEX && in_futex(info) && info->argument == object)
		put_tid(writer, ", held by ", info->words[WORD_OWNER] & FUTEX_TID_MASK);
}

/* By the functions that wait: no hook knows more of a futex than its address. */
static void put_kind(struct pa_text_writer *writer, uint64_t word, const char *const *names,
	size_t count)
{
	pa_text_writer_format(writer, "%s 0x%" PRIx64, futex_texts[pa_futex_kind_of(names, count)],
		word);
}

/* For waits that no hook recorded: contention was off, or the wait began before it was on. */
static void put_futex(struct pa_text_writer *writer, const struct pa_thread_info *info,
	const char *const *names, size_t count)
{
	enum pa_wait_kind wait = wait_of_names(names, count);
	/* Only these objects begin with the futex word. */
	bool first_word = wait == PA_WAIT_MUTEX || wait == PA_WAIT_SEM;

	if (wait == PA_WAIT_NONE)
		put_kind(writer, info->argument, names, count);
	else
		put_wait(writer, info, wait, first_word ? (uintptr_t)info->argument : 0);
}

static void put_call(struct pa_text_writer *writer, int32_t number)
{
	const char *name = (size_t)number < PA_COUNT(call_names) ? call_names[number] : NULL;

	if (name)
		pa_text_writer_format(writer, "system call %s", name);
	else
		pa_text_writer_format(writer, "system call %" PRId32, number);
}

static const char *text_of_state(const struct pa_thread_info *info)
{
	switch (info->state) {
	case 'R': return "running";
	case 'S': return "sleeping";
	case 'D': return "disk sleep";
	case 'T':
	case 't': return "stopped";
	case 'Z':
	case 'X': return "dead";
	case 'I': return "idle";
	case 0:
		/* A thread that answered was running. */
		return info->answered ? "running" : "unknown";
	default: return "unknown";
	}
}

PA_AGENT void pa_text_state_put(struct pa_text_writer *writer, const struct pa_thread_info *info,
	const char *const *names, size_t count)
{
	if (info->wait == PA_WAIT_FUTEX)
		put_kind(writer, info->object, names, count);
	else if (info->wait > PA_WAIT_NONE && info->wait < PA_WAIT_KINDS)
		put_wait(writer, info, info->wait, info->object);
	else if (in_futex(info))
		put_futex(writer, info, names, count);
	else if (info->syscall >= 0)
		put_call(writer, info->syscall);
	else
		put_state_text(writer, text_of_state(info));
	if (!info->answered)
		put_state_text(writer, ", no answer");
	if (info->waited_ns >= MINUTE_NS)
		pa_text_writer_format(writer, ", %" PRId64 " minutes",
			(int64_t)(info->waited_ns / MINUTE_NS));
}
