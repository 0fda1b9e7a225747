/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions that libpprofagent.so exports to users of pprofagent.h: argument checks, waits for
 * the core, and descriptors. record/ and the core do the work.
 */
#include "arch/arch.h"
#include "pprofagent.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"
#include "core_handle.h"
#include "base/quiet.h"
#include "record/custom_set.h"
#include "record/labels.h"
#include "record/profile_names.h"
#include "record/trace_events.h"

/* A built-in profile, or (custom not NULL) a user-defined one. */
struct pprofagent_profile {
	const char *name;
	struct pa_custom_set *custom;
};

/* One handle each for the profiles that have names. */
#define HANDLE_OTHER(kind)
#define HANDLE_NAMED(kind) { .name = #kind },
#define HANDLE_DELTA(kind) HANDLE_NAMED(kind)
#define X(kind, how) HANDLE_##how(kind)
static struct pprofagent_profile built_in[] = { PA_PROFILE_NAMES(X) };
#undef X
#define BUILT_IN PA_COUNT(built_in)

static PA_LARGE struct {
	struct pprofagent_profile
		custom[PA_CUSTOM_SET_MAX]; /* by id; every writer stores the same values */
	PA_ATOMIC(int32_t) cpu_fd; /* destination of the CPU profile started here, + 1; 0: none */
} state;

/* ---- profiles ---- */

static pprofagent_profile *handle_of(struct pa_custom_set *custom)
{
	struct pprofagent_profile *profile = &state.custom[custom->id];
	profile->custom = custom;
	profile->name = custom->name;
	return profile;
}

static PA_API PA_ENTRY int profile_new(const char *name, pprofagent_profile **profile)
{
	PA_CALM_FLAGS();
	struct pa_custom_set *custom;
	if (!pa_agent_is_active())
		return -ENOSYS;
	int error = pa_custom_set_new(name ? name : "", &custom);
	if (!error && profile)
		*profile = handle_of(custom);
	return error;
}

static PA_API PA_ENTRY pprofagent_profile *profile_lookup(const char *name)
{
	PA_CALM_FLAGS();
	if (!pa_agent_is_active() || !name)
		return NULL;
	for (size_t i = 0; i < BUILT_IN; i++)
		if (strcmp(built_in[i].name, name) == 0)
			return &built_in[i];
	struct pa_custom_set *custom = pa_custom_set_find(name);
	return custom ? handle_of(custom) : NULL;
}

static PA_API int compare_names(const void *a, const void *b)
{
	const pprofagent_profile *const *left = a, *const *right = b;
	return strcmp((*left)->name, (*right)->name);
}

static PA_API PA_ENTRY size_t profile_list(pprofagent_profile **profiles, size_t max)
{
	PA_CALM_FLAGS();
	pprofagent_profile *all[BUILT_IN + PA_CUSTOM_SET_MAX];
	size_t count = 0;
	if (!pa_agent_is_active())
		return 0;
	for (; count < BUILT_IN; count++)
		all[count] = &built_in[count];
	for (uint32_t id = 0; id < pa_custom_set_total(); id++)
		all[count++] = handle_of(pa_custom_set_get(id));
	qsort(all, count, sizeof(all[0]), compare_names);
	for (size_t i = 0; i < count && i < max; i++)
		profiles[i] = all[i];
	return count;
}

static PA_API const char *profile_name(const pprofagent_profile *profile)
{
	return profile->name;
}

/* Runs a function of the core as the agent's code: no samples, fresh FPU state, and no
 * cancellation, which would leave a job in the core. */
#define WITH_CORE(result, call)                                                                   \
	do {                                                                                      \
		int saved_errno = errno, cancel_state;                                            \
		PA_FRESH_FPU();                                                                   \
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);                    \
		const struct pa_bridge *bridge = pa_core_handle_await(PA_CORE_HANDLE_TIMEOUT_NS); \
		pa_thread_self.depth++;                                                           \
		(result) = bridge ? (call) : -ETIMEDOUT;                                          \
		pa_thread_self.depth--;                                                           \
		pthread_setcancelstate(cancel_state, NULL);                                       \
		errno = saved_errno;                                                              \
	} while (0)

