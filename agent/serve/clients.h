/*
 * Who asks for changes: the snapshot that each client was given last, for its next answer to begin
 * where that one ended.
 *
 * A client is an address and a User-Agent, since scrapers open a connection for each request. While
 * one of block or mutex is known, its kind is recorded, whatever the settings say.
 *
 * Context: PA_AGENT, the render thread only, but for pa_clients_name (pure) and pa_clients_stats
 * (any thread). Snapshots belong to this file from keep on.
 * When full: who has been silent for longest is forgotten, and begins anew when it comes again. So
 * is who has been silent for PA_CLIENTS_SILENCE_NS.
 */
#ifndef PA_CLIENTS_H
#define PA_CLIENTS_H

#include "../profile/snapshot.h"
#include "request.h"

#define PA_CLIENTS_MAX 8 /* a kind */
#define PA_CLIENTS_SILENCE_NS (15 * 60 * PA_NS_PER_S)
#define PA_CLIENTS_NAME_BYTES 256

struct pa_client {
	char name[PA_CLIENTS_NAME_BYTES]; /* address, newline, as much of the agent as fits */
};

PA_AGENT struct pa_client pa_clients_name(const struct pa_request *request);

/*
 * The client asks for the kind, now, CLOCK_MONOTONIC: it is known from here on. What it was given
 * last, which stays until the next call of any of these; NULL: nothing yet.
 */
PA_AGENT const struct pa_snapshot *pa_clients_last(enum pa_kind_id kind,
	const struct pa_client *client, int64_t now_ns);

/* It was given this one, after pa_clients_last. */
PA_AGENT void pa_clients_keep(enum pa_kind_id kind, const struct pa_client *client,
	struct pa_snapshot *snapshot);

/* Forgets those who are silent. ns until there will be something to forget; -1: nobody is known. */
PA_AGENT int64_t pa_clients_expire(int64_t now_ns);

struct pa_clients_stats {
	size_t known; /* a client counts once for each kind */
	size_t bytes; /* of their snapshots */
};
PA_AGENT struct pa_clients_stats pa_clients_stats(void);

/* In a forked child, where nobody is recorded for anybody yet: no client is known. */
PA_BOOT void pa_clients_reset(void);

#endif
