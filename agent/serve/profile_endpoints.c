/* SPDX-License-Identifier: Apache-2.0 */
#include "profile_endpoints.h"

#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../core/core.h"
#include "../profile/cpu.h"
#include "../profile/delta.h"
#include "../profile/goroutine.h"
#include "../profile/memstats.h"
#include "../profile/snapshot_take.h"
#include "client_budget.h"
#include "profile_form.h"
#include "query.h"
#include "render.h"
#include "queue_clock.h"
#include "reply.h"
#include "worker_wait.h"

#define CPU_SECONDS 30
/* Upper limit for ?seconds, so that its nanoseconds fit. */
#define SECONDS_MAX (366LL * 24 * 3600)

#define VALUE_BYTES 64
#define NO_THREADS "/proc does not list the threads of this process"
#define FILE_BYTES (PA_CUSTOM_SET_NAME_BYTES + sizeof("-delta"))

void pa_profile_endpoints_reset(void)
{
	pa_client_budget_forget(PA_CLIENT_BUDGET_WAITING);
}

/* ---- rendering, on the render thread ---- */

struct task {
	struct pa_worker_wait wait;
	const struct pa_profile_ops *kind;
	struct pa_render_form form;
	bool trim;                    /* give free memory back first */
	struct pa_snapshot *before;   /* first snapshot of a delta, or NULL */
	struct pa_snapshot *snapshot; /* NULL: run takes it */
	const char *suffix;           /* suffix of the file name; NULL: shown as text */
	int64_t queue_ns;             /* how long the job may wait in the render queue */
};

const char *pa_profile_endpoints_explain(int error)
{
	switch (error) {
	case PA_PROFILE_ENDPOINTS_NONE: return "failed to collect profile";
	case PA_PROFILE_ENDPOINTS_NO_THREADS: return "failed to collect profile: " NO_THREADS;
	case PA_PROFILE_ENDPOINTS_NO_DELTA: return "failed to compute delta";
	case -ENOMEM: return "out of memory";
	case -ETIMEDOUT: return "writing the profile takes too long";
	default: return "failed to write profile";
	}
}

int pa_profile_endpoints_no_stacks(void)
{
	return pa_goroutine_now() ? PA_PROFILE_ENDPOINTS_NONE : PA_PROFILE_ENDPOINTS_NO_THREADS;
}

static int why_none(const struct pa_profile_ops *kind)
{
	return kind == &pa_goroutine_profile ? pa_profile_endpoints_no_stacks() :
					       PA_PROFILE_ENDPOINTS_NONE;
}

static void free_before(struct pa_snapshot *before)
{
	if (before)
		pa_client_budget_give(PA_CLIENT_BUDGET_WAITING, before->bytes);
	pa_snapshot_free(before);
}

static void drop_endpoint(void *arg)
{
	struct task *task = arg;

	free_before(task->before);
	pa_snapshot_free(task->snapshot);
	free(task);
}

/* True if the allocator behind our hooks is libc's: both are in the same object. */
static bool is_glibc_allocator(void)
{
	Dl_info allocator, libc;

	pa_core_loader_enter();
	bool found = dladdr((void *)pa_core_bridge->program_malloc, &allocator) &&
		dladdr((void *)gnu_get_libc_version, &libc);
	pa_core_loader_leave();
	return found && allocator.dli_fbase == libc.dli_fbase;
}

/* Gives the allocator's free memory back to the kernel. The snapshot makes the collector process
 * the frees recorded so far. */
static void give_memory_back(const struct pa_profile_ops *kind)
{
	pa_snapshot_free(pa_snapshot_take(kind, false));
	if (is_glibc_allocator())
		malloc_trim(0);
}

static int run_endpoint(void *arg, const struct pa_sink *sink)
{
	struct task *task = arg;

	if (task->trim)
		give_memory_back(task->kind);
	if (!task->snapshot)
		task->snapshot = pa_render_take(task->kind, task->form.debug);
	if (!task->snapshot)
		return why_none(task->kind);
	if (task->trim && task->form.debug)
		pa_memstats_read_heap(&task->snapshot->memory);
	if (!task->before)
		return pa_render_write(task->snapshot, &task->form, sink);
	struct pa_snapshot *delta = pa_delta(task->before, task->snapshot);
	if (!delta)
		return PA_PROFILE_ENDPOINTS_NO_DELTA;
	int error = pa_render_write(delta, &task->form, sink);
	pa_snapshot_free(delta);
	return error;
}

/* ---- answering ---- */

/* A text has no file. */
static const char *suffix_of(const struct pa_render_form *form, const char *suffix)
{
	return form->debug || form->format != PA_RENDER_PPROF ? NULL : suffix;
}

/* Reads the form of the response. False: refused and answered. */
static bool read_form(struct pa_http *http, const struct pa_request *request,
	const struct pa_profile_ops *kind, struct pa_render_form *form)
{
	char why[PA_PROFILE_FORM_WHY_BYTES];
	const char *wrong = pa_profile_form_read(request->query, kind, form, why);

	if (!wrong && form->debug && form->format != PA_RENDER_PPROF)
		wrong = "format and debug params are incompatible";
	if (wrong)
		pa_reply_error(http, 400, wrong);
	return !wrong;
}

