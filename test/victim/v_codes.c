/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every call on a lock returns in every state that the lock can be in, and whether errno is as
 * it was; one line each, the same in every run. Mutexes of all types and protocols, read-write
 * locks, spin locks, C11 mutexes. Calls that would wait for ever are left out.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>

#define UNTOUCHED 4242
#define SOON_NS 3000000
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *name_of(int error)
{
	static const struct {
		int number;
		const char *name;
	} names[] = { { 0, "0" }, { EBUSY, "EBUSY" }, { EDEADLK, "EDEADLK" }, { EPERM, "EPERM" },
		{ ETIMEDOUT, "ETIMEDOUT" }, { EINVAL, "EINVAL" }, { EAGAIN, "EAGAIN" },
		{ EOWNERDEAD, "EOWNERDEAD" }, { ENOTRECOVERABLE, "ENOTRECOVERABLE" } };
	static char other[16];

	for (size_t i = 0; i < COUNT(names); i++)
		if (names[i].number == error)
			return names[i].name;
	snprintf(other, sizeof(other), "%d", error);
	return other;
}

/* ---------------------------------------------------------------- the calls */

static struct timespec soon(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += SOON_NS;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static const struct timespec past = { .tv_sec = 1 }, negative = { .tv_sec = -5 },
			     many_ns = { .tv_sec = 1, .tv_nsec = 1000000000 },
			     minus_ns = { .tv_sec = 1, .tv_nsec = -1 };

#define R CLOCK_REALTIME
#define M CLOCK_MONOTONIC
#define CALL(name, lock, call)   \
	static int name(lock *l) \
	{                        \
		return call;     \
	}
#define SOON(name, lock, clock, call)            \
	static int name(lock *l)                 \
	{                                        \
		struct timespec t = soon(clock); \
		return call;                     \
	}

#define FORMS(lock, kind, plain, try, timed, clocked)                                \
	CALL(kind##plain, lock, pthread_##kind##plain(l))                            \
	CALL(kind##try, lock, pthread_##kind##try(l))                                \
	CALL(kind##timed##_past, lock, pthread_##kind##timed(l, &past))              \
	CALL(kind##timed##_negative, lock, pthread_##kind##timed(l, &negative))      \
	CALL(kind##timed##_many_ns, lock, pthread_##kind##timed(l, &many_ns))        \
	CALL(kind##timed##_minus_ns, lock, pthread_##kind##timed(l, &minus_ns))      \
	SOON(kind##timed##_soon, lock, R, pthread_##kind##timed(l, &t))              \
	SOON(kind##clocked##_realtime, lock, R, pthread_##kind##clocked(l, R, &t))   \
	SOON(kind##clocked##_soon, lock, M, pthread_##kind##clocked(l, M, &t))       \
	CALL(kind##clocked##_past, lock, pthread_##kind##clocked(l, M, &past))       \
	CALL(kind##clocked##_many_ns, lock, pthread_##kind##clocked(l, M, &many_ns)) \
	CALL(kind##clocked##_bad_clock, lock,                                        \
		pthread_##kind##clocked(l, CLOCK_THREAD_CPUTIME_ID, &past))          \
	CALL(kind##clocked##_no_clock, lock, pthread_##kind##clocked(l, 99, &past))

FORMS(pthread_mutex_t, mutex_, lock, trylock, timedlock, clocklock)
FORMS(pthread_rwlock_t, rwlock_, rdlock, tryrdlock, timedrdlock, clockrdlock)
FORMS(pthread_rwlock_t, rwlock_, wrlock, trywrlock, timedwrlock, clockwrlock)
CALL(mutex_unlock, pthread_mutex_t, pthread_mutex_unlock(l))

#define ROW(name, waits)                            \
	{                                           \
#name, (int (*)(void *))name, waits \
	}
#define ROWS(kind, plain, try, timed, clocked)                                  \
	ROW(kind##plain, 1), ROW(kind##try, 0), ROW(kind##timed##_past, 0),     \
		ROW(kind##timed##_negative, 0), ROW(kind##timed##_many_ns, 0),  \
		ROW(kind##timed##_minus_ns, 0), ROW(kind##timed##_soon, 0),     \
		ROW(kind##clocked##_realtime, 0), ROW(kind##clocked##_soon, 0), \
		ROW(kind##clocked##_past, 0), ROW(kind##clocked##_many_ns, 0),  \
		ROW(kind##clocked##_bad_clock, 0), ROW(kind##clocked##_no_clock, 0)

static const struct row {
	const char *name;
	int (*call)(void *lock);
	int waits; /* without a limit */
} mutex_rows[] = { ROWS(mutex_, lock, trylock, timedlock, clocklock), ROW(mutex_unlock, 0) },
  rwlock_rows[] = {
	  ROWS(rwlock_, rdlock, tryrdlock, timedrdlock, clockrdlock),
	  ROWS(rwlock_, wrlock, trywrlock, timedwrlock, clockwrlock),
  };

static int report(const char *lock, const char *state, const char *call, int result)
{
	printf("%s %s %s %s%s\n", lock, state, call, name_of(result),
		errno == UNTOUCHED ? "" : " errno changed");
	errno = UNTOUCHED;
	return result;
}

/* ---------------------------------------------------------------- another thread's lock */

static struct {
	void *lock;
	int (*take)(void *lock);
	int (*give)(void *lock);
	int brief; /* gives it up by itself, some time after it has it */
	int dies;  /* with the lock */
	sem_t has, may_go;
	pthread_t thread;
} other;

static void *other_thread(void *arg)
{
	struct timespec t = { .tv_nsec = 2 * SOON_NS };

	other.take(other.lock);
	sem_post(&other.has);
	if (other.dies)
		return arg;
	if (other.brief)
		nanosleep(&t, NULL);
	else
		while (sem_wait(&other.may_go))
			;
	other.give(other.lock);
	return arg;
}

static void other_takes(void *lock, int (*take)(void *), int (*give)(void *))
{
	other.lock = lock;
	other.take = take;
	other.give = give;
	pthread_create(&other.thread, NULL, other_thread, NULL);
	while (sem_wait(&other.has))
		;
	if (other.dies)
		pthread_join(other.thread, NULL);
	errno = UNTOUCHED;
}

static void other_gives(void)
{
	if (!other.brief)
		sem_post(&other.may_go);
	pthread_join(other.thread, NULL);
	errno = UNTOUCHED;
}

/* ---------------------------------------------------------------- mutexes */

static const struct type {
	const char *name;
	int type, robust, protocol;
} types[] = {
	{ "normal", PTHREAD_MUTEX_NORMAL, 0, PTHREAD_PRIO_NONE },
	{ "errorcheck", PTHREAD_MUTEX_ERRORCHECK, 0, PTHREAD_PRIO_NONE },
	{ "recursive", PTHREAD_MUTEX_RECURSIVE, 0, PTHREAD_PRIO_NONE },
	{ "adaptive", PTHREAD_MUTEX_ADAPTIVE_NP, 0, PTHREAD_PRIO_NONE },
	{ "robust", PTHREAD_MUTEX_NORMAL, 1, PTHREAD_PRIO_NONE },
	{ "robust-errorcheck", PTHREAD_MUTEX_ERRORCHECK, 1, PTHREAD_PRIO_NONE },
	{ "robust-recursive", PTHREAD_MUTEX_RECURSIVE, 1, PTHREAD_PRIO_NONE },
	{ "inherit", PTHREAD_MUTEX_NORMAL, 0, PTHREAD_PRIO_INHERIT },
	{ "inherit-errorcheck", PTHREAD_MUTEX_ERRORCHECK, 0, PTHREAD_PRIO_INHERIT },
	{ "inherit-recursive", PTHREAD_MUTEX_RECURSIVE, 0, PTHREAD_PRIO_INHERIT },
	{ "inherit-robust", PTHREAD_MUTEX_NORMAL, 1, PTHREAD_PRIO_INHERIT },
	{ "protect", PTHREAD_MUTEX_NORMAL, 0, PTHREAD_PRIO_PROTECT },
	{ "protect-errorcheck", PTHREAD_MUTEX_ERRORCHECK, 0, PTHREAD_PRIO_PROTECT },
};

/* On the heap and never freed: some end locked, and robust ones stand in a list of their owner's.
 * */
static pthread_mutex_t *make(const struct type *type)
{
	pthread_mutex_t *mutex = malloc(sizeof(*mutex));
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, type->type);
	pthread_mutexattr_setrobust(&attr, type->robust);
	pthread_mutexattr_setprotocol(&attr, type->protocol);
	if (type->protocol == PTHREAD_PRIO_PROTECT)
		pthread_mutexattr_setprioceiling(&attr, sched_get_priority_max(SCHED_FIFO));
	pthread_mutex_init(mutex, &attr);
	errno = UNTOUCHED;
	return mutex;
}

static int has_it(int result)
{
	return result == 0 || result == EOWNERDEAD;
}

static int checks_owner(const struct type *type)
{
	return type->type != PTHREAD_MUTEX_NORMAL && type->type != PTHREAD_MUTEX_ADAPTIVE_NP;
}

/* By a thread that does not hold it: undefined, where the owner is not checked. */
static int undefined_unlock(const struct type *type, const struct row *row)
{
	return row->call == (int (*)(void *))mutex_unlock && !checks_owner(type) && !type->robust;
}

static void mutex_free(const struct type *type, const struct row *row)
{
	pthread_mutex_t *mutex;

	if (undefined_unlock(type, row))
		return;
	mutex = make(type);
	if (has_it(report(type->name, "free", row->name, row->call(mutex))) &&
		row->call != (int (*)(void *))mutex_unlock)
		report(type->name, "taken", "unlock", mutex_unlock(mutex));
}

static void mutex_mine(const struct type *type, const struct row *row)
{
	pthread_mutex_t *mutex;

	if (row->waits && !checks_owner(type))
		return;
	mutex = make(type);
	if (mutex_lock(mutex))
		return;
	errno = UNTOUCHED;
	if (report(type->name, "mine", row->name, row->call(mutex)) == 0 &&
		row->call != (int (*)(void *))mutex_unlock)
		report(type->name, "mine", "inner unlock", mutex_unlock(mutex));
	if (row->call != (int (*)(void *))mutex_unlock)
		report(type->name, "mine", "unlock", mutex_unlock(mutex));
	report(type->name, "free again", "trylock", mutex_trylock(mutex));
}

static void mutex_others(const struct type *type, const struct row *row)
{
	pthread_mutex_t *mutex;

	if (undefined_unlock(type, row) || type->protocol == PTHREAD_PRIO_PROTECT)
		return;
	mutex = make(type);
	other.brief = row->waits;
	other_takes(mutex, (int (*)(void *))mutex_lock, (int (*)(void *))mutex_unlock);
	if (report(type->name, row->waits ? "other's for a while" : "other's", row->name,
		    row->call(mutex)) == 0)
		report(type->name, "after other", "unlock", mutex_unlock(mutex));
	other_gives();
	other.brief = 0;
}

static void mutex_dead(const struct type *type, const struct row *row, int repair)
{
	const char *state = repair ? "owner dead, repaired" : "owner dead";
	pthread_mutex_t *mutex;
	int result;

	if (!type->robust)
		return;
	mutex = make(type);
	other.dies = 1;
	other_takes(mutex, (int (*)(void *))mutex_lock, NULL);
	other.dies = 0;
	result = report(type->name, state, row->name, row->call(mutex));
	if (result != EOWNERDEAD)
		return;
	if (repair)
		report(type->name, state, "consistent", pthread_mutex_consistent(mutex));
	report(type->name, state, "unlock", mutex_unlock(mutex));
	if (has_it(report(type->name, state, row->name, row->call(mutex))))
		report(type->name, state, "unlock", mutex_unlock(mutex));
	report(type->name, state, "trylock", mutex_trylock(mutex));
}

static void mutexes(void)
{
	for (size_t i = 0; i < COUNT(types); i++)
		for (size_t j = 0; j < COUNT(mutex_rows); j++) {
			mutex_free(&types[i], &mutex_rows[j]);
			mutex_mine(&types[i], &mutex_rows[j]);
			mutex_others(&types[i], &mutex_rows[j]);
			mutex_dead(&types[i], &mutex_rows[j], 0);
			mutex_dead(&types[i], &mutex_rows[j], 1);
		}
}

/* ---------------------------------------------------------------- read-write locks */

static int rwlock_unlock(void *lock)
{
	return pthread_rwlock_unlock(lock);
}

static int takes_to_write(const struct row *row)
{
	return strstr(row->name, "wr") != NULL;
}

static void rwlock_state(const char *kind, int prefer, const struct row *row, const char *state,
	int (*mine)(void *), int (*others)(void *))
{
	pthread_rwlockattr_t attr;
	pthread_rwlock_t lock;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, prefer);
	pthread_rwlock_init(&lock, &attr);
	if (mine)
		mine(&lock);
	if (others)
		other_takes(&lock, others, rwlock_unlock);
	errno = UNTOUCHED;
	if (report(kind, state, row->name, row->call(&lock)) == 0)
		report(kind, state, "unlock", rwlock_unlock(&lock));
	if (others)
		other_gives();
	if (mine)
		report(kind, state, "last unlock", rwlock_unlock(&lock));
	report(kind, "free again", "trywrlock", pthread_rwlock_trywrlock(&lock));
}

static void rwlock_of(const char *kind, int prefer)
{
	int (*read)(void *) = rwlock_rows[0].call, (*write)(void *) = rwlock_rows[13].call;

	for (size_t i = 0; i < COUNT(rwlock_rows); i++) {
		const struct row *row = &rwlock_rows[i];
		int waits = row->waits && takes_to_write(row);

		rwlock_state(kind, prefer, row, "free", NULL, NULL);
		rwlock_state(kind, prefer, row, "written by me", write, NULL);
		if (!waits) {
			rwlock_state(kind, prefer, row, "read by me", read, NULL);
			rwlock_state(kind, prefer, row, "read by other", NULL, read);
			rwlock_state(kind, prefer, row, "read by both", read, read);
		}
		other.brief = row->waits;
		rwlock_state(kind, prefer, row, "written by other", NULL, write);
		if (waits)
			rwlock_state(kind, prefer, row, "read by other", NULL, read);
		other.brief = 0;
	}
}

/* ---------------------------------------------------------------- spin locks, C11 */

static int spin_lock(void *lock)
{
	return pthread_spin_lock(lock);
}

static int spin_unlock(void *lock)
{
	return pthread_spin_unlock(lock);
}

static void spins(void)
{
	pthread_spinlock_t lock;

	pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
	report("spin", "free", "lock", spin_lock((void *)&lock));
	report("spin", "mine", "trylock", pthread_spin_trylock(&lock));
	report("spin", "mine", "unlock", spin_unlock((void *)&lock));
	report("spin", "free", "trylock", pthread_spin_trylock(&lock));
	report("spin", "mine", "unlock", spin_unlock((void *)&lock));
	other_takes((void *)&lock, spin_lock, spin_unlock);
	report("spin", "other's", "trylock", pthread_spin_trylock(&lock));
	other_gives();
	other.brief = 1;
	other_takes((void *)&lock, spin_lock, spin_unlock);
	report("spin", "other's for a while", "lock", spin_lock((void *)&lock));
	other_gives();
	other.brief = 0;
}

static void c11_report(int kind, const char *state, const char *call, int result)
{
	const char *names[] = { [thrd_success] = "success",
		[thrd_busy] = "busy",
		[thrd_error] = "error",
		[thrd_nomem] = "nomem",
		[thrd_timedout] = "timedout" };

	printf("mtx %d %s %s %s%s\n", kind, state, call, names[result],
		errno == UNTOUCHED ? "" : " errno changed");
	errno = UNTOUCHED;
}

static int c11_lock(void *lock)
{
	return mtx_lock(lock);
}

static int c11_unlock(void *lock)
{
	return mtx_unlock(lock);
}

static void c11_forms(int kind, const char *state, mtx_t *mtx)
{
	struct timespec t = soon(R);

	c11_report(kind, state, "trylock", mtx_trylock(mtx));
	c11_report(kind, state, "timedlock soon", mtx_timedlock(mtx, &t));
	c11_report(kind, state, "timedlock past", mtx_timedlock(mtx, &past));
	c11_report(kind, state, "timedlock many ns", mtx_timedlock(mtx, &many_ns));
}

static void c11(int kind)
{
	mtx_t mtx;

	mtx_init(&mtx, kind);
	errno = UNTOUCHED;
	c11_report(kind, "free", "lock", mtx_lock(&mtx));
	c11_forms(kind, "mine", &mtx);
	c11_report(kind, "mine", "unlock", mtx_unlock(&mtx));
	mtx_init(&mtx, kind);
	other_takes(&mtx, c11_lock, c11_unlock);
	c11_forms(kind, "other's", &mtx);
	other_gives();
	other.brief = 1;
	other_takes(&mtx, c11_lock, c11_unlock);
	c11_report(kind, "other's for a while", "lock", mtx_lock(&mtx));
	c11_report(kind, "mine", "unlock", mtx_unlock(&mtx));
	other_gives();
	other.brief = 0;
}

int main(void)
{
	sem_init(&other.has, 0, 0);
	sem_init(&other.may_go, 0, 0);
	mutexes();
	rwlock_of("rwlock", PTHREAD_RWLOCK_PREFER_READER_NP);
	rwlock_of("rwlock-writer", PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	spins();
	c11(mtx_plain);
	c11(mtx_timed);
	c11(mtx_timed | mtx_recursive);
	return 0;
}
