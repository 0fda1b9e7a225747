#include "seat.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
	struct pa_seat_table *table;
	struct pa_seat *(*find)(void);
} state;

PA_BOOT void pa_seat_boot(struct pa_seat_table *table, struct pa_seat *(*find)(void))
{
	state.table = table;
	state.find = find;
}

static struct pa_seat *own(void)
{
	return state.find ? state.find() : NULL;
}

PA_APP bool pa_seat_is_gone(const struct pa_seat *seat)
{
	int saved_errno = errno;
	int32_t tid = pa_load_acquire(&seat->tid);
	bool gone = !tid || (syscall(SYS_tgkill, getpid(), tid, 0) != 0 && errno == ESRCH);
	errno = saved_errno;
	return gone;
}

/* One that was left is free when its thread is no more; before that it shows that it is there. */
static bool is_free(const struct pa_seat *seat, bool ending)
{
	return !pa_load_acquire(&seat->tid) ||
		(pa_load_acquire(&seat->left) && (ending || pa_seat_is_gone(seat)));
}

static struct pa_seat *take(struct pa_seat_table *table, uint32_t turn, uint32_t followed,
	int32_t tid, bool ending)
{
	for (int i = 0; i < PA_SEATS; i++) {
		struct pa_seat *seat = &table->seats[i];
		int32_t before = pa_load_acquire(&seat->tid);
		if (!is_free(seat, ending) || !pa_cas_acq_rel(&seat->tid, &before, tid))
			continue;
		pa_store_release(&seat->turn, turn);
		pa_store_release(&seat->followed, followed);
		pa_store_release(&seat->word, 0);
		pa_store_release(&seat->left, 0);
		seat->held = seat->pinned = 0;
		return seat;
	}
	return NULL;
}

PA_AGENT struct pa_seat *pa_seat_take(struct pa_seat_table *table, uint32_t turn, uint32_t followed,
	int32_t tid)
{
	struct pa_seat *seat = take(table, turn, followed, tid, false);
	return seat ? seat : take(table, turn, followed, tid, true);
}

/* Others of ours may sleep in poll: the first to leave wakes them. */
static void ring_bell(void)
{
	const uint64_t one = 1;
	int bell = pa_load_acquire(&state.table->bell);
	if (bell >= 0 && write(bell, &one, sizeof(one)) < 0)
		errno = 0;
}

bool pa_seat_have_followed(void)
{
	uint32_t order = pa_load_acquire(&state.table->order);
	for (int i = 0; i < PA_SEATS; i++) {
		const struct pa_seat *seat = &state.table->seats[i];
		if (pa_load_acquire(&seat->tid) && !pa_load_acquire(&seat->left) &&
		    pa_load_acquire(&seat->followed) != order)
			return false;
	}
	return true;
}

/* The last one puts the bell away. */
static void follow(struct pa_seat *seat)
{
	uint64_t rung;
	for (uint32_t next; (next = pa_load_acquire(&seat->followed)) !=
		pa_load_acquire(&state.table->order);) {
		state.table->follow(next);
		pa_store_release(&seat->followed, next + 1);
	}
	ring_bell();
	int bell = pa_load_acquire(&state.table->bell);
	if (bell >= 0 && pa_seat_have_followed() && read(bell, &rung, sizeof(rung)) < 0)
		errno = 0;
}

static bool must_go(const struct pa_seat *seat)
{
	return pa_load_acquire(&seat->turn) != pa_load_acquire(&state.table->turn);
}

static void heed(struct pa_seat *seat)
{
	if (pa_unlikely(pa_load_acquire(&seat->followed) != pa_load_acquire(&state.table->order)))
		follow(seat);
}

static PA_NOINLINE void leave(struct pa_seat *seat)
{
	pa_store_release(&seat->word, 0);
	ring_bell();
	__builtin_longjmp(seat->way_out, 1);
}

static PA_NOINLINE void leave_hard(struct pa_seat *seat)
{
	if (!pa_load_acquire(&state.table->hard) || seat->pinned)
		return;
	pa_store_release(&state.table->torn, 1);
	leave(seat);
}

PA_APP void pa_seat_heed(void)
{
	struct pa_seat *seat = own();
	if (!seat)
		return;
	heed(seat);
	if (pa_unlikely(must_go(seat)))
		leave_hard(seat);
}

static void mind(struct pa_seat *seat)
{
	heed(seat);
	if (pa_likely(!must_go(seat)))
		return;
	if (seat->held)
		leave_hard(seat);
	else if (!seat->pinned)
		leave(seat);
}

PA_APP void pa_seat_mind(void)
{
	struct pa_seat *seat = own();
	if (seat)
		mind(seat);
}

PA_APP bool pa_seat_must_go(void)
{
	const struct pa_seat *seat = own();
	return seat && must_go(seat);
}

PA_APP void pa_seat_hold(void)
{
	struct pa_seat *seat = own();
	if (seat)
		seat->held++;
}

PA_APP void pa_seat_let_go(void)
{
	struct pa_seat *seat = own();
	if (seat && seat->held)
		seat->held--;
}

PA_APP void pa_seat_pin(void)
{
	struct pa_seat *seat = own();
	if (seat)
		seat->pinned++;
}

PA_APP void pa_seat_unpin(void)
{
	struct pa_seat *seat = own();
	if (seat && seat->pinned)
		seat->pinned--;
}

PA_APP void pa_seat_sleep(const void *word)
{
	struct pa_seat *seat = own();
	if (!seat)
		return;
	pa_store_release(&seat->word, (uintptr_t)word);
	pa_fence_full(); /* against the one who changes the turn and then looks for words */
	mind(seat);
}

PA_APP void pa_seat_wake(void)
{
	struct pa_seat *seat = own();
	if (!seat)
		return;
	pa_store_release(&seat->word, 0);
	mind(seat);
}

PA_APP int pa_seat_bell(void)
{
	return own() ? pa_load_acquire(&state.table->bell) : -1;
}
