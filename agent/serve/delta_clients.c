/* SPDX-License-Identifier: Apache-2.0 */
#include "delta_clients.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "../base/atomic.h"
#include "../base/lock.h"
#include "../profile/profile_lookup.h"
#include "client_budget.h"
#include "relay_request.h"

struct entry {
	bool known;
	bool answered; /* a request is running: between pa_delta_clients_last and
		        * pa_delta_clients_keep */
	struct pa_client client;
	int64_t asked_ns, period_ns; /* time of the last request, and the period; 0, 0: never */
	/* Cleared before it is freed: fork() may happen at any point, and the child frees what it
	 * finds. Release in drop_client_snapshot. */
	PA_ATOMIC(struct pa_snapshot *) snapshot;
};

static struct {
	struct pa_lock lock;
	struct entry entries[PA_PROFILE_LIST_MAX][PA_DELTA_CLIENTS_MAX]; /* guard: lock */
	/* Its snapshot is in use: from pa_delta_clients_latest to pa_delta_clients_keep; guard:
	 * lock. */
	struct entry *lent;
	PA_ATOMIC(size_t) known; /* statistics only, as dropped */
	PA_ATOMIC(uint64_t) dropped;
} state = { .lock = PA_LOCK_INIT(PA_LOCK_CLIENTS) };

struct pa_client pa_delta_clients_name(const struct pa_request *request)
{
	struct pa_client client = { "" };
	const char *agent = "", *address = request->peer;

	for (uint32_t i = 0; i < request->header_count; i++) {
		if (strcasecmp(request->headers[i].name, "User-Agent") == 0)
			agent = request->headers[i].value;
		if (strcasecmp(request->headers[i].name, PA_RELAY_REQUEST_MARK) == 0)
			address = request->headers[i].value;
	}
	snprintf(client.name, sizeof(client.name), "%s\n%s", address, agent);
	return client;
}

static void drop_client_snapshot(struct entry *entry)
{
	struct pa_snapshot *snapshot = pa_load_relaxed(&entry->snapshot);

	if (!snapshot)
		return;
	pa_store_release(&entry->snapshot, NULL);
	pa_client_budget_give(PA_CLIENT_BUDGET_DELTAS, snapshot->bytes);
	pa_snapshot_free(snapshot);
}

/* Keeps the name and the time of the last request. */
static void forget_locked(const struct pa_profile_ops *kind, struct entry *entry)
{
	PA_ASSERT_HELD(PA_LOCK_CLIENTS);
	entry->known = false;
	drop_client_snapshot(entry);
	pa_profile_ops_watch(kind, true, false);
	pa_sub_relaxed(&state.known, 1);
}

static struct entry *row_of(const struct pa_profile_ops *kind)
{
	return state.entries[pa_profile_lookup_index(kind)];
}

static struct entry *find_client_locked(const struct pa_profile_ops *kind,
	const struct pa_client *client)
{
	PA_ASSERT_HELD(PA_LOCK_CLIENTS);
	struct entry *row = row_of(kind);

	for (size_t i = 0; i < PA_DELTA_CLIENTS_MAX; i++) {
		struct entry *entry = &row[i];
		if (entry->asked_ns && strcmp(entry->client.name, client->name) == 0)
			return entry;
	}
	return NULL;
}

static bool is_better_place(const struct entry *a, const struct entry *b)
{
	return a->known == b->known ? a->asked_ns < b->asked_ns : !a->known;
}

/* Returns an entry without a known client, else that of the client silent for longest. */
static struct entry *room_for_one_locked(const struct pa_profile_ops *kind)
{
	PA_ASSERT_HELD(PA_LOCK_CLIENTS);
	struct entry *row = row_of(kind);
	struct entry *best = &row[0];

	for (size_t i = 1; i < PA_DELTA_CLIENTS_MAX; i++) {
		struct entry *entry = &row[i];
		if (is_better_place(entry, best))
			best = entry;
	}
	return best;
}

static struct entry *new_entry_locked(const struct pa_profile_ops *kind,
	const struct pa_client *client)
{
	PA_ASSERT_HELD(PA_LOCK_CLIENTS);
	struct entry *entry = room_for_one_locked(kind);

	if (entry->known)
		forget_locked(kind, entry);
	entry->client = *client;
	entry->asked_ns = 0;
	return entry;
}

static int64_t period_of(const struct entry *entry, int64_t now_ns)
{
	int64_t period_ns = now_ns - entry->asked_ns;

	if (!entry->asked_ns)
		return PA_DELTA_CLIENTS_PERIOD_FIRST_NS;
	if (period_ns < PA_DELTA_CLIENTS_PERIOD_MIN_NS)
		return PA_DELTA_CLIENTS_PERIOD_MIN_NS;
	return period_ns < PA_DELTA_CLIENTS_PERIOD_MAX_NS ? period_ns :
							    PA_DELTA_CLIENTS_PERIOD_MAX_NS;
}

const struct pa_snapshot *pa_delta_clients_last(const struct pa_profile_ops *kind,
	const struct pa_client *client, int64_t now_ns)
{
	pa_lock(&state.lock);
	struct entry *entry = find_client_locked(kind, client);
	bool was_known = entry && entry->known;
	/* Before another client is forgotten, so that recording does not pause. */
	if (!was_known)
		pa_profile_ops_watch(kind, true, true);
	if (!entry)
		entry = new_entry_locked(kind, client);
	if (!was_known)
		pa_add_relaxed(&state.known, 1);
	entry->known = entry->answered = true;
	entry->period_ns = period_of(entry, now_ns);
	entry->asked_ns = now_ns;
	struct pa_snapshot *last = pa_load_relaxed(&entry->snapshot);
	pa_unlock(&state.lock);
	return last;
}

