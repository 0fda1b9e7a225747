/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_memory.h"

#include <string.h>

#include "../arch/plt.h"
#include "../base/arena.h"
#include "../modules/maps_image.h"

#define MAX_DYNAMIC 512
#define MAX_SYMBOLS (1 << 20)
#define MAX_NAMES_BYTES ((uint64_t)64 << 20)
#define MAX_RELOCATIONS (1 << 20)
#define MAX_BUCKETS (1 << 20)
#define BATCH 128

/* Contents of the dynamic section; addresses at run time, 0 = absent. */
struct dynamic {
	const struct pa_module *module;
	uintptr_t symbols, names, gnu_hash, hash;
	uint64_t names_bytes;
	uintptr_t jumps, relocations;
	uint64_t jumps_bytes, relocations_bytes;
};

PA_AGENT bool pa_symbols_memory_intact(const struct pa_module *module)
{
	struct pa_maps_image image;
	uint8_t build_id[PA_BUILD_ID_BYTES];

	if (pa_load_relaxed(&module->dead) || !module->is_elf ||
		!pa_maps_image_read(&image, module->start) || image.bias != module->bias)
		return false;
	return pa_maps_image_build_id(&image, build_id) == module->build_id_bytes &&
		memcmp(build_id, module->build_id, module->build_id_bytes) == 0;
}

/* The loader relocates the addresses in the dynamic section, unless it is read-only (vdso). */
static uintptr_t address_of(const struct pa_module *module, uint64_t value)
{
	return value >= module->start && value < module->limit ? value : value + module->bias;
}

static void take_entry(struct dynamic *dynamic, const Elf64_Dyn *entry)
{
	uintptr_t address = address_of(dynamic->module, entry->d_un.d_ptr);

	switch (entry->d_tag) {
	case DT_SYMTAB: dynamic->symbols = address; break;
	case DT_STRTAB: dynamic->names = address; break;
	case DT_STRSZ: dynamic->names_bytes = entry->d_un.d_val; break;
	case DT_GNU_HASH: dynamic->gnu_hash = address; break;
	case DT_HASH: dynamic->hash = address; break;
	case DT_JMPREL: dynamic->jumps = address; break;
	case DT_PLTRELSZ: dynamic->jumps_bytes = entry->d_un.d_val; break;
	case DT_RELA: dynamic->relocations = address; break;
	case DT_RELASZ: dynamic->relocations_bytes = entry->d_un.d_val; break;
	}
}

static bool read_dynamic(struct dynamic *dynamic, const struct pa_module *module)
{
	struct pa_maps_image image;
	Elf64_Dyn entry;

	memset(dynamic, 0, sizeof(*dynamic));
	dynamic->module = module;
	if (!pa_symbols_memory_intact(module) || !pa_maps_image_read(&image, module->start))
		return false;
	for (uint32_t i = 0; i < image.phdr_count; i++) {
		uintptr_t at = image.bias + image.phdrs[i].p_vaddr;

		if (image.phdrs[i].p_type != PT_DYNAMIC)
			continue;
		for (uint32_t n = 0; n < MAX_DYNAMIC; n++, at += sizeof(entry)) {
			if (!pa_maps_read_memory(&entry, at, sizeof(entry)) ||
				entry.d_tag == DT_NULL)
				break;
			take_entry(dynamic, &entry);
		}
	}
	return dynamic->symbols && dynamic->names && dynamic->names_bytes > 0 &&
		dynamic->names_bytes <= MAX_NAMES_BYTES;
}

/* ---------------------------------------------------------------- exported functions */

/* Index behind the last symbol of the chain that begins at first: the lowest bit marks the end of a
 * chain. */
static uint32_t end_of_chain(uintptr_t chains, uint32_t offset, uint32_t first)
{
	uint32_t batch[BATCH];

	for (uint32_t i = first; i < MAX_SYMBOLS; i += BATCH) {
		uintptr_t at = chains + (uintptr_t)(i - offset) * sizeof(*batch);
		uint32_t part = BATCH;

		/* The last chain may end near the end of the mapping. */
		while (part && !pa_maps_read_memory(batch, at, part * sizeof(*batch)))
			part /= 2;
		for (uint32_t n = 0; n < part; n++) {
			if (batch[n] & 1)
				return i + n + 1;
		}
		if (part == 0)
			return i;
		i -= BATCH - part;
	}
	return MAX_SYMBOLS;
}

/* The dynamic section does not contain the number of symbols; the hash table gives it. */
static uint32_t count_by_gnu_hash(const struct dynamic *dynamic)
{
	uint32_t header[4]; /* buckets, first hashed symbol, bloom words, bloom shift */
	uint32_t batch[BATCH], last = 0;

	if (!pa_maps_read_memory(header, dynamic->gnu_hash, sizeof(header)) ||
		header[0] > MAX_BUCKETS || header[2] > MAX_BUCKETS)
		return 0;
	uintptr_t buckets = dynamic->gnu_hash + sizeof(header) + header[2] * sizeof(uint64_t);
	for (uint32_t i = 0; i < header[0]; i += BATCH) {
		uint32_t part = header[0] - i < BATCH ? header[0] - i : BATCH;

		if (!pa_maps_read_memory(batch, buckets + i * sizeof(*batch),
			    part * sizeof(*batch)))
			return 0;
		for (uint32_t n = 0; n < part; n++)
			last = batch[n] > last ? batch[n] : last;
	}
	if (last < header[1])
		return header[1] < MAX_SYMBOLS ? header[1] : 0;
	return end_of_chain(buckets + header[0] * sizeof(*batch), header[1], last);
}

