/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread that unmaps memory, and a moment later maps other memory at the same place
 * (MAP_FIXED), as for rings that are mapped twice: no other thread could have taken the place.
 *
 *   f_holes KIBIBYTES MILLISECONDS
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static char *map(void *place, size_t bytes, int more_flags)
{
	char *memory = mmap(place, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | more_flags, -1, 0);
	if (memory == MAP_FAILED)
		exit(2);
	return memory;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	const size_t bytes = strtoul(argv[1], NULL, 10) << 10;
	const struct timespec moment = { .tv_nsec = 200000 };
	const long end = now_ms() + strtol(argv[2], NULL, 10);
	while (now_ms() < end) {
		char *place = map(NULL, bytes, 0);
		munmap(place, bytes);
		nanosleep(&moment, NULL);
		memset(map(place, bytes, MAP_FIXED), 0xff, bytes);
		munmap(place, bytes);
	}
	puts("ok");
	return 0;
}
