/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_unnamed.h"

#include <stdio.h>
#include <string.h>

#include "../modules/maps_image.h"
#include "../unwind/eh_table.h"
#include "symbols_memory.h"

#define FDE_FIELDS 8 /* bytes before the start: length, distance to the CIE */

static uintptr_t eh_header_of_module(const struct pa_module *module)
{
	struct pa_maps_image image;

	if (!pa_maps_image_read(&image, module->start) || image.bias != module->bias)
		return 0;
	for (uint32_t i = 0; i < image.phdr_count; i++)
		if (image.phdrs[i].p_type == PT_GNU_EH_FRAME)
			return image.bias + image.phdrs[i].p_vaddr;
	return 0;
}

/*
 * Bytes of code that an FDE covers; 0: unknown. Its pointers have the format of its CIE, which is
 * not read: the start, known from the row, proves it.
 */
static uint64_t bytes_of_fde(uintptr_t fde, uintptr_t start)
{
	uint32_t words[4]; /* start and length, of 4 or 8 bytes each */
	uintptr_t at = fde + FDE_FIELDS;
	uint64_t longs[2];

	if (!pa_maps_read_memory(words, at, sizeof(words)))
		return 0;
	memcpy(longs, words, sizeof(longs));
	if (at + (uintptr_t)(intptr_t)(int32_t)words[0] == start)
		return words[1];
	return longs[0] == start || at + longs[0] == start ? longs[1] : 0;
}

/* The start of the function; 0: no FDE has the pc. */
static uintptr_t start_of_function(const struct pa_module *module, uintptr_t pc)
{
	uintptr_t header = eh_header_of_module(module);
	uint64_t row;

	if (!header || pa_eh_table_find(header, pc, pa_maps_read_memory, &row) != 0)
		return 0;
	uintptr_t start = pa_eh_table_start(header, row);
	uintptr_t fde = pa_eh_table_fde(header, row);
	return pc - start < bytes_of_fde(fde, start) ? start : 0;
}

PA_AGENT bool pa_symbols_unnamed(const struct pa_module *module, uintptr_t pc, char *name,
	size_t size, uintptr_t *entry)
{
	const char *slash = strrchr(module->path, '/');
	const char *base = slash ? slash + 1 : module->path;

	*entry = 0;
	if (!module->is_elf || !*base)
		return false;
	/* Another file may be mapped there by now. */
	if (pa_symbols_memory_intact(module))
		*entry = start_of_function(module, pc);
	if (*entry)
		snprintf(name, size, "%s+0x%lx", base, (unsigned long)(*entry - module->bias));
	else
		snprintf(name, size, base[0] == '[' ? "%s" : "[%s]", base);
	return true;
}
