#include "clients.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "../base/atomic.h"

struct entry {
	bool known;
	struct pa_client client;
	int64_t asked_ns; /* the last time */
	/* Taken out before it is freed: a forked child may come to life at any line of ours and
	 * frees what it finds. Release in drop_snapshot. */
	PA_ATOMIC(struct pa_snapshot *) snapshot;
};

static struct {
	struct entry entries[PA_KIND_COUNT][PA_CLIENTS_MAX];
	PA_ATOMIC(size_t) known, bytes; /* statistics only */
} state;

struct pa_client pa_clients_name(const struct pa_request *request)
{
	struct pa_client client = { "" };
	const char *agent = "";

	for (uint32_t i = 0; i < request->header_count; i++) {
		if (strcasecmp(request->headers[i].name, "User-Agent") == 0)
			agent = request->headers[i].value;
	}
	snprintf(client.name, sizeof(client.name), "%s\n%s", request->peer, agent);
	return client;
}

static void drop_snapshot(struct entry *entry)
{
	struct pa_snapshot *snapshot = pa_load_relaxed(&entry->snapshot);

	if (!snapshot)
		return;
	pa_store_release(&entry->snapshot, NULL);
	pa_sub_relaxed(&state.bytes, snapshot->bytes);
	pa_snapshot_free(snapshot);
}

static void forget(enum pa_kind_id kind, struct entry *entry)
{
	entry->known = false;
	drop_snapshot(entry);
	pa_snapshot_unwatch(kind);
	pa_sub_relaxed(&state.known, 1);
}

static struct entry *find(enum pa_kind_id kind, const struct pa_client *client)
{
	for (size_t i = 0; i < PA_CLIENTS_MAX; i++) {
		struct entry *entry = &state.entries[kind][i];
		if (entry->known && strcmp(entry->client.name, client->name) == 0)
			return entry;
	}
	return NULL;
}

/* One that is free, or who has been silent for longest. */
static struct entry *room_for_one(enum pa_kind_id kind)
{
	struct entry *oldest = &state.entries[kind][0];

	for (size_t i = 0; i < PA_CLIENTS_MAX; i++) {
		struct entry *entry = &state.entries[kind][i];
		if (!entry->known)
			return entry;
		if (entry->asked_ns < oldest->asked_ns)
			oldest = entry;
	}
	return oldest;
}

static struct entry *welcome(enum pa_kind_id kind, const struct pa_client *client)
{
	struct entry *entry = room_for_one(kind);

	/* First, so that recording does not pause between two clients. */
	pa_snapshot_watch(kind);
	if (entry->known)
		forget(kind, entry);
	entry->known = true;
	entry->client = *client;
	pa_add_relaxed(&state.known, 1);
	return entry;
}

const struct pa_snapshot *pa_clients_last(enum pa_kind_id kind, const struct pa_client *client,
	int64_t now_ns)
{
	struct entry *entry = find(kind, client);

	if (!entry)
		entry = welcome(kind, client);
	entry->asked_ns = now_ns;
	return pa_load_relaxed(&entry->snapshot);
}

void pa_clients_keep(enum pa_kind_id kind, const struct pa_client *client,
	struct pa_snapshot *snapshot)
{
	struct entry *entry = find(kind, client);

	if (!entry) {
		pa_snapshot_free(snapshot);
		return;
	}
	drop_snapshot(entry);
	pa_add_relaxed(&state.bytes, snapshot->bytes);
	pa_store_release(&entry->snapshot, snapshot);
}

int64_t pa_clients_expire(int64_t now_ns)
{
	int64_t next_ns = -1;

	for (size_t i = 0; i < PA_KIND_COUNT * PA_CLIENTS_MAX; i++) {
		enum pa_kind_id kind = (enum pa_kind_id)(i / PA_CLIENTS_MAX);
		struct entry *entry = &state.entries[kind][i % PA_CLIENTS_MAX];
		int64_t left_ns = entry->asked_ns + PA_CLIENTS_SILENCE_NS - now_ns;
		if (!entry->known)
			continue;
		if (left_ns <= 0)
			forget(kind, entry);
		else if (next_ns < 0 || left_ns < next_ns)
			next_ns = left_ns;
	}
	return next_ns;
}

struct pa_clients_stats pa_clients_stats(void)
{
	return (struct pa_clients_stats){
		.known = pa_load_relaxed(&state.known),
		.bytes = pa_load_relaxed(&state.bytes),
	};
}

void pa_clients_reset(void)
{
	for (size_t i = 0; i < PA_KIND_COUNT * PA_CLIENTS_MAX; i++) {
		struct entry *entry = &state.entries[i / PA_CLIENTS_MAX][i % PA_CLIENTS_MAX];
		drop_snapshot(entry);
		entry->known = false;
	}
	pa_store_relaxed(&state.known, 0);
	pa_store_relaxed(&state.bytes, 0);
}
