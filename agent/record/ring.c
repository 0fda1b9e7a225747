#include "ring.h"

#include <string.h>
#include <sys/mman.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/seat.h"

#include "../base/banned.h"

#define CELL PA_RING_CELL_BYTES

/*
 * Control word of the cell where a record starts: position (in cells, counted from the creation of
 * the ring) | length in cells | state. A word whose position is not the one asked for is left over
 * from an earlier lap.
 */
enum state { FREE, RESERVED, PUBLISHING, PUBLISHED, PADDING };
enum { STATE_BITS = 3, LENGTH_BITS = 25 };
#define LENGTH_MASK ((1u << LENGTH_BITS) - 1)

/* A slot is given up after the reader has met it this often, this far apart, for this long. */
#define SKIP_MEETINGS 8
#define SKIP_APART_NS (100 * PA_NS_PER_MS)
#define SKIP_AFTER_NS (2 * PA_NS_PER_S)
/* How long the reader sleeps when the next slot is not published yet. */
#define STUCK_SLEEP_NS (20 * PA_NS_PER_MS)

struct pa_ring {
	/* constant after creation */
	size_t bytes;      /* mapped in all */
	uint64_t cells;    /* power of two */
	char *data;        /* cells * CELL bytes */
	/* Around system calls of the program's threads; NULL: all may make them. */
	bool (*begin_calls)(void);
	void (*end_calls)(void);
	PA_ATOMIC(uint64_t) *control; /* one word a cell: release in publish, acquire in read */

	/* writers */
	PA_ATOMIC(uint64_t) tail __attribute__((aligned(PA_CACHE_LINE))); /* acq_rel by CAS */
	PA_ATOMIC(uint32_t) bell;    /* futex of the reader: 1 = come */
	PA_ATOMIC(uint32_t) room;    /* futex of waiting writers: bumped when cells were freed */
	PA_ATOMIC(uint32_t) waiting; /* writers in pa_ring_wait_room */
	PA_ATOMIC(uint64_t) waits;   /* statistics only */

	/* reader; head: release in release_cells, acquire in reserve */
	PA_ATOMIC(uint64_t) head __attribute__((aligned(PA_CACHE_LINE)));
	PA_ATOMIC(uint32_t) reader_alive; /* relaxed: a hint for waiting writers */
	PA_ATOMIC(uint64_t) skipped;      /* statistics only */
	PA_ATOMIC(uint64_t) done;         /* dealt with up to here: release / acquire */
	PA_ATOMIC(uint32_t) done_turn;    /* futex of pa_ring_wait_done */
	PA_ATOMIC(uint32_t) done_waiting; /* threads in it */
	uint64_t current_cells; /* length of the record handed out, 0 = none */
	uint64_t orphans_until; /* slots below have no living writer (fork) */
	uint64_t slept_at;      /* head when the reader last went to sleep */
	uint64_t stuck_at;      /* head that is not published */
	int64_t stuck_since_ns, stuck_met_ns;
	unsigned stuck_meetings;
};

PA_INLINE uint64_t control_word(uint64_t position, uint64_t length, enum state state)
{
	return position << (STATE_BITS + LENGTH_BITS) | length << STATE_BITS | state;
}

PA_INLINE enum state state_of(uint64_t word)
{
	return word & ((1u << STATE_BITS) - 1);
}

PA_INLINE uint64_t length_of(uint64_t word)
{
	return word >> STATE_BITS & LENGTH_MASK;
}

/* The low bits of the position that a control word has room for. */
PA_INLINE bool is_at(uint64_t word, uint64_t position)
{
	return state_of(word) != FREE &&
		(word ^ control_word(position, 0, FREE)) >> (STATE_BITS + LENGTH_BITS) == 0;
}

PA_INLINE PA_ATOMIC(uint64_t) *control_at(const struct pa_ring *ring, uint64_t position)
{
	return &ring->control[position & (ring->cells - 1)];
}

PA_INLINE uint64_t cells_of(size_t bytes)
{
	return (bytes + CELL - 1) / CELL;
}

/* False: the calling thread may make no system calls. Else the end is to be told. */
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
	char *memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	/* Copies of stacks do not belong in core dumps that have none otherwise: madvise(2). */
	madvise(memory, mapped, MADV_DONTDUMP);
	struct pa_ring *ring = (struct pa_ring *)memory;
	ring->bytes = mapped;
	ring->cells = cells;
	ring->control = (void *)(memory + header);
	ring->data = memory + header + control;
	return ring;
}

/* Cells up to the end of the memory when a record of n does not fit there, else 0. */
PA_INLINE uint64_t padding_for(const struct pa_ring *ring, uint64_t position, uint64_t n)
{
	uint64_t left = ring->cells - (position & (ring->cells - 1));
	return n > left ? left : 0;
}

