/* SPDX-License-Identifier: Apache-2.0 */
#include "cfi.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "../base/assert.h"
#include "cfi_check.h"
#include "cfi_file.h"
#include "eh_table.h"
#include "registered.h"
#include "../core/core.h"
#include "../modules/maps_image.h"

#define PHDRS_MAX 128
#define RETURN_ADDRESS 16
#define AUGMENTATION_READ 4 /* libunwind reads no more characters */

static struct {
	/* _dl_find_object, or NULL. Looked up by name: a reference would require glibc 2.35. */
	int (*find_object)(void *, struct dl_find_object *);
} state;

/* Fields of the CIE that its FDEs need. */
struct cie {
	uint8_t pointers; /* encoding */
	bool sized;       /* the FDE has augmentation data */
	bool signal_frame;
	bool has_cfa; /* its program defines the CFA */
};

/* ------------------------------------------------------------------ the module's header */

void pa_cfi_init(void)
{
	pa_core_loader_enter();
	state.find_object =
		(int (*)(void *, struct dl_find_object *))dlsym(RTLD_DEFAULT, "_dl_find_object");
	pa_core_loader_leave();
}

/* Address of .eh_frame_hdr of the ELF image at image, or 0. */
static uintptr_t header_of_image(uintptr_t image)
{
	Elf64_Ehdr elf;
	if (!pa_maps_read_cached(&elf, image, sizeof(elf)) || !pa_maps_image_header_good(&elf) ||
		elf.e_phnum > PHDRS_MAX)
		return 0;

	uintptr_t bias = 0, header = 0;
	for (unsigned i = 0; i < elf.e_phnum; i++) {
		Elf64_Phdr segment;
		uintptr_t at = image + elf.e_phoff + i * sizeof(segment);
		if (!pa_maps_read_cached(&segment, at, sizeof(segment)))
			return 0;
		if (segment.p_type == PT_GNU_EH_FRAME)
			header = segment.p_vaddr;
		if (segment.p_type == PT_LOAD && segment.p_offset == 0)
			bias = image - segment.p_vaddr;
	}
	return header ? bias + header : 0;
}

static uintptr_t header_of_module(uintptr_t ip)
{
	const struct pa_module *module = pa_maps_find(ip);
	return module && module->is_elf ? header_of_image(module->start) : 0;
}

static uintptr_t header_of(uintptr_t ip)
{
	struct dl_find_object found;
	if (state.find_object && state.find_object((void *)ip, &found) == 0)
		return (uintptr_t)found.dlfo_eh_frame;
	return header_of_module(ip);
}

static bool part_word(const struct pa_cfi_part *part, uintptr_t at, uint64_t *word)
{
	PA_ASSERT(part->from <= part->limit && part->words);
	if (at < part->from || at >= part->limit)
		return false;
	*word = part->words[(at - part->from) / 8];
	return true;
}

/*
 * Copies the entry at an address with the words around it; the reader is then behind its length
 * field. Words that are in first too come from there: both copies must have the same bytes.
 */
static int copy_entry(struct pa_cfi_part *part, const struct pa_cfi_part *first,
	struct pa_cfi_reader *reader, uintptr_t at, size_t room)
{
	uint32_t length;
	/* 0 ends .eh_frame; 0xffffffff means 64-bit DWARF, which .eh_frame does not use. */
	if (!pa_maps_read_cached(&length, at, sizeof(length)) || !length)
		return -EBADMSG;
	uintptr_t from = at & ~(uintptr_t)7;
	uintptr_t limit = PA_ALIGN_UP(at + sizeof(length) + length, 8);
	PA_ASSERT(!(from & 7) && !(limit & 7) && from < limit);
	if (limit - from > room || !pa_maps_read_cached(part->words, from, limit - from))
		return -EBADMSG;
	part->from = from;
	part->limit = limit;
	for (uintptr_t word_at = from; first && word_at < limit; word_at += 8)
		part_word(first, word_at, &part->words[(word_at - from) / 8]);
	reader->at = (const uint8_t *)part->words + (at - from) + sizeof(length);
	/* The length in the copy: the memory may have changed since it was read before. */
	memcpy(&length, reader->at - sizeof(length), sizeof(length));
	reader->address = at + sizeof(length);
	reader->bad = length > limit - reader->address;
	reader->end = reader->bad ? reader->at : reader->at + length;
	return reader->bad ? -EBADMSG : 0;
}

