/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps OBJECTS live objects of 16 to 256 bytes and replaces random ones.
 *
 *   b_replace [REPLACEMENTS [OBJECTS]]      prints the CPU ns of the replacements
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint64_t next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 20;
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 2000000;
	size_t objects = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
	char **kept = calloc(objects, sizeof(char *));
	uint64_t state = 1;
	int64_t start;

	for (size_t i = 0; i < objects; i++)
		kept[i] = malloc(16 + next(&state) % 241);
	start = cpu_ns();
	for (long i = 0; i < count; i++) {
		size_t at = next(&state) % objects;

		free(kept[at]);
		kept[at] = malloc(16 + next(&state) % 241);
		*kept[at] = 1;
	}
	printf("%lld\n", (long long)(cpu_ns() - start));
	return 0;
}
