/* SPDX-License-Identifier: Apache-2.0 */
#include "peek.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "switches.h"
#include "../arch/arch.h"
#include "sandbox.h"

#include "../base/banned.h"

/* Pages per system call. */
#define PIECES 4

/* By thread id and not process id: after the main thread has ended, the process id has no memory
 * (process_vm_readv(2) fails with ESRCH). */
static long read_pieces(long tid, const struct iovec *local, const struct iovec *pieces,
	unsigned long count)
{
	return pa_arch_syscall6(SYS_process_vm_readv, tid, (long)local, 1, (long)pieces,
		(long)count, 0);
}

/* 0 when the id is not known: gettid has to be called. Also in a copy of the process that no hook
 * saw being created: it has the cached id of its parent's thread. */
static long known_tid(void)
{
	const struct pa_thread *self = &pa_thread_self;
	return self->registered && pa_load_relaxed(&pa_switches->booted) ? self->tid : 0;
}

/*
 * Copies from at most PIECES pages. No iovec spans two pages: process_vm_readv(2) does not promise
 * a partial copy of an iovec.
 */
static size_t copy_pages(char *to, uintptr_t from, size_t bytes)
{
	struct iovec pieces[PIECES], local = { .iov_base = to };
	unsigned long count = 0;
	while (count < PIECES && local.iov_len < bytes) {
		uintptr_t at = from + local.iov_len;
		size_t piece = PA_PAGE_BYTES - (at & (PA_PAGE_BYTES - 1));
		if (piece > bytes - local.iov_len)
			piece = bytes - local.iov_len;
		pieces[count++] = (struct iovec){ (void *)at, piece };
		local.iov_len += piece;
	}
	long tid = known_tid();
	long got = tid ? read_pieces(tid, &local, pieces, count) : -ESRCH;
	/* clone(2) with CLONE_VM and without CLONE_SETTLS: the cached id is that of an ended
	 * thread. */
	if (pa_unlikely(got == -ESRCH))
		got = read_pieces(pa_arch_syscall(SYS_gettid, 0, 0, 0, 0), &local, pieces, count);
	return got > 0 ? (size_t)got : 0;
}

static bool begin_peek(void)
{
	return pa_sandbox_begin(&pa_thread_self, PA_CALLS_READ);
}

size_t pa_peek(void *to, uintptr_t from, size_t bytes)
{
	size_t done = 0;
	if (from < PA_PAGE_BYTES || from >= PA_ADDRESS_LIMIT || !begin_peek())
		return 0;
	if (bytes > PA_ADDRESS_LIMIT - from)
		bytes = PA_ADDRESS_LIMIT - from;
	while (done < bytes) {
		uintptr_t at = from + done;
		size_t most = PIECES * PA_PAGE_BYTES - (at & (PA_PAGE_BYTES - 1));
		size_t part = bytes - done < most ? bytes - done : most;
		size_t got = copy_pages((char *)to + done, at, part);
		done += got;
		if (got < part)
			break;
	}
	pa_sandbox_end();
	return done;
}

static bool are_readable(uintptr_t lo, uintptr_t hi)
{
	unsigned char resident[PA_PEEK_PAGES];
	if (hi - lo > sizeof(resident) * PA_PAGE_BYTES ||
		pa_arch_syscall(SYS_mincore, (long)lo, (long)(hi - lo), (long)resident, 0) != 0)
		return false;
	for (; lo < hi; lo += PA_PAGE_BYTES)
		if (!pa_arch_readable(lo))
			return false;
	return true;
}

bool pa_peek_is_readable(uintptr_t lo, uintptr_t hi)
{
	if (!begin_peek())
		return false;
	bool readable = are_readable(lo, hi);
	pa_sandbox_end();
	return readable;
}