/* ------------------------------------------------------------------ CIE and FDE */

static void read_augmentation(struct pa_cfi_reader *reader, const char *letters, struct cie *cie)
{
	PA_ASSERT(!cie->sized || letters);
	uint64_t bytes = pa_cfi_reader_leb(reader);
	if (bytes > (size_t)(reader->end - reader->at)) {
		reader->bad = true;
		return;
	}
	const uint8_t *end = reader->at + bytes;
	for (unsigned i = 1; letters[i - 1] && !reader->bad; i++) {
		char letter = letters[i - 1];
		if (letter == 'R' && i < AUGMENTATION_READ) {
			cie->pointers = pa_cfi_reader_byte(reader);
		} else if (letter == 'L' && i < AUGMENTATION_READ) {
			pa_cfi_reader_byte(reader);
		} else if (letter == 'P' && i < AUGMENTATION_READ) {
			uint8_t encoding = pa_cfi_reader_byte(reader);
			if ((encoding & PA_CFI_ENC_APPLICATION) == PA_CFI_ENC_ALIGNED)
				reader->bad = true;
			else if (encoding != PA_CFI_ENC_OMIT)
				pa_cfi_reader_encoded(reader, encoding);
		} else if (letter == 'S') {
			cie->signal_frame = true;
		} else {
			reader->bad = true;
		}
	}
	/* libunwind continues from here and ignores the size: both must agree. */
	if (reader->at != end)
		reader->bad = true;
}

static int read_cie(struct pa_cfi *cfi, struct cie *cie, uintptr_t at)
{
	struct pa_cfi_reader reader;
	int error = copy_entry(&cfi->cie, &cfi->fde, &reader, at, sizeof(cfi->cie_words));
	if (error)
		return error;
	uint64_t id = pa_cfi_reader_take(&reader, 4);
	uint64_t version = pa_cfi_reader_byte(&reader);
	const char *letters = (const char *)reader.at;
	while (pa_cfi_reader_byte(&reader))
		;
	pa_cfi_reader_leb(&reader); /* code and data alignment */
	pa_cfi_reader_leb(&reader);
	uint64_t column = version == 1 ? pa_cfi_reader_byte(&reader) : pa_cfi_reader_leb(&reader);
	if (reader.bad || id != 0 || (version != 1 && version != 3) || column != RETURN_ADDRESS)
		return -EBADMSG;

	*cie = (struct cie){ .pointers = 0 };
	if (letters[0] == 'z') {
		cie->sized = true;
		read_augmentation(&reader, letters + 1, cie);
	} else if (letters[0]) {
		return -EBADMSG;
	}
	if (cie->pointers & (PA_CFI_ENC_APPLICATION | PA_CFI_ENC_INDIRECT) & ~PA_CFI_ENC_PCREL)
		return -EBADMSG;
	pa_cfi_check_program(&reader, &cie->has_cfa);
	return reader.bad ? -EBADMSG : 0;
}

/* Registers that libunwind does not have are rare: the program is looked through for them when it
 * is refused. */
static int check_own_program(struct pa_cfi *cfi, struct pa_cfi_reader *reader, bool has_cfa)
{
	uint8_t *copy = (uint8_t *)cfi->fde.words;
	struct pa_cfi_reader again = *reader;
	bool has_cfa_again = has_cfa;
	pa_cfi_check_program(reader, &has_cfa);
	if (!reader->bad)
		return has_cfa ? 0 : -EBADMSG;
	pa_cfi_check_blank(again, copy + (again.at - copy));
	pa_cfi_check_program(&again, &has_cfa_again);
	return again.bad || !has_cfa_again ? -EBADMSG : 0;
}

