#include "since.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../proto/encode.h"
#include "../base/clock.h"
#include "../profile/core.h"
#include "../profile/delta.h"
#include "../profile/symbols.h"
#include "clients.h"
#include "profiles.h"
#include "reply.h"

#define FILE_BYTES 48

/* ---- on the render thread ---- */

struct task {
	enum pa_kind_id kind;
	struct pa_client client;
};

static int write_changes(const struct pa_snapshot *before, const struct pa_snapshot *after,
	const struct pa_sink *sink)
{
	struct pa_snapshot *delta = pa_delta(before, after);

	if (!delta)
		return PA_PROFILES_NO_DELTA;
	int error = pa_encode_profile(delta, sink);
	pa_snapshot_free(delta);
	pa_symbols_rest();
	return error;
}

/* So that the next answer has all that is in use then, not how it differs from what is now. */
static void forget_in_use(struct pa_snapshot *snapshot)
{
	if (snapshot->kind->id != PA_KIND_HEAP)
		return;
	for (size_t i = 0; i < snapshot->sample_count; i++)
		snapshot->samples[i].values[2] = snapshot->samples[i].values[3] = 0;
}

static int run(void *arg, const struct pa_sink *sink)
{
	const struct task *task = arg;
	const struct pa_snapshot start = {
		.kind = &pa_kinds[task->kind],
		.time_ns = pa_core_bridge->start_wall_ns,
	};
	/* Before the snapshot: it begins to watch. */
	const struct pa_snapshot *before =
		pa_clients_last(task->kind, &task->client, pa_clock_mono_ns());
	struct pa_snapshot *after = pa_snapshot_take(task->kind);
	if (!after)
		return PA_PROFILES_NONE;
	int error = write_changes(before ? before : &start, after, sink);
	if (error) {
		pa_snapshot_free(after);
		return error;
	}
	forget_in_use(after);
	pa_clients_keep(task->kind, &task->client, after);
	return 0;
}

int64_t pa_since_idle(void)
{
	return pa_clients_expire(pa_clock_mono_ns());
}

/* ---- on the worker ---- */

static void answer(struct pa_http *http, const struct pa_request *request, enum pa_kind_id kind,
	const char *file)
{
	struct task *task = malloc(sizeof(*task));
	const struct pa_job_work work = { .run = run, .drop = free, .arg = task };

	if (!task) {
		pa_reply_no_job(http, -ENOMEM);
		return;
	}
	*task = (struct task){ kind, pa_clients_name(request) };
	/* A scraper asks for all its profiles at once: they take turns. */
	pa_reply_work(http, &work, PA_PROFILES_TURN_NS, file, pa_profiles_explain);
}

void pa_since_answer(struct pa_http *http, const struct pa_request *request,
	const struct pa_kind *kind)
{
	char file[FILE_BYTES];

	snprintf(file, sizeof(file), "delta_%s", kind->name);
	if (!pa_http_claim(http))
		pa_reply_crowded(http);
	else if (request->method == PA_REQUEST_HEAD)
		pa_reply_no_work(http, file);
	else
		answer(http, request, kind->id, file);
}
