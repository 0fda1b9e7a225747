/* SPDX-License-Identifier: Apache-2.0 */
/* An empty table of stacks, and one module with code. Include in one file of a test. */
#ifndef TEST_STACKS_FIXTURE_H
#define TEST_STACKS_FIXTURE_H

#include "agent/core/core.h"
#include "agent/modules/modules.h"
#include "agent/stacks/stack_table.h"
#include "test/lib/c/fake_maps.h"

#define TEXT 0x400000
#define TEXT_END 0x40000000

static struct pa_bridge bridge;

/* Returns the module at TEXT. */
static inline struct pa_module *begin_with_empty_table(size_t max_bytes)
{
	pa_core_bridge = &bridge;
	if (!bridge.ring)
		bridge.ring = pa_ring_create(64 * 1024);
	fake_maps_clear();
	struct pa_module *text = fake_map(TEXT, TEXT_END);
	pa_modules_abandon();
	pa_stack_table_reset();
	assert_int_equal(pa_stack_table_init(max_bytes), 0);
	pa_modules_init(&pa_stack_table_listener);
	return text;
}

#endif
