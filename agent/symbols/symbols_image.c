/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_image.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "../arch/arch.h"
#include "../base/arena.h"
#include "../base/clock.h"
#include "symbols_inflate.h"
#include "mem_headroom.h"

/* Limit of the address space for one file. */
#define MAX_BYTES ((uint64_t)8 << 30)
/* zlib expands one byte to at most this many. */
#define MAX_RATIO 1032
#define PIECE_BYTES ((uint64_t)16 << 10)
#define HEAD_BYTES PA_PAGE_BYTES
#define MAX_TEXT_BYTES ((uint64_t)64 << 10)
/* Pieces read per call; a compressed stream continues behind them after a timeout. */
#define MAX_RUN 64

static const char *const names[PA_SYMBOLS_PART_COUNT] = {
	[PA_SYMBOLS_PART_INFO] = "info",
	[PA_SYMBOLS_PART_ABBREV] = "abbrev",
	[PA_SYMBOLS_PART_STR] = "str",
	[PA_SYMBOLS_PART_LINE] = "line",
	[PA_SYMBOLS_PART_LINE_STR] = "line_str",
	[PA_SYMBOLS_PART_RANGES] = "ranges",
	[PA_SYMBOLS_PART_RNGLISTS] = "rnglists",
	[PA_SYMBOLS_PART_ADDR] = "addr",
	[PA_SYMBOLS_PART_STR_OFFSETS] = "str_offsets",
};

/* Only parts of these sections are needed, however large they are. */
static const enum pa_symbols_part large[] = { PA_SYMBOLS_PART_INFO, PA_SYMBOLS_PART_LINE,
	PA_SYMBOLS_PART_STR };

/* ---------------------------------------------------------------- sections */

/* Returns the part of a section name; PA_SYMBOLS_PART_COUNT: none. */
static enum pa_symbols_part part_of(const char *name, const char *suffix)
{
	static const char plain[] = ".debug_", packed[] = ".zdebug_";
	const char *rest = NULL;

	if (strncmp(name, plain, sizeof(plain) - 1) == 0)
		rest = name + sizeof(plain) - 1;
	else if (strncmp(name, packed, sizeof(packed) - 1) == 0)
		rest = name + sizeof(packed) - 1;
	for (unsigned part = 0; rest && part < PA_SYMBOLS_PART_COUNT; part++) {
		size_t length = strlen(names[part]);

		if (strncmp(rest, names[part], length) == 0 && strcmp(rest + length, suffix) == 0)
			return part;
	}
	return PA_SYMBOLS_PART_COUNT;
}

/* Offset of a section's compressed stream in *start and its uncompressed size in *bytes; *start 0:
 * not compressed. False: damaged. */
static bool packed_stream(const struct pa_symbols_elf *file, const Elf64_Shdr *section,
	uint64_t *start, uint64_t *bytes)
{
	uint8_t old[12]; /* "ZLIB" and the size, big-endian */
	Elf64_Chdr header;

	*start = 0;
	*bytes = section->sh_size;
	if (section->sh_flags & SHF_COMPRESSED) {
		if (section->sh_size < sizeof(header) ||
			!pa_symbols_elf_read(file, &header, section->sh_offset, sizeof(header)) ||
			header.ch_type != ELFCOMPRESS_ZLIB)
			return false;
		*start = section->sh_offset + sizeof(header);
		*bytes = header.ch_size;
	} else if (pa_symbols_elf_name(file, section)[1] == 'z') {
		if (section->sh_size < sizeof(old) ||
			!pa_symbols_elf_read(file, old, section->sh_offset, sizeof(old)) ||
			memcmp(old, "ZLIB", 4) != 0)
			return false;
		*start = section->sh_offset + sizeof(old);
		*bytes = 0;
		for (size_t i = 4; i < sizeof(old); i++)
			*bytes = *bytes << 8 | old[i];
	}
	return *start == 0 || *bytes / MAX_RATIO <= section->sh_size;
}

PA_AGENT bool pa_symbols_image_list(const struct pa_symbols_elf *file, const char *suffix,
	struct pa_symbols_source sources[PA_SYMBOLS_PART_COUNT])
{
	uint64_t start, bytes;

	memset(sources, 0, PA_SYMBOLS_PART_COUNT * sizeof(*sources));
	for (uint32_t i = 0; i < file->section_count; i++) {
		const Elf64_Shdr *section = &file->sections[i];
		unsigned part = part_of(pa_symbols_elf_name(file, section), suffix);

		if (part == PA_SYMBOLS_PART_COUNT || section->sh_type == SHT_NOBITS ||
			section->sh_size == 0 || sources[part].file)
			continue;
		if (section->sh_offset > file->bytes ||
			section->sh_size > file->bytes - section->sh_offset ||
			!packed_stream(file, section, &start, &bytes))
			return false;
		sources[part] = (struct pa_symbols_source){ file, section, 0, bytes };
	}
	return true;
}

/* ---------------------------------------------------------------- layout */

static size_t bits_bytes(uint64_t bytes)
{
	return (bytes / PIECE_BYTES + 8) / 8;
}

