/* SPDX-License-Identifier: Apache-2.0 */
#include "allocators.h"

#include <string.h>

#include "../base/lock.h"
#include "../core/core.h"

#define ALLOCATORS 16
#define HOOKS_MAX 256

/* Frames of a hook's caller that no range contains, at most: functions of a stripped allocator. */
#define UNKNOWN_FRAMES 3

static struct {
	struct pa_lock lock;
	uint32_t looked_at;        /* modules up to this id; under the lock */
	PA_ATOMIC(uint32_t) count; /* release in add_allocator, acquire in get */
	struct pa_allocators_item list[ALLOCATORS];
} state = { .lock = PA_LOCK_INIT(PA_LOCK_ALLOCATORS) };

static bool is_in_module(const struct pa_module *module, const void *code)
{
	return (uintptr_t)code >= module->start && (uintptr_t)code < module->limit;
}

/* True when calls of the program reach the agent's malloc. */
static bool is_malloc_hooked(void)
{
	struct pa_hook_status hooks[HOOKS_MAX];
	if (!pa_core_bridge->hook_status)
		return false;
	size_t count = pa_core_bridge->hook_status(hooks, HOOKS_MAX);
	for (size_t i = 0; i < count; i++)
		if (strcmp(hooks[i].name, "malloc") == 0)
			return hooks[i].active;
	return false;
}

/* Libraries of the C++ runtime refer to operator new too, but allocate little. */
static bool does_program_import_new(void)
{
	const struct pa_module *program = pa_maps_get(1);
	return program && pa_allocator_scan_imports_new(program);
}

static void add_allocator(const struct pa_module *module, const struct pa_allocator_scan *scan)
{
	uint32_t count = pa_load_relaxed(&state.count);
	PA_ASSERT_HELD(PA_LOCK_ALLOCATORS);
	PA_ASSERT(scan->kind != PA_ALLOCATOR_NONE && scan->kind < PA_ALLOCATOR_KINDS);
	if (count == ALLOCATORS)
		return;
	struct pa_allocators_item *allocator = &state.list[count];
	allocator->module = module;
	allocator->scan = *scan;
	allocator->serves_malloc =
		is_in_module(module, (const void *)pa_core_bridge->program_malloc) &&
		is_malloc_hooked();
	allocator->serves_new = !module->is_main && scan->has_new && does_program_import_new();
	pa_store_release(&state.count, count + 1);
}

void pa_allocators_look(void)
{
	struct pa_allocator_scan scan;
	pa_lock(&state.lock);
	while (state.looked_at < pa_maps_count()) {
		const struct pa_module *module = pa_maps_get(++state.looked_at);
		if (module && !pa_load_relaxed(&module->dead) && pa_allocator_scan(module, &scan))
			add_allocator(module, &scan);
	}
	pa_unlock(&state.lock);
}

const struct pa_allocators_item *pa_allocators_get(uint32_t index)
{
	return index < pa_load_acquire(&state.count) ? &state.list[index] : NULL;
}

const struct pa_allocators_item *pa_allocators_of_program(void)
{
	const struct pa_allocators_item *allocator;
	for (uint32_t i = 0; (allocator = pa_allocators_get(i)); i++)
		if (allocator->module->is_main)
			return allocator;
	return NULL;
}

/* ---- stacks ---- */

/* pc: a return address. */
static bool is_code_of(const struct pa_allocators_item *allocator, uintptr_t pc)
{
	for (uint32_t i = 0; i < allocator->scan.range_count; i++)
		if (pc - 1 >= allocator->scan.ranges[i].start &&
			pc - 1 < allocator->scan.ranges[i].limit)
			return true;
	return false;
}

uint32_t pa_allocators_cut(const uintptr_t *pcs, uint32_t depth)
{
	const struct pa_allocators_item *allocator = pa_allocators_of_program();
	uint32_t first = 0;
	PA_ASSERT(pcs || !depth);
	if (!allocator)
		return 0;
	while (first < depth && first <= UNKNOWN_FRAMES && !is_code_of(allocator, pcs[first]))
		first++;
	if (first == depth || first > UNKNOWN_FRAMES)
		return 0;
	PA_ASSERT(first < depth);
	while (first + 1 < depth && is_code_of(allocator, pcs[first]))
		first++;
	return first;
}

/* ---- fork ---- */

void pa_allocators_atfork_child(void)
{
	pa_lock_reset(&state.lock);
}
