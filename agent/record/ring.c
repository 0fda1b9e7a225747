/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

#include <string.h>
#include <sys/mman.h>

#include "../arch/arch.h"
#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/thread_slot.h"
#include "ring_word.h"

#include "../base/banned.h"

#define CELL PA_RING_CELL_BYTES

/* The reader skips a slot after this many checks, this far apart, over this time. */
#define SKIP_CHECKS 8
#define SKIP_APART_NS (100 * PA_NS_PER_MS)
#define SKIP_AFTER_NS (2 * PA_NS_PER_S)
/* Sleep of the reader when the next slot is not published yet. */
#define STUCK_SLEEP_NS (20 * PA_NS_PER_MS)

struct pa_ring {
	/* constant after creation */
	size_t bytes;   /* mapped in all */
	uint64_t cells; /* power of two */
	char *data;     /* cells * CELL bytes */
	/* Around system calls on the program's threads; NULL: all are allowed. */
	bool (*begin_calls)(void);
	void (*end_calls)(void);
	PA_ATOMIC(uint64_t) *control; /* one word a cell: release in publish, acquire in read */

	/* Writers. The reader and they keep what they last saw of each other's position: the two
	 * lines move between processors once a batch, not once a record. */
	PA_ATOMIC(uint64_t) tail __attribute__((aligned(PA_CACHE_LINE))); /* acq_rel by CAS */
	PA_ATOMIC(uint64_t) head_seen;   /* head at some time before: release / acquire */
	PA_ATOMIC(uint32_t) reader_wake; /* futex of the reader: 1 = wake */

	/* writers that wait, which is rare: read by the reader at each release */
	PA_ATOMIC(uint32_t) waiting __attribute__((aligned(PA_CACHE_LINE))); /* in wait_room */
	PA_ATOMIC(uint32_t) room;  /* their futex: incremented when cells are freed */
	PA_ATOMIC(uint64_t) waits; /* statistics only */

	/* reader; head: release in release_cells, acquire in reserve */
	PA_ATOMIC(uint64_t) head __attribute__((aligned(PA_CACHE_LINE)));
	PA_ATOMIC(uint32_t) reader_alive;  /* relaxed: a hint for waiting writers */
	PA_ATOMIC(uint64_t) skipped;       /* statistics only */
	PA_ATOMIC(uint64_t) done;          /* processed up to here: release / acquire */
	PA_ATOMIC(uint32_t) done_sequence; /* futex of pa_ring_wait_done */
	PA_ATOMIC(uint32_t) done_waiting;  /* threads in it */
	uint64_t tail_seen;                /* tail at some time before; may since have shrunk */
	uint64_t unsure_until;             /* below, words behind the tail may look valid */
	uint64_t current_cells;            /* length of the record handed out, 0 = none */
	uint64_t abandoned_until;          /* slots below have no living writer (after fork) */
	uint64_t slept_at;                 /* head at the reader's last sleep */
	uint64_t stuck_at;                 /* head of an unpublished slot */
	int64_t stuck_since_ns, stuck_checked_ns;
	unsigned stuck_checks;
};

PA_INLINE PA_ATOMIC(uint64_t) *control_word_at(const struct pa_ring *ring, uint64_t position)
{
	PA_ASSERT(ring->cells && !(ring->cells & (ring->cells - 1)));
	return &ring->control[position & (ring->cells - 1)];
}

PA_INLINE uint64_t cells_of(size_t bytes)
{
	return (bytes + CELL - 1) / CELL;
}

/* False: the calling thread may make no system calls. Else call end_calls. */
static inline bool begin_calls(const struct pa_ring *ring)
{
	return !ring->begin_calls || ring->begin_calls();
}

static inline void end_calls(const struct pa_ring *ring)
{
	if (ring->end_calls)
		ring->end_calls();
}

struct pa_ring *pa_ring_create(size_t bytes)
{
	uint64_t cells = bytes / CELL;
	size_t header = PA_ALIGN_UP(sizeof(struct pa_ring), PA_PAGE_BYTES);
	size_t control = PA_ALIGN_UP(cells * sizeof(uint64_t), PA_PAGE_BYTES);
	size_t mapped = header + control + bytes;
	char *memory = pa_map_table(mapped);
	if (!memory)
		return NULL;
	/* Copies of stacks must not get into core dumps that exclude stacks: madvise(2). */
	madvise(memory, mapped, MADV_DONTDUMP);
	struct pa_ring *ring = (struct pa_ring *)memory;
	ring->bytes = mapped;
	ring->cells = cells;
	ring->control = (void *)(memory + header);
	ring->data = memory + header + control;
	return ring;
}

