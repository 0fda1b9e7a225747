#include "cfi.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "core.h"
#include "maps.h"

enum {
	HEADER_VERSION = 1,
	ENC_UDATA4 = 0x03,
	ENC_UDATA8 = 0x04,
	ENC_SDATA4 = 0x0b,
	ENC_SDATA8 = 0x0c,
	ENC_FORMAT = 0x0f,
	ENC_PCREL = 0x10,
	ENC_APPLICATION = 0x70,
	ENC_ALIGNED = 0x50,
	ENC_INDIRECT = 0x80,
	ENC_TABLE = 0x3b, /* sdata4, relative to the header: what linkers write */
	ENC_OMIT = 0xff
};

#define PHDRS_MAX 128
#define REGS_KNOWN 17       /* rax .. r15 and the return address: what libunwind has room for */
#define RETURN_ADDRESS 16
#define LEB128_BYTES_MAX 10
#define REMEMBERED_MAX 32   /* nested DW_CFA_remember_state: each costs libunwind memory */
#define AUGMENTATION_READ 4 /* libunwind looks at no more characters than these */

static struct {
	/* _dl_find_object, or NULL. By name: a reference would need glibc 2.35 to be loaded. */
	int (*find_object)(void *, struct dl_find_object *);
} state;

/* A reader of copied bytes. Past the end, and after anything else that is bad, it gives zeros. */
struct reader {
	const uint8_t *at, *end;
	uintptr_t address; /* where *at was copied from */
	bool bad;
};

/* What the CIE says of its FDEs. */
struct cie {
	uint8_t pointers; /* encoding */
	bool sized;       /* the FDE has augmentation data */
	bool signal_frame;
	bool has_cfa;     /* its program says what the CFA is */
};

static uint64_t take(struct reader *reader, size_t bytes)
{
	uint64_t value = 0;
	if (reader->bad || (size_t)(reader->end - reader->at) < bytes) {
		reader->bad = true;
		return 0;
	}
	if (bytes <= sizeof(value))
		memcpy(&value, reader->at, bytes);
	reader->at += bytes;
	reader->address += bytes;
	return value;
}

/* LEB128; signed ones are only skipped, so their sign does not matter. */
static uint64_t take_leb(struct reader *reader)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < LEB128_BYTES_MAX; i++) {
		uint64_t byte = take(reader, 1);
		value |= (byte & 0x7f) << (7 * i);
		if (!(byte & 0x80))
			return value;
	}
	reader->bad = true;
	return 0;
}

static uint64_t take_register(struct reader *reader)
{
	uint64_t number = take_leb(reader);
	if (number >= REGS_KNOWN)
		reader->bad = true;
	return number;
}

/* Size of a fixed-size pointer encoding, 0 when it is none of these. */
static size_t encoded_bytes(uint8_t encoding)
{
	switch (encoding & ENC_FORMAT) {
	case ENC_UDATA4:
	case ENC_SDATA4:
		return 4;
	case 0:
	case ENC_UDATA8:
	case ENC_SDATA8:
		return 8;
	default:
		return 0;
	}
}

static uint64_t take_encoded(struct reader *reader, uint8_t encoding)
{
	uintptr_t here = reader->address;
	size_t bytes = encoded_bytes(encoding);
	uint64_t value = take(reader, bytes);
	if (!bytes)
		reader->bad = true;
	if ((encoding & ENC_FORMAT) == ENC_SDATA4)
		value = (uint64_t)(int64_t)(int32_t)value;
	return encoding & ENC_PCREL ? here + value : value;
}

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
	if (!pa_maps_read_cached(&elf, image, sizeof(elf)) ||
	    memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_ident[EI_CLASS] != ELFCLASS64 ||
	    elf.e_phentsize != sizeof(Elf64_Phdr) || elf.e_phnum > PHDRS_MAX)
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

/* ------------------------------------------------------------------ its search table */

struct table {
	uintptr_t at;
	uint32_t rows;
};