void *pa_ring_reserve(struct pa_ring *ring, size_t max_bytes)
{
	uint64_t n = cells_of(max_bytes);
	uint64_t tail = pa_load_relaxed(&ring->tail);
	uint64_t pad;
	/* Ends: a failed exchange means that another writer's went through, or a shrink did. */
	do {
		pad = padding_for(ring, tail, n);
		if (tail + pad + n - pa_load_acquire(&ring->head) > ring->cells)
			return NULL;
	} while (!pa_cas_acq_rel(&ring->tail, &tail, tail + pad + n));

	if (pad)
		pa_store_release(control_at(ring, tail), control_word(tail, pad, PADDING));
	uint64_t first = tail + pad;
	pa_store_release(control_at(ring, first), control_word(first, n, RESERVED));
	return ring->data + (first & (ring->cells - 1)) * CELL;
}

/* Gives cells [position + used, position + length) back, as free tail or as padding. */
static void shrink(struct pa_ring *ring, uint64_t position, uint64_t length, uint64_t used)
{
	uint64_t end = position + length;
	if (pa_cas_acq_rel(&ring->tail, &end, position + used))
		return;
	uint64_t rest = position + used;
	pa_store_release(control_at(ring, rest), control_word(rest, length - used, PADDING));
}

PA_INLINE bool is_quarter_full(const struct pa_ring *ring)
{
	return pa_load_relaxed(&ring->tail) - pa_load_relaxed(&ring->head) >= ring->cells / 4;
}

/* Apart, since it calls: what publishes saves no registers for it. */
static PA_NOINLINE void wake_reader(struct pa_ring *ring)
{
	if (pa_load_relaxed(&ring->bell) || !begin_calls(ring))
		return;
	pa_ring_kick(ring);
	end_calls(ring);
}

void pa_ring_publish(struct pa_ring *ring, void *record, size_t reserved_bytes, size_t used_bytes)
{
	uint64_t index = (uint64_t)((char *)record - ring->data) / CELL;
	PA_ATOMIC(uint64_t) *control = &ring->control[index];
	uint64_t length = cells_of(reserved_bytes);
	uint64_t used = cells_of(used_bytes);
	uint64_t word = pa_load_relaxed(control);
	uint64_t publishing = (word & ~(uint64_t)((1u << STATE_BITS) - 1)) | PUBLISHING;

	/* Not RESERVED any more: the reader gave this slot up, somebody else may own it by now. */
	if (state_of(word) != RESERVED || !pa_cas_acq_rel(control, &word, publishing))
		return;
	/* The full position, from the low bits in the word and the tail, which is less than a
	 * lap ahead. */
	uint64_t tail = pa_load_relaxed(&ring->tail);
	uint64_t position = tail - ((tail - index) & (ring->cells - 1));
	if (position == tail)
		position -= ring->cells;
	enum state state = used ? PUBLISHED : PADDING;
	if (!used)
		used = length;
	if (used < length)
		shrink(ring, position, length, used);
	pa_store_release(control, control_word(position, used, state));

	if (pa_unlikely(is_quarter_full(ring)))
		wake_reader(ring);
}

/* Room for n cells and then some: a writer that is woken for one cell at a time only waits again.
 */
PA_INLINE bool has_room(const struct pa_ring *ring, uint64_t n)
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
		room = has_room(ring, n);
		if (room || left_ns <= 0 || !pa_load_relaxed(&ring->reader_alive) ||
		    !begin_calls(ring))
			break;
		pa_ring_kick(ring);
		pa_futex_wait(&ring->room, seen, left_ns);
		end_calls(ring);
	}
	pa_add_acq_rel(&ring->waiting, -1u);
	/* What it saw: another writer may have taken it by now, but the wait was not in vain. */
	return room;
}

static void release_cells(struct pa_ring *ring, uint64_t count)
{
	pa_store_release(&ring->head, pa_load_relaxed(&ring->head) + count);
	if (pa_unlikely(pa_load_acquire(&ring->waiting)) && has_room(ring, 1)) {
		pa_add_acq_rel(&ring->room, 1);
		pa_futex_wake(&ring->room, INT32_MAX);
	}
}

/* True when the slot at head has been unpublished for long enough of the reader's own time: a
 * process that was stopped meanwhile does not count. */
static bool is_given_up(struct pa_ring *ring, uint64_t head)
{
	int64_t now_ns = pa_clock_mono_ns();
	if (head < ring->orphans_until)
		return true;
	if (ring->stuck_at != head || !ring->stuck_meetings) {
		ring->stuck_at = head;
		ring->stuck_since_ns = ring->stuck_met_ns = now_ns;
		ring->stuck_meetings = 1;
	} else if (now_ns - ring->stuck_met_ns >= SKIP_APART_NS) {
		ring->stuck_met_ns = now_ns;
		ring->stuck_meetings++;
	}
	return ring->stuck_meetings >= SKIP_MEETINGS &&
		now_ns - ring->stuck_since_ns >= SKIP_AFTER_NS;
}

/* Cells from head to the next slot that somebody marked: its writer died before its own mark. */
static uint64_t unmarked_cells(const struct pa_ring *ring, uint64_t head, uint64_t tail)
{
	uint64_t next = head + 1;
	while (next < tail && !is_at(pa_load_acquire(control_at(ring, next)), next))
		next++;
	return next - head;
}

