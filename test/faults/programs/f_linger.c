/* SPDX-License-Identifier: Apache-2.0 */
/* Lives for MS milliseconds, prints the time of the monotonic clock in us, and ends with 3. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	int ms = argc > 1 ? atoi(argv[1]) : 0;
	struct timespec now, life = { ms / 1000, ms % 1000 * 1000000L };
	free(malloc(1000));
	nanosleep(&life, NULL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%ld\n", now.tv_sec * 1000000L + now.tv_nsec / 1000);
	return 3;
}