static PA_API PA_ENTRY int profile_count(const pprofagent_profile *profile)
{
	PA_CALM_FLAGS();
	int64_t count;
	if (!pa_agent_is_active())
		return 0;
	if (profile->custom)
		return (int)pa_load_relaxed(&profile->custom->count);
	WITH_CORE(count, bridge->api.count(profile->name));
	return count < 0 ? 0 : count < INT32_MAX ? (int)count : INT32_MAX;
}

static int check_own(const pprofagent_profile *profile)
{
	if (!pa_agent_is_active())
		return -ENOSYS;
	if (!profile)
		return -EINVAL;
	return profile->custom ? 0 : -EPERM;
}

static PA_API PA_ENTRY int profile_add(pprofagent_profile *profile, const void *value, int skip)
{
	PA_CALM_FLAGS();
	struct pa_cursor caller = PA_CURSOR_OF_CALLER();
	int error = check_own(profile);
	if (error)
		return error;
	return pa_custom_set_add(&pa_thread_self, profile->custom, value, skip, caller);
}

static PA_API PA_ENTRY int profile_remove(pprofagent_profile *profile, const void *value)
{
	PA_CALM_FLAGS();
	int error = check_own(profile);
	if (!error)
		pa_custom_set_remove(&pa_thread_self, profile->custom, value);
	return error;
}

/* ---- descriptors ---- */

struct sink {
	int fd, error;
};

static PA_API bool write_to(void *arg, const void *bytes, size_t count)
{
	struct sink *sink = arg;
	const char *from = bytes;
	while (count && !sink->error) {
		ssize_t done = pa_quiet_write(sink->fd, from, count);
		if (done < 0 && errno != EINTR)
			sink->error = -errno;
		if (done > 0) {
			from += done;
			count -= (size_t)done;
		}
	}
	return !sink->error;
}

static PA_API PA_ENTRY int profile_write(const pprofagent_profile *profile, int fd, int debug)
{
	PA_CALM_FLAGS();
	struct sink sink = { .fd = fd };
	int error;
	if (!pa_agent_is_active())
		return -ENOSYS;
	if (!profile)
		return -EINVAL;
	WITH_CORE(error, bridge->api.write(profile->name, debug, write_to, &sink));
	return sink.error ? sink.error : error;
}

static PA_API PA_ENTRY int start_cpu_profile(int fd)
{
	PA_CALM_FLAGS();
	int error;
	if (!pa_agent_is_active())
		return -ENOSYS;
	if (fd < 0)
		return -EBADF;
	WITH_CORE(error, bridge->api.cpu_start());
	if (!error)
		pa_store_release(&state.cpu_fd, fd + 1);
	return error;
}

static PA_API PA_ENTRY int stop_cpu_profile(void)
{
	PA_CALM_FLAGS();
	int error, fd = pa_swap_acq_rel(&state.cpu_fd, 0) - 1;
	struct sink sink = { .fd = fd };
	if (!pa_agent_is_active())
		return -ENOSYS;
	if (fd < 0)
		return 0;
	WITH_CORE(error, bridge->api.cpu_stop(write_to, &sink));
	return sink.error ? sink.error : error;
}

/* ---- rates ---- */

static PA_API PA_ENTRY int block_profile_rate(int rate_ns)
{
	PA_CALM_FLAGS();
	if (!pa_agent_is_active())
		return -ENOSYS;
	pa_agent_set_rates(rate_ns > 0 ? (uint64_t)rate_ns : 0,
		pa_load_relaxed(&pa_agent_settings()->mutex_fraction));
	return 0;
}

static PA_API PA_ENTRY int mutex_profile_fraction(int fraction)
{
	PA_CALM_FLAGS();
	if (!pa_agent_is_active())
		return -ENOSYS;
	const struct pa_settings *settings = pa_agent_settings();
	uint64_t before = pa_load_relaxed(&settings->mutex_fraction);
	if (fraction >= 0)
		pa_agent_set_rates(pa_load_relaxed(&settings->block_rate_ns), (uint64_t)fraction);
	return before < INT32_MAX ? (int)before : INT32_MAX;
}

/* ---- labels ---- */