/* Layout: heads, parts (each on its own pages), bitmaps of the loaded pieces. */
static bool lay_out(struct pa_symbols_image *image, const struct pa_symbols_source *sources)
{
	uint64_t at = PA_SYMBOLS_HEADS * HEAD_BYTES, bits = 0, unpacked;

	for (unsigned i = 0; i < PA_SYMBOLS_PART_COUNT; i++) {
		struct pa_symbols_loaded *part = &image->parts[i];

		part->source = sources[i];
		if (!part->source.file)
			part->source.bytes = 0;
		if (part->source.bytes == 0)
			continue;
		if (part->source.bytes > MAX_BYTES ||
			!packed_stream(part->source.file, part->source.section, &part->packed_at,
				&unpacked) ||
			part->source.from > unpacked ||
			part->source.bytes > unpacked - part->source.from)
			return false;
		part->at = at;
		at += PA_ALIGN_UP(part->source.bytes + 1, PA_PAGE_BYTES);
		bits += bits_bytes(part->source.bytes);
	}
	image->bytes = at + bits;
	return image->bytes <= MAX_BYTES;
}

PA_AGENT int pa_symbols_image_make(struct pa_symbols_image *image,
	const struct pa_symbols_source sources[PA_SYMBOLS_PART_COUNT])
{
	memset(image, 0, sizeof(*image));
	image->deadline_ns = INT64_MAX;
	if (!sources[PA_SYMBOLS_PART_INFO].file)
		return -ENODATA;
	if (!lay_out(image, sources) || pa_mem_headroom_lacks(image->bytes))
		return -EFBIG;
	image->at = pa_map_table(image->bytes);
	if (!image->at)
		return -ENOMEM;
	uint8_t *bits = (uint8_t *)image->at + image->bytes;
	for (unsigned i = 0; i < PA_SYMBOLS_PART_COUNT; i++) {
		if (image->parts[i].source.bytes == 0)
			continue;
		bits -= bits_bytes(image->parts[i].source.bytes);
		image->parts[i].there = bits;
	}
	return 0;
}

PA_AGENT void pa_symbols_image_free(struct pa_symbols_image *image)
{
	for (unsigned i = 0; i < PA_SYMBOLS_PART_COUNT; i++) {
		if (image->parts[i].stream)
			pa_symbols_inflate_close(image->parts[i].stream);
	}
	if (image->at)
		pa_unmap_table(image->at, image->bytes);
	memset(image, 0, sizeof(*image));
}

/* ---------------------------------------------------------------- loading */

static bool read_part(struct pa_symbols_image *image, struct pa_symbols_loaded *part,
	uint64_t offset, size_t bytes)
{
	const struct pa_symbols_source *source = &part->source;
	char *to = image->at + part->at + offset;

	if (!part->packed_at)
		return pa_symbols_elf_read(source->file, to,
			source->section->sh_offset + source->from + offset, bytes);
	if (!part->stream)
		part->stream = pa_symbols_inflate_open(source->file, part->packed_at,
			source->section->sh_offset + source->section->sh_size - part->packed_at);
	return part->stream &&
		pa_symbols_inflate_read(part->stream, source->from + offset, to, bytes,
			image->deadline_ns);
}

static bool is_there(const struct pa_symbols_loaded *part, uint64_t piece)
{
	return part->there[piece / 8] >> piece % 8 & 1;
}

static uint64_t piece_bytes(const struct pa_symbols_loaded *part, uint64_t piece)
{
	uint64_t left = part->source.bytes - piece * PIECE_BYTES;

	return left < PIECE_BYTES ? left : PIECE_BYTES;
}

static bool stays_unpacked(const struct pa_symbols_image *image,
	const struct pa_symbols_loaded *part)
{
	return part == &image->parts[PA_SYMBOLS_PART_STR] && part->packed_at &&
		part->source.bytes <= PA_SYMBOLS_IMAGE_KEPT_BYTES;
}

static bool is_evictable(const struct pa_symbols_image *image, const struct pa_symbols_loaded *part)
{
	for (size_t i = 0; i < PA_COUNT(large); i++) {
		if (part == &image->parts[large[i]])
			return !stays_unpacked(image, part);
	}
	return false;
}

/* Loads the pieces [first, last). */
static bool load_pieces(struct pa_symbols_image *image, struct pa_symbols_loaded *part,
	uint64_t first, uint64_t last)
{
	uint64_t at = first * PIECE_BYTES, end = last * PIECE_BYTES;

	if (end > part->source.bytes)
		end = part->source.bytes;
	if (!read_part(image, part, at, end - at))
		return false;
	if (is_evictable(image, part))
		image->used += end - at;
	for (; first < last; first++)
		part->there[first / 8] |= (uint8_t)(1 << first % 8);
	return true;
}

/* Only decompression is checked: reading is fast. */
static bool is_late(const struct pa_symbols_image *image, const struct pa_symbols_loaded *part)
{
	return part->packed_at && part->stream && pa_clock_thread_cpu_ns() > image->deadline_ns;
}