/* Passes the unpublished slot at head when its time is over. False: not yet. */
static bool skip(struct pa_ring *ring, uint64_t head, uint64_t word, uint64_t tail)
{
	if (!is_given_up(ring, head))
		return false;
	uint64_t length = is_at(word, head) ? length_of(word) : unmarked_cells(ring, head, tail);
	uint64_t dead = control_word(head, length, FREE);
	if (!pa_cas_acq_rel(control_at(ring, head), &word, dead))
		return true; /* published at the last moment: read it */
	ring->stuck_meetings = 0;
	pa_add_relaxed(&ring->skipped, 1);
	release_cells(ring, length);
	return true;
}

const void *pa_ring_read(struct pa_ring *ring, size_t *bytes)
{
	/* Ends: every turn either returns or moves head towards the tail seen at its start. */
	for (;;) {
		uint64_t head = pa_load_relaxed(&ring->head);
		uint64_t tail = pa_load_acquire(&ring->tail);
		if (head == tail)
			return NULL;
		uint64_t word = pa_load_acquire(control_at(ring, head));
		bool here = is_at(word, head);
		if (here && state_of(word) == PUBLISHED) {
			ring->current_cells = length_of(word);
			*bytes = ring->current_cells * CELL;
			return ring->data + (head & (ring->cells - 1)) * CELL;
		}
		if (here && state_of(word) == PADDING)
			release_cells(ring, length_of(word));
		else if (!skip(ring, head, word, tail))
			return NULL;
	}
}

void pa_ring_release(struct pa_ring *ring)
{
	release_cells(ring, ring->current_cells);
	ring->current_cells = 0;
}

void pa_ring_wipe(struct pa_ring *ring, size_t from_bytes)
{
	size_t bytes = ring->current_cells * CELL;
	char *record = ring->data + (pa_load_relaxed(&ring->head) & (ring->cells - 1)) * CELL;
	if (from_bytes < bytes)
		explicit_bzero(record + from_bytes, bytes - from_bytes);
}

void pa_ring_done(struct pa_ring *ring)
{
	pa_store_release(&ring->done, pa_load_relaxed(&ring->head));
	pa_fence_full(); /* against a waiter that counts itself and then looks at done */
	if (pa_likely(!pa_load_relaxed(&ring->done_waiting)))
		return;
	pa_add_acq_rel(&ring->done_turn, 1);
	pa_futex_wake(&ring->done_turn, INT32_MAX);
}

/* The tail may have shrunk below position since: then empty is as far as it gets. */
PA_INLINE bool is_done(const struct pa_ring *ring, uint64_t position)
{
	uint64_t done = pa_load_acquire(&ring->done);
	return done >= position || done == pa_load_acquire(&ring->tail);
}

bool pa_ring_wait_done(struct pa_ring *ring, int64_t timeout_ns)
{
	uint64_t position = pa_load_acquire(&ring->tail);
	if (is_done(ring, position))
		return true;
	int64_t until_ns = pa_clock_mono_ns() + timeout_ns;
	pa_add_acq_rel(&ring->done_waiting, 1);
	pa_fence_full();
	bool done;
	/* Ends: at until_ns. */
	for (;;) {
		uint32_t seen = pa_load_acquire(&ring->done_turn);
		int64_t left_ns = until_ns - pa_clock_mono_ns();
		done = is_done(ring, position);
		if (done || left_ns <= 0 || !pa_load_relaxed(&ring->reader_alive) ||
		    pa_seat_must_go() || !begin_calls(ring))
			break;
		pa_ring_kick(ring);
		pa_futex_wait(&ring->done_turn, seen, left_ns);
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
	pa_futex_wait(&ring->bell, 0, timeout_ns);
	pa_store_release(&ring->bell, 0);
}

void pa_ring_ask_writers(struct pa_ring *ring, bool (*begin)(void), void (*end)(void))
{
	ring->begin_calls = begin;
	ring->end_calls = end;
}

void pa_ring_kick(struct pa_ring *ring)
{
	pa_store_release(&ring->bell, 1);
	pa_futex_wake(&ring->bell, 1);
}

void pa_ring_hurry(struct pa_ring *ring)
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
	/* The tail may have shrunk below position since: then empty is as far as it gets. */
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
	pa_add_acq_rel(&ring->done_turn, 1);
	pa_futex_wake(&ring->done_turn, INT32_MAX);
	end_calls(ring);
}

void pa_ring_atfork_child(struct pa_ring *ring, bool reader_comes)
{
	uint64_t tail = pa_load_relaxed(&ring->tail);
	if (tail != pa_load_relaxed(&ring->head))
		ring->orphans_until = tail;
	if (ring->current_cells)
		ring->current_cells = 0;
	if (ring->stuck_meetings)
		ring->stuck_meetings = 0;
	pa_reset(&ring->reader_alive, reader_comes);
	pa_reset(&ring->waiting, 0);
	pa_reset(&ring->done_waiting, 0);
	pa_reset(&ring->bell, 0);
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
