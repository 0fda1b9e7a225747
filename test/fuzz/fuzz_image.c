/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds symbols/symbols_memory.c and maps_image.c: an ELF image in memory, as it is mapped, whose
 * dynamic section is asked for functions and stubs. May not happen: a name outside its table, a
 * function outside the code, reads without end.
 */
#include "fuzz.h"

#include "agent/modules/maps_image.h"
#include "agent/symbols/symbols_memory.h"
#include "fuzz_memory.h"

static void check_table(struct pa_symbols_table *table)
{
	struct pa_symbols_match match;

	pa_symbols_table_finish(table);
	for (uint64_t at = 0; at < memory.count + 0x1000; at += 0x40) {
		if (!pa_symbols_table_find(table, at, &match))
			continue;
		must(at >= match.start && at - match.start < match.bytes);
		must(match.name_bytes > 0 && strlen(match.name) >= match.name_bytes);
	}
	pa_symbols_table_free(table);
}

static void check_stubs(const struct pa_module *module)
{
	char name[64];
	uintptr_t entry;
	uint64_t target;

	/* Each looks at all relocations there are. */
	for (uintptr_t at = 0x1000; at < 0x1100 && at < memory.count; at += 0x10) {
		memory.reads = 0;
		if (pa_symbols_memory_stub(module, MEMORY_AT + at, name, sizeof(name), &entry,
			    &target) &&
			!target)
			must(strnlen(name, sizeof(name)) < sizeof(name) && strstr(name, "@plt"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct pa_module module = { .id = 1,
		.is_elf = true,
		.start = MEMORY_AT,
		.limit = MEMORY_AT + count,
		.path = "",
		.segment_count = 1 };
	struct pa_symbols_table table = { 0 };
	struct pa_maps_image image;

	memory_set(bytes, count);
	if (!pa_maps_image_read(&image, MEMORY_AT))
		return 0;
	must(image.phdr_count <= PA_MAPS_IMAGE_PHDRS && image.limit > image.start);
	module.bias = image.bias;
	module.segments[0] = (struct pa_segment){ MEMORY_AT, MEMORY_AT + count, 0 };
	module.build_id_bytes = pa_maps_image_build_id(&image, module.build_id);
	pa_maps_image_offset(&image, MEMORY_AT + count / 2);
	must(pa_symbols_memory_intact(&module));
	pa_symbols_memory_add(&module, &table);
	check_table(&table);
	check_stubs(&module);
	return 0;
}