static PA_API PA_ENTRY int labels_set(const char *const *pairs)
{
	PA_CALM_FLAGS();
	struct pa_thread *self = &pa_thread_self;
	const struct pa_labels *labels = NULL;
	int saved_errno = errno;
	if (!pa_agent_is_active())
		return -ENOSYS;
	int error = pairs ? pa_labels_add(self->labels, pairs, &labels) : 0;
	if (!error)
		self->labels = labels;
	errno = saved_errno;
	return error;
}

static PA_API PA_ENTRY const char *label_text(const char *key)
{
	PA_CALM_FLAGS();
	return key ? pa_labels_value(pa_thread_self.labels, key) : NULL;
}

static PA_API PA_ENTRY void for_labels(bool (*each)(const char *key, const char *value, void *arg),
	void *arg)
{
	PA_CALM_FLAGS();
	const struct pa_labels *labels = pa_thread_self.labels;
	for (uint32_t i = 0; labels && i < labels->count; i++)
		if (!each(labels->labels[i].key, labels->labels[i].value, arg))
			return;
}

static PA_API const void *labels_save(void)
{
	return pa_thread_self.labels;
}

static PA_API void labels_restore(const void *saved)
{
	pa_thread_self.labels = pa_labels_id(saved) ? saved : NULL;
}

/* ---- traces ---- */

static bool is_tracing(void)
{
	return pa_agent_is_active() && pa_trace_events_is_on();
}

static void annotate_trace(enum pa_trace_events_op op, uint64_t id, uint64_t parent,
	const char *first, const char *second, struct pa_cursor caller)
{
	if (is_tracing())
		pa_trace_events_annotate(&pa_thread_self, op, id, parent, first, second, caller);
}

static PA_API PA_ENTRY uint64_t task_begin(const char *name, uint64_t parent)
{
	PA_CALM_FLAGS();
	if (!pa_agent_is_active())
		return 0;
	/* Also without a trace: a later one may contain its regions and its end. */
	uint64_t id = pa_trace_events_new_task();
	annotate_trace(PA_TRACE_EVENTS_TASK, id, parent, name ? name : "", NULL,
		PA_CURSOR_OF_CALLER());
	return id;
}

static PA_API PA_ENTRY void task_end(uint64_t task)
{
	PA_CALM_FLAGS();
	annotate_trace(PA_TRACE_EVENTS_TASK_END, task, 0, NULL, NULL, PA_CURSOR_OF_CALLER());
}

static PA_API PA_ENTRY void region_begin(uint64_t task, const char *name)
{
	PA_CALM_FLAGS();
	annotate_trace(PA_TRACE_EVENTS_REGION, task, 0, name ? name : "", NULL,
		PA_CURSOR_OF_CALLER());
}

static PA_API PA_ENTRY void region_end(uint64_t task, const char *name)
{
	PA_CALM_FLAGS();
	annotate_trace(PA_TRACE_EVENTS_REGION_END, task, 0, name ? name : "", NULL,
		PA_CURSOR_OF_CALLER());
}

static PA_API PA_ENTRY void trace_log(uint64_t task, const char *category, const char *message)
{
	PA_CALM_FLAGS();
	annotate_trace(PA_TRACE_EVENTS_LOG, task, 0, category ? category : "",
		message ? message : "", PA_CURSOR_OF_CALLER());
}

PA_EXPORT extern const struct pprofagent_api pprofagent_api_1;
const struct pprofagent_api pprofagent_api_1 = {
	.size = sizeof(struct pprofagent_api),
	.profile_new = profile_new,
	.profile_lookup = profile_lookup,
	.profile_list = profile_list,
	.profile_name = profile_name,
	.profile_count = profile_count,
	.profile_add = profile_add,
	.profile_remove = profile_remove,
	.profile_write = profile_write,
	.start_cpu_profile = start_cpu_profile,
	.stop_cpu_profile = stop_cpu_profile,
	.block_profile_rate = block_profile_rate,
	.mutex_profile_fraction = mutex_profile_fraction,
	.labels_set = labels_set,
	.label = label_text,
	.for_labels = for_labels,
	.labels_save = labels_save,
	.labels_restore = labels_restore,
	.is_tracing = is_tracing,
	.task_begin = task_begin,
	.task_end = task_end,
	.region_begin = region_begin,
	.region_end = region_end,
	.trace_log = trace_log,
};
