/* SPDX-License-Identifier: Apache-2.0 */
/* Does nothing until stdin ends. Prints "ready" first. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	char byte;

	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
