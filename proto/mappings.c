/* SPDX-License-Identifier: Apache-2.0 */
#include "mappings.h"

#include <errno.h>

struct ref {
	bool referred;
	uint32_t first; /* id of the module's first mapping; 0: none */
};

PA_AGENT int pa_mappings_init(struct pa_mappings *mappings)
{
	uint32_t count = pa_maps_count();

	if (!pa_scratch(&mappings->modules, (count + 1) * sizeof(struct ref)))
		return -ENOMEM;
	mappings->module_count = count;
	return 0;
}

PA_AGENT void pa_mappings_free(struct pa_mappings *mappings)
{
	pa_scratch_free(&mappings->modules);
	pa_scratch_free(&mappings->list);
	*mappings = (struct pa_mappings){ 0 };
}

static struct ref *ref_of(const struct pa_mappings *mappings, uint32_t module_id)
{
	struct ref *refs = mappings->modules.at;

	return module_id && module_id <= mappings->module_count ? &refs[module_id] : NULL;
}

PA_AGENT void pa_mappings_refer(struct pa_mappings *mappings, const struct pa_loc *loc)
{
	struct ref *ref = loc->module ? ref_of(mappings, loc->module->id) : NULL;

	if (ref)
		ref->referred = true;
}

PA_AGENT void pa_mappings_build_id(const struct pa_module *module,
	char out[PA_MAPPINGS_BUILD_ID_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	uint32_t i, count = module->build_id_bytes;

	if (count > PA_BUILD_ID_BYTES)
		count = PA_BUILD_ID_BYTES;
	for (i = 0; i < count; i++) {
		*out++ = digits[module->build_id[i] >> 4];
		*out++ = digits[module->build_id[i] & 15];
	}
	*out = '\0';
}

static bool add_segments(struct pa_mappings *mappings, const struct pa_module *module)
{
	uint32_t i, count = mappings->count;
	struct pa_mapping *list;

	if (!pa_scratch(&mappings->list, (count + module->segment_count) * sizeof(*list)))
		return false;
	list = mappings->list.at;
	for (i = 0; i < module->segment_count; i++) {
		list[count + i].module = module;
		list[count + i].segment = &module->segments[i];
		pa_mappings_build_id(module, list[count + i].build_id);
	}
	mappings->count += module->segment_count;
	return true;
}

/* The collector may mark a module dead at the same time: both results are correct then, and it is
 * read once only. */
static bool is_loaded_unlocked(const struct pa_module *module)
{
	return !pa_load_relaxed(&module->dead);
}

PA_AGENT int pa_mappings_number(struct pa_mappings *mappings)
{
	uint32_t id;

	for (id = 1; id <= mappings->module_count; id++) {
		const struct pa_module *module = pa_maps_get(id);
		struct ref *ref = ref_of(mappings, id);

		if (!module || !module->segment_count)
			continue;
		if (!ref->referred && !is_loaded_unlocked(module))
			continue;
		ref->first = mappings->count + 1;
		if (!add_segments(mappings, module))
			return -ENOMEM;
	}
	return 0;
}

PA_AGENT struct pa_mapping *pa_mappings_get(const struct pa_mappings *mappings, uint32_t id)
{
	return (struct pa_mapping *)mappings->list.at + (id - 1);
}

PA_AGENT uint32_t pa_mappings_id(const struct pa_mappings *mappings, const struct pa_loc *loc)
{
	const struct pa_module *module = loc->module;
	const struct ref *ref = module ? ref_of(mappings, module->id) : NULL;
	uint32_t i;

	if (!ref || !ref->first)
		return 0;
	for (i = 0; i < module->segment_count; i++)
		if (loc->pc >= module->segments[i].start && loc->pc < module->segments[i].limit)
			return ref->first + i;
	return 0;
}

PA_AGENT void pa_mappings_named(struct pa_mappings *mappings, uint32_t id,
	const struct pa_frame *frames, uint32_t count)
{
	struct pa_mapping *mapping;
	uint32_t i;

	if (!id)
		return;
	mapping = pa_mappings_get(mappings, id);
	mapping->used = true;
	mapping->unnamed |= count == 0;
	mapping->inlined |= count > 1;
	for (i = 0; i < count; i++) {
		mapping->without_file |= !*frames[i].function->file;
		mapping->without_line |= !frames[i].line;
	}
}
