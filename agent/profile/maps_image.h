/*
 * ELF headers of what is mapped, out of memory: where an image begins and ends, its bias, its
 * build-id. All reads are safe ones: the image may vanish or lie. Context: PA_AGENT, no state.
 */
#ifndef PA_MAPS_IMAGE_H
#define PA_MAPS_IMAGE_H

#include <elf.h>

#include "maps.h"

#define PA_MAPS_IMAGE_PHDRS 64

struct pa_maps_image {
	uintptr_t start, limit; /* from the ELF header to the end of the last PT_LOAD */
	uintptr_t bias;         /* runtime address - ELF virtual address */
	uint32_t phdr_count;
	Elf64_Phdr phdrs[PA_MAPS_IMAGE_PHDRS];
};

/* True when start is the place of an ELF header (file offset 0) of a loaded image. */
PA_AGENT bool pa_maps_image_read(struct pa_maps_image *image, uintptr_t start);

/* Its GNU build-id into out; the number of bytes, 0 when there is none. */
PA_AGENT uint32_t pa_maps_image_build_id(const struct pa_maps_image *image,
	uint8_t out[PA_BUILD_ID_BYTES]);

/* The file offset of an address by the program headers, 0 when it is in no PT_LOAD. */
PA_AGENT uint64_t pa_maps_image_offset(const struct pa_maps_image *image, uintptr_t address);

/*
 * The GNU build-id in a note segment or section; the number of bytes, 0 when there is none.
 * align: of the segment, 8 or else 4.
 */
PA_AGENT uint32_t pa_maps_image_note(const uint8_t *notes, size_t bytes, uint64_t align,
	uint8_t out[PA_BUILD_ID_BYTES]);

/* The ELF header is one that we can read: 64 bits, little-endian, with program headers. */
PA_AGENT bool pa_maps_image_header_good(const Elf64_Ehdr *header);

#endif
