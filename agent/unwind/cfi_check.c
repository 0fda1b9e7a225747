/* SPDX-License-Identifier: Apache-2.0 */
#include "cfi_check.h"

#include <string.h>

#include "../base/assert.h"

#define REGS_KNOWN 17     /* rax .. r15 and the return address: the registers of libunwind */
#define REMEMBERED_MAX 32 /* nested DW_CFA_remember_state: each allocates memory in libunwind */

static uint64_t take_register(struct pa_cfi_reader *reader)
{
	uint64_t number = pa_cfi_reader_leb(reader);
	if (number >= REGS_KNOWN)
		reader->bad = true;
	return number;
}

/*
 * Operands of DWARF operations, NULL or 0 = not allowed: . none, 1 2 4 8 fixed bytes, u LEB128,
 * s signed LEB128, r register, e block with an expression.
 */
/* clang-format off */
static const char *const cfa_operands[64] = {
	[0x00] = ".",  [0x02] = "1",  [0x03] = "2",  [0x04] = "4", /* nop, advance_loc1 2 4 */
	[0x05] = "ru", [0x06] = "r",  [0x07] = "r",  [0x08] = "r", /* offset_extended .. */
	[0x09] = "rr", [0x0a] = ".",  [0x0b] = ".",                /* register, remember, restore */
	[0x0c] = "ru", [0x0d] = "r",  [0x0e] = "u",  [0x0f] = "e", /* def_cfa .. expression */
	[0x10] = "re", [0x11] = "rs", [0x12] = "rs", [0x13] = "s", /* expression .. offset_sf */
	[0x16] = "re", [0x2e] = "u",  [0x2f] = "ru" /* val_expression, args_size, .. */
};
/* clang-format on */

enum {
	CFA_ADVANCE1 = 0x02,
	CFA_ADVANCE2 = 0x03,
	CFA_ADVANCE4 = 0x04,
	CFA_REMEMBER = 0x0a,
	CFA_RESTORE_STATE = 0x0b,
	CFA_DEF_CFA = 0x0c,
	CFA_DEF_CFA_REGISTER = 0x0d,
	CFA_DEF_CFA_EXPRESSION = 0x0f,
	CFA_DEF_CFA_SF = 0x12,
	CFA_ADVANCE = 0x40,
	CFA_OFFSET = 0x80,
	CFA_RESTORE = 0xc0
};

/* No jumps, so that each operation runs once at most; no division; only registers that libunwind
 * has. */
/* clang-format off */
static const char expression_operands[256] = {
	[0x03] = '8', [0x06] = '.',                             /* addr, deref */
	[0x08] = '1', [0x09] = '1', [0x0a] = '2', [0x0b] = '2', /* const1u .. */
	[0x0c] = '4', [0x0d] = '4', [0x0e] = '8', [0x0f] = '8',
	[0x10] = 'u', [0x11] = 's',                             /* .. consts */
	[0x12 ... 0x14] = '.', [0x15] = '1', [0x16 ... 0x17] = '.', /* dup .. pick .. rot */
	[0x19 ... 0x1a] = '.', [0x1c ... 0x22] = '.',           /* abs and, minus .. plus */
	[0x23] = 'u', [0x24 ... 0x27] = '.',                    /* plus_uconst, shl shr shra xor */
	[0x29 ... 0x2e] = '.', [0x30 ... 0x4f] = '.',           /* eq .. ne, lit0 .. lit31 */
	[0x70 ... 0x80] = 's', [0x96] = '.'                    /* breg0 .. breg16, nop */
};
/* clang-format on */

static void check_operand(struct pa_cfi_reader *reader, char operand);

static void check_expression(struct pa_cfi_reader *reader)
{
	uint64_t bytes = pa_cfi_reader_leb(reader);
	struct pa_cfi_reader inner = *reader;
	pa_cfi_reader_take(reader, bytes);
	if (reader->bad)
		return;
	inner.end = inner.at + bytes;
	PA_ASSERT(inner.end <= reader->end);
	while (inner.at < inner.end && !inner.bad)
		check_operand(&inner, expression_operands[pa_cfi_reader_byte(&inner)]);
	reader->bad = inner.bad;
}

static void check_operand(struct pa_cfi_reader *reader, char operand)
{
	switch (operand) {
	case '.': return;
	case '1': pa_cfi_reader_byte(reader); return;
	case '2':
	case '4':
	case '8': pa_cfi_reader_take(reader, (size_t)(operand - '0')); return;
	case 'u':
	case 's': pa_cfi_reader_leb(reader); return;
	case 'r': take_register(reader); return;
	case 'e': check_expression(reader); return;
	default: reader->bad = true;
	}
}

/* Checks one call frame instruction; returns its opcode without packed operand. */
static uint8_t check_instruction(struct pa_cfi_reader *reader)
{
	uint8_t byte = pa_cfi_reader_byte(reader), high = byte & 0xc0, low = byte & 0x3f;
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

void pa_cfi_check_program(struct pa_cfi_reader *reader, bool *has_cfa)
{
	unsigned remembered = 0;
	PA_ASSERT(reader->at <= reader->end);
	while (reader->at < reader->end && !reader->bad) {
		switch (check_instruction(reader)) {
		case CFA_DEF_CFA:
		case CFA_DEF_CFA_SF:
		case CFA_DEF_CFA_EXPRESSION: *has_cfa = true; break;
		case CFA_REMEMBER: reader->bad |= !*has_cfa || ++remembered > REMEMBERED_MAX; break;
		case CFA_RESTORE_STATE: reader->bad |= remembered-- == 0; break;
		case CFA_ADVANCE:
		case CFA_ADVANCE1:
		case CFA_ADVANCE2:
		case CFA_ADVANCE4: reader->bad |= !*has_cfa;
		}
	}
}

/* Reads an instruction. True: it is a rule of a register that libunwind does not have. */
static bool is_of_unknown(struct pa_cfi_reader *reader)
{
	uint8_t byte = pa_cfi_reader_byte(reader), high = byte & 0xc0, low = byte & 0x3f;
	const char *operands = high == CFA_OFFSET ? "u" : high ? "" : cfa_operands[low];
	bool is_rule = high == CFA_OFFSET || high == CFA_RESTORE;
	uint64_t number = low;
	if (!operands) {
		reader->bad = true;
	} else if (*operands == 'r') {
		is_rule =
			low != CFA_DEF_CFA && low != CFA_DEF_CFA_SF && low != CFA_DEF_CFA_REGISTER;
		number = pa_cfi_reader_leb(reader);
		operands++;
	}
	while (!reader->bad && *operands)
		check_operand(reader, *operands++);
	return !reader->bad && is_rule && number >= REGS_KNOWN;
}

void pa_cfi_check_blank(struct pa_cfi_reader reader, uint8_t *program)
{
	const uint8_t *begin = reader.at;
	while (reader.at < reader.end && !reader.bad) {
		const uint8_t *instruction = reader.at;
		if (is_of_unknown(&reader))
			memset(program + (instruction - begin), 0,
				(size_t)(reader.at - instruction));
	}
}
