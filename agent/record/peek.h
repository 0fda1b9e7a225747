/*
 * Reads of memory that may be gone: the kernel copies, so that an address which another thread has
 * just unmapped, or which never was one, is no fault but a short copy. The one way to read what is
 * neither ours nor the calling thread's own, known stack.
 *
 * Context: PA_SIGNAL. No state. errno is not touched, since a handler may run on a thread that
 * shares another one's TLS. 200 bytes of stack.
 */
#ifndef PA_PEEK_H
#define PA_PEEK_H

#include "../base/base.h"

/*
 * Copies bytes from there, as far as they can be read. Returns how many those are: less than asked
 * for where a page is missing or not readable, 0 where the kernel refuses (a kernel without
 * CROSS_MEMORY_ATTACH), or a sandbox forbids to ask it (sandbox.h). Two system calls for 16 KiB,
 * 0.6 us.
 */
PA_SIGNAL size_t pa_peek(void *to, uintptr_t from, size_t bytes);

/*
 * True when all pages from lo up to hi can be read. Asks for mapped pages only: to touch what lies
 * below a stack of the kernel's would make that stack grow. lo and hi: multiples of the page size,
 * at most PA_PEEK_PAGES apart. 0.1 us a page.
 */
#define PA_PEEK_PAGES 64
PA_SIGNAL bool pa_peek_is_readable(uintptr_t lo, uintptr_t hi);

#endif