/* Cells to the end of the memory when n cells do not fit there, else 0. */
PA_INLINE uint64_t padding_for(const struct pa_ring *ring, uint64_t position, uint64_t n)
{
	PA_ASSERT(n && n <= ring->cells);
	uint64_t left = ring->cells - (position & (ring->cells - 1));
	return n > left ? left : 0;
}

/* Of two writers the one with the older head may store last: that is safe, only less room. */
static PA_NOINLINE uint64_t look_at_head(struct pa_ring *ring)
{
	uint64_t head = pa_load_acquire(&ring->head);
	pa_store_release(&ring->head_seen, head);
	return head;
}

/* An end before head is of an old tail, which the exchange will not find. */
PA_INLINE bool is_in_lap(const struct pa_ring *ring, uint64_t head, uint64_t end)
{
	return (int64_t)(end - head) <= (int64_t)ring->cells;
}

void *pa_ring_reserve(struct pa_ring *ring, size_t max_bytes)
{
	uint64_t n = cells_of(max_bytes);
	uint64_t tail = pa_load_relaxed(&ring->tail);
	uint64_t pad;
	/* Ends: the exchange fails only when that of another writer, or a shrink, succeeds. */
	do {
		pad = padding_for(ring, tail, n);
		uint64_t end = tail + pad + n;
		if (pa_unlikely(!is_in_lap(ring, pa_load_acquire(&ring->head_seen), end)) &&
			!is_in_lap(ring, look_at_head(ring), end))
			return NULL;
	} while (!pa_cas_acq_rel(&ring->tail, &tail, tail + pad + n));

	if (pad)
		pa_store_release(control_word_at(ring, tail),
			pa_ring_word(tail, pad, PA_RING_WORD_PADDING));
	uint64_t first = tail + pad;
	PA_ASSERT((first & (ring->cells - 1)) + n <= ring->cells);
	pa_store_release(control_word_at(ring, first),
		pa_ring_word(first, n, PA_RING_WORD_RESERVED));
	return ring->data + (first & (ring->cells - 1)) * CELL;
}

/* Returns cells [position + used, position + length), as free tail or as padding. */
static void shrink_reserved(struct pa_ring *ring, uint64_t position, uint64_t length, uint64_t used)
{
	PA_ASSERT(used && used < length);
	uint64_t end = position + length;
	if (pa_cas_acq_rel(&ring->tail, &end, position + used))
		return;
	uint64_t rest = position + used;
	pa_store_release(control_word_at(ring, rest),
		pa_ring_word(rest, length - used, PA_RING_WORD_PADDING));
}

PA_INLINE bool is_quarter_full(const struct pa_ring *ring)
{
	return pa_load_relaxed(&ring->tail) - pa_load_relaxed(&ring->head) >= ring->cells / 4;
}

static void wake_reader(struct pa_ring *ring)
{
	if (pa_load_relaxed(&ring->reader_wake) || !begin_calls(ring))
		return;
	pa_ring_kick(ring);
	end_calls(ring);
}

/* Out of line: publish then saves no registers for the call. */
static PA_NOINLINE void wake_at_quarter(struct pa_ring *ring)
{
	if (pa_load_relaxed(&ring->reader_wake))
		return;
	look_at_head(ring);
	if (is_quarter_full(ring))
		wake_reader(ring);
}

