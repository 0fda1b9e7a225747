/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Burns CPU time in two threads until a line comes on stdin, then replaces itself by echo: a
 * timer's signal that is still on its way must not kill the new program. Prints "ready", then
 * (echo does) "exec ok".
 *
 *   v_exec [N]      replaces itself N times by itself before (default: 0), without waiting
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile unsigned long work;

static void *burn(void *arg)
{
	for (;;)
		work++;
	return arg;
}

int main(int argc, char **argv)
{
	int again = argc > 1 ? atoi(argv[1]) : 0;
	pthread_t thread;
	char line[16];

	if (again > 0) {
		char number[16];

		snprintf(number, sizeof(number), "%d", again - 1);
		free(malloc(1000));
		execl("/proc/self/exe", argv[0], number, (char *)NULL);
		return 1;
	}
	pthread_create(&thread, NULL, burn, NULL);
	pthread_create(&thread, NULL, burn, NULL);
	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	execl("/bin/echo", "echo", "exec ok", (char *)NULL);
	return 1;
}
