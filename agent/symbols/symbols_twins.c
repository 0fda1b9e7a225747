/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_twins.h"

#include <string.h>

#include "../base/hash_table.h"

#define SLOTS 256

static struct {
	const struct pa_module *modules[SLOTS];
} state;

static uint64_t hash_of_module(const struct pa_module *module)
{
	uint64_t id;

	memcpy(&id, module->build_id, sizeof(id));
	return pa_hash_table_mix(pa_hash_table_mix(module->inode, module->start), id);
}

/* Without a build-id and a time nothing tells a file from one written in its place. */
static bool are_equal(const struct pa_module *a, const struct pa_module *b)
{
	return a->start == b->start && a->bias == b->bias && a->limit == b->limit &&
		a->device == b->device && a->inode == b->inode &&
		a->file_time_ns == b->file_time_ns && a->build_id_bytes == b->build_id_bytes &&
		(a->build_id_bytes || a->file_time_ns) &&
		memcmp(a->build_id, b->build_id, a->build_id_bytes) == 0;
}

PA_AGENT const struct pa_module *pa_symbols_twins_of(const struct pa_module *module)
{
	const struct pa_module **slot =
		&state.modules[pa_hash_table_home(hash_of_module(module), SLOTS)];

	if (*slot && *slot != module && are_equal(*slot, module))
		return *slot;
	*slot = module;
	return NULL;
}

PA_BOOT void pa_symbols_twins_reset(void)
{
	memset(&state, 0, sizeof(state));
}
