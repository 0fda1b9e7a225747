/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has threads of the kernel in its process: io_uring's workers and its poller. Prints "ready" when
 * they are there and ends with its stdin; 77 where io_uring is not to be had.
 */
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static char bytes[8][16];

/* Reads from fd that never end, each by a worker of its own. */
static int read_by_workers(int fd)
{
	struct io_uring_params params = { 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 8, &params);
	if (ring < 0)
		return 0;
	char *queue = mmap(NULL, params.sq_off.array + params.sq_entries * 4,
		PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	struct io_uring_sqe *entries = mmap(NULL, params.sq_entries * sizeof(*entries),
		PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	unsigned *tail = (unsigned *)(queue + params.sq_off.tail);
	unsigned *array = (unsigned *)(queue + params.sq_off.array);
	for (unsigned i = 0; i < 8; i++) {
		entries[i] = (struct io_uring_sqe){ .opcode = IORING_OP_READ, .fd = fd, .len = 16 };
		entries[i].flags = IOSQE_ASYNC;
		entries[i].addr = (unsigned long)bytes[i];
		array[i] = i;
	}
	__atomic_store_n(tail, *tail + 8, __ATOMIC_RELEASE);
	return syscall(SYS_io_uring_enter, ring, 8, 0, 0, NULL, 0) == 8;
}

int main(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 60000 };
	int ends[2];
	char line[16];
	if (pipe(ends) != 0 || !read_by_workers(ends[0]) ||
		syscall(SYS_io_uring_setup, 8, &params) < 0)
		return 77;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
	return 0;
}
