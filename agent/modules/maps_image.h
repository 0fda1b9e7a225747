/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF headers of mapped images, read from memory: extent, bias, build-id. Reads are safe: the image
 * may be unmapped or invalid. Context: PA_AGENT, no state.
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

/* True when a loaded image has its ELF header (file offset 0) at start. */
PA_AGENT bool pa_maps_image_read(struct pa_maps_image *image, uintptr_t start);

/* Copies its GNU build-id into out; returns its length, 0 when there is none. */
PA_AGENT uint32_t pa_maps_image_build_id(const struct pa_maps_image *image,
	uint8_t out[PA_BUILD_ID_BYTES]);

/* The file offset of an address, from the program headers; 0 when it is in no PT_LOAD. */
PA_AGENT uint64_t pa_maps_image_offset(const struct pa_maps_image *image, uintptr_t address);

/*
 * The GNU build-id in a note segment or section; returns its length, 0 when there is none. align:
 * of the segment, 8 or else 4.
 */
PA_AGENT uint32_t pa_maps_image_note(const uint8_t *notes, size_t bytes, uint64_t align,
	uint8_t out[PA_BUILD_ID_BYTES]);

/* True for an ELF header of 64 bits, little-endian. */
PA_AGENT bool pa_maps_image_is_elf(const Elf64_Ehdr *header);

/* True for that of a program or library with program headers, which can be mapped. */
PA_AGENT bool pa_maps_image_header_good(const Elf64_Ehdr *header);

#endif
