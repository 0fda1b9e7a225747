/*
 * Words that every file of the agent uses: context words, branch hints, sizes.
 *
 * Context words stand on every extern function and say where it may run:
 *
 *   PA_SIGNAL  any thread, any moment, also inside a signal handler or a half-started thread:
 *              stack, TLS and atomics only; no lock, no loop that waits for another thread,
 *              < 4 KiB of stack, errno kept.
 *   PA_APP     inside a hook on an application thread, guard raised: as PA_SIGNAL, and may call
 *              the real function.
 *   PA_AGENT   the agent's own threads: may lock, allocate, do I/O.
 *   PA_BOOT    constructor or atfork child: one thread, nothing assumed. They stand together: each
 *              run of pages of code that a forked child comes to costs it a fault.
 *
 * A PA_SIGNAL function calls only PA_SIGNAL; PA_APP calls PA_APP and PA_SIGNAL.
 */
#ifndef PA_BASE_H
#define PA_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PA_SIGNAL
#define PA_APP
#define PA_AGENT
#define PA_BOOT __attribute__((section(".text.startup")))

#define PA_VERSION "0.1.0"

#define pa_likely(x) __builtin_expect(!!(x), 1)
#define pa_unlikely(x) __builtin_expect(!!(x), 0)

#define PA_EXPORT __attribute__((visibility("default")))
/* On declarations: reached without the GOT, -fvisibility only covers definitions. */
#define PA_HIDDEN __attribute__((visibility("hidden")))
#define PA_NOINLINE __attribute__((noinline))
#define PA_INLINE static inline __attribute__((always_inline))
#define PA_COLD __attribute__((cold, noinline))
/*
 * A function that the program calls and that calls others: old compilers, assembly and JITs call
 * with a stack that is 8 bytes off, and libc keeps vectors there. Such a function cannot end in a
 * jump. See also PA_CALM_FLAGS.
 */
#define PA_ENTRY __attribute__((force_align_arg_pointer))
/*
 * The slow half of a hook, to which the program's call comes by a jump. Not PA_COLD: in what gcc
 * makes small it puts a second return address on the aligned stack, and PA_CURSOR_OF_CALLER finds
 * that (`make lint` looks for it).
 */
#define PA_SLOW PA_ENTRY __attribute__((noinline, section(".text.unlikely")))
/* Functions that read stacks which are not theirs. */
#define PA_NO_ASAN __attribute__((no_sanitize("address")))
#define PA_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Static TLS: one load off the thread pointer, never __tls_get_addr (which may allocate). */
#define PA_TLS __thread __attribute__((tls_model("initial-exec")))

#define PA_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PA_ALIGN_UP(x, to) (((x) + (to)-1) & ~((uintptr_t)(to)-1))

#define PA_CACHE_LINE 64
#define PA_PAGE_SHIFT 12
#define PA_PAGE_BYTES ((uintptr_t)1 << PA_PAGE_SHIFT)

#define PA_NS_PER_S 1000000000LL
#define PA_NS_PER_MS 1000000LL

#endif
