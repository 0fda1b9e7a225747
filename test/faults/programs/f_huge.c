/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that are too large, by every function of the malloc family, ROUNDS times, and their
 * results: NULL and ENOMEM, the old block untouched. One line each of the first round; then "huge N
 * wrong W" and life until stdin ends.
 *
 *   f_huge ROUNDS
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile size_t huge = (size_t)1 << 62, all = SIZE_MAX, most = PTRDIFF_MAX;
static long asked, wrong;
static int first = 1;

static void is_refused(const char *what, const void *got)
{
	asked++;
	wrong += got != NULL || errno != ENOMEM;
	if (first)
		printf("%s %s errno %d\n", what, got ? "something" : "NULL", errno);
	errno = 0;
}

#define REFUSED(call) is_refused(#call, call)

__attribute__((noinline)) static void ask_for_it(void)
{
	char *volatile old = malloc(100);
	void *out = &out;
	int error;

	memset(old, 7, 100);
	errno = 0;
	REFUSED(malloc(huge));
	REFUSED(malloc(all));
	REFUSED(malloc(most));
	REFUSED(malloc(most + 1));
	REFUSED(calloc(all, all));
	REFUSED(calloc(all, 1));
	REFUSED(calloc(huge, 16));
	REFUSED(realloc(old, huge));
	REFUSED(realloc(old, all));
	REFUSED(realloc(NULL, huge));
	REFUSED(reallocarray(old, huge, 16));
	REFUSED(reallocarray(old, all, 1));
	REFUSED(reallocarray(NULL, all, 2));
	REFUSED(memalign(64, huge));
	REFUSED(memalign(64, all));
	REFUSED(aligned_alloc(64, all - 63));
	REFUSED(valloc(all));
	REFUSED(valloc(huge));
	REFUSED(pvalloc(all));
	REFUSED(pvalloc(huge));
	error = posix_memalign(&out, 64, huge);
	wrong += error != ENOMEM || out != &out;
	errno = 0;
	error = posix_memalign(&out, 63, 10);
	wrong += error != EINVAL || out != &out || errno != 0;
	for (int i = 0; i < 100; i++)
		wrong += old[i] != 7;
	free(old);
}

int main(int argc, char **argv)
{
	static char buffer[4096];
	long rounds = argc > 1 ? atol(argv[1]) : 1;

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	for (long i = 0; i < rounds; i++, first = 0)
		ask_for_it();
	printf("huge %ld wrong %ld\n", asked, wrong);
	fflush(stdout);
	for (char byte; read(0, &byte, 1) > 0;)
		;
	return wrong != 0;
}
