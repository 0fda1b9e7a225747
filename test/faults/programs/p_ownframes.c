/* SPDX-License-Identifier: Apache-2.0 */
/* A library with an unwinder of its own, whose functions have the names of libgcc's. */
#include <stdint.h>
#include <stdio.h>

static uint32_t table[64];

__attribute__((noipa)) void __register_frame(void *begin)
{
	printf("registered %d\n", begin == table);
}

__attribute__((noipa)) void __deregister_frame(void *begin)
{
	printf("taken back %d\n", begin == table);
}

__attribute__((constructor)) static void begin(void)
{
	__register_frame(table);
}

__attribute__((destructor)) static void end(void)
{
	__deregister_frame(table);
}
