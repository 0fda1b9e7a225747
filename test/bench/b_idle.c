/* SPDX-License-Identifier: Apache-2.0 */
/* Does nothing until stdin ends. Prints "ready" first, and the page faults before main. */
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

int main(void)
{
	struct rusage used;
	char byte;

	getrusage(RUSAGE_THREAD, &used);
	printf("ready %ld\n", used.ru_minflt);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
