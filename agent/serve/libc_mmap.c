/* SPDX-License-Identifier: Apache-2.0 */
/* mmap for our libraries: see libc_shims.h. */
#include "libc_shims.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "../arch/arch.h"
#include "../base/arena.h"

#define LOWEST_ERROR (-4095) /* the kernel's MAX_ERRNO */

void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	if (!at && !(flags & MAP_FIXED))
		at = pa_map_place(bytes);
	long result =
		pa_arch_syscall6(SYS_mmap, (long)at, (long)bytes, protection, flags, fd, offset);
	if (result >= LOWEST_ERROR && result < 0) {
		errno = (int)-result;
		return MAP_FAILED;
	}
	return (void *)result;
}
