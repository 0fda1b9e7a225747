/* SPDX-License-Identifier: Apache-2.0 */
#include "flight.h"

#include <errno.h>
#include <stdlib.h>

#include "../../proto/gotrace.h"
#include "../base/arena.h"
#include "../base/clock.h"
#include "client_budget.h"
#include "flight_lease.h"
#include "trace_process.h"

/* Items copied per read, while the collector waits; more than the longest text. */
#define ITEMS 2048

/* Upper bound for the growth of the writer's tables per read, if each item is of another thread;
 * larger tables at most double (scratch.h). */
#define PIECE_BYTES ((size_t)1 << 20)

#define ITEMS_BYTES (ITEMS * sizeof(struct pa_trace_queue_item))

struct pa_flight {
	struct pa_gotrace *trace;
	size_t fixed;                 /* bytes of the trace before the first event */
	size_t taken;                 /* bytes charged to the budget, whole pages */
	struct pa_sink sink;          /* sink of the trace: forwards to client while the lease is
				       * valid */
	const struct pa_sink *client; /* sink of the client */
	int64_t now_ns, since_ns;     /* events of this period are written */
	bool has_lease, no_room;
	struct pa_trace_queue_flight reader;
	struct pa_trace_queue_item *items;
};

void pa_flight_reset(void)
{
	pa_client_budget_forget(PA_CLIENT_BUDGET_FLIGHT);
	pa_flight_lease_reset();
}

/* ---- memory ---- */

static bool take_to(struct pa_flight *flight, size_t bytes)
{
	size_t pages = PA_ALIGN_UP(bytes, PA_PAGE_BYTES);

	if (pages <= flight->taken)
		return true;
	if (!pa_client_budget_take(PA_CLIENT_BUDGET_FLIGHT, pages - flight->taken))
		return false;
	flight->taken = pages;
	return true;
}

/* Charges the size that the writer's tables can have after one more read. */
static bool make_flight_room(struct pa_flight *flight)
{
	size_t now = pa_gotrace_stats(flight->trace).memory;

	return take_to(flight, ITEMS_BYTES + now + (now - flight->fixed) + PIECE_BYTES);
}

static void release_flight(struct pa_flight *flight)
{
	if (flight->trace)
		pa_gotrace_free(flight->trace);
	pa_unmap(flight->items, ITEMS_BYTES);
	flight->trace = NULL;
	flight->items = NULL;
	pa_client_budget_give(PA_CLIENT_BUDGET_FLIGHT, flight->taken);
	pa_flight_lease_release();
	flight->has_lease = false;
}

void pa_flight_drop(void *arg)
{
	struct pa_flight *flight = arg;

	if (flight->has_lease)
		release_flight(flight);
	free(flight);
}

/* ---- beginning ---- */

static bool pass_flight_bytes(void *arg, const void *bytes, size_t count)
{
	struct pa_flight *flight = arg;

	return take_to(flight, ITEMS_BYTES + pa_gotrace_stats(flight->trace).memory) &&
		!pa_flight_lease_is_expired(pa_clock_mono_ns()) &&
		flight->client->write(flight->client->arg, bytes, count);
}

/* False: no memory, or the budget is full. */
static bool map_all(struct pa_flight *flight)
{
	flight->items = take_to(flight, ITEMS_BYTES) ? pa_map(ITEMS_BYTES) : NULL;
	flight->trace = flight->items ? pa_gotrace_new(&flight->sink) : NULL;
	if (!flight->trace)
		return false;
	flight->fixed = pa_gotrace_stats(flight->trace).memory;
	return make_flight_room(flight);
}

/* The caller has the lease. NULL: no memory; the lease is released. */
static struct pa_flight *new_flight(void)
{
	struct pa_flight *flight = calloc(1, sizeof(*flight));

	if (!flight) {
		pa_flight_lease_release();
		return NULL;
	}
	flight->has_lease = true;
	flight->sink = (struct pa_sink){ .write = pass_flight_bytes, .arg = flight };
	if (map_all(flight))
		return flight;
	pa_flight_drop(flight);
	return NULL;
}

int pa_flight_begin(int64_t ns, struct pa_flight **out)
{
	int64_t now_ns = pa_clock_mono_ns();
	struct pa_flight *flight;

	if (!pa_flight_lease_acquire(now_ns))
		return -EBUSY;
	flight = new_flight();
	if (!flight)
		return -ENOMEM;
	flight->now_ns = now_ns;
	flight->since_ns = now_ns - ns;
	if (!pa_trace_queue_flight_begin(&flight->reader)) {
		pa_flight_drop(flight);
		return -ENODATA;
	}
	*out = flight;
	return 0;
}

/* ---- writing ---- */

/* Returns the index of the first item that is not older than since_ns. */
static size_t skip_older(const struct pa_trace_queue_item *items, size_t count, int64_t since_ns)
{
	size_t at = 0;

	while (at < count && items[at].time_ns < since_ns)
		at += 1 + pa_trace_queue_text_items(&items[at]);
	return at;
}

/* Reads until an item of the requested period appears, at items[*at]. Returns the items read; 0:
 * none left. */
static size_t read_first(struct pa_flight *flight, size_t *at)
{
	size_t count;

	do {
		count = pa_trace_queue_flight_read(&flight->reader, flight->items, ITEMS);
		*at = skip_older(flight->items, count, flight->since_ns);
		/* Losses before an item that is too old are too old as well. */
		if (*at)
			flight->reader.lost = 0;
	} while (count && *at == count);
	return count;
}

/* Feeds the trace from items[at] on, until everything is read, the trace is over, or the budget is
 * full. */
static void feed_flight(struct pa_flight *flight, size_t at, size_t count)
{
	while (count && !pa_gotrace_is_over(flight->trace)) {
		pa_gotrace_feed(flight->trace, flight->items + at, count - at);
		flight->no_room = !make_flight_room(flight);
		if (flight->no_room)
			return;
		at = 0;
		count = pa_trace_queue_flight_read(&flight->reader, flight->items, ITEMS);
	}
}

int pa_flight_write(struct pa_flight *flight, const struct pa_sink *sink)
{
	const struct pa_trace_queue_flight *reader = &flight->reader;
	const struct pa_gotrace_process process = pa_trace_process();
	size_t at, count = read_first(flight, &at);

	flight->client = sink;
	pa_gotrace_begin(flight->trace, &process, NULL,
		count ? flight->items[at].time_ns : flight->now_ns);
	feed_flight(flight, at, count);
	uint64_t unread = flight->no_room ? reader->event_end - reader->event : 0;
	return pa_gotrace_finish(flight->trace, flight->now_ns, reader->lost + unread);
}

int pa_flight_rest(void *arg, const struct pa_sink *sink)
{
	struct pa_flight *flight = arg;

	flight->client = sink;
	int error = pa_gotrace_write_tables(flight->trace, &flight->sink);
	release_flight(flight);
	return error;
}