void pa_ring_publish(struct pa_ring *ring, void *record, size_t reserved_bytes, size_t used_bytes)
{
	PA_ASSERT(used_bytes <= reserved_bytes);
	uint64_t index = (uint64_t)((char *)record - ring->data) / CELL;
	PA_ASSERT(index < ring->cells);
	PA_ATOMIC(uint64_t) *control = &ring->control[index];
	uint64_t length = cells_of(reserved_bytes);
	uint64_t used = cells_of(used_bytes);
	uint64_t word = pa_load_relaxed(control);
	uint64_t publishing = pa_ring_word_with(word, PA_RING_WORD_PUBLISHING);

	/* Not reserved any more: the reader skipped it, and another writer may own it. */
	if (pa_ring_word_state(word) != PA_RING_WORD_RESERVED ||
		!pa_cas_acq_rel(control, &word, publishing))
		return;
	/* The full position, from the index and the tail, which is less than a lap ahead. */
	uint64_t tail = pa_load_relaxed(&ring->tail);
	uint64_t position = tail - ((tail - index) & (ring->cells - 1));
	if (position == tail)
		position -= ring->cells;
	PA_ASSERT((position & (ring->cells - 1)) == index);
	enum pa_ring_word_state state = used ? PA_RING_WORD_PUBLISHED : PA_RING_WORD_PADDING;
	if (!used)
		used = length;
	if (used < length)
		shrink_reserved(ring, position, length, used);
	pa_store_release(control, pa_ring_word(position, used, state));

	if (pa_unlikely(tail - pa_load_relaxed(&ring->head_seen) >= ring->cells / 4))
		wake_at_quarter(ring);
}

/* Room for n cells and a margin: a writer woken for single cells would only wait again. */
PA_INLINE bool has_ring_room(const struct pa_ring *ring, uint64_t n)
{
	uint64_t used = pa_load_relaxed(&ring->tail) - pa_load_acquire(&ring->head);
	return used + n <= ring->cells / 2;
}

bool pa_ring_wait_room(struct pa_ring *ring, size_t max_bytes, int64_t timeout_ns)
{
	uint64_t n = cells_of(max_bytes);
	if (n > ring->cells / 2 || !pa_load_relaxed(&ring->reader_alive))
		return false;
	int64_t until_ns = pa_clock_mono_ns() + timeout_ns;
	pa_add_relaxed(&ring->waits, 1);
	pa_add_acq_rel(&ring->waiting, 1);
	bool room;
	/* Ends: at until_ns. */
	for (;;) {
		uint32_t seen = pa_load_acquire(&ring->room);
		int64_t left_ns = until_ns - pa_clock_mono_ns();
		room = has_ring_room(ring, n);
		if (room || left_ns <= 0 || !pa_load_relaxed(&ring->reader_alive) ||
			!begin_calls(ring))
			break;
		pa_ring_kick(ring);
		pa_futex_wait(&ring->room, seen, left_ns);
		end_calls(ring);
	}
	pa_add_acq_rel(&ring->waiting, -1u);
	/* A snapshot: another writer may have taken the room, but a retry makes sense. */
	return room;
}

static void release_cells(struct pa_ring *ring, uint64_t count)
{
	PA_ASSERT(count && count <= ring->cells);
	PA_ASSERT(pa_load_relaxed(&ring->head) + count <= pa_load_acquire(&ring->tail));
	pa_store_release(&ring->head, pa_load_relaxed(&ring->head) + count);
	if (pa_unlikely(pa_load_acquire(&ring->waiting)) && has_ring_room(ring, 1)) {
		pa_add_acq_rel(&ring->room, 1);
		pa_futex_wake(&ring->room, INT32_MAX);
	}
}

/* True when the slot at head has been unpublished for long enough, in time that the reader ran:
 * time in which the process was stopped does not count. */
static bool is_event_given_up(struct pa_ring *ring, uint64_t head)
{
	int64_t now_ns = pa_clock_mono_ns();
	if (head < ring->abandoned_until)
		return true;
	if (ring->stuck_at != head || !ring->stuck_checks) {
		ring->stuck_at = head;
		ring->stuck_since_ns = ring->stuck_checked_ns = now_ns;
		ring->stuck_checks = 1;
	} else if (now_ns - ring->stuck_checked_ns >= SKIP_APART_NS) {
		ring->stuck_checked_ns = now_ns;
		ring->stuck_checks++;
	}
	return ring->stuck_checks >= SKIP_CHECKS && now_ns - ring->stuck_since_ns >= SKIP_AFTER_NS;
}

/* Cells from head to the next marked slot: the writer ended before it marked its slot. */
static uint64_t unmarked_cells(const struct pa_ring *ring, uint64_t head, uint64_t tail)
{
	PA_ASSERT(head < tail);
	uint64_t next = head + 1;
	while (next < tail &&
		!pa_ring_word_is_at(pa_load_acquire(control_word_at(ring, next)), next))
		next++;
	return next - head;
}

