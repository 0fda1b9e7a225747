#include "files.h"

#include <errno.h>
#include <stdlib.h>

#include "../profile/core.h"
#include "../profile/symbols.h"
#include "collect.h"
#include "render.h"
#include "since.h"

/* How long a program that wants its profile waits for its turn. */
#define TURN_NS (30 * PA_NS_PER_S)

typedef bool write_fn(void *arg, const void *bytes, size_t count);

struct task {
	const struct pa_kind *kind;
	int64_t debug;
	struct pa_snapshot *snapshot; /* taken already, or NULL */
};

/* ---- on the render thread ---- */

static int run(void *arg, const struct pa_sink *sink)
{
	struct task *task = arg;
	if (!task->snapshot)
		task->snapshot = pa_render_take(task->kind, task->debug);
	if (!task->snapshot)
		return -ENOMEM;
	return pa_render_write(task->snapshot, task->debug, sink);
}

static void drop(void *arg)
{
	struct task *task = arg;
	pa_snapshot_free(task->snapshot);
	free(task);
}

void pa_files_render(void)
{
	pa_symbols_init(pa_core_bridge->settings->symbols);
	pa_collect_idle(pa_since_idle);
	pa_collect_run();
}

static void *run_render(void *unused)
{
	(void)unused;
	pa_files_render();
}

/* ---- on the program's thread ---- */

/* The server's thread may be it, but has no reason to before the first connection. */
static int have_render_thread(void)
{
	if (!pa_collect_claim())
		return 0;
	return pa_core_bridge->spawn(run_render, NULL, "pprofagent");
}

static int pass_on(struct pa_job *job, write_fn *write, void *arg)
{
	const char *bytes;
	int64_t count;
	while ((count = pa_collect_read(job, 1, &bytes)) > 0) {
		if (!write(arg, bytes, (size_t)count))
			return -ECANCELED;
		pa_collect_took(job, (size_t)count);
	}
	return (int)count;
}

/* The task is taken care of. */
static int render(const struct task *given, write_fn *write, void *arg)
{
	struct pa_job *job;
	struct task *task = malloc(sizeof(*task));
	const struct pa_job_work work = { .run = run, .drop = drop, .arg = task };
	if (!task) {
		pa_snapshot_free(given->snapshot);
		return -ENOMEM;
	}
	*task = *given;
	int error = have_render_thread();
	if (error) {
		drop(task);
		return error;
	}
	error = pa_collect_submit(&work, TURN_NS, &job);
	if (error)
		return error == -EBUSY ? -ETIMEDOUT : error;
	error = pass_on(job, write, arg);
	pa_collect_leave(job);
	return error;
}

static int write_profile(const char *name, int64_t debug, write_fn *write, void *arg)
{
	const struct task task = { .kind = pa_kind_find(name), .debug = debug };
	if (!task.kind || !task.kind->named)
		return -EINVAL;
	return render(&task, write, arg);
}

static int cpu_start(void)
{
	return pa_snapshot_cpu_start(pa_core_bridge->settings->cpu_hz);
}

static int cpu_stop(write_fn *write, void *arg)
{
	const struct task task = {
		.kind = &pa_kinds[PA_KIND_CPU], .snapshot = pa_snapshot_cpu_stop()
	};
	return task.snapshot ? render(&task, write, arg) : -ENOMEM;
}

static int64_t count(const char *name)
{
	const struct pa_kind *kind = pa_kind_find(name);
	return kind ? (int64_t)pa_snapshot_count_of(kind) : -1;
}

/* For the file that is written at the end. Not on the collector's thread, which has to answer. */
static void *run_first(void *unused)
{
	(void)unused;
	cpu_start();
	if (pa_collect_claim())
		pa_files_render();
	return NULL;
}

void pa_files_init(void)
{
	pa_core_bridge->api.write = write_profile;
	pa_core_bridge->api.cpu_start = cpu_start;
	pa_core_bridge->api.cpu_stop = cpu_stop;
	pa_core_bridge->api.count = count;
	pa_core_bridge->api.rates_changed = pa_snapshot_rates_changed;
	if (pa_core_bridge->cpu_from_start)
		pa_core_bridge->spawn(run_first, NULL, "pprofagent");
}
