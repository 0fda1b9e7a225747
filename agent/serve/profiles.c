#include "profiles.h"

#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/atomic.h"
#include "../profile/core.h"
#include "../profile/delta.h"
#include "query.h"
#include "render.h"
#include "reply.h"

#define CPU_SECONDS 30
/* Nobody tells a year from for ever, and the nanoseconds of it fit. */
#define SECONDS_MAX (366LL * 24 * 3600)

#define VALUE_BYTES 64
#define FILE_BYTES (PA_CUSTOM_NAME_BYTES + sizeof("-delta"))

static struct {
	PA_ATOMIC(int) waiting; /* requests that wait for their seconds; acq_rel */
} state;

void pa_profiles_reset(void)
{
	pa_store_relaxed(&state.waiting, 0);
}

/* ---- rendering, on the render thread ---- */

struct task {
	const struct pa_kind *kind;
	int64_t debug;                /* as asked for; 0: the proto */
	bool trim;                    /* give free memory back before */
	struct pa_snapshot *before;   /* a delta from there, or NULL */
	struct pa_snapshot *snapshot; /* taken already, or NULL */
};

const char *pa_profiles_explain(int error)
{
	switch (error) {
	case PA_PROFILES_NONE:
		return "failed to collect profile";
	case PA_PROFILES_NO_DELTA:
		return "failed to compute delta";
	case -ENOMEM:
		return "out of memory";
	case -ETIMEDOUT:
		return "writing the profile takes too long";
	default:
		return "failed to write profile";
	}
}

static void drop(void *arg)
{
	struct task *task = arg;

	pa_snapshot_free(task->before);
	pa_snapshot_free(task->snapshot);
	free(task);
}

/* The same shared object: libc's own allocator is the one behind our hooks. */
static bool is_glibc_allocator(void)
{
	Dl_info allocator, libc;

	pa_core_loader_enter();
	bool found = dladdr((void *)pa_core_bridge->program_malloc, &allocator) &&
		dladdr((void *)gnu_get_libc_version, &libc);
	pa_core_loader_leave();
	return found && allocator.dli_fbase == libc.dli_fbase;
}

/* What the allocator keeps for later goes back, once frees that are on their way were counted. */
static void give_memory_back(const struct pa_kind *kind)
{
	pa_snapshot_free(pa_snapshot_take_of(kind));
	if (is_glibc_allocator())
		malloc_trim(0);
}

static int run(void *arg, const struct pa_sink *sink)
{
	struct task *task = arg;

	if (task->trim)
		give_memory_back(task->kind);
	if (!task->snapshot)
		task->snapshot = pa_render_take(task->kind, task->debug);
	if (!task->snapshot)
		return PA_PROFILES_NONE;
	if (!task->before)
		return pa_render_write(task->snapshot, task->debug, sink);
	struct pa_snapshot *delta = pa_delta(task->before, task->snapshot);
	if (!delta)
		return PA_PROFILES_NO_DELTA;
	int error = pa_render_write(delta, task->debug, sink);
	pa_snapshot_free(delta);
	return error;
}

/* ---- answering ---- */

/*
 * The name of the file that a browser would make of it; NULL, shown as text, without a suffix. It
 * gets into a header, in quotes: what the program calls its profiles may have some.
 */
static const char *file_of(const struct task *task, const char *suffix, char file[FILE_BYTES])
{
	if (!suffix)
		return NULL;
	snprintf(file, FILE_BYTES, "%s%s", task->kind->name, suffix);
	for (char *at = file; (at = strpbrk(at, "\"\\")); at++)
		*at = '_';
	return file;
}

static void answer(struct pa_http *http, const struct task *given, const char *suffix,
	int64_t turn_ns)
{
	char file[FILE_BYTES];
	struct task *task = malloc(sizeof(*task));
	const struct pa_job_work work = { .run = run, .drop = drop, .arg = task };

	if (!task) {
		pa_snapshot_free(given->before);
		pa_snapshot_free(given->snapshot);
		pa_reply_no_job(http, -ENOMEM);
		return;
	}
	*task = *given;
	pa_reply_work(http, &work, turn_ns, file_of(given, suffix, file), pa_profiles_explain);
}

static void answer_head(struct pa_http *http, const struct task *task, const char *suffix)
{
	char file[FILE_BYTES];

	pa_reply_no_work(http, file_of(task, suffix, file));
}

int64_t pa_profiles_ns(int64_t seconds)
{
	return (seconds < SECONDS_MAX ? seconds : SECONDS_MAX) * PA_NS_PER_S;
}

static int64_t parameter(const struct pa_request *request, const char *name)
{
	char value[VALUE_BYTES];

	pa_query_get(request->query, name, value, sizeof(value));
	return pa_query_atoi(value);
}

/* ---- CPU ---- */