/*
 * Cells of the unpublished slot at head. A writer that returns cells lowers the tail before it
 * marks its slot with the new length. If it ends in between, or the process is copied, the old
 * length is left, which reaches into other slots or beyond the tail.
 */
static uint64_t unpublished_cells(const struct pa_ring *ring, uint64_t head, uint64_t word,
	uint64_t tail)
{
	uint64_t cells = unmarked_cells(ring, head, tail);
	uint64_t marked = pa_ring_word_is_at(word, head) ? pa_ring_word_length(word) : 0;
	return marked && marked < cells ? marked : cells;
}

/* Skips the unpublished slot at head after the time limit. False: not yet. */
static bool skip_given_up(struct pa_ring *ring, uint64_t head, uint64_t word, uint64_t tail)
{
	if (!is_event_given_up(ring, head))
		return false;
	uint64_t length = unpublished_cells(ring, head, word, tail);
	PA_ASSERT(length && head + length <= tail);
	uint64_t dead = pa_ring_word(head, length, PA_RING_WORD_FREE);
	if (!pa_cas_acq_rel(control_word_at(ring, head), &word, dead))
		return true; /* published at the last moment: read it */
	ring->stuck_checks = 0;
	pa_add_relaxed(&ring->skipped, 1);
	release_cells(ring, length);
	return true;
}

/* True when there are slots at head, published or not. */
static bool has_slots(struct pa_ring *ring, uint64_t head)
{
	ring->tail_seen = pa_load_acquire(&ring->tail);
	return head != ring->tail_seen;
}

const void *pa_ring_read(struct pa_ring *ring, size_t *bytes)
{
	PA_ASSERT(!ring->current_cells);
	/* Ends: each iteration returns or moves head towards the tail seen at its start. */
	for (;;) {
		uint64_t head = pa_load_relaxed(&ring->head);
		/* Beyond, when the tail shrank and slots were taken over its old place. */
		bool unknown = head >= ring->tail_seen || pa_unlikely(head < ring->unsure_until);
		if (unknown && !has_slots(ring, head))
			return NULL;
		uint64_t word = pa_load_acquire(control_word_at(ring, head));
		bool here = pa_ring_word_is_at(word, head);
		if (here && pa_ring_word_state(word) == PA_RING_WORD_PUBLISHED) {
			ring->current_cells = pa_ring_word_length(word);
			PA_ASSERT(ring->current_cells);
			*bytes = ring->current_cells * CELL;
			return ring->data + (head & (ring->cells - 1)) * CELL;
		}
		if (here && pa_ring_word_state(word) == PA_RING_WORD_PADDING)
			release_cells(ring, pa_ring_word_length(word));
		else if (!has_slots(ring, head) ||
			!skip_given_up(ring, head, word, ring->tail_seen))
			return NULL;
	}
}

void pa_ring_release(struct pa_ring *ring)
{
	PA_ASSERT(ring->current_cells);
	release_cells(ring, ring->current_cells);
	ring->current_cells = 0;
}

void pa_ring_wipe(struct pa_ring *ring, size_t from_bytes)
{
	PA_ASSERT(ring->current_cells);
	size_t bytes = ring->current_cells * CELL;
	char *record = ring->data + (pa_load_relaxed(&ring->head) & (ring->cells - 1)) * CELL;
	if (from_bytes < bytes)
		explicit_bzero(record + from_bytes, bytes - from_bytes);
}

void pa_ring_done(struct pa_ring *ring)
{
	PA_ASSERT(pa_load_relaxed(&ring->done) <= pa_load_relaxed(&ring->head));
	pa_store_release(&ring->done, pa_load_relaxed(&ring->head));
	pa_fence_full(); /* pairs with a waiter that increments done_waiting and then reads done */
	if (pa_likely(!pa_load_relaxed(&ring->done_waiting)))
		return;
	pa_add_acq_rel(&ring->done_sequence, 1);
	pa_futex_wake(&ring->done_sequence, INT32_MAX);
}

/* A shrink may have moved the tail below position: then an empty ring counts as done. */
PA_INLINE bool is_done(const struct pa_ring *ring, uint64_t position)
{
	uint64_t done = pa_load_acquire(&ring->done);
	return done >= position || done == pa_load_acquire(&ring->tail);
}

