/* SPDX-License-Identifier: Apache-2.0 */
#include "allocator_hooks.h"

#include <errno.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/thread_slot.h"
#include "../core/core.h"
#include "mailbox.h"

/* Longest wait for threads that are ending in jemalloc. */
#define HOLD_NS PA_NS_PER_S

/* hooks_t of jemalloc's hook.h, since 5.2.0. */
struct jemalloc_hooks {
	void (*alloc)(void *, int, void *, uintptr_t, const uintptr_t *);
	void (*dalloc)(void *, int, void *, const uintptr_t *);
	void (*expand)(void *, int, void *, size_t, size_t, uintptr_t, const uintptr_t *);
	void *extra;
};

typedef int new_hook_fn(void (*hook)(const void *pointer, size_t bytes));
typedef int delete_hook_fn(void (*hook)(const void *pointer));
typedef int property_fn(const char *name, size_t *value);

static struct {
	struct pa_lock lock;
	void (*hooked)(bool on);
	uint32_t watches;
	bool changing; /* a fork copies it: the hooks may be in or not */
	void *handle;  /* of jemalloc's hooks */
	/* Written under the lock, read without it, relaxed. */
	PA_ATOMIC(uint32_t) in, failed;
	PA_ATOMIC(int64_t) since_wall_ns;
	PA_ATOMIC(uint64_t) before_bytes;
} state = { .lock = PA_LOCK_INIT(PA_LOCK_HOOKS) };

void pa_allocator_hooks_init(void (*hooked)(bool on))
{
	state.hooked = hooked;
}

static uintptr_t address_of_function(const struct pa_allocators_item *allocator,
	enum pa_allocator_entry entry)
{
	PA_ASSERT(entry < PA_ALLOCATOR_ENTRIES);
	return allocator->scan.entries[entry];
}

bool pa_allocator_hooks_can(const struct pa_allocators_item *allocator)
{
	if (!allocator->module->is_main ||
		pa_core_bridge->settings->allocator_hooks == PA_ENV_HOOKS_OFF ||
		!pa_core_bridge->settings->heap_rate_bytes)
		return false;
	if (allocator->scan.kind == PA_ALLOCATOR_JEMALLOC)
		return address_of_function(allocator, PA_ALLOCATOR_CONTROL) &&
			pa_core_bridge->inner_alloc->has_destructor(address_of_function(allocator,
				PA_ALLOCATOR_DESTRUCTOR));
	return allocator->scan.kind == PA_ALLOCATOR_GPERFTOOLS &&
		address_of_function(allocator, PA_ALLOCATOR_ADD_NEW) &&
		address_of_function(allocator, PA_ALLOCATOR_REMOVE_NEW) &&
		address_of_function(allocator, PA_ALLOCATOR_ADD_DELETE) &&
		address_of_function(allocator, PA_ALLOCATOR_REMOVE_DELETE);
}

/* ---- jemalloc ---- */

/* jemalloc(3): statistics are as of the last write of "epoch". */
static uint64_t jemalloc_allocated(pa_destructors_mallctl *mallctl)
{
	uint64_t epoch = 1;
	size_t epoch_bytes = sizeof(epoch), allocated = 0, bytes = sizeof(allocated);
	if (mallctl("epoch", &epoch, &epoch_bytes, &epoch, sizeof(epoch)) != 0 ||
		mallctl("stats.allocated", &allocated, &bytes, NULL, 0) != 0)
		return 0;
	return allocated;
}

/* Threads that end wait meanwhile (record/destructors.h). Returns an error number. */
static int change_jemalloc(const struct pa_allocators_item *allocator, const char *name,
	struct jemalloc_hooks *hooks)
{
	const struct pa_inner_alloc_ops *ops = pa_core_bridge->inner_alloc;
	uintptr_t destructor = address_of_function(allocator, PA_ALLOCATOR_DESTRUCTOR);
	pa_destructors_mallctl *mallctl =
		(pa_destructors_mallctl *)address_of_function(allocator, PA_ALLOCATOR_CONTROL);
	size_t bytes = sizeof(state.handle);
	int error;
	if (!ops->hold_destructor(destructor, HOLD_NS))
		return EBUSY;
	if (hooks)
		error = mallctl(name, &state.handle, &bytes, hooks, sizeof(*hooks));
	else
		error = mallctl(name, NULL, NULL, &state.handle, sizeof(state.handle));
	ops->release_destructor(destructor, mallctl);
	return error;
}

static bool put_into_jemalloc(const struct pa_allocators_item *allocator, void *extra)
{
	pa_destructors_mallctl *mallctl =
		(pa_destructors_mallctl *)address_of_function(allocator, PA_ALLOCATOR_CONTROL);
	const struct pa_inner_alloc_ops *ops = pa_core_bridge->inner_alloc;
	struct jemalloc_hooks hooks = { ops->alloc, ops->dalloc, ops->expand, extra };
	PA_ASSERT(extra && mallctl);
	state.handle = NULL;
	if (change_jemalloc(allocator, "experimental.hooks.install", &hooks) != 0)
		return false;
	pa_store_relaxed(&state.before_bytes, jemalloc_allocated(mallctl));
	return state.handle;
}

/* False: a thread that ends is in jemalloc for long; the hooks stay in. */
static bool take_out_of_jemalloc(const struct pa_allocators_item *allocator)
{
	PA_ASSERT(state.handle);
	return change_jemalloc(allocator, "experimental.hooks.remove", NULL) != EBUSY;
}

/* ---- gperftools ---- */

