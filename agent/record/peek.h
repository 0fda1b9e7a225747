/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads memory that may be unmapped: the kernel copies it, so an address that another thread
 * unmapped, or that never was valid, yields a short copy and no fault. The only way to read memory
 * that is neither the agent's nor the calling thread's own stack.
 *
 * Context: PA_SIGNAL. No state. errno is not touched, since a handler may run on a thread that
 * shares another one's TLS. 200 bytes of stack.
 */
#ifndef PA_PEEK_H
#define PA_PEEK_H

#include "../base/base.h"

/*
 * Copies bytes from that address as far as they are readable and returns their number: less than
 * requested where a page is missing or unreadable, 0 where the kernel (without
 * CONFIG_CROSS_MEMORY_ATTACH) or a sandbox (sandbox.h) denies the call. Two system calls for 16
 * KiB, 0.6 us.
 */
PA_SIGNAL size_t pa_peek(void *to, uintptr_t from, size_t bytes);

/*
 * True when all pages in [lo, hi) are readable. Only for mapped pages: an access below a stack that
 * grows on demand (MAP_GROWSDOWN) would extend it. lo and hi: multiples of the page size, at most
 * PA_PEEK_PAGES apart. 0.1 us a page.
 */
#define PA_PEEK_PAGES 64
PA_SIGNAL bool pa_peek_is_readable(uintptr_t lo, uintptr_t hi);

#endif
