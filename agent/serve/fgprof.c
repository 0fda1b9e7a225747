#include "fgprof.h"

#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../profile/symbols.h"
#include "../profile/wall.h"
#include "folded.h"
#include "profiles.h"
#include "query.h"
#include "reply.h"

#define SECONDS 30
#define VALUE_BYTES 64

struct task {
	int64_t seconds;
	bool folded;
	struct pa_snapshot *snapshot;
};

/* ---- on the render thread ---- */

static int run(void *arg, const struct pa_sink *sink)
{
	const struct task *task = arg;
	int error = task->folded ? pa_folded_write(task->snapshot, sink)
				 : pa_encode_profile(task->snapshot, sink);

	pa_symbols_rest();
	return error;
}

static void drop(void *arg)
{
	struct task *task = arg;

	pa_snapshot_free(task->snapshot);
	free(task);
}

/* ---- on the worker ---- */

/* NULL, or what is wrong with it. */
static const char *read_query(const char *query, struct task *task)
{
	char seconds[VALUE_BYTES], format[VALUE_BYTES];

	task->seconds = SECONDS;
	pa_query_get(query, "seconds", seconds, sizeof(seconds));
	pa_query_get(query, "format", format, sizeof(format));
	if (seconds[0] && (!pa_query_int(seconds, &task->seconds) || task->seconds <= 0))
		return "bad seconds: must be a positive integer";
	task->folded = strcmp(format, "folded") == 0;
	if (format[0] && !task->folded && strcmp(format, "pprof") != 0)
		return "unknown format: there are pprof and folded";
	return NULL;
}

/* The last roll comes after the end, so that it accounts for all of the time. False: the client
 * left. */
static bool roll_for(struct pa_http *http, int64_t ns)
{
	int64_t now_ns = pa_clock_mono_ns(), end_ns = now_ns + ns, pause_ns = PA_WALL_PERIOD_NS;

	while (now_ns < end_ns) {
		int64_t left_ns = end_ns - now_ns;
		if (!pa_http_wait(http, pause_ns < left_ns ? pause_ns : left_ns))
			return false;
		now_ns = pa_clock_mono_ns();
		pause_ns = pa_wall_roll();
	}
	return true;
}

static void answer(struct pa_http *http, const struct task *given, const char *file)
{
	struct task *task = malloc(sizeof(*task));
	const struct pa_job_work work = { .run = run, .drop = drop, .arg = task };

	if (!task) {
		pa_snapshot_free(given->snapshot);
		pa_reply_no_job(http, -ENOMEM);
		return;
	}
	*task = *given;
	pa_reply_work(http, &work, PA_PROFILES_TURN_NS, file, pa_profiles_explain);
}

static void answer_rolls(struct pa_http *http, struct task *task, const char *file)
{
	int error = pa_wall_begin();

	if (error) {
		pa_reply_error(http, 500, error == -EBUSY
			? "Could not enable fgprof: wall-clock profiling already in use"
			: "Could not enable fgprof: out of memory");
		return;
	}
	bool there = roll_for(http, pa_profiles_ns(task->seconds));
	task->snapshot = pa_wall_end();
	if (!there) {
		pa_snapshot_free(task->snapshot);
		pa_reply_error(http, 500, "context canceled");
	} else if (!task->snapshot) {
		pa_reply_error(http, 500, pa_profiles_explain(PA_PROFILES_NONE));
	} else {
		answer(http, task, file);
	}
}

void pa_fgprof_answer(struct pa_http *http, const struct pa_request *request)
{
	struct task task = { .snapshot = NULL };
	const char *wrong = read_query(request->query, &task);
	const char *file = task.folded ? NULL : pa_wall_kind.name;

	if (wrong)
		pa_reply_error(http, 400, wrong);
	else if (!pa_http_claim(http))
		pa_reply_crowded(http);
	else if (request->method == PA_REQUEST_HEAD)
		pa_reply_no_work(http, file);
	else
		answer_rolls(http, &task, file);
}
