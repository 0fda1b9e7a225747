/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages that the kernel wipes in each child (PA_WIPED in base/base.h): the switches, the table
 * of lock waits, the places of traced waits. One call for all, because the linker puts them next to
 * each other, and each call splits a mapping: 3 us.
 *
 * Context: PA_BOOT. No memory of its own.
 */
#ifndef PA_WIPED_PAGES_H
#define PA_WIPED_PAGES_H

#include "../base/base.h"

/* Before any of them is used; begins the use of the switches. False: the kernel has no
 * MADV_WIPEONFORK, which came with Linux 4.14; all switches stay off, errno is EINVAL. */
PA_BOOT bool pa_wiped_pages_boot(void);

#endif