static int read_fde(struct pa_cfi *cfi, uintptr_t at)
{
	struct pa_cfi_reader reader;
	int error = copy_entry(&cfi->fde, NULL, &reader, at, sizeof(cfi->fde_words));
	if (error)
		return error;
	uintptr_t cie_at = reader.address;
	uint32_t distance = (uint32_t)pa_cfi_reader_take(&reader, 4);
	struct cie cie;
	if (!distance || reader.bad)
		return -EBADMSG;
	error = read_cie(cfi, &cie, cie_at - (uintptr_t)(int32_t)distance);
	if (error)
		return error;
	cfi->signal_frame = cie.signal_frame;
	cfi->start = pa_cfi_reader_encoded(&reader, cie.pointers);
	cfi->limit = cfi->start + pa_cfi_reader_encoded(&reader, cie.pointers & PA_CFI_ENC_FORMAT);
	if (cie.sized)
		pa_cfi_reader_take(&reader, pa_cfi_reader_leb(&reader));
	return check_own_program(cfi, &reader, cie.has_cfa);
}

/* ------------------------------------------------------------------ entries elsewhere */

/* Appends bytes to a copy; true while there is room. */
static bool put_entry_bytes(struct pa_cfi_part *part, size_t room, const void *bytes, size_t count)
{
	size_t used = part->limit - part->from;
	PA_ASSERT(used <= room);
	if (count > room - used)
		return false;
	memcpy((uint8_t *)part->words + used, bytes, count);
	part->limit += count;
	return true;
}

static bool put_entry_leb(struct pa_cfi_part *part, size_t room, uint64_t value, bool is_negative)
{
	/* As signed LEB128 too: bit 6 of the last byte is the sign. */
	const uint64_t rest = is_negative ? UINT64_MAX : 0;
	uint8_t byte;
	do {
		byte = value & 0x7f;
		value = is_negative ? (uint64_t)((int64_t)value >> 7) : value >> 7;
		byte |= value == rest && !(byte & 0x40) == !is_negative ? 0 : 0x80;
		if (!put_entry_bytes(part, room, &byte, 1))
			return false;
	} while (byte & 0x80);
	return true;
}

/* Ends an entry: its length, and DW_CFA_nop up to whole words. */
static bool end_part(struct pa_cfi_part *part, size_t room)
{
	static const uint8_t nops[8];
	if (!put_entry_bytes(part, room, nops, -(part->limit - part->from) & 7))
		return false;
	uint32_t length = (uint32_t)(part->limit - part->from - sizeof(length));
	memcpy(part->words, &length, sizeof(length));
	return true;
}

static bool put_cie(struct pa_cfi_part *part, const struct pa_cfi_entry *entry)
{
	static const uint8_t plain[] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 },
			     signal[] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'S', 0 },
			     column[] = { RETURN_ADDRESS, 0 };
	const size_t room = PA_CFI_CIE_BYTES;
	bool sized = entry->signal_frame;
	return put_entry_bytes(part, room, sized ? signal : plain,
		       sized ? sizeof(signal) : sizeof(plain)) &&
		put_entry_leb(part, room, entry->code_align, false) &&
		put_entry_leb(part, room, (uint64_t)entry->data_align, entry->data_align < 0) &&
		put_entry_bytes(part, room, column, sized ? 2 : 1) &&
		put_entry_bytes(part, room, entry->common, entry->common_bytes) &&
		end_part(part, room);
}

