/* SPDX-License-Identifier: Apache-2.0 */
#include "api_profiles.h"

#include <errno.h>
#include <stdlib.h>

#include "../core/core.h"
#include "../profile/cpu.h"
#include "../profile/profile_lookup.h"
#include "../profile/recording.h"
#include "../profile/snapshot_take.h"
#include "../symbols/symbols.h"
#include "../symbols/symbols_resolve.h"
#include "render_thread.h"
#include "render.h"

/* How long a call of the program waits in the render queue. */
#define QUEUE_NS (30 * PA_NS_PER_S)

typedef bool write_fn(void *arg, const void *bytes, size_t count);

struct task {
	const struct pa_profile_ops *kind;
	int64_t debug;
	struct pa_snapshot *snapshot; /* NULL: run takes it */
};

/* ---- on the render thread ---- */

static int run_profile(void *arg, const struct pa_sink *sink)
{
	struct task *task = arg;
	if (!task->snapshot)
		task->snapshot = pa_render_take(task->kind, task->debug);
	if (!task->snapshot)
		return -ENOMEM;
	const struct pa_render_form form = {
		.debug = task->debug,
		.threads = pa_core_bridge->settings->thread_label,
	};
	return pa_render_write(task->snapshot, &form, sink);
}

static void drop_profile(void *arg)
{
	struct task *task = arg;
	pa_snapshot_free(task->snapshot);
	free(task);
}

void pa_api_profiles_render(bool (*is_over)(void))
{
	pa_symbols_init(pa_core_bridge->settings->symbols);
	pa_symbols_resolve_name_unnamed(pa_core_bridge->settings->unnamed ==
		PA_ENV_UNNAMED_FUNCTION);
	pa_render_thread_run(is_over);
}

static void *run_render(void *unused)
{
	(void)unused;
	pa_api_profiles_render(NULL);
	return NULL;
}

static bool is_over_at_once(void)
{
	return true;
}

static void *run_idle_work(void *unused)
{
	(void)unused;
	pa_api_profiles_render(is_over_at_once);
	return NULL;
}

static int start_render_thread(void *(*run)(void *))
{
	int error = pa_core_bridge->spawn(run, NULL, "pprofagent");
	if (error)
		pa_render_thread_disclaim();
	return error;
}

void pa_api_profiles_idle_soon(void)
{
	if (pa_render_thread_claim())
		(void)start_render_thread(run_idle_work); /* it is called again */
	else
		pa_render_thread_wake();
}

/* ---- on the program's thread ---- */

/* The server thread becomes the render thread only with the first connection; until then a call of
 * the program starts a render thread. */
static int have_render_thread(void)
{
	return pa_render_thread_claim() ? start_render_thread(run_render) : 0;
}

static int pass_on_profile(struct pa_job *job, write_fn *write, void *arg)
{
	const char *bytes;
	int64_t count;
	while ((count = pa_render_thread_read(job, 1, &bytes)) > 0) {
		if (!write(arg, bytes, (size_t)count))
			return -ECANCELED;
		pa_render_thread_consume(job, (size_t)count);
	}
	return (int)count;
}

/* Frees the task's snapshot in every case. */
static int render_profile(const struct task *given, write_fn *write, void *arg)
{
	struct pa_job *job;
	struct task *task = malloc(sizeof(*task));
	const struct pa_job_work work = { .run = run_profile, .drop = drop_profile, .arg = task };
	if (!task) {
		pa_snapshot_free(given->snapshot);
		return -ENOMEM;
	}
	*task = *given;
	int error = have_render_thread();
	if (error) {
		drop_profile(task);
		return error;
	}
	error = pa_render_thread_submit(&work, QUEUE_NS, &job);
	if (error == -EDQUOT)
		return -ENOMEM;
	if (error)
		return error == -EBUSY ? -ETIMEDOUT : error;
	/* The render thread that existed before the submit may have ended before it saw the job. */
	error = have_render_thread();
	if (!error)
		error = pass_on_profile(job, write, arg);
	pa_render_thread_leave(job);
	return error == -EBUSY ? -ETIMEDOUT : error;
}

static PA_API int write_profile(const char *name, int64_t debug, write_fn *write, void *arg)
{
	const struct task task = { .kind = pa_profile_lookup(name), .debug = debug };
	if (!task.kind || !task.kind->named)
		return -EINVAL;
	return render_profile(&task, write, arg);
}

static PA_API int cpu_start(void)
{
	return pa_cpu_start(pa_core_bridge->settings->cpu_hz);
}

static PA_API int cpu_stop(write_fn *write, void *arg)
{
	const struct task task = { .kind = &pa_cpu_profile,
		.snapshot = pa_cpu_stop(&pa_cpu_profile) };
	return task.snapshot ? render_profile(&task, write, arg) : -ENOMEM;
}

static PA_API int64_t count_of_profile(const char *name)
{
	const struct pa_profile_ops *kind = pa_profile_lookup(name);
	return kind ? (int64_t)pa_snapshot_count(kind) : -1;
}

/* Starts the CPU profile that is written at exit. Runs on a thread of its own, because the start
 * waits for the collector, which is the caller. */
static void *run_first(void *unused)
{
	(void)unused;
	pa_cpu_start_claimed(&pa_cpu_profile, pa_core_bridge->settings->cpu_hz);
	if (pa_render_thread_claim())
		pa_api_profiles_render(NULL);
	return NULL;
}

void pa_api_profiles_init(void)
{
	pa_core_bridge->api.write = write_profile;
	pa_core_bridge->api.cpu_start = cpu_start;
	pa_core_bridge->api.cpu_stop = cpu_stop;
	pa_core_bridge->api.count = count_of_profile;
	pa_core_bridge->api.rates_changed = pa_recording_rates_changed;
	if (pa_core_bridge->cpu_from_start && pa_cpu_claim() &&
		pa_core_bridge->spawn(run_first, NULL, "pprofagent") != 0)
		pa_cpu_disclaim();
}
