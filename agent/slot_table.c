/* SPDX-License-Identifier: Apache-2.0 */
#include "slot_table.h"

#include <sys/eventfd.h>

#include "base/lock.h"
#include "record/sandbox.h"
#include "record/thread.h"

struct pa_thread_slot_table pa_slot_table_table = { .wake_fd = -1 };

static struct pa_thread_slot *find_own_slot(void)
{
	return pa_thread_self.slot;
}

void pa_slot_table_boot(struct pa_bridge *bridge)
{
	bridge->slots = &pa_slot_table_table;
	bridge->slot = find_own_slot;
	pa_thread_slot_boot(&pa_slot_table_table, find_own_slot);
}

uint32_t pa_slot_table_generation(void)
{
	const struct pa_thread_slot *slot = find_own_slot();
	return slot ? pa_load_acquire(&slot->generation) :
		      pa_load_acquire(&pa_slot_table_table.generation);
}

uint32_t pa_slot_table_followed(void)
{
	const struct pa_thread_slot *slot = find_own_slot();
	return pa_load_acquire(slot ? &slot->followed : &pa_slot_table_table.order);
}

struct pa_thread_slot *pa_slot_table_take(uint32_t generation, uint32_t followed)
{
	pa_thread_self.slot =
		pa_thread_slot_take(&pa_slot_table_table, generation, followed, pa_thread_self.tid);
	return pa_thread_self.slot;
}

void pa_slot_table_leave(void)
{
	struct pa_thread_slot *slot = find_own_slot();
	pa_thread_self.slot = NULL;
	if (slot)
		pa_store_release(&slot->left, 1);
}

void pa_slot_table_open_wake_fd(bool files_private)
{
	/* In the program's table it could be closed, and its number reused for another file. */
	int wake_fd = files_private ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	pa_store_release(&pa_slot_table_table.wake_fd, wake_fd);
}

void pa_slot_table_wake_all(void)
{
	for (int i = 0; i < PA_THREAD_SLOT_COUNT && pa_sandbox_may_wake(); i++) {
		uintptr_t word = pa_load_acquire(&pa_slot_table_table.slots[i].word);
		if (word)
			pa_futex_wake((PA_ATOMIC(uint32_t) *)word, INT32_MAX);
	}
}

void pa_slot_table_atfork_child(void)
{
	for (int i = 0; i < PA_THREAD_SLOT_COUNT; i++)
		pa_reset(&pa_slot_table_table.slots[i].tid, 0);
	pa_reset(&pa_slot_table_table.wake_fd, -1);
	pa_reset(&pa_slot_table_table.hard, 0);
	pa_thread_self.slot = NULL;
}
