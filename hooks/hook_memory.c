/* SPDX-License-Identifier: Apache-2.0 */
/*
 * munmap, mprotect and other calls that remove memory or make it unreadable: where that is part of
 * the calling thread's own stack (guard pages between coroutines, those of a Java VM at the stack's
 * end), the stack walk must not load from it any more.
 *
 * Allocators call these before anything is resolved, and signal handlers do: then the hook makes
 * the system call itself.
 */
#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "../agent/arch/arch.h"
#include "../agent/record/altstack.h"
#include "../agent/record/stack_bounds.h"
#include "real.h"

#include "../agent/base/banned.h"

/* madvise(2), Linux 6.13: MADV_GUARD_INSTALL makes pages fault as if unmapped. */
#define GUARD_INSTALL 102

static long call_kernel(long number, const long *arguments)
{
	long result = pa_arch_syscall6(number, arguments[0], arguments[1], arguments[2],
		arguments[3], arguments[4], arguments[5]);
	if (result >= -4095 && result < 0) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

#define CALL(number, ...) call_kernel((number), (const long[6]){ __VA_ARGS__ })

PA_INLINE void cut_stack_bounds(const void *start, size_t bytes)
{
	uintptr_t lo = (uintptr_t)start;
	uintptr_t hi = bytes > UINTPTR_MAX - lo ? UINTPTR_MAX : lo + bytes;
	const struct pa_thread *self = &pa_thread_self;
	if (pa_unlikely(lo < self->stack_hi && hi > self->stack_least))
		pa_stack_bounds_cut(lo, hi);
}

int munmap(void *start, size_t bytes)
{
	cut_stack_bounds(start, bytes);
	pa_altstack_unmapped((uintptr_t)start, (uintptr_t)start + bytes);
	if (pa_unlikely(!pa_real.munmap))
		return (int)CALL(SYS_munmap, (long)start, (long)bytes);
	return pa_real.munmap(start, bytes);
}

int mprotect(void *start, size_t bytes, int protection)
{
	if (!(protection & PROT_READ))
		cut_stack_bounds(start, bytes);
	if (!(protection & PROT_WRITE))
		pa_altstack_unmapped((uintptr_t)start, (uintptr_t)start + bytes);
	if (pa_unlikely(!pa_real.mprotect))
		return (int)CALL(SYS_mprotect, (long)start, (long)bytes, protection);
	return pa_real.mprotect(start, bytes, protection);
}

int madvise(void *start, size_t bytes, int advice)
{
	if (advice == GUARD_INSTALL)
		cut_stack_bounds(start, bytes);
	if (pa_unlikely(!pa_real.madvise))
		return (int)CALL(SYS_madvise, (long)start, (long)bytes, advice);
	return pa_real.madvise(start, bytes, advice);
}

void *mmap(void *start, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	if (flags & MAP_FIXED)
		cut_stack_bounds(start, bytes);
	if (pa_unlikely(!pa_real.mmap))
		return (void *)CALL(SYS_mmap, (long)start, (long)bytes, protection, flags, fd,
			offset);
	return pa_real.mmap(start, bytes, protection, flags, fd, offset);
}

void *mmap64(void *start, size_t bytes, int protection, int flags, int fd, off64_t offset)
{
	return mmap(start, bytes, protection, flags, fd, offset);
}

void *mremap(void *start, size_t bytes, size_t new_bytes, int flags, ...)
{
	void *to = NULL;
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_list rest;
		va_start(rest, flags);
		to = va_arg(rest, void *);
		va_end(rest);
	}
	cut_stack_bounds(start, bytes);
	if (flags & MREMAP_FIXED)
		cut_stack_bounds(to, new_bytes);
	if (pa_unlikely(!pa_real.mremap))
		return (void *)CALL(SYS_mremap, (long)start, (long)bytes, (long)new_bytes, flags,
			(long)to);
	return pa_real.mremap(start, bytes, new_bytes, flags, to);
}
