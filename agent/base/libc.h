/*
 * What we know of the insides of glibc's locks: fields that its headers show, whose meaning is the
 * same since 2.25 (of pthread_mutex_t for much longer). Only read, by who holds the lock.
 *
 * Context: PA_APP, but where it says otherwise.
 */
#ifndef PA_LIBC_H
#define PA_LIBC_H

#include <pthread.h>

#include "base.h"

/* Bits of pthread_mutex_t.__data.__kind. */
#define PA_LIBC_MUTEX_TYPE 3   /* normal, recursive, error checking, adaptive */
#define PA_LIBC_MUTEX_ROBUST 16
/* Bits of a robust one's __lock: its owner, as in the kernel's FUTEX_TID_MASK. */
#define PA_LIBC_MUTEX_OWNER 0x3fffffff

/* Bits of pthread_rwlock_t.__data.__readers. */
#define PA_LIBC_RWLOCK_WRITING 1
#define PA_LIBC_RWLOCK_READERS_SHIFT 3

/* The calling thread's id without a system call: libc writes it into a mutex that it takes. */
PA_SIGNAL static inline int32_t pa_libc_tid(void)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_trylock(&mutex);
	return mutex.__data.__owner;
}

/*
 * True when an unlock by thread tid would really give the mutex up: not when it is locked more than
 * once, nor when the call will be refused since somebody else holds it.
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
 * A robust mutex must not be asked by trylock whether it is free: where it is not recoverable any
 * more, glibc's trylock leaves it locked, and the next lock would wait for ever.
 */
PA_APP static inline bool pa_libc_mutex_is_robust(const pthread_mutex_t *mutex)
{
	return mutex->__data.__kind & PA_LIBC_MUTEX_ROBUST;
}

/* True when another thread has the robust mutex now. */
PA_APP static inline bool pa_libc_mutex_is_taken(const pthread_mutex_t *mutex, int32_t tid)
{
	const volatile int *word = &mutex->__data.__lock;
	int32_t owner = *word & PA_LIBC_MUTEX_OWNER;
	return owner && owner != tid;
}

/* True when the caller's unlock ends what others wait for: it is the writer, or the last reader. */
PA_APP static inline bool pa_libc_rwlock_would_open(const pthread_rwlock_t *lock)
{
	unsigned readers = lock->__data.__readers;
	return readers & PA_LIBC_RWLOCK_WRITING || readers >> PA_LIBC_RWLOCK_READERS_SHIFT <= 1;
}

#endif