static void take_out_of_gperftools(const struct pa_allocators_item *allocator)
{
	const struct pa_inner_alloc_ops *ops = pa_core_bridge->inner_alloc;
	((new_hook_fn *)address_of_function(allocator, PA_ALLOCATOR_REMOVE_NEW))(ops->new_hook);
	((delete_hook_fn *)address_of_function(allocator,
		PA_ALLOCATOR_REMOVE_DELETE))(ops->delete_hook);
}

/* The hook of frees first: an object that is recorded must not be freed without it. Hooks that a
 * parent process has left are taken out before. */
static bool put_into_gperftools(const struct pa_allocators_item *allocator)
{
	const struct pa_inner_alloc_ops *ops = pa_core_bridge->inner_alloc;
	property_fn *property =
		(property_fn *)address_of_function(allocator, PA_ALLOCATOR_PROPERTY);
	size_t before = 0;
	take_out_of_gperftools(allocator);
	if (property)
		(void)property("generic.current_allocated_bytes", &before);
	pa_store_relaxed(&state.before_bytes, before);
	return ((delete_hook_fn *)address_of_function(allocator,
		       PA_ALLOCATOR_ADD_DELETE))(ops->delete_hook) &&
		((new_hook_fn *)address_of_function(allocator,
			PA_ALLOCATOR_ADD_NEW))(ops->new_hook);
}

/* ---- in and out ---- */

/* False: they stay in. */
static bool take_out(const struct pa_allocators_item *allocator)
{
	if (allocator->scan.kind == PA_ALLOCATOR_JEMALLOC)
		return take_out_of_jemalloc(allocator);
	take_out_of_gperftools(allocator);
	return true;
}

/* A sync makes the collector handle what the hooks reported before. */
static void take_out_locked(const struct pa_allocators_item *allocator)
{
	const struct pa_mailbox_request sync = { .op = PA_MAILBOX_SYNC };
	PA_ASSERT_HELD(PA_LOCK_HOOKS);
	PA_ASSERT(pa_load_relaxed(&state.in) && !state.changing);
	state.changing = true;
	pa_thread_slot_pin();
	bool out = take_out(allocator);
	pa_thread_slot_unpin();
	if (out) {
		pa_core_bridge->inner_alloc->end();
		pa_store_relaxed(&state.in, 0);
	}
	state.changing = false;
	if (!out)
		return;
	(void)pa_mailbox_ask(&sync, NULL);
	state.hooked(false);
}

static void put_in_locked(const struct pa_allocators_item *allocator)
{
	bool good;
	PA_ASSERT_HELD(PA_LOCK_HOOKS);
	PA_ASSERT(!pa_load_relaxed(&state.in) && !state.changing);
	state.hooked(true);
	state.changing = true;
	void *extra = pa_core_bridge->inner_alloc->begin(allocator->scan.has_pvalloc);
	pa_thread_slot_pin();
	if (allocator->scan.kind == PA_ALLOCATOR_JEMALLOC)
		good = put_into_jemalloc(allocator, extra);
	else
		good = put_into_gperftools(allocator);
	pa_thread_slot_unpin();
	pa_store_relaxed(&state.since_wall_ns, pa_clock_wall_ns());
	pa_store_relaxed(&state.failed, !good);
	pa_store_relaxed(&state.in, good);
	state.changing = false;
	if (good)
		return;
	pa_core_bridge->inner_alloc->end();
	state.hooked(false);
}

static void apply_locked(void)
{
	const struct pa_allocators_item *allocator = pa_allocators_of_program();
	PA_ASSERT_HELD(PA_LOCK_HOOKS);
	if (!allocator || !pa_allocator_hooks_can(allocator))
		return;
	bool wanted = state.watches || pa_core_bridge->settings->allocator_hooks == PA_ENV_HOOKS_ON;
	bool in = pa_load_relaxed(&state.in);
	if (wanted && !in)
		put_in_locked(allocator);
	else if (!wanted && in)
		take_out_locked(allocator);
}

void pa_allocator_hooks_watch(bool on)
{
	pa_allocators_look();
	pa_lock(&state.lock);
	if (on)
		state.watches++;
	else if (state.watches)
		state.watches--;
	apply_locked();
	pa_unlock(&state.lock);
}

static void *run_apply(void *unused)
{
	(void)unused;
	pa_allocators_look();
	pa_lock(&state.lock);
	apply_locked();
	pa_unlock(&state.lock);
	return NULL;
}

void pa_allocator_hooks_begin(void)
{
	const struct pa_settings *settings = pa_core_bridge->settings;
	bool on = settings->allocator_hooks == PA_ENV_HOOKS_ON && settings->heap_rate_bytes;
	/* Without a thread the first request for a profile of some seconds does it. */
	if (on != !!pa_load_relaxed(&state.in))
		(void)pa_core_bridge->spawn(run_apply, NULL, "pprofagent-heap");
}

struct pa_allocator_hooks_stats pa_allocator_hooks_stats(void)
{
	return (struct pa_allocator_hooks_stats){
		.in = pa_load_relaxed(&state.in),
		.failed = pa_load_relaxed(&state.failed),
		.since_wall_ns = pa_load_relaxed(&state.since_wall_ns),
		.before_bytes = pa_load_relaxed(&state.before_bytes),
	};
}

void pa_allocator_hooks_suspended(void)
{
	state.watches = 0;
}

/* Hooks that the parent was changing are taken for lost: what they report is ignored. */
void pa_allocator_hooks_atfork_child(void)
{
	pa_lock_reset(&state.lock);
	state.watches = 0;
	if (state.changing)
		pa_store_relaxed(&state.in, 0);
	state.changing = false;
}
