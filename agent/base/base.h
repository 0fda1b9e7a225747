/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Macros for every file of the agent: context words, branch hints, attributes, sizes.
 *
 * Each extern function has a context word, which states where it may run:
 *
 *   PA_SIGNAL  any thread, any moment, also inside a signal handler or a half-started thread:
 *              stack, TLS and atomics only; no lock, no loop that waits for another thread,
 *              < 4 KiB of stack, errno kept.
 *   PA_APP     inside a hook on an application thread, guard raised: as PA_SIGNAL, and may call
 *              the real function.
 *   PA_API     called by the program through pprofagent.h, not in a signal handler: as PA_APP,
 *              and may take a lock of base/lock.h, allocate, and wait for the agent's threads.
 *   PA_AGENT   the agent's own threads only: may lock, allocate, do I/O.
 *   PA_BOOT    constructor or atfork child: one thread, no assumption about state. One section
 *              holds them all: each page of code that a forked child touches costs it a fault.
 *
 * A function calls functions of its own word and of the words above it; PA_BOOT calls PA_BOOT,
 * PA_APP and PA_SIGNAL, and only PA_BOOT calls PA_BOOT. The calls of a static function count as
 * calls of its callers. `make lint` checks this (scripts/lint_rules/contexts.py).
 */
#ifndef PA_BASE_H
#define PA_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PA_SIGNAL
#define PA_APP
#define PA_API
#define PA_AGENT
#define PA_BOOT __attribute__((section(".text.startup")))

#define pa_likely(x) __builtin_expect(!!(x), 1)
#define pa_unlikely(x) __builtin_expect(!!(x), 0)

#define PA_EXPORT __attribute__((visibility("default")))
/* For declarations: makes access skip the GOT, since -fvisibility covers definitions only. */
#define PA_HIDDEN __attribute__((visibility("hidden")))
#define PA_NOINLINE __attribute__((noinline))
#define PA_INLINE static inline __attribute__((always_inline))
#define PA_COLD __attribute__((cold, noinline))
/* For functions that read stacks of other functions or threads. */
#define PA_NO_ASAN __attribute__((no_sanitize("address")))
#define PA_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Static TLS: one load relative to the thread pointer, never __tls_get_addr, which may allocate. */
#define PA_TLS __thread __attribute__((tls_model("initial-exec")))

#define PA_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PA_ALIGN_UP(x, to) (((x) + (to)-1) & ~((uintptr_t)(to)-1))

/*
 * Arrays and structures of pages: before and behind all small variables, which then share few
 * pages. Each page that a program's start or a forked child writes costs a fault; so does the last
 * one of .data, whose rest ld.so clears. PA_PAGED: structures that begin a page. PA_WIPED: whole
 * pages that are given to MADV_WIPEONFORK, next to each other, since each range of its own splits a
 * mapping. The linker sorts by these names (Makefile).
 */
#define PA_LARGE __attribute__((section(".bss.zy_large")))
#define PA_LARGE_DATA __attribute__((section(".data.aa_large")))
#ifdef PA_DEBUG
#define PA_PAGED /* its locks are not all zero */
#else
#define PA_PAGED __attribute__((section(".bss.zx_paged")))
#endif
#define PA_WIPED __attribute__((section(".bss.zz_wiped")))

#define PA_CACHE_LINE 64

#define PA_NS_PER_S 1000000000LL
#define PA_NS_PER_US 1000LL
#define PA_NS_PER_MS 1000000LL

#endif
