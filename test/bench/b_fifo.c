/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of LENGTH objects of 16 to 1024 bytes, in which each new one ends the oldest.
 *
 *   b_fifo COUNT [LENGTH]
 */
#include <stdint.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 1000000;
	size_t length = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
	char **queue = calloc(length, sizeof(char *));

	srand(1);
	for (long i = 0; i < count; i++) {
		size_t at = (size_t)i % length;

		free(queue[at]);
		queue[at] = malloc(16 + (size_t)rand() % 1009);
		*queue[at] = 1;
	}
	return 0;
}
