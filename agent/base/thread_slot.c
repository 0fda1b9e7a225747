/* SPDX-License-Identifier: Apache-2.0 */
#include "thread_slot.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "small_file.h"

static struct {
	struct pa_thread_slot_table *table;
	struct pa_thread_slot *(*find)(void);
} state;

PA_BOOT void pa_thread_slot_boot(struct pa_thread_slot_table *table,
	struct pa_thread_slot *(*find)(void))
{
	state.table = table;
	state.find = find;
}

static struct pa_thread_slot *own_slot(void)
{
	return state.find ? state.find() : NULL;
}

PA_APP bool pa_thread_slot_is_gone(const struct pa_thread_slot *slot)
{
	int saved_errno = errno;
	int32_t tid = pa_load_acquire(&slot->tid);
	bool gone = !tid || (syscall(SYS_tgkill, getpid(), tid, 0) != 0 && errno == ESRCH);
	errno = saved_errno;
	return gone;
}

#ifdef PA_DEBUG
bool pa_thread_slot_is_ours(void)
{
	return !state.find || state.find();
}
#endif

/* A slot that was left is free when the kernel does not know its thread any more; until then the
 * slot shows that the thread still exists. */
static bool is_free(const struct pa_thread_slot *slot, bool ending)
{
	return !pa_load_acquire(&slot->tid) ||
		(pa_load_acquire(&slot->left) && (ending || pa_thread_slot_is_gone(slot)));
}

static struct pa_thread_slot *claim_thread_slot(struct pa_thread_slot_table *table,
	uint32_t generation, uint32_t followed, int32_t tid, bool ending)
{
	for (int i = 0; i < PA_THREAD_SLOT_COUNT; i++) {
		struct pa_thread_slot *slot = &table->slots[i];
		int32_t before = pa_load_acquire(&slot->tid);
		if (!is_free(slot, ending) || !pa_cas_acq_rel(&slot->tid, &before, tid))
			continue;
		pa_store_release(&slot->generation, generation);
		pa_store_release(&slot->followed, followed);
		pa_store_release(&slot->word, 0);
		pa_store_release(&slot->left, 0);
		slot->held = slot->pinned = 0;
		return slot;
	}
	return NULL;
}

PA_AGENT struct pa_thread_slot *pa_thread_slot_take(struct pa_thread_slot_table *table,
	uint32_t generation, uint32_t followed, int32_t tid)
{
	struct pa_thread_slot *slot = claim_thread_slot(table, generation, followed, tid, false);
	return slot ? slot : claim_thread_slot(table, generation, followed, tid, true);
}

/* Other agent threads may sleep in poll: the first thread that leaves wakes them. */
static void signal_wake_fd(void)
{
	const uint64_t one = 1;
	int wake_fd = pa_load_acquire(&state.table->wake_fd);
	if (wake_fd >= 0 && write(wake_fd, &one, sizeof(one)) < 0)
		errno = 0;
}

bool pa_thread_slot_have_followed(void)
{
	uint32_t order = pa_load_acquire(&state.table->order);
	for (int i = 0; i < PA_THREAD_SLOT_COUNT; i++) {
		const struct pa_thread_slot *slot = &state.table->slots[i];
		if (pa_load_acquire(&slot->tid) && !pa_load_acquire(&slot->left) &&
			pa_load_acquire(&slot->followed) != order)
			return false;
	}
	return true;
}

/* The last thread to carry out an order drains the eventfd. */
static void follow_orders(struct pa_thread_slot *slot)
{
	uint64_t count;
	for (uint32_t next; (next = pa_load_acquire(&slot->followed)) !=
		pa_load_acquire(&state.table->order);) {
		state.table->follow(next);
		pa_store_release(&slot->followed, next + 1);
	}
	signal_wake_fd();
	int wake_fd = pa_load_acquire(&state.table->wake_fd);
	if (wake_fd >= 0 && pa_thread_slot_have_followed() &&
		pa_small_file_read(wake_fd, &count, sizeof(count)) < 0)
		errno = 0;
}

static bool must_end(const struct pa_thread_slot *slot)
{
	return pa_load_acquire(&slot->generation) != pa_load_acquire(&state.table->generation);
}

static void check_orders(struct pa_thread_slot *slot)
{
	if (pa_unlikely(pa_load_acquire(&slot->followed) != pa_load_acquire(&state.table->order)))
		follow_orders(slot);
}

static PA_NOINLINE void leave_thread(struct pa_thread_slot *slot)
{
	pa_store_release(&slot->word, 0);
	signal_wake_fd();
	__builtin_longjmp(slot->way_out, 1);
}

static PA_NOINLINE void leave_hard(struct pa_thread_slot *slot)
{
	if (!pa_load_acquire(&state.table->hard) || slot->pinned)
		return;
	pa_store_release(&state.table->torn, 1);
	leave_thread(slot);
}

PA_APP void pa_thread_slot_follow_orders(void)
{
	struct pa_thread_slot *slot = own_slot();
	if (!slot)
		return;
	check_orders(slot);
	if (pa_unlikely(must_end(slot)))
		leave_hard(slot);
}

static void check_slot(struct pa_thread_slot *slot)
{
	check_orders(slot);
	if (pa_likely(!must_end(slot)))
		return;
	if (slot->held)
		leave_hard(slot);
	else if (!slot->pinned)
		leave_thread(slot);
}

PA_APP void pa_thread_slot_checkpoint(void)
{
	struct pa_thread_slot *slot = own_slot();
	if (slot)
		check_slot(slot);
}

PA_APP bool pa_thread_slot_must_end(void)
{
	const struct pa_thread_slot *slot = own_slot();
	return slot && must_end(slot);
}

PA_APP void pa_thread_slot_hold(void)
{
	struct pa_thread_slot *slot = own_slot();
	if (slot)
		slot->held++;
}

PA_APP void pa_thread_slot_release(void)
{
	struct pa_thread_slot *slot = own_slot();
	if (slot && slot->held)
		slot->held--;
}

PA_APP void pa_thread_slot_pin(void)
{
	struct pa_thread_slot *slot = own_slot();
	if (slot)
		slot->pinned++;
}

PA_APP void pa_thread_slot_unpin(void)
{
	struct pa_thread_slot *slot = own_slot();
	if (slot && slot->pinned)
		slot->pinned--;
}

PA_APP void pa_thread_slot_sleep(const void *word)
{
	struct pa_thread_slot *slot = own_slot();
	if (!slot)
		return;
	pa_store_release(&slot->word, (uintptr_t)word);
	pa_fence_full(); /* pairs with the thread that changes generation and then reads the
			  * words */
	check_slot(slot);
}

PA_APP void pa_thread_slot_wake(void)
{
	struct pa_thread_slot *slot = own_slot();
	if (!slot)
		return;
	pa_store_release(&slot->word, 0);
	check_slot(slot);
}

PA_APP int pa_thread_slot_wake_fd(void)
{
	return own_slot() ? pa_load_acquire(&state.table->wake_fd) : -1;
}
