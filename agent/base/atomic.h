/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only interface to atomic operations; each name states the memory order. Any context.
 *
 * Fields are declared PA_ATOMIC(type); plain access to one is a bug. The comment of each atomic
 * field names its pair ("release in publish, acquire in drain"); plain counters say "statistics
 * only".
 */
#ifndef PA_ATOMIC_H
#define PA_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PA_ATOMIC(type) _Atomic(type)

#define pa_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define pa_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define pa_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define pa_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define pa_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define pa_add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define pa_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define pa_sub_acq_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define pa_and_acq_rel(p, v) atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)
#define pa_or_acq_rel(p, v) atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define pa_swap_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)

/* True when *p was *expected and is now v; else *expected becomes the value found. No spurious
 * failure. */
#define pa_cas_acq_rel(p, expected, v)                                                      \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acq_rel, \
		memory_order_acquire)
#define pa_cas_relaxed(p, expected, v)                                                      \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_relaxed, \
		memory_order_relaxed)

/* Of a pointer that is not PA_ATOMIC, since hot code reads it plainly: it points to a function that
 * works, before the store and after it. */
#define pa_load_plain(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define pa_store_plain(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/*
 * Stores only a value that differs. For forked children: a write copies the page (copy on write), a
 * read does not.
 */
#define pa_reset(p, v)                              \
	do {                                        \
		if (pa_load_relaxed(p) != (v))      \
			pa_store_relaxed((p), (v)); \
	} while (0)

/* Orders memory accesses against a signal handler of the same thread; no instruction. */
#define pa_fence_signal() atomic_signal_fence(memory_order_seq_cst)
#define pa_fence_acquire() atomic_thread_fence(memory_order_acquire)
#define pa_fence_full() atomic_thread_fence(memory_order_seq_cst)

#endif
