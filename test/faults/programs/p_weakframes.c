/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library of an old compiler: it registers its unwind table if libgcc is there when it is loaded,
 * and takes it back when it is unloaded.
 */
#include <stddef.h>
#include <stdint.h>

extern void __register_frame_info(const void *, void *) __attribute__((weak));
extern void *__deregister_frame_info(const void *) __attribute__((weak));

static uint32_t table[64] = { 12, 0, 0x78010001, 0x0008070c, 0 };
static uint64_t object[8];

__attribute__((constructor)) static void begin(void)
{
	if (__register_frame_info)
		__register_frame_info(table, object);
}

__attribute__((destructor)) static void end(void)
{
	if (__deregister_frame_info)
		__deregister_frame_info(table);
}
