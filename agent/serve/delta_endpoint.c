/* SPDX-License-Identifier: Apache-2.0 */
#include "delta_endpoint.h"

#include <stdio.h>
#include <stdlib.h>

#include "../base/clock.h"
#include "../core/core.h"
#include "../profile/delta.h"
#include "../profile/snapshot_take.h"
#include "delta_clients.h"
#include "profile_endpoints.h"
#include "profile_form.h"
#include "render.h"
#include "queue_clock.h"
#include "reply.h"
#include "worker_wait.h"

#define FILE_BYTES 48

/* ---- on the render thread ---- */

struct task {
	struct pa_worker_wait wait;
	const struct pa_profile_ops *kind;
	struct pa_client client;
	struct pa_render_form form;
};

/* In use is no difference: a duration would be read as one that it belongs to. As godeltaprof's
 * heap, which has none. */
static void write_no_duration(struct pa_snapshot *delta)
{
	if (delta->kind->levels)
		delta->duration_ns = 0;
}

static int write_changes(const struct pa_snapshot *before, const struct pa_snapshot *after,
	const struct pa_render_form *form, const struct pa_sink *sink)
{
	struct pa_snapshot *delta = pa_delta(before, after);

	if (!delta)
		return PA_PROFILE_ENDPOINTS_NO_DELTA;
	write_no_duration(delta);
	int error = pa_render_write(delta, form, sink);
	pa_snapshot_free(delta);
	return error;
}

/* Clears the in-use values of the kept snapshot, so that the next delta shows everything in use
 * instead of the difference. */
static void forget_in_use(struct pa_snapshot *snapshot)
{
	const uint32_t levels = snapshot->kind->levels;

	for (size_t i = 0; levels && i < snapshot->sample_count; i++)
		for (uint32_t v = 0; v < snapshot->kind->value_count; v++)
			if (levels & 1u << v)
				snapshot->samples[i].values[v] = 0;
}

static int run_delta(void *arg, const struct pa_sink *sink)
{
	const struct task *task = arg;
	const struct pa_snapshot start = {
		.kind = task->kind,
		.time_ns = pa_core_bridge->start_wall_ns,
	};
	/* Before the snapshot: the first call starts the recording. */
	const struct pa_snapshot *before =
		pa_delta_clients_last(task->kind, &task->client, pa_clock_mono_ns());
	if (!before)
		before = pa_delta_clients_latest(task->kind);
	struct pa_snapshot *after = pa_snapshot_take(task->kind, false);
	int error = after ? write_changes(before ? before : &start, after, &task->form, sink) :
			    PA_PROFILE_ENDPOINTS_NONE;
	if (error) {
		pa_snapshot_free(after);
		after = NULL;
	} else {
		forget_in_use(after);
	}
	pa_delta_clients_keep(task->kind, &task->client, after);
	return error;
}

int64_t pa_delta_endpoint_idle(void)
{
	return pa_delta_clients_expire(pa_clock_mono_ns());
}

/* ---- on the worker ---- */

/* Returns the file name; NULL: the response is shown as text. */
static const char *delta_file_of(const struct task *task, char file[FILE_BYTES])
{
	if (task->form.format != PA_RENDER_PPROF)
		return NULL;
	snprintf(file, FILE_BYTES, "delta_%s", task->kind->name);
	return file;
}

static void render_delta(struct pa_http *http, struct pa_worker_wait *wait)
{
	char file[FILE_BYTES];
	struct task *task = (struct task *)wait;
	const struct pa_job_work work = { .run = run_delta, .drop = free, .arg = task };

	pa_reply_work(http, &work, PA_RENDER_THREAD_QUEUE_TIMEOUT_NS, delta_file_of(task, file),
		pa_profile_endpoints_explain);
}

static struct task task_for(const struct pa_request *request, const struct pa_profile_ops *kind)
{
	return (struct task){
		.wait = {
			.go = render_delta,
			.drop = free,
			.until_ns = pa_queue_clock_ns() + PA_PROFILE_ENDPOINTS_QUEUE_NS,
		},
		.kind = kind,
		.client = pa_delta_clients_name(request),
	};
}

void pa_delta_endpoint_answer(struct pa_http *http, const struct pa_request *request,
	const struct pa_profile_ops *kind)
{
	char file[FILE_BYTES], why[PA_PROFILE_FORM_WHY_BYTES];
	struct task given = task_for(request, kind);
	const char *wrong = pa_profile_form_read(request->query, kind, &given.form, why);

	if (wrong) {
		pa_reply_error(http, 400, wrong);
	} else if (request->method == PA_REQUEST_METHOD_HEAD) {
		pa_reply_no_work(http, delta_file_of(&given, file));
	} else {
		struct task *task = pa_worker_wait_new(http, &given, sizeof(given));
		if (task)
			pa_worker_wait_begin(http, &task->wait);
	}
}