/* Returns the file name for Content-Disposition; NULL: shown as text. Quotes are replaced: a
 * profile name chosen by the program may contain some. */
static const char *endpoint_file_of(const struct task *task, char file[FILE_BYTES])
{
	if (!task->suffix)
		return NULL;
	snprintf(file, FILE_BYTES, "%s%s", task->kind->name, task->suffix);
	for (char *at = file; (at = strpbrk(at, "\"\\")); at++)
		*at = '_';
	return file;
}

static void answer_head(struct pa_http *http, const struct task *task)
{
	char file[FILE_BYTES];

	pa_reply_no_work(http, endpoint_file_of(task, file));
}

static void refuse_endpoint(struct pa_http *http, struct task *task, const char *why)
{
	drop_endpoint(task);
	pa_reply_error(http, 500, why);
}

static void render_endpoint(struct pa_http *http, struct pa_worker_wait *wait)
{
	char file[FILE_BYTES];
	struct task *task = (struct task *)wait;
	const struct pa_job_work work = { .run = run_endpoint, .drop = drop_endpoint, .arg = task };

	pa_reply_work(http, &work, task->queue_ns, endpoint_file_of(task, file),
		pa_profile_endpoints_explain);
}

/* Returns NULL and answers if there is no memory. Otherwise the task is the caller's, or freed by
 * drop. */
static struct task *new_endpoint_task(struct pa_http *http, const struct task *given)
{
	struct task *task = pa_worker_wait_new(http, given, sizeof(*given));

	if (!task)
		return NULL;
	task->wait.go = render_endpoint;
	task->wait.drop = drop_endpoint;
	return task;
}

/* A profile that took seconds to collect may wait longer for a worker and in the render queue. */
static void render_waited(struct pa_http *http, struct task *task)
{
	task->queue_ns = PA_PROFILE_ENDPOINTS_LONG_QUEUE_NS;
	task->wait.until_ns = pa_queue_clock_ns() + PA_PROFILE_ENDPOINTS_LONG_QUEUE_NS;
	pa_worker_wait_begin(http, &task->wait);
}

int64_t pa_profile_endpoints_ns(int64_t seconds)
{
	return (seconds < SECONDS_MAX ? seconds : SECONDS_MAX) * PA_NS_PER_S;
}

static int64_t query_number(const struct pa_request *request, const char *name)
{
	char value[VALUE_BYTES];

	pa_query_get(request->query, name, value, sizeof(value));
	return pa_query_atoi(value);
}

/* ---- CPU ---- */

static const char *cpu_refusal(int error)
{
	switch (error) {
	case -EBUSY: return "Could not enable CPU profiling: cpu profiling already in use";
	case -EAGAIN: return "Could not enable CPU profiling: too many shared profiles at once";
	case -EADDRINUSE:
		return "Could not enable CPU profiling: the program uses the agent's signal "
		       "(PPROFAGENT_SIGNAL chooses another)";
	case -EPERM:
		return "Could not enable CPU profiling: filters of system calls (seccomp) forbid "
		       "what it needs";
	case -ENOENT: return "Could not enable CPU profiling: " NO_THREADS;
	case -ENOMEM: return "Could not enable CPU profiling: out of memory";
	case -ETIMEDOUT: return "Could not enable CPU profiling: the collector does not answer";
	default: return "Could not enable CPU profiling: the kernel refuses its timers";
	}
}

static int64_t cpu_seconds(const struct pa_request *request)
{
	char value[VALUE_BYTES];
	int64_t seconds;

	pa_query_get(request->query, "seconds", value, sizeof(value));
	return pa_query_int(value, &seconds) && seconds > 0 ? seconds : CPU_SECONDS;
}

static void resume_cpu(struct pa_http *http, bool there, void *arg)
{
	struct task *task = arg;

	task->snapshot = pa_cpu_stop(task->kind);
	if (!there)
		refuse_endpoint(http, task, "context canceled");
	else if (!task->snapshot)
		refuse_endpoint(http, task,
			pa_profile_endpoints_explain(PA_PROFILE_ENDPOINTS_NONE));
	else
		render_waited(http, task);
}

/* Sampling is on; stops it in every case. */
static void wait_for_cpu(struct pa_http *http, const struct pa_request *request, struct task *task)
{
	const struct pa_http_continuation later = { resume_cpu, drop_endpoint, task };
	bool is_head = request->method == PA_REQUEST_METHOD_HEAD;

	if (!is_head &&
		pa_http_suspend(http, pa_profile_endpoints_ns(cpu_seconds(request)), &later))
		return;
	task->snapshot = pa_cpu_stop(task->kind);
	if (is_head)
		answer_head(http, task);
	else
		pa_reply_overloaded(http);
	drop_endpoint(task);
}

