/*
 * A stand-in of maps.c for tests: the test says what is mapped (fake_map, fake_unmap), and the
 * profile's side learns of it when it reads the maps again.
 */
#ifndef FAKE_MAPS_H
#define FAKE_MAPS_H

#include <errno.h>
#include <string.h>

#include "agent/profile/maps.h"

enum { FAKE_MODULES = 1024 };

static struct {
	struct pa_module modules[FAKE_MODULES]; /* by id - 1 */
	bool mapped[FAKE_MODULES];              /* in the world, known or not */
	uint32_t added;                         /* to the world so far */
	uint32_t known;                         /* found by refresh so far */
	bool fails;
	int64_t takes_ns, *clock_ns;            /* a refresh puts the test's clock on by so much */
	int refreshes, forgotten_pages, resets;
} fake_maps;

static struct pa_module *fake_map(uintptr_t start, uintptr_t limit)
{
	struct pa_module *module = &fake_maps.modules[fake_maps.added];
	*module = (struct pa_module){
		.id = fake_maps.added + 1, .start = start, .limit = limit, .segment_count = 1,
		.segments = { { .start = start, .limit = limit } },
	};
	fake_maps.mapped[fake_maps.added++] = true;
	return module;
}

static inline void fake_unmap(const struct pa_module *module)
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
	fake_maps.known = fake_maps.added;
	for (uint32_t i = 0; i < fake_maps.known; i++)
		fake_maps.modules[i].dead = !fake_maps.mapped[i];
	return 0;
}

struct pa_module *pa_maps_find(uintptr_t pc)
{
	for (uint32_t i = 0; i < fake_maps.known; i++) {
		struct pa_module *module = &fake_maps.modules[i];
		if (!module->dead && pc >= module->start && pc < module->limit)
			return module;
	}
	return NULL;
}

uint32_t pa_maps_count(void)
{
	return fake_maps.known;
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

static inline void fake_maps_clear(void)
{
	memset(&fake_maps, 0, sizeof(fake_maps));
}

#endif