static int open_table(struct table *table, uintptr_t header)
{
	struct {
		uint8_t version, frame_encoding, count_encoding, table_encoding;
	} head;
	if (!pa_maps_read_cached(&head, header, sizeof(head)))
		return -EBADMSG;
	size_t frame_bytes = encoded_bytes(head.frame_encoding);
	if (head.version != HEADER_VERSION || head.count_encoding != ENC_UDATA4 ||
	    head.table_encoding != ENC_TABLE || !frame_bytes)
		return -ENOENT;
	uintptr_t count_at = header + sizeof(head) + frame_bytes;
	table->at = count_at + sizeof(table->rows);
	return pa_maps_read_cached(&table->rows, count_at, sizeof(table->rows)) ? 0 : -EBADMSG;
}

/* The last row that starts at or before ip. At most 32 reads, however the table lies. */
static int find_row(struct pa_cfi *cfi, uintptr_t ip)
{
	struct table table;
	int error = open_table(&table, cfi->header);
	if (error)
		return error;
	int64_t distance = (int64_t)(ip - cfi->header);
	if (distance != (int32_t)distance)
		return -ENOENT;

	uint32_t low = 0, high = table.rows;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int32_t start;
		uintptr_t at = table.at + middle * sizeof(cfi->row);
		if (!pa_maps_read_cached(&start, at, sizeof(start)))
			return -EBADMSG;
		if (start <= distance)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return -ENOENT;
	uintptr_t at = table.at + (low - 1) * sizeof(cfi->row);
	return pa_maps_read_cached(&cfi->row, at, sizeof(cfi->row)) ? 0 : -EBADMSG;
}

static bool part_word(const struct pa_cfi_part *part, uintptr_t at, uint64_t *word)
{
	if (at < part->from || at >= part->limit)
		return false;
	*word = part->words[(at - part->from) / 8];
	return true;
}

/*
 * Copies the entry at an address with the words around it, and stands behind its length field.
 * Words that are in first already are taken from there: both copies must show the same bytes.
 */
static int copy_entry(struct pa_cfi_part *part, const struct pa_cfi_part *first,
	struct reader *reader, uintptr_t at, size_t room)
{
	uint32_t length;
	/* 0 ends .eh_frame; 0xffffffff announces 64-bit DWARF, which nobody needs in there. */
	if (!pa_maps_read_cached(&length, at, sizeof(length)) || !length)
		return -EBADMSG;
	uintptr_t from = at & ~(uintptr_t)7;
	uintptr_t limit = PA_ALIGN_UP(at + sizeof(length) + length, 8);
	if (limit - from > room || !pa_maps_read_cached(part->words, from, limit - from))
		return -EBADMSG;
	part->from = from;
	part->limit = limit;
	for (uintptr_t word_at = from; first && word_at < limit; word_at += 8)
		part_word(first, word_at, &part->words[(word_at - from) / 8]);
	reader->at = (const uint8_t *)part->words + (at - from) + sizeof(length);
	/* The length of the copy, not of what was read before: it may have changed in between. */
	memcpy(&length, reader->at - sizeof(length), sizeof(length));
	reader->address = at + sizeof(length);
	reader->bad = length > limit - reader->address;
	reader->end = reader->bad ? reader->at : reader->at + length;
	return reader->bad ? -EBADMSG : 0;
}

/* ------------------------------------------------------------------ what it may contain */

/*
 * Operands of DWARF operations, NULL or 0 = not allowed: . none, 1 2 4 8 fixed bytes, u LEB128,
 * s signed LEB128, r register, e block with an expression.
 */
static const char *const cfa_operands[64] = {
	[0x00] = ".",  [0x02] = "1",  [0x03] = "2",  [0x04] = "4", /* nop, advance_loc1 2 4 */
	[0x05] = "ru", [0x06] = "r",  [0x07] = "r",  [0x08] = "r", /* offset_extended .. */
	[0x09] = "rr", [0x0a] = ".",  [0x0b] = ".",                /* register, remember, restore */
	[0x0c] = "ru", [0x0d] = "r",  [0x0e] = "u",  [0x0f] = "e", /* def_cfa .. expression */
	[0x10] = "re", [0x11] = "rs", [0x12] = "rs", [0x13] = "s", /* expression .. offset_sf */
	[0x16] = "re", [0x2e] = "u",  [0x2f] = "ru", /* val_expression, args_size, .. */
};