static const char *cpu_refusal(int error)
{
	switch (error) {
	case -EBUSY:
		return "Could not enable CPU profiling: cpu profiling already in use";
	case -EADDRINUSE:
		return "Could not enable CPU profiling: the program uses the agent's signal "
		       "(PPROFAGENT_SIGNAL chooses another)";
	case -EPERM:
		return "Could not enable CPU profiling: filters of system calls (seccomp) forbid "
		       "what it needs";
	case -ENOMEM:
		return "Could not enable CPU profiling: out of memory";
	case -ETIMEDOUT:
		return "Could not enable CPU profiling: the collector does not answer";
	default:
		return "Could not enable CPU profiling: the kernel refuses its timers";
	}
}

static int64_t cpu_seconds(const struct pa_request *request)
{
	char value[VALUE_BYTES];
	int64_t seconds;

	pa_query_get(request->query, "seconds", value, sizeof(value));
	return pa_query_int(value, &seconds) && seconds > 0 ? seconds : CPU_SECONDS;
}

void pa_profiles_cpu(struct pa_http *http, const struct pa_request *request)
{
	struct task task = { .kind = &pa_kinds[PA_KIND_CPU] };
	int error = pa_snapshot_cpu_start(pa_core_bridge->settings->cpu_hz);

	if (error) {
		pa_reply_error(http, 500, cpu_refusal(error));
		return;
	}
	bool is_head = request->method == PA_REQUEST_HEAD;
	bool claimed = pa_http_claim(http);
	int64_t ns = pa_profiles_ns(cpu_seconds(request));
	bool there = claimed && (is_head || pa_http_wait(http, ns));
	task.snapshot = pa_snapshot_cpu_stop();
	if (!claimed) {
		pa_snapshot_free(task.snapshot);
		pa_reply_crowded(http);
	} else if (is_head) {
		pa_snapshot_free(task.snapshot);
		answer_head(http, &task, "");
	} else if (!there) {
		pa_snapshot_free(task.snapshot);
		pa_reply_error(http, 500, "context canceled");
	} else if (!task.snapshot) {
		pa_reply_error(http, 500, pa_profiles_explain(PA_PROFILES_NONE));
	} else {
		answer(http, &task, "", PA_PROFILES_TURN_NS);
	}
}

/* ---- named profiles ---- */

/*
 * The first half of a delta, and the wait for the second. Contention that the settings leave off is
 * recorded for as long as somebody waits for it.
 */
static void answer_waited(struct pa_http *http, struct task *task, int64_t seconds)
{
	pa_snapshot_watch(task->kind->id);
	task->before = pa_snapshot_take_of(task->kind);
	bool there = task->before && pa_http_wait(http, pa_profiles_ns(seconds));
	pa_snapshot_unwatch(task->kind->id);
	if (!task->before) {
		pa_reply_error(http, 500, pa_profiles_explain(PA_PROFILES_NONE));
	} else if (!there) {
		pa_snapshot_free(task->before);
		pa_reply_error(http, 500, "context canceled");
	} else {
		answer(http, task, "-delta", PA_PROFILES_TURN_NS);
	}
}

/* Go's order of checks. value: of seconds, not empty. */
static void answer_delta(struct pa_http *http, const struct pa_request *request,
	const struct pa_kind *kind, const char *value)
{
	struct task task = { .kind = kind };
	int64_t seconds;

	if (!pa_query_int(value, &seconds) || seconds <= 0) {
		pa_reply_error(http, 400,
			"invalid value for \"seconds\" - must be a positive integer");
		return;
	}
	if (kind->id == PA_KIND_CUSTOM) {
		pa_reply_error(http, 400,
			"\"seconds\" parameter is not supported for this profile type");
		return;
	}
	if (parameter(request, "debug") != 0) {
		pa_reply_error(http, 400, "seconds and debug params are incompatible");
		return;
	}
	if (request->method == PA_REQUEST_HEAD) {
		answer_head(http, &task, "-delta");
		return;
	}
	if (pa_add_acq_rel(&state.waiting, 1) < PA_PROFILES_WAITING)
		answer_waited(http, &task, seconds);
	else
		pa_reply_crowded(http);
	pa_add_acq_rel(&state.waiting, -1);
}

void pa_profiles_named(struct pa_http *http, const struct pa_request *request,
	const struct pa_kind *kind)
{
	char seconds[VALUE_BYTES];
	struct task task = {
		.kind = kind,
		.debug = parameter(request, "debug"),
		.trim = kind->id == PA_KIND_HEAP && parameter(request, "gc") > 0,
	};
	const char *suffix = task.debug ? NULL : "";

	pa_query_get(request->query, "seconds", seconds, sizeof(seconds));
	if (!pa_http_claim(http))
		pa_reply_crowded(http);
	else if (seconds[0])
		answer_delta(http, request, kind, seconds);
	else if (request->method == PA_REQUEST_HEAD)
		answer_head(http, &task, suffix);
	else
		answer(http, &task, suffix, 0);
}