const struct pa_snapshot *pa_delta_clients_latest(const struct pa_profile_ops *kind)
{
	struct entry *row = row_of(kind), *latest = NULL;

	pa_lock(&state.lock);
	for (size_t i = 0; i < PA_DELTA_CLIENTS_MAX; i++) {
		struct entry *entry = &row[i];
		if (!pa_load_relaxed(&entry->snapshot))
			continue;
		if (!latest || entry->asked_ns > latest->asked_ns)
			latest = entry;
	}
	state.lent = latest;
	const struct pa_snapshot *snapshot = latest ? pa_load_relaxed(&latest->snapshot) : NULL;
	pa_unlock(&state.lock);
	return snapshot;
}

/* Frees the client's previous snapshot. False: the client is no longer known. */
static bool drop_last(const struct pa_profile_ops *kind, const struct pa_client *client)
{
	pa_lock(&state.lock);
	state.lent = NULL;
	struct entry *entry = find_client_locked(kind, client);
	bool answered = entry && entry->answered;
	if (answered)
		drop_client_snapshot(entry);
	pa_unlock(&state.lock);
	return answered;
}

/* The entry is marked answered, so no other thread drops it meanwhile. */
static void store_snapshot(const struct pa_profile_ops *kind, const struct pa_client *client,
	struct pa_snapshot *snapshot)
{
	pa_lock(&state.lock);
	pa_store_release(&find_client_locked(kind, client)->snapshot, snapshot);
	pa_unlock(&state.lock);
}

static void end_answer(const struct pa_profile_ops *kind, const struct pa_client *client)
{
	pa_lock(&state.lock);
	struct entry *entry = find_client_locked(kind, client);
	state.lent = NULL;
	if (entry)
		entry->answered = false;
	pa_unlock(&state.lock);
}

void pa_delta_clients_keep(const struct pa_profile_ops *kind, const struct pa_client *client,
	struct pa_snapshot *snapshot)
{
	/* Takes from the budget without the lock: take may call pa_delta_clients_drop_oldest. */
	if (!snapshot || !drop_last(kind, client)) {
		pa_snapshot_free(snapshot);
	} else if (pa_client_budget_take(PA_CLIENT_BUDGET_DELTAS, snapshot->bytes)) {
		store_snapshot(kind, client, snapshot);
	} else {
		pa_add_relaxed(&state.dropped, 1);
		pa_snapshot_free(snapshot);
	}
	end_answer(kind, client);
}

/* Forgets the client if its time is over. Returns the ns left; -1: not known. */
static int64_t expire_locked(const struct pa_profile_ops *kind, struct entry *entry, int64_t now_ns)
{
	PA_ASSERT_HELD(PA_LOCK_CLIENTS);
	if (!entry->known)
		return -1;
	int64_t left_ns = entry->asked_ns + PA_DELTA_CLIENTS_PERIODS * entry->period_ns - now_ns;
	if (left_ns > 0)
		return left_ns;
	forget_locked(kind, entry);
	return -1;
}

int64_t pa_delta_clients_expire(int64_t now_ns)
{
	int64_t next_ns = -1;

	pa_lock(&state.lock);
	for (size_t i = 0; i < PA_PROFILE_LIST_MAX * PA_DELTA_CLIENTS_MAX; i++) {
		const size_t row = i / PA_DELTA_CLIENTS_MAX;
		int64_t left_ns = expire_locked(pa_profile_list[row],
			&state.entries[row][i % PA_DELTA_CLIENTS_MAX], now_ns);
		if (left_ns > 0 && (next_ns < 0 || left_ns < next_ns))
			next_ns = left_ns;
	}
	pa_unlock(&state.lock);
	return next_ns;
}

bool pa_delta_clients_drop_oldest(void)
{
	struct entry *oldest = NULL;

	pa_lock(&state.lock);
	for (size_t i = 0; i < PA_PROFILE_LIST_MAX * PA_DELTA_CLIENTS_MAX; i++) {
		struct entry *entry =
			&state.entries[i / PA_DELTA_CLIENTS_MAX][i % PA_DELTA_CLIENTS_MAX];
		if (!pa_load_relaxed(&entry->snapshot) || entry->answered || entry == state.lent)
			continue;
		if (!oldest || entry->asked_ns < oldest->asked_ns)
			oldest = entry;
	}
	if (oldest) {
		pa_add_relaxed(&state.dropped, 1);
		drop_client_snapshot(oldest);
	}
	pa_unlock(&state.lock);
	return oldest != NULL;
}

struct pa_delta_clients_stats pa_delta_clients_stats(void)
{
	return (struct pa_delta_clients_stats){
		.known = pa_load_relaxed(&state.known),
		.dropped = pa_load_relaxed(&state.dropped),
	};
}

void pa_delta_clients_reset(void)
{
	pa_lock_reset(&state.lock);
	for (size_t i = 0; i < PA_PROFILE_LIST_MAX * PA_DELTA_CLIENTS_MAX; i++) {
		struct entry *entry =
			&state.entries[i / PA_DELTA_CLIENTS_MAX][i % PA_DELTA_CLIENTS_MAX];
		struct pa_snapshot *snapshot = pa_load_relaxed(&entry->snapshot);
		pa_store_release(&entry->snapshot, NULL);
		pa_snapshot_free(snapshot);
		entry->known = entry->answered = false;
		entry->asked_ns = 0;
	}
	state.lent = NULL;
	/* fork() may come between the take and the store: no entry could give those bytes back. */
	pa_client_budget_forget(PA_CLIENT_BUDGET_DELTAS);
	pa_store_relaxed(&state.known, 0);
	pa_store_relaxed(&state.dropped, 0);
}