enum {
	CFA_ADVANCE1 = 0x02,
	CFA_ADVANCE2 = 0x03,
	CFA_ADVANCE4 = 0x04,
	CFA_REMEMBER = 0x0a,
	CFA_RESTORE_STATE = 0x0b,
	CFA_DEF_CFA = 0x0c,
	CFA_DEF_CFA_EXPRESSION = 0x0f,
	CFA_DEF_CFA_SF = 0x12,
	CFA_ADVANCE = 0x40,
	CFA_OFFSET = 0x80
};

/* No jumps, so that each operation is evaluated once at most; no division; registers only as
 * far as libunwind knows them. */
static const char expression_operands[256] = {
	[0x03] = '8', [0x06] = '.',                             /* addr, deref */
	[0x08] = '1', [0x09] = '1', [0x0a] = '2', [0x0b] = '2', /* const1u .. */
	[0x0c] = '4', [0x0d] = '4', [0x0e] = '8', [0x0f] = '8',
	[0x10] = 'u', [0x11] = 's',                             /* .. consts */
	[0x12 ... 0x14] = '.', [0x15] = '1', [0x16 ... 0x17] = '.', /* dup .. pick .. rot */
	[0x19 ... 0x1a] = '.', [0x1c ... 0x22] = '.',           /* abs and, minus .. plus */
	[0x23] = 'u', [0x24 ... 0x27] = '.',                    /* plus_uconst, shl shr shra xor */
	[0x29 ... 0x2e] = '.', [0x30 ... 0x4f] = '.',           /* eq .. ne, lit0 .. lit31 */
	[0x70 ... 0x80] = 's', [0x96] = '.',                    /* breg0 .. breg16, nop */
};

static void check_operand(struct reader *reader, char operand);

static void check_expression(struct reader *reader)
{
	uint64_t bytes = take_leb(reader);
	struct reader inner = *reader;
	take(reader, bytes);
	if (reader->bad)
		return;
	inner.end = inner.at + bytes;
	while (inner.at < inner.end && !inner.bad)
		check_operand(&inner, expression_operands[take(&inner, 1)]);
	reader->bad = inner.bad;
}

static void check_operand(struct reader *reader, char operand)
{
	switch (operand) {
	case '.':
		return;
	case '1':
	case '2':
	case '4':
	case '8':
		take(reader, (size_t)(operand - '0'));
		return;
	case 'u':
	case 's':
		take_leb(reader);
		return;
	case 'r':
		take_register(reader);
		return;
	case 'e':
		check_expression(reader);
		return;
	default:
		reader->bad = true;
	}
}

/* One call frame instruction; its opcode without packed operand. */
static uint8_t check_instruction(struct reader *reader)
{
	uint8_t byte = (uint8_t)take(reader, 1), high = byte & 0xc0, low = byte & 0x3f;
	const char *operands = cfa_operands[low];
	if (high) {
		/* advance_loc, offset and restore have an operand in the low bits. */
		if (high != CFA_ADVANCE && low >= REGS_KNOWN)
			reader->bad = true;
		operands = high == CFA_OFFSET ? "u" : "";
	}
	if (!operands)
		reader->bad = true;
	else
		while (*operands)
			check_operand(reader, *operands++);
	return high ? high : low;
}

/*
 * Follows a program. The CFA must have a rule when the pc first advances or a state is remembered:
 * then it has one in every state that libunwind can come to.
 */
static void check_program(struct reader *reader, bool *has_cfa)
{
	unsigned remembered = 0;
	while (reader->at < reader->end && !reader->bad) {
		switch (check_instruction(reader)) {
		case CFA_DEF_CFA:
		case CFA_DEF_CFA_SF:
		case CFA_DEF_CFA_EXPRESSION:
			*has_cfa = true;
			break;
		case CFA_REMEMBER:
			reader->bad |= !*has_cfa || ++remembered > REMEMBERED_MAX;
			break;
		case CFA_RESTORE_STATE:
			reader->bad |= remembered-- == 0;
			break;
		case CFA_ADVANCE:
		case CFA_ADVANCE1:
		case CFA_ADVANCE2:
		case CFA_ADVANCE4:
			reader->bad |= !*has_cfa;
		}
	}
}

/* ------------------------------------------------------------------ CIE and FDE */

