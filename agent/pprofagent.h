/*
 * pprofagent.h - for programs that want more of the agent than it does unasked: profiles of their
 * own, labels, profiles written to files, tasks and regions in traces. The semantics are those of
 * Go's runtime/pprof and runtime/trace.
 *
 * Optional in every way: nothing has to be linked. The functions look for the agent when they are
 * first called; where it is not preloaded, or does nothing in this process, they return -ENOSYS (or
 * NULL, 0, false), and cost a test of a pointer.
 *
 *     static const char *const labels[] = { "worker", "burner", NULL };
 *     pprofagent_do(labels, work, argument);
 *
 * Results are 0 (or a count) or a negative error number; nothing here prints, aborts or changes
 * errno. Any thread may call, several at once as well; signal handlers may not.
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

/* A profile: one of the built-in ones, or one of the program's own. Never freed. */
typedef struct pprofagent_profile pprofagent_profile;

/* What libpprofagent.so exports; only ever added to at the end. The wrappers below say what each
 * does. */
struct pprofagent_api {
	unsigned size; /* bytes of this struct in the agent that is there */
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

extern const struct pprofagent_api pprofagent_api_1
	__attribute__((weak, visibility("default")));

/* The agent, or NULL. A program that is no PIE has its weak symbols settled when it is linked: so
 * it asks once more. */
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
 * A new, empty profile; name should begin with an import-path-like prefix, as in
 * "example.com/my.files". It is served at /debug/pprof/NAME. -EINVAL: no name, more than 127 bytes
 * of it, or one with control characters or no UTF-8; -EEXIST: there is one of that name; -ENOSPC:
 * 64 are the most.
 */
static inline int pprofagent_profile_new(const char *name, pprofagent_profile **profile)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->profile_new(name, profile) : -ENOSYS;
}

/* The profile of that name, a built-in one too, or NULL. */
static inline pprofagent_profile *pprofagent_profile_lookup(const char *name)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->profile_lookup(name) : NULL;
}

/* All profiles sorted by name, at most max. Returns how many there are. */
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
 * Adds the calling stack, kept under value until value is removed. skip 0: the stack begins with
 * the caller of this function. -EEXIST: value is in there already; -EPERM: a built-in profile;
 * -EINVAL: no profile; -ENOMEM.
 */
#define pprofagent_profile_add(profile, value, skip)                                              \
	__extension__({                                                                           \
		const struct pprofagent_api *pprofagent_a_ = pprofagent_get();                    \
		pprofagent_a_ ? pprofagent_a_->profile_add((profile), (value), (skip)) : -ENOSYS; \
	})

/* Takes value and its stack out. 0 as well when it is not in there; -EPERM, -EINVAL as above. */
static inline int pprofagent_profile_remove(pprofagent_profile *profile, const void *value)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->profile_remove(profile, value) : -ENOSYS;
}

/*
 * Writes the profile to a descriptor: debug 0 gzipped profile.proto, 1 the legacy text, 2 for
 * goroutine one block a thread. -EINVAL: no profile; the error of write(2); -ETIMEDOUT: the agent
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
 * CPU profiling from here to pprofagent_stop_cpu_profile, which writes the profile to fd and then
 * returns. -EBUSY: one is being taken already.
 */
static inline int pprofagent_start_cpu_profile(int fd)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->start_cpu_profile(fd) : -ENOSYS;
}

/* 0 as well when none was started here. */
static inline int pprofagent_stop_cpu_profile(void)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->stop_cpu_profile() : -ENOSYS;
}

/* ns of waiting for one recorded wait; 1 all, 0 or less none. */
static inline int pprofagent_set_block_profile_rate(int rate_ns)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->block_profile_rate(rate_ns) : -ENOSYS;
}

/* One in fraction contended critical sections; 1 all, 0 none, less than 0 only asks. Returns what
 * it was before. */
static inline int pprofagent_set_mutex_profile_fraction(int fraction)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->mutex_profile_fraction(fraction) : -ENOSYS;
}

/* ---- labels: pairs of texts that CPU samples and thread stacks of a thread carry ---- */

/*
 * pairs: key, value, key, value, ..., NULL. Adds to the labels of the calling thread, and replaces
 * those of equal keys; of equal keys in the list the last counts. Threads that it creates from then
 * on begin with its labels. NULL: it has none any more.
 * -EINVAL: a key without a value; -ENOSPC: more than 32 labels, or too many different sets.
 */
static inline int pprofagent_set_labels(const char *const *pairs)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->labels_set(pairs) : -ENOSYS;
}

/* Runs run(arg) with the labels added, and then has those from before again. run is called whatever
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

/* The value of a label of the calling thread, or NULL. Valid for ever. */
static inline const char *pprofagent_label(const char *key)
{
	const struct pprofagent_api *api = pprofagent_get();
	return api ? api->label(key) : NULL;
}

/* Calls each(key, value, arg) for the labels of the calling thread, by key, until it says false. */
static inline void pprofagent_for_labels(
	bool (*each)(const char *key, const char *value, void *arg), void *arg)
{
	const struct pprofagent_api *api = pprofagent_get();
	if (api)
		api->for_labels(each, arg);
}

/* ---- execution traces: what the program is about, between what its threads do ---- */

/* The agent, if it is one that knows of traces; else NULL. */
static inline const struct pprofagent_api *pprofagent_get_tracer(void)
{
	const struct pprofagent_api *api = pprofagent_get();
	size_t need = offsetof(struct pprofagent_api, trace_log) + sizeof(api->trace_log);
	return api && api->size >= need ? api : NULL;
}

/* Behind a call that records its caller's stack: the caller's frame is to be on it, even where the
 * call is the last thing that it does. */
#define PPROFAGENT_KEEP_FRAME_() __asm__ volatile("" ::: "memory")

/* Is a trace being taken, or the flight recorder on? For texts that are dear to make. */
static inline bool pprofagent_is_tracing(void)
{
	const struct pprofagent_api *api = pprofagent_get_tracer();
	return api && api->is_tracing();
}

/*
 * A task: one logical operation, whichever threads work on it. parent: the task that it is part of,
 * or 0. Returns its id for the calls below, 0 without the agent. Names are cut at 1000 bytes.
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
 * A region: a stretch of time of the calling thread, for a task (0: for none). Regions of a thread
 * lie in each other; the innermost is ended, by its own task and name. At most 8 deep.
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
