/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pprofagent.h - for programs that use more than the default profiles: user-defined profiles,
 * labels, profiles written to descriptors, tasks and regions in traces. The semantics are those of
 * Go's runtime/pprof and runtime/trace.
 *
 * Optional: nothing has to be linked. The functions look for the agent at their first call; where
 * it is not preloaded, or is inert in this process, they return -ENOSYS (or NULL, 0, false) and
 * cost a test of a pointer.
 *
 *     static const char *const labels[] = { "worker", "burner", NULL };
 *     pprofagent_do(labels, work, argument);
 *
 * Results are 0 (or a count) or a negative error number; no function prints, aborts or changes
 * errno. Any thread may call, also several at once; signal handlers may not.
 */
#ifndef PPROFAGENT_H
#define PPROFAGENT_H

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A profile, built-in or user-defined. Never freed. */
typedef struct pprofagent_profile pprofagent_profile;

/* Exported by libpprofagent.so; new members are only appended. See the wrappers below. */
struct pprofagent_api {
	unsigned size; /* size of this struct in the loaded agent */
	int (*profile_new)(const char *name, pprofagent_profile **profile);
	pprofagent_profile *(*profile_lookup)(const char *name);
	size_t (*profile_list)(pprofagent_profile **profiles, size_t max);
	const char *(*profile_name)(const pprofagent_profile *profile);
	int (*profile_count)(const pprofagent_profile *profile);
	int (*profile_add)(pprofagent_profile *profile, const void *value, int skip);
	int (*profile_remove)(pprofagent_profile *profile, const void *value);
	int (*profile_write)(const pprofagent_profile *profile, int fd, int debug);
	int (*start_cpu_profile)(int fd);
	int (*stop_cpu_profile)(void);
	int (*block_profile_rate)(int rate_ns);
	int (*mutex_profile_fraction)(int fraction);
	int (*labels_set)(const char *const *pairs);
	const char *(*label)(const char *key);
	void (*for_labels)(bool (*each)(const char *key, const char *value, void *arg), void *arg);
	const void *(*labels_save)(void);
	void (*labels_restore)(const void *saved);
	bool (*is_tracing)(void);
	uint64_t (*task_begin)(const char *name, uint64_t parent);
	void (*task_end)(uint64_t task);
	void (*region_begin)(uint64_t task, const char *name);
	void (*region_end)(uint64_t task, const char *name);
	void (*trace_log)(uint64_t task, const char *category, const char *message);
};

extern const struct pprofagent_api pprofagent_api_1 __attribute__((weak, visibility("default")));

/* The agent, or NULL. In a program that is not PIE the linker resolves weak symbols, so dlsym is
 * tried too. */
static inline const struct pprofagent_api *pprofagent_get(void)
{
	static const struct pprofagent_api *api;
	static bool asked;

	if (!__atomic_load_n(&asked, __ATOMIC_ACQUIRE)) {
		const struct pprofagent_api *found = &pprofagent_api_1;
		if (!found)
			found = (const struct pprofagent_api *)dlsym(RTLD_DEFAULT,
				"pprofagent_api_1");
		__atomic_store_n(&api, found, __ATOMIC_RELAXED);
		__atomic_store_n(&asked, true, __ATOMIC_RELEASE);
	}
	return __atomic_load_n(&api, __ATOMIC_RELAXED);
}

/* ---- profiles ---- */

/*
 * Creates an empty profile, served at /debug/pprof/NAME; name should begin with an import-path-like
 * prefix, as in "example.com/my.files". -EINVAL: no name, more than 127 bytes, control characters
 * or invalid UTF-8; -EEXIST: the name exists; -ENOSPC: 64 profiles exist.
 */
static inline int pprofagent_profile_new(const char *name, pprofagent_profile **profile)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->profile_new(name, profile) : -ENOSYS;
}

/* The profile of that name, also a built-in one, or NULL. */
static inline pprofagent_profile *pprofagent_profile_lookup(const char *name)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->profile_lookup(name) : NULL;
}

/* Stores all profiles sorted by name, at most max. Returns their total number. */
static inline size_t pprofagent_profile_list(pprofagent_profile **profiles, size_t max)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->profile_list(profiles, max) : 0;
}

static inline const char *pprofagent_profile_name(const pprofagent_profile *profile)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api && profile ? api->profile_name(profile) : "";
}

/* Number of stacks in the profile now. */
static inline int pprofagent_profile_count(const pprofagent_profile *profile)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api && profile ? api->profile_count(profile) : 0;
}

/*
 * Adds the calling stack, stored under value until value is removed. skip 0: the stack begins with
 * the caller of this function. -EEXIST: value is in the profile; -EPERM: a built-in profile;
 * -EINVAL: no profile; -ENOMEM.
 */
#define pprofagent_profile_add(profile, value, skip)                                              \
	__extension__({                                                                           \
		const struct pprofagent_api *pprofagent_a_ = pprofagent_get();                    \
		pprofagent_a_ ? pprofagent_a_->profile_add((profile), (value), (skip)) : -ENOSYS; \
	})

/* Removes value and its stack. 0 also when it is not in the profile; -EPERM, -EINVAL as above. */
static inline int pprofagent_profile_remove(pprofagent_profile *profile, const void *value)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->profile_remove(profile, value) : -ENOSYS;
}

/*
 * Writes the profile to a descriptor: debug 0 gzipped profile.proto, 1 the legacy text, 2 for
 * goroutine one block per thread. -EINVAL: no profile; the error of write(2); -ETIMEDOUT: the agent
 * does not answer (it opens up to 250 ms after the start).
 */