bool pa_ring_wait_done(struct pa_ring *ring, uint64_t position, int64_t timeout_ns)
{
	if (is_done(ring, position))
		return true;
	int64_t until_ns = pa_clock_mono_ns() + timeout_ns;
	pa_add_acq_rel(&ring->done_waiting, 1);
	pa_fence_full();
	bool done;
	/* Ends: at until_ns. */
	for (;;) {
		uint32_t seen = pa_load_acquire(&ring->done_sequence);
		int64_t left_ns = until_ns - pa_clock_mono_ns();
		done = is_done(ring, position);
		if (done || left_ns <= 0 || !pa_load_relaxed(&ring->reader_alive) ||
			pa_thread_slot_must_end() || !begin_calls(ring))
			break;
		pa_ring_kick(ring);
		pa_futex_wait(&ring->done_sequence, seen, left_ns);
		end_calls(ring);
	}
	pa_add_acq_rel(&ring->done_waiting, -1u);
	return done;
}

void pa_ring_wait_data(struct pa_ring *ring, int64_t timeout_ns)
{
	uint64_t head = pa_load_relaxed(&ring->head);
	bool stuck = head == ring->slept_at && head != pa_load_acquire(&ring->tail);
	ring->slept_at = head;
	if (stuck && (timeout_ns < 0 || timeout_ns > STUCK_SLEEP_NS))
		timeout_ns = STUCK_SLEEP_NS;
	if (!stuck && is_quarter_full(ring))
		return;
	pa_futex_wait(&ring->reader_wake, 0, timeout_ns);
	pa_store_release(&ring->reader_wake, 0);
}

void pa_ring_set_call_hooks(struct pa_ring *ring, bool (*begin)(void), void (*end)(void))
{
	PA_ASSERT(!begin == !end);
	ring->begin_calls = begin;
	ring->end_calls = end;
}

void pa_ring_kick(struct pa_ring *ring)
{
	pa_store_release(&ring->reader_wake, 1);
	pa_futex_wake(&ring->reader_wake, 1);
}

void pa_ring_wake_soon(struct pa_ring *ring)
{
	if (pa_ring_was_read(ring))
		wake_reader(ring);
}

uint64_t pa_ring_tail(const struct pa_ring *ring)
{
	return pa_load_acquire(&ring->tail);
}

bool pa_ring_passed(const struct pa_ring *ring, uint64_t position)
{
	uint64_t head = pa_load_relaxed(&ring->head);
	/* A shrink may have moved the tail below position: then an empty ring counts as passed. */
	return head >= position || head == pa_load_acquire(&ring->tail);
}

bool pa_ring_was_read(const struct pa_ring *ring)
{
	return pa_load_relaxed(&ring->head) != 0;
}

void pa_ring_reader(struct pa_ring *ring, bool alive)
{
	pa_store_relaxed(&ring->reader_alive, alive);
	if (alive || !begin_calls(ring))
		return;
	pa_add_acq_rel(&ring->room, 1);
	pa_futex_wake(&ring->room, INT32_MAX);
	pa_add_acq_rel(&ring->done_sequence, 1);
	pa_futex_wake(&ring->done_sequence, INT32_MAX);
	end_calls(ring);
}

void pa_ring_atfork_child(struct pa_ring *ring, bool reader_expected)
{
	uint64_t tail = pa_load_relaxed(&ring->tail);
	if (tail != pa_load_relaxed(&ring->head))
		ring->abandoned_until = tail;
	/* The pages of the copy are of different times: words may be later than the tail. */
	if (tail)
		ring->unsure_until = tail + ring->cells;
	if (ring->tail_seen)
		ring->tail_seen = 0;
	if (ring->current_cells)
		ring->current_cells = 0;
	if (ring->stuck_checks)
		ring->stuck_checks = 0;
	pa_reset(&ring->reader_alive, reader_expected);
	pa_reset(&ring->waiting, 0);
	pa_reset(&ring->done_waiting, 0);
	pa_reset(&ring->reader_wake, 0);
}

struct pa_ring_stats pa_ring_stats(const struct pa_ring *ring)
{
	return (struct pa_ring_stats){
		.size_bytes = ring->cells * CELL,
		.used_bytes = (pa_load_relaxed(&ring->tail) - pa_load_relaxed(&ring->head)) * CELL,
		.skipped = pa_load_relaxed(&ring->skipped),
		.waits = pa_load_relaxed(&ring->waits),
	};
}
