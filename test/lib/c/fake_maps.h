/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in of maps.c for tests: the test says what is mapped (fake_map, fake_unmap), and the
 * profile's side learns of it when it reads the maps again.
 */
#ifndef FAKE_MAPS_H
#define FAKE_MAPS_H

#include <errno.h>
#include <string.h>

#include "agent/modules/maps.h"

enum { FAKE_MODULES = 1024 };

struct fake_maps_state {
	struct pa_module modules[FAKE_MODULES]; /* by id - 1 */
	bool mapped[FAKE_MODULES];              /* in the world, known or not */
	uint32_t added;                         /* to the world so far */
	PA_ATOMIC(uint32_t) known; /* found by refresh so far; release, as the real one */
	bool fails;
	int64_t takes_ns, *clock_ns; /* a refresh puts the test's clock on by so much */
	int refreshes, forgotten_pages, resets;
	/* The only memory that can be read. */
	uintptr_t code_at;
	const uint8_t *code;
	size_t code_bytes;
};
extern struct fake_maps_state fake_maps;

struct pa_module *fake_map(uintptr_t start, uintptr_t limit);

void fake_unmap(const struct pa_module *module);

void fake_maps_clear(void);

#endif
