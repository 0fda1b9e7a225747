/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls every function that an agent may hook in one state of the caller (state.h), so that those
 * that can wait do wait, and prints for each what it gave and what of the state is not as it was.
 *
 *   f_state list              the names
 *   f_state STATE             all, each in a process of its own, since not all work in all states:
 *                             "NAME RESULT", "NAME killed by SIGNAL"
 *   f_state STATE NAME...     these, in this process
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "state.h"

extern int __poll_chk(), __ppoll_chk(), __register_atfork();
extern ssize_t __read_chk(), __recv_chk(), __recvfrom_chk();

#define MS 1000
#define WAIT_MS 3 /* until what is waited for comes; a call that comes later does not wait */

static struct timespec in_ms(clockid_t clock, long ms)
{
	struct timespec time;
	clock_gettime(clock, &time);
	time.tv_nsec += ms * 1000000;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

/* ---- memory ---- */

static bool is_filled(const void *bytes, int with, size_t count)
{
	const unsigned char *at = bytes;
	for (size_t i = 0; i < count; i++)
		if (at[i] != with)
			return false;
	return true;
}

/* 0: it is memory, and can be freed. */
static long use(long result, size_t bytes)
{
	void *block = (void *)result;
	if (!block)
		return 1;
	memset(block, 3, bytes);
	CALL(free, block);
	return 0;
}

/* clang-format off */
static long do_malloc(void) { return use(CALL(malloc, 1000), 1000); }
static long do_memalign(void) { return use(CALL(memalign, 64, 1000), 1000); }
static long do_aligned_alloc(void) { return use(CALL(aligned_alloc, 64, 1024), 1024); }
static long do_valloc(void) { return use(CALL(valloc, 1000), 1000); }
static long do_pvalloc(void) { return use(CALL(pvalloc, 1000), 1000); }
static long do_free(void) { return use((long)malloc(1000), 1000); }

static long do_calloc(void)
{
	void *block = (void *)CALL(calloc, 10, 100);
	return !is_filled(block, 0, 1000) || use((long)block, 1000);
}

static long do_posix_memalign(void)
{
	void *block;
	return CALL(posix_memalign, &block, 64, 1000) || use((long)block, 1000);
}

static long grow(bool array)
{
	void *block = memset(malloc(500), 7, 500);
	block = (void *)(array ? CALL(reallocarray, block, 30, 100) : CALL(realloc, block, 3000));
	return !is_filled(block, 7, 500) || use((long)block, 3000);
}

static long do_realloc(void) { return grow(false); }
static long do_reallocarray(void) { return grow(true); }

/* Of a newer libc: asked by name. */
static long free_by(const char *name)
{
	void *function = dlsym(RTLD_DEFAULT, name);
	if (function)
		CALL(function, malloc(1000), strstr(name, "aligned") ? 16 : 1000, 1000);
	return 0;
}

static long do_free_sized(void) { return free_by("free_sized"); }
static long do_free_aligned_sized(void) { return free_by("free_aligned_sized"); }

#define PAGES 8192

static void *map_by(void *function)
{
	return (void *)CALL(function, NULL, PAGES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long check_map(void *function)
{
	void *pages = map_by(function);
	return pages == MAP_FAILED || !is_filled(pages, 0, PAGES) || munmap(pages, PAGES);
}

static long do_mmap(void) { return check_map(mmap); }
static long do_mmap64(void) { return check_map(mmap64); }
static long do_munmap(void) { return CALL(munmap, map_by(mmap), PAGES); }
static long do_mprotect(void) { return CALL(mprotect, map_by(mmap), PAGES, PROT_NONE); }
static long do_madvise(void) { return CALL(madvise, map_by(mmap), PAGES, MADV_DONTNEED); }

static long do_mlockall(void)
{
	long result = (int)CALL(mlockall, MCL_FUTURE | MCL_ONFAULT);

	munlockall();
	return result;
}

static long do_munlockall(void) { return (int)CALL(munlockall); }

static long do_mremap(void)
{
	void *pages = memset(map_by(mmap), 7, PAGES);
	pages = (void *)CALL(mremap, pages, PAGES, 64 * PAGES, MREMAP_MAYMOVE);
	return pages == MAP_FAILED || !is_filled(pages, 7, PAGES) || munmap(pages, 64 * PAGES);
}

#include "state_processes.h"

/* ---- modules ---- */

static long do_dlopen(void)
{
	void *module = (void *)CALL(dlopen, "libm.so.6", RTLD_NOW);
	return !module || dlclose(module);
}

static long do_dlmopen(void)
{
	void *module = (void *)CALL(dlmopen, LM_ID_BASE, "libm.so.6", RTLD_NOW);
	return !module || dlclose(module);
}

static long do_dlclose(void)
{
	return CALL(dlclose, dlopen("libnss_files.so.2", RTLD_NOW));
}

/* ---- signals ---- */

static long change_mask(void *function)
{
	sigset_t all, old, now;
	sigfillset(&all);
	long result = CALL(function, SIG_BLOCK, &all, &old);
	result |= CALL(function, SIG_SETMASK, &old, &now);
	return result || sigismember(&now, SIGRTMAX - 3) != 1 || sigismember(&old, SIGUSR1);
}

static long do_sigprocmask(void) { return change_mask(sigprocmask); }
static long do_pthread_sigmask(void) { return change_mask(pthread_sigmask); }

static void handler(int number) { (void)number; }

static long do_sigaction(void)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK }, old;
	sigfillset(&action.sa_mask);
	long result = CALL(sigaction, SIGUSR2, &action, NULL);
	result |= CALL(sigaction, SIGUSR2, NULL, &old);
	return result || old.sa_handler != handler;
}

static long do_signal(void)
{
	CALL(signal, SIGUSR2, handler);
	return CALL(signal, SIGUSR2, SIG_DFL) != (long)handler;
}

static long do_sigaltstack(void)
{
	static char small[8192], large[65536];
	stack_t stack = { .ss_sp = small, .ss_size = sizeof(small) }, old;
	long result = CALL(sigaltstack, &stack, NULL);
	stack = (stack_t){ .ss_sp = large, .ss_size = sizeof(large) };
	result |= CALL(sigaltstack, &stack, &old);
	return result || old.ss_sp != small;
}

/* One is pending, whatever else is waited for. */
static sigset_t raise_pending(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	sigfillset(&set);
	return set;
}

static long do_sigwait(void)
{
	sigset_t set = raise_pending();
	int number = 0;
	return CALL(sigwait, &set, &number) || number != SIGUSR1;
}

static long do_sigwaitinfo(void)
{
	sigset_t set = raise_pending();
	return CALL(sigwaitinfo, &set, NULL) != SIGUSR1;
}

static long do_sigtimedwait(void)
{
	sigset_t set = raise_pending();
	return CALL(sigtimedwait, &set, NULL, &(struct timespec){ .tv_sec = 1 }) != SIGUSR1;
}

static long do_signalfd(void)
{
	sigset_t set;
	sigfillset(&set);
	int fd = (int)CALL(signalfd, -1, &set, 0);
	return fd < 0 || close(fd);
}

/* ---- locks and conditions ---- */

union object {
	pthread_mutex_t mutex;
	pthread_rwlock_t rwlock;
	pthread_spinlock_t spin;
	mtx_t mtx;
	pthread_cond_t cond;
	cnd_t cnd;
	sem_t sem;
	pthread_barrier_t barrier;
};

typedef int of_object(void *);
#define OF(function) ((of_object *)(void *)(function))

/* Another thread that takes the object, and gives it back: later, or when it is told. */
struct other {
	of_object *take, *give;
	union object *object;
	bool waits;   /* for the end */
	bool waiting; /* this thread waits: it announces that before */
	sem_t ready, end;
	pthread_t thread;
};

static void *run_other(void *given)
{
	struct other *other = given;
	if (other->waiting)
		sem_post(&other->ready);
	if (other->take)
		other->take(other->object);
	if (!other->waiting)
		sem_post(&other->ready);
	if (other->waits)
		sem_wait(&other->end);
	else
		usleep(WAIT_MS * MS);
	if (other->give)
		other->give(other->object);
	return NULL;
}

static void start(struct other *other)
{
	sem_init(&other->ready, 0, 0);
	sem_init(&other->end, 0, 0);
	pthread_create(&other->thread, NULL, run_other, other);
	sem_wait(&other->ready);
	if (other->waiting)
		usleep(WAIT_MS * MS);
}

static void end(struct other *other)
{
	sem_post(&other->end);
	pthread_join(other->thread, NULL);
}

static void make(union object *object, const char *kind)
{
	memset(object, 0, sizeof(*object));
	if (strcmp(kind, "mtx") == 0)
		mtx_init(&object->mtx, mtx_timed);
	if (strcmp(kind, "spin") == 0)
		pthread_spin_init(&object->spin, 0);
}

/* Taken while another thread has it, and given back by it; or, with a time, in vain. */
static long lock(const char *kind, void *function, void *take, void *give, int clock_argument)
{
	union object object;
	make(&object, kind);
	bool timed = clock_argument >= 0;
	struct other other = { OF(take), OF(give), &object, timed, .waiting = false };
	start(&other);
	struct timespec until = in_ms(CLOCK_REALTIME, 2);
	long result = !timed      ? CALL(function, &object)
		: clock_argument  ? CALL(function, &object, CLOCK_REALTIME, &until)
				  : CALL(function, &object, &until);
	end(&other);
	if (!timed)
		OF(give)(&object);
	return result;
}

/* Given up while another thread waits for it. */
static long unlock(const char *kind, void *function, void *take)
{
	union object object;
	make(&object, kind);
	OF(take)(&object);
	struct other other = { OF(take), OF(function), &object, .waiting = true };
	start(&other);
	long result = CALL(function, &object);
	end(&other);
	return result;
}

#define MUTEX pthread_mutex_lock, pthread_mutex_unlock
#define READ pthread_rwlock_rdlock, pthread_rwlock_unlock
#define WRITE pthread_rwlock_wrlock, pthread_rwlock_unlock
#define MTX mtx_lock, mtx_unlock
#define LOCK(name, kind, other, clock)                                                            \
	static long do_##name(void) { return lock(kind, name, other, clock); }
#define UNLOCK(name, kind, take)                                                                  \
	static long do_##name(void) { return unlock(kind, name, take); }

LOCK(pthread_mutex_lock, "mutex", MUTEX, -1)
LOCK(pthread_mutex_timedlock, "mutex", MUTEX, 0)
LOCK(pthread_mutex_clocklock, "mutex", MUTEX, 1)
LOCK(pthread_rwlock_rdlock, "rwlock", WRITE, -1)
LOCK(pthread_rwlock_timedrdlock, "rwlock", WRITE, 0)
LOCK(pthread_rwlock_clockrdlock, "rwlock", WRITE, 1)
LOCK(pthread_rwlock_wrlock, "rwlock", READ, -1)
LOCK(pthread_rwlock_timedwrlock, "rwlock", READ, 0)
LOCK(pthread_rwlock_clockwrlock, "rwlock", READ, 1)
#define SPIN pthread_spin_lock, pthread_spin_unlock
LOCK(pthread_spin_lock, "spin", SPIN, -1)
LOCK(mtx_lock, "mtx", MTX, -1)
LOCK(mtx_timedlock, "mtx", MTX, 0)
UNLOCK(pthread_mutex_unlock, "mutex", pthread_mutex_lock)
UNLOCK(pthread_rwlock_unlock, "rwlock", pthread_rwlock_wrlock)
UNLOCK(pthread_spin_unlock, "spin", pthread_spin_lock)
UNLOCK(mtx_unlock, "mtx", mtx_lock)

static long do_sem_wait(void) { return lock("sem", sem_wait, NULL, sem_post, -1); }
static long do_sem_timedwait(void) { return lock("sem", sem_timedwait, NULL, NULL, 0); }
static long do_sem_clockwait(void) { return lock("sem", sem_clockwait, NULL, NULL, 1); }
/* clang-format on */

#include "state_frames.h"
#include "state_given.h"
#include "state_signals.h"
#include "state_waits.h"

/* One line each: its name, and do_NAME() above or in the files that are included. */
static const struct row {
	const char *name;
	long (*run)(void);
} rows[] = {
#define ROW(name)                \
	{                        \
#name, do_##name \
	}
	ROW(malloc), ROW(calloc), ROW(realloc), ROW(reallocarray), ROW(free), ROW(free_sized),
	ROW(free_aligned_sized), ROW(memalign), ROW(posix_memalign), ROW(aligned_alloc),
	ROW(valloc), ROW(pvalloc), ROW(pthread_create), ROW(thrd_create), ROW(_exit), ROW(_Exit),
	ROW(fork), ROW(daemon), ROW(dlopen), ROW(dlmopen), ROW(dlclose), ROW(sigprocmask),
	ROW(pthread_sigmask), ROW(sigaction), ROW(sigaltstack), ROW(signal), ROW(sigwait),
	ROW(sigwaitinfo), ROW(sigtimedwait), ROW(signalfd), ROW(pthread_mutex_lock),
	ROW(pthread_mutex_timedlock), ROW(pthread_mutex_clocklock), ROW(pthread_mutex_unlock),
	ROW(pthread_rwlock_rdlock), ROW(pthread_rwlock_timedrdlock),
	ROW(pthread_rwlock_clockrdlock), ROW(pthread_rwlock_wrlock),
	ROW(pthread_rwlock_timedwrlock), ROW(pthread_rwlock_clockwrlock),
	ROW(pthread_rwlock_unlock), ROW(pthread_spin_lock), ROW(pthread_spin_unlock),
	ROW(pthread_cond_wait), ROW(pthread_cond_timedwait), ROW(pthread_cond_clockwait),
	ROW(pthread_cond_signal), ROW(pthread_cond_broadcast), ROW(sem_wait), ROW(sem_timedwait),
	ROW(sem_clockwait), ROW(sem_post), ROW(pthread_barrier_wait), ROW(pthread_join),
	ROW(pthread_timedjoin_np), ROW(pthread_clockjoin_np), ROW(mtx_lock), ROW(mtx_timedlock),
	ROW(mtx_unlock), ROW(cnd_wait), ROW(cnd_timedwait), ROW(cnd_signal), ROW(cnd_broadcast),
	ROW(thrd_join), ROW(poll), ROW(__poll_chk), ROW(ppoll), ROW(__ppoll_chk), ROW(select),
	ROW(pselect), ROW(epoll_wait), ROW(epoll_pwait), ROW(recv), ROW(__recv_chk), ROW(recvfrom),
	ROW(__recvfrom_chk), ROW(recvmsg), ROW(accept), ROW(accept4), ROW(read), ROW(__read_chk),
	ROW(nanosleep), ROW(clock_nanosleep), ROW(thrd_sleep), ROW(usleep), ROW(mmap), ROW(mmap64),
	ROW(munmap), ROW(mprotect), ROW(madvise), ROW(mremap), ROW(sleep), ROW(mlockall),
	ROW(munlockall), ROW(_Fork), ROW(forkpty), ROW(clone), ROW(__register_atfork),
	ROW(pthread_key_create), ROW(tss_create), ROW(prctl), ROW(syscall),
	ROW(pthread_attr_setsigmask_np), ROW(pthread_attr_getsigmask_np), ROW(__sigaction),
	ROW(bsd_signal), ROW(ssignal), ROW(sysv_signal), ROW(__sysv_signal), ROW(sigset),
	ROW(sigignore), ROW(siginterrupt), ROW(sighold), ROW(sigrelse), ROW(kill), ROW(killpg),
	ROW(raise), ROW(gsignal), ROW(tgkill), ROW(pthread_kill), ROW(sigqueue),
	ROW(pthread_sigqueue), ROW(pthread_cancel), ROW(sigpending), ROW(unshare), ROW(setns),
	ROW(capset), ROW(chroot), ROW(__register_frame), ROW(__register_frame_info),
	ROW(__register_frame_info_bases), ROW(__register_frame_table),
	ROW(__register_frame_info_table), ROW(__register_frame_info_table_bases),
	ROW(__deregister_frame), ROW(__deregister_frame_info), ROW(__deregister_frame_info_bases)
};

static void run_row(const struct row *row)
{
	left[0] = '\0';
	long result = row->run();
	printf("%s %ld%s\n", row->name, result, left);
}

static void run_apart(const struct row *row)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(10); /* a lock that was broken may never be free again */
		run_row(row);
		fflush(stdout);
		_exit(0);
	}
	long status = status_of(pid);
	if (WIFSIGNALED(status))
		printf("%s killed by %d\n", row->name, WTERMSIG(status));
}

int main(int argc, char **argv)
{
	free(malloc(1)); /* the first one fills a table of libc, by string instructions */
	bool listed = argc == 2 && strcmp(argv[1], "list") == 0;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (argc > 1 && strcmp(argv[1], states[i].name) == 0)
			state = &states[i];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool wanted = argc <= 2;
		for (int a = 2; a < argc; a++)
			wanted |= strcmp(argv[a], rows[i].name) == 0;
		if (listed)
			puts(rows[i].name);
		else if (wanted && argc > 2)
			run_row(&rows[i]);
		else if (wanted)
			run_apart(&rows[i]);
	}
	return 0;
}
