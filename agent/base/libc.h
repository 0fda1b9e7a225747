/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of glibc's locks that its headers expose, with the same meaning since 2.25 (those of
 * pthread_mutex_t much longer). Read only, by the thread that holds the lock.
 *
 * Context: PA_APP unless stated otherwise.
 */
#ifndef PA_LIBC_H
#define PA_LIBC_H

#include <pthread.h>

#include "base.h"

/* Bits of pthread_mutex_t.__data.__kind. */
#define PA_LIBC_MUTEX_TYPE 3 /* normal, recursive, error checking, adaptive */
#define PA_LIBC_MUTEX_ROBUST 16
/* Bits of a robust mutex's __lock: its owner, as the kernel's FUTEX_TID_MASK. */
#define PA_LIBC_MUTEX_OWNER 0x3fffffff

/* Bits of pthread_rwlock_t.__data.__readers. */
#define PA_LIBC_RWLOCK_WRITING 1
#define PA_LIBC_RWLOCK_READERS_SHIFT 3

/* A bit of pthread_cond_t.__data.__wrefs. */
#define PA_LIBC_COND_MONOTONIC 2

/* The clock of the condition's timed waits (pthread_condattr_setclock). */
PA_APP static inline clockid_t pa_libc_cond_clock(const pthread_cond_t *cond)
{
	return cond->__data.__wrefs & PA_LIBC_COND_MONOTONIC ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

/* The calling thread's id without a system call: libc stores it in a mutex that the thread
 * locks. */
PA_SIGNAL static inline int32_t pa_libc_tid(void)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_trylock(&mutex);
	int32_t tid = mutex.__data.__owner;
#ifdef __SANITIZE_THREAD__ /* it remembers the lock; the next one may be at the same place */
	pthread_mutex_unlock(&mutex);
#endif
	return tid;
}

/*
 * True when an unlock by thread tid releases the mutex: false when it is locked more than once, or
 * when the call will fail since another thread holds it.
 */
PA_APP static inline bool pa_libc_mutex_would_open(const pthread_mutex_t *mutex, int32_t tid)
{
	int kind = mutex->__data.__kind;
	int type = kind & PA_LIBC_MUTEX_TYPE;
	bool counts = type == PTHREAD_MUTEX_RECURSIVE;
	bool checks = counts || type == PTHREAD_MUTEX_ERRORCHECK || kind & PA_LIBC_MUTEX_ROBUST;
	if (checks && mutex->__data.__owner != tid)
		return false;
	return !counts || mutex->__data.__count <= 1;
}

/*
 * Never trylock a robust mutex to test it: in the not-recoverable state glibc's trylock leaves it
 * locked, and the next lock blocks without end.
 */
PA_APP static inline bool pa_libc_mutex_is_robust(const pthread_mutex_t *mutex)
{
	return mutex->__data.__kind & PA_LIBC_MUTEX_ROBUST;
}

/* True when another thread holds the robust mutex now. */
PA_APP static inline bool pa_libc_mutex_is_taken(const pthread_mutex_t *mutex, int32_t tid)
{
	const volatile int *word = &mutex->__data.__lock;
	int32_t owner = *word & PA_LIBC_MUTEX_OWNER;
	return owner && owner != tid;
}

/* True when the caller's unlock can release waiters: it is the writer, or the last reader. */
PA_APP static inline bool pa_libc_rwlock_would_open(const pthread_rwlock_t *lock)
{
	unsigned readers = lock->__data.__readers;
	return readers & PA_LIBC_RWLOCK_WRITING || readers >> PA_LIBC_RWLOCK_READERS_SHIFT <= 1;
}

#endif
