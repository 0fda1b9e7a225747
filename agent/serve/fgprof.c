/* SPDX-License-Identifier: Apache-2.0 */
#include "fgprof.h"

#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../profile/wall.h"
#include "profile_endpoints.h"
#include "profile_form.h"
#include "query.h"
#include "queue_clock.h"
#include "reply.h"
#include "worker_wait.h"

#define SECONDS 30
#define VALUE_BYTES 64

struct task {
	struct pa_worker_wait wait;
	int64_t seconds;
	struct pa_render_form form;
	struct pa_snapshot *snapshot;
};

/* ---- on the render thread ---- */

static int run_fgprof(void *arg, const struct pa_sink *sink)
{
	const struct task *task = arg;

	return pa_render_write(task->snapshot, &task->form, sink);
}

static void drop_fgprof(void *arg)
{
	struct task *task = arg;

	pa_snapshot_free(task->snapshot);
	free(task);
}

/* ---- on the worker ---- */

/* Returns NULL, or the text of the error, which may be in why. */
static const char *read_fgprof_query(const char *query, struct task *task,
	char why[PA_PROFILE_FORM_WHY_BYTES])
{
	char seconds[VALUE_BYTES];

	task->seconds = SECONDS;
	pa_query_get(query, "seconds", seconds, sizeof(seconds));
	if (seconds[0] && (!pa_query_int(seconds, &task->seconds) || task->seconds <= 0))
		return "bad seconds: must be a positive integer";
	return pa_profile_form_read(query, &pa_wall_profile, &task->form, why);
}

/* Takes thread dumps for ns. The last dump comes after the end, so that it accounts for the whole
 * time. False: the client has disconnected. */
static bool dump_threads_for(struct pa_http *http, int64_t ns)
{
	int64_t now_ns = pa_clock_mono_ns(), end_ns = now_ns + ns, pause_ns = PA_WALL_PERIOD_NS;

	while (now_ns < end_ns) {
		int64_t left_ns = end_ns - now_ns;
		if (!pa_http_wait(http, pause_ns < left_ns ? pause_ns : left_ns))
			return false;
		now_ns = pa_clock_mono_ns();
		pause_ns = pa_wall_dump();
	}
	return true;
}

/* Frees the task. */
static void refuse_fgprof(struct pa_http *http, struct task *task, const char *why)
{
	drop_fgprof(task);
	pa_reply_error(http, 500, why);
}

/* Returns the file name; NULL: the response is shown as text. */
static const char *fgprof_file_of(const struct task *task)
{
	return task->form.format == PA_RENDER_PPROF ? pa_wall_profile.name : NULL;
}

/* Passes the task to the job, or frees it. */
static void answer_fgprof(struct pa_http *http, struct task *task)
{
	const struct pa_job_work work = { .run = run_fgprof, .drop = drop_fgprof, .arg = task };

	pa_reply_work(http, &work, PA_PROFILE_ENDPOINTS_LONG_QUEUE_NS, fgprof_file_of(task),
		pa_profile_endpoints_explain);
}

static const char *explain_wall_begin(int error)
{
	return error == -EBUSY ? "Could not enable fgprof: wall-clock profiling already in use" :
				 "Could not enable fgprof: out of memory";
}

static void answer_dumps(struct pa_http *http, struct pa_worker_wait *wait)
{
	struct task *task = (struct task *)wait;

	if (!pa_reply_has_room(http)) {
		drop_fgprof(task);
		return;
	}
	int error = pa_wall_begin();
	if (error) {
		refuse_fgprof(http, task, explain_wall_begin(error));
		return;
	}
	bool there = dump_threads_for(http, pa_profile_endpoints_ns(task->seconds));
	task->snapshot = pa_wall_end();
	if (!there)
		refuse_fgprof(http, task, "context canceled");
	else if (!task->snapshot)
		refuse_fgprof(http, task,
			pa_profile_endpoints_explain(pa_profile_endpoints_no_stacks()));
	else
		answer_fgprof(http, task);
}

static const char *fgprof_refusal(const struct pa_worker_wait *wait)
{
	(void)wait;
	return pa_wall_is_taken() ? explain_wall_begin(-EBUSY) : NULL;
}

void pa_fgprof_answer(struct pa_http *http, const struct pa_request *request)
{
	struct task given = {
		.wait = {
			.go = answer_dumps,
			.drop = drop_fgprof,
			.refusal = fgprof_refusal,
			.until_ns = pa_queue_clock_ns() + PA_PROFILE_ENDPOINTS_QUEUE_NS,
		},
	};
	char why[PA_PROFILE_FORM_WHY_BYTES];
	const char *wrong = read_fgprof_query(request->query, &given, why);

	if (wrong) {
		pa_reply_error(http, 400, wrong);
	} else if (request->method == PA_REQUEST_METHOD_HEAD) {
		pa_reply_no_work(http, fgprof_file_of(&given));
	} else {
		struct task *task = pa_worker_wait_new(http, &given, sizeof(given));
		if (task)
			pa_worker_wait_begin(http, &task->wait);
	}
}
