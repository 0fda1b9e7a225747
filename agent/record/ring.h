/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event ring: many writers in any context, one reader, fixed memory.
 *
 * Memory consists of cells of 64 bytes; a record takes consecutive cells (it never wraps: the rest
 * at the end becomes padding). One control word per cell describes what starts there: its lap, its
 * length in cells, and whether it is reserved, published or padding. Control words are separate
 * from the data, so no payload can look like a header.
 *
 * Writers (PA_SIGNAL): reserve -> fill -> publish. Reservation is a compare-exchange on the tail;
 * the loop ends since a failure means that another writer succeeded. Read the event's timestamp
 * before the reservation; the reader gets records in slot order, which is causal order.
 *
 * Context: as marked. No lock.
 * Full: reserve returns NULL. The caller decides (drop and count, or pa_ring_wait_room in PA_APP).
 * A slot that is reserved and never published (its writer left by siglongjmp, or does not exist
 * after fork) is skipped after a time limit of the reader, and counted.
 *
 * | may run together        | reserve/publish | read/release |
 * | reserve/publish         | yes             | yes          |
 * | read/release            | yes             | no: 1 reader |
 */
#ifndef PA_RING_H
#define PA_RING_H

#include "../base/atomic.h"
#include "../base/base.h"

#define PA_RING_CELL_BYTES 64

struct pa_ring;

/* The ring, or NULL when there is no memory. bytes: power of two, 64k..1G. */
PA_BOOT struct pa_ring *pa_ring_create(size_t bytes);

/* Functions around each system call that wakes the reader or waits for it; PA_SIGNAL. begin: false
 * when the calling thread may make no system call; end is not called then. */
PA_BOOT void pa_ring_set_call_hooks(struct pa_ring *ring, bool (*begin)(void), void (*end)(void));

/*
 * Room for one record of at most max_bytes (not 0), 64-byte aligned. NULL when the ring is full.
 * The bytes are not zeroed.
 */
PA_SIGNAL void *pa_ring_reserve(struct pa_ring *ring, size_t max_bytes);

/*
 * Makes the record visible with its final size (<= reserved; the rest is freed). used_bytes 0:
 * drops the record.
 */
PA_SIGNAL void pa_ring_publish(struct pa_ring *ring, void *record, size_t reserved_bytes,
	size_t used_bytes);

/*
 * Waits until a record of max_bytes may fit, or timeout_ns; returns at once without a live reader.
 * True: try again. Not in a signal handler.
 */
PA_APP bool pa_ring_wait_room(struct pa_ring *ring, size_t max_bytes, int64_t timeout_ns);

/*
 * The next published record in slot order; NULL: none now. *bytes = its size rounded up to cells.
 * Valid until pa_ring_release. The reader must validate it: a writer that was stopped for longer
 * than the skip limit may still write into it.
 */
PA_AGENT const void *pa_ring_read(struct pa_ring *ring, size_t *bytes);
PA_AGENT void pa_ring_release(struct pa_ring *ring);

/* Overwrites the current record from that byte on, before its release: the program may rely on
 * wiping the stack memory that was copied. */
PA_AGENT void pa_ring_wipe(struct pa_ring *ring, size_t from_bytes);

/* Sleeps until the ring is a quarter full, pa_ring_kick is called, or timeout_ns have passed. */
PA_AGENT void pa_ring_wait_data(struct pa_ring *ring, int64_t timeout_ns);
PA_SIGNAL void pa_ring_kick(struct pa_ring *ring);

/* Shortens the sleep of the reader, which is up to a second otherwise. */
PA_SIGNAL void pa_ring_wake_soon(struct pa_ring *ring);

/* Position behind everything reserved so far; and whether the reader has passed position. */
PA_SIGNAL uint64_t pa_ring_tail(const struct pa_ring *ring);
PA_AGENT bool pa_ring_passed(const struct pa_ring *ring, uint64_t position);

/* The reader has processed all records that it released so far. */
PA_AGENT void pa_ring_done(struct pa_ring *ring);

/*
 * Waits until all before that position of pa_ring_tail is processed, timeout_ns at most; returns at
 * once without a live reader. True when it is. Not in a signal handler.
 */
PA_APP bool pa_ring_wait_done(struct pa_ring *ring, uint64_t position, int64_t timeout_ns);

/* alive: the reader runs or is certain to start (writers may wait for it); else it has ended. */
PA_APP void pa_ring_reader(struct pa_ring *ring, bool alive);

/* False: no reader has read from the ring yet. */
PA_SIGNAL bool pa_ring_was_read(const struct pa_ring *ring);

/* In a forked child: neither the writers of unpublished slots nor the reader exist. Published
 * records remain to be read. reader_expected: a reader will start. */
PA_BOOT void pa_ring_atfork_child(struct pa_ring *ring, bool reader_expected);

/* Statistics only. */
struct pa_ring_stats {
	size_t size_bytes;
	size_t used_bytes;
	uint64_t skipped; /* skipped slots */
	uint64_t waits;   /* number of times a writer waited for room */
};
PA_SIGNAL struct pa_ring_stats pa_ring_stats(const struct pa_ring *ring);

#endif
