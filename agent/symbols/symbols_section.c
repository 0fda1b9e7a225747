/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_section.h"

#include <string.h>

#include "../base/arena.h"
#include "mem_headroom.h"
#include "symbols_files.h"
#include "symbols_inflate.h"

#define SECTION_BYTES_MAX ((uint64_t)16 << 20)

/* False: not compressed by zlib, or too large. */
static bool read_packed_header(const struct pa_symbols_elf *elf, const Elf64_Shdr *header,
	Elf64_Chdr *packed)
{
	return header->sh_size >= sizeof(*packed) &&
		pa_symbols_elf_read(elf, packed, header->sh_offset, sizeof(*packed)) &&
		packed->ch_type == ELFCOMPRESS_ZLIB && packed->ch_size <= SECTION_BYTES_MAX;
}

static bool inflate_section(const struct pa_symbols_elf *elf, const Elf64_Shdr *header, void *to,
	size_t bytes)
{
	struct pa_symbols_inflate *stream = pa_symbols_inflate_open(elf,
		header->sh_offset + sizeof(Elf64_Chdr), header->sh_size - sizeof(Elf64_Chdr));
	if (!stream)
		return false;
	bool good = pa_symbols_inflate_read(stream, 0, to, bytes, INT64_MAX);
	pa_symbols_inflate_close(stream);
	return good;
}

static bool load_from(const struct pa_symbols_elf *elf, const Elf64_Shdr *header,
	struct pa_cfi_section *section)
{
	Elf64_Chdr packed;
	bool is_packed = header->sh_flags & SHF_COMPRESSED;
	if (is_packed && !read_packed_header(elf, header, &packed))
		return false;
	section->size = is_packed ? packed.ch_size : header->sh_size;
	section->address = header->sh_addr;
	if (!section->size || section->size > SECTION_BYTES_MAX ||
		!pa_mem_headroom_for(section->size))
		return false;
	section->bytes = pa_map(section->size);
	if (!section->bytes)
		return false;
	if (is_packed ? inflate_section(elf, header, section->bytes, section->size) :
			pa_symbols_elf_read(elf, section->bytes, header->sh_offset, section->size))
		return true;
	pa_unmap(section->bytes, section->size);
	return false;
}

static bool load_named(const struct pa_symbols_elf *elf, const char *name,
	struct pa_cfi_section *section)
{
	const Elf64_Shdr *header = pa_symbols_elf_find(elf, name);
	return header && load_from(elf, header, section);
}

/* Debug files have the addresses of the module's file. */
static bool load_from_debug_file(const struct pa_module *module, const struct pa_symbols_elf *file,
	const char *name, struct pa_cfi_section *section)
{
	struct pa_symbols_elf debug;
	if (pa_symbols_files_debug(module, file, name, &debug) != 0)
		return false;
	bool good = load_named(&debug, name, section);
	pa_symbols_elf_close(&debug);
	return good;
}

bool pa_symbols_section_load(const struct pa_module *module, const char *name,
	struct pa_cfi_section *section)
{
	struct pa_symbols_elf elf;
	bool is_debug = strcmp(name, ".debug_frame") == 0;
	if (pa_symbols_files_module(module, &elf) != 0)
		return is_debug && load_from_debug_file(module, NULL, name, section);
	bool good = load_named(&elf, name, section) ||
		(is_debug && load_from_debug_file(module, &elf, name, section));
	pa_symbols_elf_close(&elf);
	return good;
}