PA_AGENT bool pa_symbols_image_load(struct pa_symbols_image *image, enum pa_symbols_part which,
	uint64_t offset, uint64_t bytes)
{
	struct pa_symbols_loaded *part = &image->parts[which];

	if (offset > part->source.bytes || bytes > part->source.bytes - offset)
		return false;
	if (bytes == 0)
		return true;
	uint64_t piece = offset / PIECE_BYTES, last = (offset + bytes - 1) / PIECE_BYTES + 1;
	while (stays_unpacked(image, part) && piece > 0 && !is_there(part, piece - 1))
		piece--;
	while (piece < last) {
		uint64_t end = piece;

		while (end < last && end - piece < MAX_RUN && !is_there(part, end))
			end++;
		if (end > piece && (is_late(image, part) || !load_pieces(image, part, piece, end)))
			return false;
		piece = end + (end == piece);
	}
	return true;
}

PA_AGENT bool pa_symbols_image_load_all(struct pa_symbols_image *image, enum pa_symbols_part part)
{
	return pa_symbols_image_load(image, part, 0, image->parts[part].source.bytes);
}

PA_AGENT bool pa_symbols_image_load_text(struct pa_symbols_image *image, const char *text)
{
	uint64_t at = (uint64_t)(text - image->at);

	if (text < image->at || at >= image->bytes)
		return false;
	for (unsigned i = 0; i < PA_SYMBOLS_PART_COUNT; i++) {
		const struct pa_symbols_loaded *part = &image->parts[i];
		uint64_t offset = at - part->at;

		if (at < part->at || offset >= part->source.bytes)
			continue;
		for (uint64_t done = 0; done < MAX_TEXT_BYTES && offset < part->source.bytes;) {
			uint64_t step = PIECE_BYTES - offset % PIECE_BYTES;

			if (step > part->source.bytes - offset)
				step = part->source.bytes - offset;
			if (!pa_symbols_image_load(image, i, offset, step))
				return false;
			if (memchr(image->at + part->at + offset, '\0', step))
				return true;
			offset += step;
			done += step;
		}
		/* The byte behind the end of a part is zero. */
		return offset == part->source.bytes;
	}
	return false;
}

PA_AGENT void pa_symbols_image_evict(struct pa_symbols_image *image)
{
	for (size_t i = 0; i < PA_COUNT(large); i++) {
		struct pa_symbols_loaded *part = &image->parts[large[i]];
		uint64_t pieces = part->source.bytes / PIECE_BYTES + 1;

		if (part->source.bytes == 0 || stays_unpacked(image, part))
			continue;
		for (uint64_t piece = 0; piece < pieces; piece++)
			image->used -= is_there(part, piece) ? piece_bytes(part, piece) : 0;
		memset(part->there, 0, bits_bytes(part->source.bytes));
		madvise(image->at + part->at, PA_ALIGN_UP(part->source.bytes, PA_PAGE_BYTES),
			MADV_DONTNEED);
	}
}

/* ---------------------------------------------------------------- heads */

/* Layout: header, section headers (the first empty, the last for the names), names. */
PA_AGENT char *pa_symbols_image_head(struct pa_symbols_image *image, unsigned number, uint64_t from,
	uint64_t bytes, size_t *size)
{
	char *head = image->at + number * HEAD_BYTES;
	Elf64_Ehdr *header = (Elf64_Ehdr *)head;
	Elf64_Shdr *table = (Elf64_Shdr *)(header + 1);
	char *text = (char *)(table + PA_SYMBOLS_PART_COUNT + 2);
	uint32_t count = 1, name = 1;

	memset(head, 0, HEAD_BYTES);
	for (unsigned i = 0; i < PA_SYMBOLS_PART_COUNT; i++) {
		const struct pa_symbols_loaded *part = &image->parts[i];
		bool info = i == PA_SYMBOLS_PART_INFO;

		if (part->source.bytes == 0)
			continue;
		table[count++] = (Elf64_Shdr){ .sh_name = name,
			.sh_type = SHT_PROGBITS,
			.sh_offset = part->at - number * HEAD_BYTES + (info ? from : 0),
			.sh_size = info ? bytes : part->source.bytes,
			.sh_addralign = 1 };
		strcpy(stpcpy(text + name, ".debug_"), names[i]);
		name += (uint32_t)strlen(text + name) + 1;
	}
	strcpy(text + name, ".shstrtab");
	table[count] = (Elf64_Shdr){ .sh_name = name,
		.sh_type = SHT_STRTAB,
		.sh_offset = (uint64_t)(text - head),
		.sh_size = name + sizeof(".shstrtab"),
		.sh_addralign = 1 };
	*header = image->parts[PA_SYMBOLS_PART_INFO].source.file->header;
	header->e_type = ET_EXEC;
	header->e_phoff = header->e_phnum = 0;
	header->e_ehsize = sizeof(*header);
	header->e_shoff = sizeof(*header);
	header->e_shentsize = sizeof(*table);
	header->e_shnum = (uint16_t)(count + 1);
	header->e_shstrndx = (uint16_t)count;
	*size = image->bytes - number * HEAD_BYTES;
	return head;
}