static bool is_shared(const struct pa_request *request)
{
	char value[VALUE_BYTES];

	pa_query_get(request->query, "share", value, sizeof(value));
	return value[0] ? pa_query_atoi(value) > 0 : pa_core_bridge->settings->cpu_shared;
}

void pa_profile_endpoints_cpu(struct pa_http *http, const struct pa_request *request)
{
	const unsigned rate_hz = pa_core_bridge->settings->cpu_hz;
	struct task given = { .kind = &pa_cpu_profile };

	if (!read_form(http, request, given.kind, &given.form))
		return;
	given.suffix = suffix_of(&given.form, "");
	struct task *task = pa_reply_has_room(http) ? new_endpoint_task(http, &given) : NULL;
	if (!task)
		return;
	int error = is_shared(request) ? pa_cpu_start_shared(rate_hz, &task->kind) :
					 pa_cpu_start(rate_hz);
	if (error)
		refuse_endpoint(http, task, cpu_refusal(error));
	else
		wait_for_cpu(http, request, task);
}

/* ---- named profiles ---- */

/* Returns 0; as why_none; -EBUSY: the budget is full. */
static int take_before(struct task *task)
{
	task->before = pa_snapshot_take(task->kind, false);
	if (!task->before)
		return why_none(task->kind);
	if (pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, task->before->bytes))
		return 0;
	pa_snapshot_free(task->before);
	task->before = NULL;
	return -EBUSY;
}

static void refuse_first_half(struct pa_http *http, int error)
{
	if (error == -EBUSY)
		pa_reply_error(http, 503,
			"profiles that are waited for have all the memory that "
			"clients are given; try again");
	else
		pa_reply_error(http, 500, pa_profile_endpoints_explain(error));
}

static void resume_delta(struct pa_http *http, bool there, void *arg)
{
	struct task *task = arg;

	/* While it is still recorded: objects that only a watch shows are forgotten with it. */
	if (there)
		task->snapshot = pa_snapshot_take(task->kind, false);
	pa_profile_ops_watch(task->kind, false, false);
	if (there)
		render_waited(http, task);
	else
		refuse_endpoint(http, task, "context canceled");
}

/* Takes the first snapshot of a delta and waits for the second. Waits and contention are recorded
 * meanwhile, even if the settings leave them off. */
static void wait_for_delta(struct pa_http *http, struct task *task, int64_t seconds)
{
	const struct pa_http_continuation later = { resume_delta, drop_endpoint, task };

	pa_profile_ops_watch(task->kind, false, true);
	int error = take_before(task);
	if (!error && pa_http_suspend(http, pa_profile_endpoints_ns(seconds), &later))
		return;
	pa_profile_ops_watch(task->kind, false, false);
	drop_endpoint(task);
	if (error)
		refuse_first_half(http, error);
	else
		pa_reply_overloaded(http);
}

/* Checks in Go's order. value: text of ?seconds, not empty. */
static void answer_delta(struct pa_http *http, const struct pa_request *request,
	const struct pa_render_form *form, const struct pa_profile_ops *kind, const char *value)
{
	const struct task given = {
		.kind = kind,
		.form = *form,
		.suffix = suffix_of(form, "-delta"),
	};
	int64_t seconds;

	if (!pa_query_int(value, &seconds) || seconds <= 0) {
		pa_reply_error(http, 400,
			"invalid value for \"seconds\" - must be a positive integer");
		return;
	}
	if (!kind->has_seconds) {
		pa_reply_error(http, 400,
			"\"seconds\" parameter is not supported for this profile type");
		return;
	}
	if (form->debug) {
		pa_reply_error(http, 400, "seconds and debug params are incompatible");
		return;
	}
	if (request->method == PA_REQUEST_METHOD_HEAD) {
		answer_head(http, &given);
		return;
	}
	if (!pa_http_may_suspend()) { /* before the cost of the first snapshot */
		pa_reply_overloaded(http);
		return;
	}
	struct task *task = new_endpoint_task(http, &given);
	if (task)
		wait_for_delta(http, task, seconds);
}

void pa_profile_endpoints_named(struct pa_http *http, const struct pa_request *request,
	const struct pa_profile_ops *kind)
{
	char seconds[VALUE_BYTES];
	struct task given = {
		.kind = kind,
		.form.debug = query_number(request, "debug"),
		.trim = kind->trims && query_number(request, "gc") > 0,
		.queue_ns = PA_RENDER_THREAD_QUEUE_TIMEOUT_NS,
		.wait.until_ns = pa_queue_clock_ns() + PA_PROFILE_ENDPOINTS_QUEUE_NS,
	};

	if (!read_form(http, request, kind, &given.form))
		return;
	given.suffix = suffix_of(&given.form, "");
	pa_query_get(request->query, "seconds", seconds, sizeof(seconds));
	if (seconds[0]) {
		answer_delta(http, request, &given.form, kind, seconds);
	} else if (request->method == PA_REQUEST_METHOD_HEAD) {
		answer_head(http, &given);
	} else {
		struct task *task = new_endpoint_task(http, &given);
		if (task)
			pa_worker_wait_begin(http, &task->wait);
	}
}
