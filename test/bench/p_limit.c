/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A preload whose functions only call the next one: the limit of what an agent that interposes
 * them can cost. operator new and delete come here through malloc and free.
 *
 * A function is one indirect jump. Its pointer leads to a function that looks the next one up at
 * the first call; threads that do so at once store the same value.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* dlsym() may choose the condition variables of glibc before 2.3.2, which have another layout. */
#define COND_VERSION "GLIBC_2.3.2"

/* A name that is not found allocates: only condition variables are asked for by version. */
static void *find(const char *name)
{
	void *next = NULL;

	if (strncmp(name, "pthread_cond_", strlen("pthread_cond_")) == 0)
		next = dlvsym(RTLD_NEXT, name, COND_VERSION);
	if (!next)
		next = dlsym(RTLD_NEXT, name);
	if (!next)
		abort();
	return next;
}

#define FORWARD(result, name, parameters, arguments)           \
	static result first_##name parameters;                 \
	static result(*next_##name) parameters = first_##name; \
	static result first_##name parameters                  \
	{                                                      \
		next_##name = find(#name);                     \
		return next_##name arguments;                  \
	}                                                      \
	result name parameters                                 \
	{                                                      \
		return next_##name arguments;                  \
	}

FORWARD(void *, malloc, (size_t size), (size))
FORWARD(void, free, (void *p), (p))
FORWARD(void *, calloc, (size_t count, size_t size), (count, size))
FORWARD(void *, realloc, (void *p, size_t size), (p, size))
FORWARD(int, posix_memalign, (void **p, size_t alignment, size_t size), (p, alignment, size))
FORWARD(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))

FORWARD(int, pthread_mutex_lock, (pthread_mutex_t * mutex), (mutex))
FORWARD(int, pthread_mutex_trylock, (pthread_mutex_t * mutex), (mutex))
FORWARD(int, pthread_mutex_unlock, (pthread_mutex_t * mutex), (mutex))

FORWARD(int, pthread_cond_wait, (pthread_cond_t * cond, pthread_mutex_t *mutex), (cond, mutex))
FORWARD(int, pthread_cond_timedwait,
	(pthread_cond_t * cond, pthread_mutex_t *mutex, const struct timespec *end),
	(cond, mutex, end))
FORWARD(int, pthread_cond_clockwait,
	(pthread_cond_t * cond, pthread_mutex_t *mutex, clockid_t clock,
		const struct timespec *end),
	(cond, mutex, clock, end))

FORWARD(int, pthread_create,
	(pthread_t * thread, const pthread_attr_t *attr, void *(*routine)(void *), void *argument),
	(thread, attr, routine, argument))

/* No unistd.h here: it declares this with "...". All of the arguments are in registers but one. */
FORWARD(long, syscall, (long number, long a, long b, long c, long d, long e, long f),
	(number, a, b, c, d, e, f))
