/* SPDX-License-Identifier: Apache-2.0 */
#include "futex_waiters.h"

#include <string.h>

#define WAYS 4u

struct waiter {
	uintptr_t word; /* 0: free */
	const struct pa_stack *stack;
};

static struct {
	struct waiter waiters[PA_FUTEX_WAITERS_WORDS];
	uint32_t victim; /* which one of a full place goes next */
	bool used;
} state;

/* The first of the WAYS neighbours in which the word may be. */
static struct waiter *futex_place_of(uintptr_t word)
{
	uint64_t hash = (uint64_t)word * 0x9e3779b97f4a7c15u;
	return &state.waiters[(hash >> 32) % (PA_FUTEX_WAITERS_WORDS / WAYS) * WAYS];
}

/* With word 0: a free one. */
static struct waiter *find_waiter(struct waiter *place, uintptr_t word)
{
	for (uint32_t i = 0; i < WAYS; i++)
		if (place[i].word == word)
			return &place[i];
	return NULL;
}

void pa_futex_waiters_put(uintptr_t word, const struct pa_stack *stack)
{
	struct waiter *place = futex_place_of(word);
	struct waiter *waiter = find_waiter(place, word);
	if (!waiter)
		waiter = find_waiter(place, 0);
	if (!waiter)
		waiter = &place[state.victim++ % WAYS];
	*waiter = (struct waiter){ word, stack };
	state.used = true;
}

const struct pa_stack *pa_futex_waiters_find(uintptr_t word)
{
	const struct waiter *waiter = find_waiter(futex_place_of(word), word);
	return waiter ? waiter->stack : NULL;
}

void pa_futex_waiters_atfork_child(void)
{
	if (state.used)
		memset(&state, 0, sizeof(state));
}
