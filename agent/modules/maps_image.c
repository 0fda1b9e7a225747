/* SPDX-License-Identifier: Apache-2.0 */
#include "maps_image.h"

#include <string.h>

#include "../arch/arch.h"
#include "../base/phdr.h"

/* Program headers farther from the start than this are invalid. */
#define PHDRS_WITHIN (1 << 20)
#define NOTES_MAX_BYTES 4096
/* A larger image is invalid. */
#define IMAGE_MAX_BYTES ((uint64_t)1 << 40)

PA_AGENT bool pa_maps_image_is_elf(const Elf64_Ehdr *header)
{
	return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
		header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB;
}

PA_AGENT bool pa_maps_image_header_good(const Elf64_Ehdr *header)
{
	return pa_maps_image_is_elf(header) &&
		(header->e_type == ET_EXEC || header->e_type == ET_DYN) &&
		header->e_phentsize == sizeof(Elf64_Phdr) && header->e_phnum > 0;
}

static bool read_phdrs(struct pa_maps_image *image)
{
	Elf64_Ehdr header;

	if (!pa_maps_read_memory(&header, image->start, sizeof(header)) ||
		!pa_maps_image_header_good(&header) || header.e_phoff > PHDRS_WITHIN)
		return false;
	image->phdr_count =
		header.e_phnum < PA_MAPS_IMAGE_PHDRS ? header.e_phnum : PA_MAPS_IMAGE_PHDRS;
	return pa_maps_read_memory(image->phdrs, image->start + header.e_phoff,
		image->phdr_count * sizeof(image->phdrs[0]));
}

/* Extent and bias of the image from its PT_LOADs. */
static bool measure_image(struct pa_maps_image *image)
{
	bool at_zero = false;
	uint64_t low = 0, high = 0;

	for (uint32_t i = 0; i < image->phdr_count; i++) {
		const Elf64_Phdr *phdr = &image->phdrs[i];

		if (phdr->p_type != PT_LOAD)
			continue;
		if (!at_zero && phdr->p_offset < PA_PAGE_BYTES) {
			at_zero = true;
			low = phdr->p_vaddr - phdr->p_offset;
		}
		if (at_zero && phdr->p_vaddr - low < IMAGE_MAX_BYTES &&
			phdr->p_memsz < IMAGE_MAX_BYTES &&
			phdr->p_vaddr - low + phdr->p_memsz > high)
			high = phdr->p_vaddr - low + phdr->p_memsz;
	}
	if (!at_zero || high == 0 || high >= PA_ADDRESS_LIMIT - image->start)
		return false;
	image->bias = image->start - low;
	image->limit = PA_ALIGN_UP(image->start + high, PA_PAGE_BYTES);
	return true;
}

PA_AGENT bool pa_maps_image_read(struct pa_maps_image *image, uintptr_t start)
{
	image->start = start;
	return start < PA_ADDRESS_LIMIT && read_phdrs(image) && measure_image(image);
}

PA_AGENT uint32_t pa_maps_image_note(const uint8_t *notes, size_t bytes, uint64_t align,
	uint8_t out[PA_BUILD_ID_BYTES])
{
	const size_t unit = align == 8 ? 8 : 4;
	size_t at = 0;

	while (at <= bytes && bytes - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;

		memcpy(&note, notes + at, sizeof(note));
		size_t name = at + sizeof(note);
		size_t content = PA_ALIGN_UP(name + note.n_namesz, unit);
		size_t next = PA_ALIGN_UP(content + note.n_descsz, unit);

		if (content + note.n_descsz > bytes)
			break;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
			memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 &&
			note.n_descsz > 0 && note.n_descsz <= PA_BUILD_ID_BYTES) {
			memcpy(out, notes + content, note.n_descsz);
			return note.n_descsz;
		}
		at = next;
	}
	return 0;
}

PA_AGENT uint32_t pa_maps_image_build_id(const struct pa_maps_image *image,
	uint8_t out[PA_BUILD_ID_BYTES])
{
	uint8_t notes[NOTES_MAX_BYTES];

	for (uint32_t i = 0; i < image->phdr_count; i++) {
		const Elf64_Phdr *phdr = &image->phdrs[i];
		size_t bytes = phdr->p_memsz < sizeof(notes) ? phdr->p_memsz : sizeof(notes);

		if (phdr->p_type != PT_NOTE ||
			!pa_maps_read_memory(notes, image->bias + phdr->p_vaddr, bytes))
			continue;
		uint32_t found = pa_maps_image_note(notes, bytes, phdr->p_align, out);

		if (found)
			return found;
	}
	return 0;
}

PA_AGENT uint64_t pa_maps_image_offset(const struct pa_maps_image *image, uintptr_t address)
{
	const Elf64_Phdr *phdr =
		pa_phdr_find(image->phdrs, image->phdr_count, image->bias, 0, address);

	return phdr ? address - image->bias - phdr->p_vaddr + phdr->p_offset : 0;
}
