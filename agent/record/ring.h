/*
 * The shared ring: many writers in any context, one reader, fixed memory.
 *
 * Memory is cut into cells of 64 bytes; a record takes consecutive cells (it never wraps: what is
 * left at the end becomes padding). One control word per cell says what starts there: its lap, its
 * length in cells, and whether it is reserved, published or padding. Control words stand apart from
 * the data, so that no payload can look like a header.
 *
 * Writers (PA_SIGNAL): reserve -> fill -> publish. Reservation is a compare-exchange on the tail;
 * the loop ends since a failure means that another writer got through. Take the event's timestamp
 * before the reservation; the reader gets records in slot order, which is causal order.
 *
 * Full: reserve says NULL. The caller decides (drop and count, or pa_ring_wait_room in PA_APP).
 * A slot that is reserved and never published (its writer left by siglongjmp, or is a thread that
 * no longer exists after fork) is skipped after a bound of the reader's own waiting, and counted.
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

/* bytes: power of two, 64k..1G. NULL when the kernel has no memory. */
PA_BOOT struct pa_ring *pa_ring_create(size_t bytes);

/* Around each system call that wakes the reader, or waits for it; PA_SIGNAL. begin: false when the
 * calling thread may make none; then there is no end. */
PA_BOOT void pa_ring_ask_writers(struct pa_ring *ring, bool (*begin)(void), void (*end)(void));

/*
 * Room for one record of at most max_bytes (not 0), 64-byte aligned. NULL when the ring is full.
 * The bytes are not zeroed.
 */
PA_SIGNAL void *pa_ring_reserve(struct pa_ring *ring, size_t max_bytes);

/*
 * Makes the record visible, at its true size (<= what was reserved; the rest is given back).
 * used_bytes 0: the record is dropped.
 */
PA_SIGNAL void pa_ring_publish(struct pa_ring *ring, void *record, size_t reserved_bytes,
	size_t used_bytes);

/*
 * Waits until a record of max_bytes has a chance or timeout_ns is over; at once when no reader is
 * alive. True when it is worth trying again. Not in a signal handler.
 */
PA_APP bool pa_ring_wait_room(struct pa_ring *ring, size_t max_bytes, int64_t timeout_ns);

/*
 * The next published record in slot order, or NULL when there is none now. *bytes = its size
 * rounded up to cells. Valid until pa_ring_release. The reader checks what it reads: a writer that
 * was stopped for longer than the skip bound may still scribble.
 */
PA_AGENT const void *pa_ring_read(struct pa_ring *ring, size_t *bytes);
PA_AGENT void pa_ring_release(struct pa_ring *ring);

/* Overwrites the record that was read, from that byte on, before it is released: what was copied
 * from the program's stack may be something that the program wipes itself. */
PA_AGENT void pa_ring_wipe(struct pa_ring *ring, size_t from_bytes);

/* Sleeps until the ring is a quarter full, somebody calls pa_ring_kick, or timeout_ns is over. */
PA_AGENT void pa_ring_wait_data(struct pa_ring *ring, int64_t timeout_ns);
PA_SIGNAL void pa_ring_kick(struct pa_ring *ring);

/* Has a reader that has been here before come soon: it sleeps for up to a second otherwise. */
PA_SIGNAL void pa_ring_hurry(struct pa_ring *ring);

/* Position after everything reserved so far; and whether the reader has come as far as position. */
PA_SIGNAL uint64_t pa_ring_tail(const struct pa_ring *ring);
PA_AGENT bool pa_ring_passed(const struct pa_ring *ring, uint64_t position);

/* The reader has dealt with all that it released so far. */
PA_AGENT void pa_ring_done(struct pa_ring *ring);

/*
 * Waits until all that was reserved before the call has been dealt with, timeout_ns at most; at
 * once when no reader is alive. True when it has. Not in a signal handler.
 */
PA_APP bool pa_ring_wait_done(struct pa_ring *ring, int64_t timeout_ns);

/* The reader says that it is there, or surely coming (writers may wait for it), or gone. */
PA_AGENT void pa_ring_reader(struct pa_ring *ring, bool alive);

/* False: no reader has come yet. */
PA_SIGNAL bool pa_ring_was_read(const struct pa_ring *ring);

/* In a forked child: writers of unpublished slots are gone, the reader too. Published records stay
 * to be read. reader_comes: there will be one. */
PA_BOOT void pa_ring_atfork_child(struct pa_ring *ring, bool reader_comes);

/* Statistics only. */
struct pa_ring_stats {
	size_t size_bytes;
	size_t used_bytes;
	uint64_t skipped;     /* slots given up on */
	uint64_t waits;       /* times that a writer waited for room */
};
PA_SIGNAL struct pa_ring_stats pa_ring_stats(const struct pa_ring *ring);

#endif
