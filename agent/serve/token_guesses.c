/* SPDX-License-Identifier: Apache-2.0 */
#include "token_guesses.h"

#include <string.h>

#include "../base/lock.h"

#define BURST_NS (PA_TOKEN_GUESSES_BURST * PA_TOKEN_GUESSES_PERIOD_NS)

struct entry {
	struct pa_token_guesser guesser;
	int64_t paid_until_ns; /* when all of its wrong tokens are paid for; 0: free entry */
};

static struct {
	struct pa_lock lock;
	struct entry entries[PA_TOKEN_GUESSES_CLIENTS]; /* guard: lock */
	PA_ATOMIC(int64_t) paid_until_ns;               /* the latest of them; relaxed: a hint */
} state = { .lock = PA_LOCK_INIT(PA_LOCK_GUESSES) };

/* Returns the entry of the client, or NULL. */
static struct entry *find_guesser_locked(const struct pa_token_guesser *guesser)
{
	PA_ASSERT_HELD(PA_LOCK_GUESSES);
	for (size_t i = 0; i < PA_TOKEN_GUESSES_CLIENTS; i++) {
		struct entry *entry = &state.entries[i];
		if (entry->paid_until_ns && entry->guesser.uid == guesser->uid &&
			IN6_ARE_ADDR_EQUAL(&entry->guesser.address, &guesser->address))
			return entry;
	}
	return NULL;
}

static struct entry *oldest_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_GUESSES);
	struct entry *oldest = &state.entries[0];

	for (size_t i = 1; i < PA_TOKEN_GUESSES_CLIENTS; i++) {
		if (state.entries[i].paid_until_ns < oldest->paid_until_ns)
			oldest = &state.entries[i];
	}
	oldest->paid_until_ns = 0;
	return oldest;
}

bool pa_token_guesses_are_none(int64_t now_ns)
{
	return pa_load_relaxed(&state.paid_until_ns) <= now_ns;
}

bool pa_token_guesses_may_try(const struct pa_token_guesser *guesser, int64_t now_ns)
{
	pa_lock(&state.lock);
	const struct entry *entry = find_guesser_locked(guesser);
	bool may = !entry || entry->paid_until_ns - now_ns <= BURST_NS;
	pa_unlock(&state.lock);
	return may;
}

void pa_token_guesses_was_wrong(const struct pa_token_guesser *guesser, int64_t now_ns)
{
	pa_lock(&state.lock);
	struct entry *entry = find_guesser_locked(guesser);
	if (!entry)
		entry = oldest_locked();
	entry->guesser = *guesser;
	if (entry->paid_until_ns < now_ns)
		entry->paid_until_ns = now_ns;
	entry->paid_until_ns += PA_TOKEN_GUESSES_PERIOD_NS;
	if (entry->paid_until_ns > pa_load_relaxed(&state.paid_until_ns))
		pa_store_relaxed(&state.paid_until_ns, entry->paid_until_ns);
	pa_unlock(&state.lock);
}

void pa_token_guesses_reset(void)
{
	pa_lock_reset(&state.lock);
	memset(state.entries, 0, sizeof(state.entries));
	pa_store_relaxed(&state.paid_until_ns, 0);
}
