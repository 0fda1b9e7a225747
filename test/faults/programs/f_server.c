/* SPDX-License-Identifier: Apache-2.0 */
/* A server to be wrapped: prints "server", allocates now and then, ends when stdin says so. */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	char line[64];
	void *volatile block = malloc(3 << 20);
	(void)block;
	puts("server");
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) ? 0 : 1;
}