static void read_augmentation(struct reader *reader, const char *letters, struct cie *cie)
{
	uint64_t bytes = take_leb(reader);
	if (bytes > (size_t)(reader->end - reader->at)) {
		reader->bad = true;
		return;
	}
	const uint8_t *end = reader->at + bytes;
	for (unsigned i = 1; letters[i - 1] && !reader->bad; i++) {
		char letter = letters[i - 1];
		if (letter == 'R' && i < AUGMENTATION_READ) {
			cie->pointers = (uint8_t)take(reader, 1);
		} else if (letter == 'L' && i < AUGMENTATION_READ) {
			take(reader, 1);
		} else if (letter == 'P' && i < AUGMENTATION_READ) {
			uint8_t encoding = (uint8_t)take(reader, 1);
			if ((encoding & ENC_APPLICATION) == ENC_ALIGNED)
				reader->bad = true;
			else if (encoding != ENC_OMIT)
				take_encoded(reader, encoding);
		} else if (letter == 'S') {
			cie->signal_frame = true;
		} else {
			reader->bad = true;
		}
	}
	/* libunwind goes on from here, not from the end that the size names: they must agree. */
	if (reader->at != end)
		reader->bad = true;
}

static int read_cie(struct pa_cfi *cfi, struct cie *cie, uintptr_t at)
{
	struct reader reader;
	int error = copy_entry(&cfi->cie, &cfi->fde, &reader, at, sizeof(cfi->cie_words));
	if (error)
		return error;
	uint64_t id = take(&reader, 4);
	uint64_t version = take(&reader, 1);
	const char *letters = (const char *)reader.at;
	while (take(&reader, 1))
		;
	take_leb(&reader); /* code and data alignment */
	take_leb(&reader);
	uint64_t column = version == 1 ? take(&reader, 1) : take_leb(&reader);
	if (reader.bad || id != 0 || (version != 1 && version != 3) || column != RETURN_ADDRESS)
		return -EBADMSG;

	*cie = (struct cie){ .pointers = 0 };
	if (letters[0] == 'z') {
		cie->sized = true;
		read_augmentation(&reader, letters + 1, cie);
	} else if (letters[0]) {
		return -EBADMSG;
	}
	if (cie->pointers & (ENC_APPLICATION | ENC_INDIRECT) & ~ENC_PCREL)
		return -EBADMSG;
	check_program(&reader, &cie->has_cfa);
	return reader.bad ? -EBADMSG : 0;
}

static int read_fde(struct pa_cfi *cfi, uintptr_t at)
{
	struct reader reader;
	int error = copy_entry(&cfi->fde, NULL, &reader, at, sizeof(cfi->fde_words));
	if (error)
		return error;
	uintptr_t cie_at = reader.address;
	uint32_t distance = (uint32_t)take(&reader, 4);
	struct cie cie;
	if (!distance || reader.bad)
		return -EBADMSG;
	error = read_cie(cfi, &cie, cie_at - (uintptr_t)(int32_t)distance);
	if (error)
		return error;
	cfi->signal_frame = cie.signal_frame;
	cfi->start = take_encoded(&reader, cie.pointers);
	cfi->limit = cfi->start + take_encoded(&reader, cie.pointers & ENC_FORMAT);
	if (cie.sized)
		take(&reader, take_leb(&reader));
	check_program(&reader, &cie.has_cfa);
	return reader.bad || !cie.has_cfa ? -EBADMSG : 0;
}

int pa_cfi_find(struct pa_cfi *cfi, uintptr_t ip)
{
	cfi->start = cfi->limit = 0;
	cfi->cie = (struct pa_cfi_part){ .words = cfi->cie_words };
	cfi->fde = (struct pa_cfi_part){ .words = cfi->fde_words };
	cfi->header = header_of(ip);
	if (!cfi->header)
		return -ENOENT;
	int error = find_row(cfi, ip);
	if (!error)
		error = read_fde(cfi, cfi->header + (uintptr_t)((int64_t)cfi->row >> 32));
	if (!error && (ip < cfi->start || ip >= cfi->limit))
		error = -ENOENT;
	if (error)
		cfi->start = cfi->limit = cfi->cie.limit = cfi->fde.limit = 0;
	return error;
}

bool pa_cfi_word(const struct pa_cfi *cfi, uintptr_t at, uint64_t *word)
{
	return !(at & 7) && (part_word(&cfi->fde, at, word) || part_word(&cfi->cie, at, word));
}