static bool put_fde(struct pa_cfi *cfi, const struct pa_cfi_entry *entry)
{
	struct pa_cfi_part *part = &cfi->fde;
	const size_t room = PA_CFI_FDE_BYTES;
	const uint32_t head[] = { 0, (uint32_t)(part->from + sizeof(head[0]) - cfi->cie.from) };
	const uint64_t range[] = { entry->start, entry->limit - entry->start };
	return put_entry_bytes(part, room, head, sizeof(head)) &&
		put_entry_bytes(part, room, range, sizeof(range)) &&
		put_entry_bytes(part, room, "", entry->signal_frame) &&
		put_entry_bytes(part, room, entry->own, entry->own_bytes) && end_part(part, room);
}

static bool is_harmless(const struct pa_cfi_entry *entry)
{
	struct pa_cfi_reader common = { .at = entry->common,
		.end = entry->common + entry->common_bytes },
			     own = { .at = entry->own, .end = entry->own + entry->own_bytes };
	bool has_cfa = false;
	pa_cfi_check_program(&common, &has_cfa);
	pa_cfi_check_program(&own, &has_cfa);
	return !common.bad && !own.bad && has_cfa && entry->return_column == RETURN_ADDRESS;
}

/*
 * For code that no table of a mapped module covers: the entry, rewritten as a CIE and
 * FDE of .eh_frame with absolute addresses. The copies appear where the code is, near enough for
 * the search table; code is never read through them.
 */
static int rewrite_entry(struct pa_cfi *cfi, const struct pa_cfi_entry *entry)
{
	if (!is_harmless(entry))
		return -EBADMSG;
	cfi->header = entry->start & ~(uintptr_t)7;
	cfi->cie.from = cfi->cie.limit = cfi->header;
	cfi->fde.from = cfi->fde.limit = cfi->header + PA_CFI_CIE_BYTES;
	if (!put_cie(&cfi->cie, entry) || !put_fde(cfi, entry))
		return -EBADMSG;
	cfi->row = (uint64_t)PA_CFI_CIE_BYTES << 32 | (entry->start - cfi->header);
	cfi->signal_frame = entry->signal_frame;
	cfi->start = entry->start;
	cfi->limit = entry->limit;
	return 0;
}

/* Of the module's file; of code in no file: of the tables that the program has registered. */
static int find_entry(struct pa_cfi *cfi, uintptr_t ip)
{
	struct pa_cfi_entry entry;
	const struct pa_module *module = pa_maps_find(ip);
	int error = module && !module->is_elf ? pa_registered_find(ip, &entry) :
						pa_cfi_file_find(ip, cfi->header, &entry);
	return error ? error : rewrite_entry(cfi, &entry);
}

static int find_in_memory(struct pa_cfi *cfi, uintptr_t ip)
{
	if (!cfi->header)
		return -ENOENT;
	int error = pa_eh_table_find(cfi->header, ip, pa_maps_read_cached, &cfi->row);
	if (!error)
		error = read_fde(cfi, pa_eh_table_fde(cfi->header, cfi->row));
	return !error && (ip < cfi->start || ip >= cfi->limit) ? -ENOENT : error;
}

int pa_cfi_find(struct pa_cfi *cfi, uintptr_t ip)
{
	cfi->start = cfi->limit = 0;
	cfi->cie = (struct pa_cfi_part){ .words = cfi->cie_words };
	cfi->fde = (struct pa_cfi_part){ .words = cfi->fde_words };
	cfi->header = header_of(ip);
	int error = find_in_memory(cfi, ip);
	if (error == -ENOENT)
		error = find_entry(cfi, ip);
	PA_ASSERT(error || (cfi->start <= ip && ip < cfi->limit));
	if (error)
		cfi->start = cfi->limit = cfi->cie.limit = cfi->fde.limit = 0;
	return error;
}

bool pa_cfi_word(const struct pa_cfi *cfi, uintptr_t at, uint64_t *word)
{
	return !(at & 7) && (part_word(&cfi->fde, at, word) || part_word(&cfi->cie, at, word));
}