static inline int pprofagent_profile_write(const pprofagent_profile *profile, int fd, int debug)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->profile_write(profile, fd, debug) : -ENOSYS;
}

static inline int pprofagent_write_heap_profile(int fd)
{
	return pprofagent_profile_write(pprofagent_profile_lookup("heap"), fd, 0);
}

/*
 * Profiles CPU until pprofagent_stop_cpu_profile, which writes the profile to fd and then returns.
 * -EBUSY: a CPU profile is being taken.
 */
static inline int pprofagent_start_cpu_profile(int fd)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->start_cpu_profile(fd) : -ENOSYS;
}

/* 0 also when no profile was started here. */
static inline int pprofagent_stop_cpu_profile(void)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->stop_cpu_profile() : -ENOSYS;
}

/* Mean ns of waiting per recorded wait; 1 all, 0 or less none. */
static inline int pprofagent_set_block_profile_rate(int rate_ns)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->block_profile_rate(rate_ns) : -ENOSYS;
}

/* One in fraction contended critical sections; 1 all, 0 none, < 0 no change. Returns the previous
 * value. */
static inline int pprofagent_set_mutex_profile_fraction(int fraction)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->mutex_profile_fraction(fraction) : -ENOSYS;
}

/* ---- labels of CPU samples and thread stacks ---- */

/*
 * pairs: key, value, key, value, ..., NULL. Adds labels to the calling thread, and replaces those
 * with equal keys; of equal keys in the list the last wins. Threads that it creates later start
 * with its labels. NULL: removes all labels.
 * -EINVAL: a key without a value; -ENOSPC: more than 32 labels, or too many different sets.
 */
static inline int pprofagent_set_labels(const char *const *pairs)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->labels_set(pairs) : -ENOSYS;
}

/* Calls run(arg) with the labels added, then restores the previous labels. run is called whatever
 * the result is. */
static inline int pprofagent_do(const char *const *pairs, void (*run)(void *), void *arg)
{
	const struct pprofagent_api *api = pprofagent_get();
	const void *saved = api ? api->labels_save() : NULL;
	int error = api ? api->labels_set(pairs) : -ENOSYS;
	run(arg);
	if (api)
		api->labels_restore(saved);
	return error;
}

/* The value of a label of the calling thread, or NULL. Never freed. */
static inline const char *pprofagent_label(const char *key)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->label(key) : NULL;
}

/* Calls each(key, value, arg) for the labels of the calling thread, by key, until it returns
 * false. */
static inline void
pprofagent_for_labels(bool (*each)(const char *key, const char *value, void *arg), void *arg)
{
	const struct pprofagent_api *api = pprofagent_get();
	if (api)
		api->for_labels(each, arg);
}

/* ---- execution traces: tasks, regions, logs ---- */

/* The agent, if its version supports traces; else NULL. */
static inline const struct pprofagent_api *pprofagent_get_tracer(void)
{
	const struct pprofagent_api *api = pprofagent_get();
	size_t need = offsetof(struct pprofagent_api, trace_log) + sizeof(api->trace_log);
	return api && api->size >= need ? api : NULL;
}

/* After a call that records its caller's stack: prevents a tail call, so that the caller's frame is
 * on the stack. */
#define PPROFAGENT_KEEP_FRAME_() __asm__ volatile("" ::: "memory")

/* True while a trace is taken or the flight recorder is on. For texts that are costly to build. */
static inline bool pprofagent_is_tracing(void)
{
	const struct pprofagent_api *api = pprofagent_get_tracer();
	return api && api->is_tracing();
}

/*
 * Begins a task: one logical operation, on any number of threads. parent: the task that contains
 * it, or 0. Returns its id for the calls below, 0 without the agent. Names are cut at 1000 bytes.
 */
static inline uint64_t pprofagent_task_begin(const char *name, uint64_t parent)
{
	const struct pprofagent_api *api = pprofagent_get_tracer();
	uint64_t task = api ? api->task_begin(name, parent) : 0;
	PPROFAGENT_KEEP_FRAME_();
	return task;
}

static inline void pprofagent_task_end(uint64_t task)
{
	const struct pprofagent_api *api = pprofagent_get_tracer();
	if (api)
		api->task_end(task);
	PPROFAGENT_KEEP_FRAME_();
}

/*
 * A region: a span of time of the calling thread, for a task (0: for none). Regions of a thread are
 * nested; end closes the innermost, with the same task and name. At most 8 deep.
 */
static inline void pprofagent_region_begin(uint64_t task, const char *name)
{
	const struct pprofagent_api *api = pprofagent_get_tracer();
	if (api)
		api->region_begin(task, name);
	PPROFAGENT_KEEP_FRAME_();
}

static inline void pprofagent_region_end(uint64_t task, const char *name)
{
	const struct pprofagent_api *api = pprofagent_get_tracer();
	if (api)
		api->region_end(task, name);
	PPROFAGENT_KEEP_FRAME_();
}

/* A message at this moment; with the category at most 999 bytes. */
static inline void pprofagent_log(uint64_t task, const char *category, const char *message)
{
	const struct pprofagent_api *api = pprofagent_get_tracer();
	if (api)
		api->trace_log(task, category, message);
	PPROFAGENT_KEEP_FRAME_();
}

#ifdef __cplusplus
}
#endif

#endif
