/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/fake_maps.h"

struct fake_maps_state fake_maps;

struct pa_module *fake_map(uintptr_t start, uintptr_t limit)
{
	struct pa_module *module = &fake_maps.modules[fake_maps.added];
	*module = (struct pa_module){
		.id = fake_maps.added + 1,
		.start = start,
		.limit = limit,
		.segment_count = 1,
		.segments = { { .start = start, .limit = limit } },
	};
	fake_maps.mapped[fake_maps.added++] = true;
	return module;
}

void fake_unmap(const struct pa_module *module)
{
	fake_maps.mapped[module->id - 1] = false;
}

int pa_maps_refresh(void)
{
	fake_maps.refreshes++;
	if (fake_maps.clock_ns)
		*fake_maps.clock_ns += fake_maps.takes_ns;
	if (fake_maps.fails)
		return -ENOMEM;
	for (uint32_t i = 0; i < fake_maps.added; i++)
		pa_store_relaxed(&fake_maps.modules[i].dead, !fake_maps.mapped[i]);
	pa_store_release(&fake_maps.known, fake_maps.added);
	return 0;
}

struct pa_module *pa_maps_find(uintptr_t pc)
{
	const uint32_t known = pa_maps_count();
	for (uint32_t i = 0; i < known; i++) {
		struct pa_module *module = &fake_maps.modules[i];
		if (!pa_load_relaxed(&module->dead) && pc >= module->start && pc < module->limit)
			return module;
	}
	return NULL;
}

uint32_t pa_maps_count(void)
{
	return pa_load_acquire(&fake_maps.known);
}

struct pa_module *pa_maps_get(uint32_t id)
{
	return &fake_maps.modules[id - 1];
}

void pa_maps_reset(void)
{
	fake_maps.resets++;
}

void pa_maps_forget_pages(void)
{
	fake_maps.forgotten_pages++;
}

/* Weak: a test may have files. */
__attribute__((weak)) int pa_maps_open(const char *path)
{
	(void)path;
	return -ENOENT;
}

bool pa_maps_read_cached(void *to, uintptr_t from, size_t bytes)
{
	uintptr_t at = from - fake_maps.code_at;
	if (at >= fake_maps.code_bytes || bytes > fake_maps.code_bytes - at)
		return false;
	memcpy(to, fake_maps.code + at, bytes);
	return true;
}

/* Weak: a test may have memory. */
__attribute__((weak)) bool pa_maps_read_memory(void *to, uintptr_t from, size_t bytes)
{
	return pa_maps_read_cached(to, from, bytes);
}

void fake_maps_clear(void)
{
	memset(&fake_maps, 0, sizeof(fake_maps));
}