static uint32_t count_symbols(const struct dynamic *dynamic)
{
	uint32_t header[2]; /* buckets, chains: one per symbol */

	if (dynamic->gnu_hash)
		return count_by_gnu_hash(dynamic);
	if (dynamic->hash && pa_maps_read_memory(header, dynamic->hash, sizeof(header)))
		return header[1] < MAX_SYMBOLS ? header[1] : 0;
	return 0;
}

static uint64_t memory_code_limit(void *arg, uint64_t address)
{
	const struct pa_module *module = arg;

	for (uint32_t i = 0; i < module->segment_count; i++) {
		const struct pa_segment *segment = &module->segments[i];

		if (address + module->bias - segment->start < segment->limit - segment->start)
			return segment->limit - module->bias;
	}
	return 0;
}

PA_AGENT bool pa_symbols_memory_add(const struct pa_module *module, struct pa_symbols_table *table)
{
	struct dynamic dynamic;
	bool added = false;

	if (!read_dynamic(&dynamic, module))
		return false;
	uint32_t count = count_symbols(&dynamic);
	Elf64_Sym *symbols = pa_map(count * sizeof(*symbols));
	char *names = pa_map(dynamic.names_bytes);
	if (symbols && names &&
		pa_maps_read_memory(symbols, dynamic.symbols, count * sizeof(*symbols)) &&
		pa_maps_read_memory(names, dynamic.names, dynamic.names_bytes) &&
		pa_symbols_memory_intact(module))
		added = pa_symbols_table_add_symbols(table, symbols, count, names,
			dynamic.names_bytes, memory_code_limit, (void *)module);
	if (symbols)
		pa_unmap(symbols, count * sizeof(*symbols));
	if (names)
		pa_unmap(names, dynamic.names_bytes);
	return added;
}

/* ---------------------------------------------------------------- PLT stubs */

static bool find_stub(uintptr_t pc, uintptr_t *entry, uintptr_t *slot)
{
	for (uintptr_t align = PA_PLT_ALIGN; align <= PA_PLT_BYTES; align *= 2) {
		uint8_t code[PA_PLT_BYTES];

		*entry = pc & ~(align - 1);
		if (pa_maps_read_memory(code, *entry, sizeof(code)) &&
			pa_plt_decode(code, *entry, slot))
			return true;
	}
	return false;
}

/* Relocation that fills the slot (a runtime address). */
static bool relocation_of_slot(const struct dynamic *dynamic, uintptr_t relocations, uint64_t bytes,
	uintptr_t slot, Elf64_Rela *found)
{
	uint64_t count = bytes / sizeof(Elf64_Rela);
	Elf64_Rela batch[BATCH / 2];

	if (!relocations || count > MAX_RELOCATIONS)
		return false;
	for (uint64_t i = 0; i < count; i += PA_COUNT(batch)) {
		size_t part = count - i < PA_COUNT(batch) ? count - i : PA_COUNT(batch);

		if (!pa_maps_read_memory(batch, relocations + i * sizeof(*batch),
			    part * sizeof(*batch)))
			return false;
		for (size_t n = 0; n < part; n++) {
			*found = batch[n];
			if (found->r_offset + dynamic->module->bias == slot)
				return true;
		}
	}
	return false;
}

/* Name of a dynamic symbol with "@plt" appended. */
static bool stub_name(const struct dynamic *dynamic, uint32_t index, char *out, size_t size)
{
	static const char suffix[] = "@plt";
	Elf64_Sym symbol;
	size_t length = 0;

	if (!pa_maps_read_memory(&symbol, dynamic->symbols + index * sizeof(symbol),
		    sizeof(symbol)) ||
		symbol.st_name >= dynamic->names_bytes)
		return false;
	for (; length + sizeof(suffix) < size; length++) {
		if (!pa_maps_read_memory(&out[length], dynamic->names + symbol.st_name + length, 1))
			return false;
		if (out[length] == '\0')
			break;
	}
	memcpy(out + length, suffix, sizeof(suffix));
	return length > 0;
}

PA_AGENT bool pa_symbols_memory_stub(const struct pa_module *module, uintptr_t pc, char *out,
	size_t size, uintptr_t *entry, uint64_t *target)
{
	struct dynamic dynamic;
	Elf64_Rela relocation;
	uintptr_t slot;

	out[0] = '\0';
	*target = 0;
	if (!find_stub(pc, entry, &slot) || !read_dynamic(&dynamic, module))
		return false;
	if (!relocation_of_slot(&dynamic, dynamic.jumps, dynamic.jumps_bytes, slot, &relocation) &&
		!relocation_of_slot(&dynamic, dynamic.relocations, dynamic.relocations_bytes, slot,
			&relocation))
		return false;
	/* IRELATIVE: the addend is the resolver's address; RELATIVE: the function's. */
	if (ELF64_R_SYM(relocation.r_info) == 0) {
		*target = (uint64_t)relocation.r_addend;
		return *target != 0;
	}
	return stub_name(&dynamic, ELF64_R_SYM(relocation.r_info), out, size);
}
