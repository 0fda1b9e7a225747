/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debug sections of one file in memory, at fixed addresses, loaded in pieces on demand: a large
 * file costs only the memory of the parts that are used. libdw sees them as an ELF file with the
 * whole .debug_info or one unit of it.
 *
 * Parts that are not loaded read as zeros: load them before libdw reads them.
 *
 * Context: PA_AGENT, the render thread only. No lock. Memory: one mapping, freed by
 * pa_symbols_image_free. When full: -EFBIG or -ENOMEM.
 */
#ifndef PA_SYMBOLS_IMAGE_H
#define PA_SYMBOLS_IMAGE_H

#include "symbols_elf.h"

enum pa_symbols_part {
	PA_SYMBOLS_PART_INFO,
	PA_SYMBOLS_PART_ABBREV,
	PA_SYMBOLS_PART_STR,
	PA_SYMBOLS_PART_LINE,
	PA_SYMBOLS_PART_LINE_STR,
	PA_SYMBOLS_PART_RANGES,
	PA_SYMBOLS_PART_RNGLISTS,
	PA_SYMBOLS_PART_ADDR,
	PA_SYMBOLS_PART_STR_OFFSETS,
	PA_SYMBOLS_PART_COUNT
};

/* Source of a part: bytes [from, from + bytes) of a section's uncompressed contents. */
struct pa_symbols_source {
	const struct pa_symbols_elf *file; /* NULL: none */
	const Elf64_Shdr *section;
	uint64_t from, bytes;
};

struct pa_symbols_inflate;

struct pa_symbols_loaded {
	struct pa_symbols_source source;
	uint64_t packed_at; /* offset of the compressed stream in the file; 0: not compressed */
	uint64_t at;        /* offset in the image */
	uint8_t *there;     /* bitmap of the loaded pieces */
	struct pa_symbols_inflate *stream;
};

/*
 * Names are spread over .debug_str in any order. Of a compressed one up to this size all that was
 * decompressed on the way to a name is loaded, and stays.
 */
#define PA_SYMBOLS_IMAGE_KEPT_BYTES ((uint64_t)12 << 20)

/* ELF files that exist at the same time. */
#define PA_SYMBOLS_HEADS 8

struct pa_symbols_image {
	char *at;
	size_t bytes; /* address space */
	size_t used;  /* memory that pa_symbols_image_evict would free */
	int64_t deadline_ns;
	struct pa_symbols_loaded parts[PA_SYMBOLS_PART_COUNT];
};

/* Finds the sections of a file whose names end with suffix ("" or ".dwo"). False: damaged. */
PA_AGENT bool pa_symbols_image_list(const struct pa_symbols_elf *file, const char *suffix,
	struct pa_symbols_source sources[PA_SYMBOLS_PART_COUNT]);

/* Makes an image of the sections; the files must stay open as long as the image. Returns 0;
 * -ENODATA: no .debug_info; -EFBIG: larger than the free memory allows; -ENOMEM. */
PA_AGENT int pa_symbols_image_make(struct pa_symbols_image *image,
	const struct pa_symbols_source sources[PA_SYMBOLS_PART_COUNT]);

/* Size of a part; 0: absent. */
static inline uint64_t pa_symbols_image_bytes(const struct pa_symbols_image *image,
	enum pa_symbols_part part)
{
	return image->parts[part].source.bytes;
}

/* Loads these bytes of a part. False: out of range, read error, or the thread's CPU time reached
 * image->deadline_ns. */
PA_AGENT bool pa_symbols_image_load(struct pa_symbols_image *image, enum pa_symbols_part part,
	uint64_t offset, uint64_t bytes);

/* Loads a whole part, if it exists. */
PA_AGENT bool pa_symbols_image_load_all(struct pa_symbols_image *image, enum pa_symbols_part part);

/* Loads from an address in the image up to the next NUL. False: not in the image, or too long. */
PA_AGENT bool pa_symbols_image_load_text(struct pa_symbols_image *image, const char *text);

/* Frees the loaded pieces of the large parts: .debug_info, .debug_line, .debug_str; but not those
 * of a compressed .debug_str of at most PA_SYMBOLS_IMAGE_KEPT_BYTES. */
PA_AGENT void pa_symbols_image_evict(struct pa_symbols_image *image);

/* Makes an ELF file of all parts, with only [from, from + bytes) of .debug_info; *size: its size.
 * Valid until another call with the same number (below PA_SYMBOLS_HEADS). */
PA_AGENT char *pa_symbols_image_head(struct pa_symbols_image *image, unsigned number, uint64_t from,
	uint64_t bytes, size_t *size);

PA_AGENT void pa_symbols_image_free(struct pa_symbols_image *image);

#endif
