/* SPDX-License-Identifier: Apache-2.0 */
/* Allocates, becomes a daemon, writes its pid to FILE and burns CPU until SIGTERM: f_daemon FILE */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile unsigned long work;

int main(int argc, char **argv)
{
	char *volatile block = malloc(1 << 20);
	FILE *file;
	block[0] = 1;
	if (argc != 2 || daemon(1, 0) != 0)
		return 1;
	block = malloc(2 << 20);
	block[0] = 1;
	file = fopen(argv[1], "w");
	if (!file)
		return 1;
	fprintf(file, "%d\n", (int)getpid());
	fclose(file);
	for (;;)
		work++;
}
