/* SPDX-License-Identifier: Apache-2.0 */
#include "clobbers.h"

#include <string.h>

#include "../../base/assert.h"

#define AX (1u << 0)
#define CX (1u << 1)
#define DX (1u << 2)
#define BX (1u << 3)
#define BP (1u << PA_INSN_BP)
#define SI (1u << 6)
#define DI (1u << 7)
#define R11 (1u << 11)

#define CALLEE_BYTES 8192 /* around its start */
#define CALLEE_INSNS 1024
#define CALLEE_PLACES 32

static struct {
	uint8_t seen[CALLEE_BYTES / 8]; /* a bit an address */
	uintptr_t start, todo[CALLEE_PLACES];
	uint32_t todo_count, decoded;
} state;

/* ------------------------------------------------------------------ instructions */

/*
 * What is written, by opcode: . nothing, r ModRM.reg, m ModRM.rm when it is a register, x both, R M
 * X the same of bytes, o O the register in the opcode; a rax, C rcx, d rdx, b rbp, h rax and the
 * register in the opcode (xchg), s the registers of string instructions, t rax and rdx, e rax and
 * rm, w both; q cpuid, y syscall, l call; c u f groups. Others: everything.
 */
/* clang-format off */
static const char one_written[] =
	"MmRraa!!MmRraa!!" "MmRraa!!MmRraa!!" "MmRraa!!MmRraa!!" "MmRraa!!......!!" /* 00 */
	"!!!!!!!!!!!!!!!!" "........oooooooo" "!!!r!!!!.r.rssss" "................" /* 40 */
	"cccc..XxMmRrmr.m" "hhhhhhhhad!....a" "aaaassss..ssssss" "OOOOOOOOoooooooo" /* 80 */
	"Mm..!!Mm!b!!!!!!" "MmMm!!!a.......a" "CCCCaaaal.!.aaaa" "!!!!..uu......Mf"; /* c0 */
static const char two_written[] =
	"!!rr!y!!!!!.!.!!" "..............m." "!!!!!!!!....rr.." "!t!!!!!!!!!!!!!!" /* 00 */
	"rrrrrrrrrrrrrrrr" "r..............." "................" "........!!....m." /* 40 */
	"................" "MMMMMMMMMMMMMMMM" "..q.mm!!..!mmmmr" "ee!m!!rrr!mmrrrr" /* 80 */
	"Xx...r.woooooooo" ".......r........" "................" "................"; /* c0 */
/* clang-format on */

/* A byte register without REX is one of ah to bh when its number is 4 to 7. */
static unsigned numbered_bit(unsigned number, bool is_byte)
{
	if (number > 15)
		return 0; /* memory */
	return 1u << number | (is_byte ? 1u << (number & 3) : 0);
}

static unsigned opcode_bit(const struct pa_insn *insn, bool is_byte)
{
	return numbered_bit((insn->opcode & 7) | (insn->rex & PA_INSN_REX_B ? 8 : 0), is_byte);
}

/* 80: cmp or not. F6: test, not and neg, multiplications and divisions. FF: inc, dec, calls. */
static unsigned group_bits(const struct pa_insn *insn, char group, unsigned rm)
{
	unsigned n = insn->modrm >> 3 & 7;
	if (group == 'c')
		return n == 7 ? 0 : rm; /* cmp */
	if (group == 'u')
		return n < 2 ? 0 : n < 4 ? rm : AX | DX;
	return n < 2 ? rm : n == 2 || n == 3 ? PA_CLOBBERS_CALLER_SAVED : 0;
}

static unsigned bits_of(const struct pa_insn *insn, char kind)
{
	unsigned reg = numbered_bit(pa_insn_reg(insn), false);
	unsigned rm = numbered_bit(pa_insn_rm(insn), false);
	unsigned byte_reg = numbered_bit(pa_insn_reg(insn), true);
	unsigned byte_rm = numbered_bit(pa_insn_rm(insn), true);
	bool is_nop = insn->opcode == 0x90 && !(insn->rex & PA_INSN_REX_B);
	switch (kind) {
	case '.': return 0;
	case 'r': return reg;
	case 'm': return rm;
	case 'x': return reg | rm;
	case 'R': return byte_reg;
	case 'M': return byte_rm;
	case 'X': return byte_reg | byte_rm;
	case 'o': return opcode_bit(insn, false);
	case 'O': return opcode_bit(insn, true);
	case 'a': return AX;
	case 'C': return CX;
	case 'd': return DX;
	case 'b': return BP;
	case 'h': return is_nop ? 0 : AX | opcode_bit(insn, false);
	case 's': return AX | CX | SI | DI;
	case 't': return AX | DX;
	case 'e': return AX | byte_rm;
	case 'w': return AX | DX | rm;
	case 'q': return AX | BX | CX | DX;
	case 'y': return AX | CX | R11;
	case 'l': return PA_CLOBBERS_CALLER_SAVED;
	case 'c':
	case 'u':
	case 'f': return group_bits(insn, kind, byte_rm);
	default: return PA_CLOBBERS_ALL;
	}
}

/* Of map 3, with and without VEX: extractions, and comparisons of strings. */
static unsigned bits_of_0f3a(uint8_t opcode, unsigned rm)
{
	if (opcode >= 0x60 && opcode <= 0x63)
		return CX;
	return opcode >= 0x14 && opcode <= 0x17 ? rm : 0;
}

/* VEX and EVEX: the highest bit of the numbers is not decoded. */
static unsigned bits_of_vector(const struct pa_insn *insn)
{
	uint8_t op = insn->opcode;
	unsigned reg = 0x101u << (insn->modrm >> 3 & 7);
	unsigned rm = insn->modrm >> 6 == 3 ? 0x101u << (insn->modrm & 7) : 0;
	/* andn, bzhi, pext, pdep, bextr and shifts; blsr and mulx name one more. */
	if (insn->vector_map == 2)
		return op == 0xf3 || op == 0xf6 ? PA_CLOBBERS_ALL : op >= 0xf0 ? reg : 0;
	if (insn->vector_map == 3)
		return op == 0xf0 ? reg : bits_of_0f3a(op, rm);
	if (op == 0x7e)
		return rm;
	return memchr("\x2c\x2d\x50\x78\x79\x92\x93\xc5\xd7", op, 9) ? reg : 0;
}

uint16_t pa_clobbers_insn(const struct pa_insn *insn)
{
	uint8_t op = insn->opcode;
	switch (insn->map) {
	case PA_INSN_ONE: return (uint16_t)bits_of(insn, one_written[op]);
	case PA_INSN_0F: return (uint16_t)bits_of(insn, two_written[op]);
	case PA_INSN_0F38: /* movbe, crc32, adcx */
		return (uint16_t)bits_of(insn, op >= 0xf0 ? 'x' : '.');
	case PA_INSN_0F3A: return (uint16_t)bits_of_0f3a(op, numbered_bit(pa_insn_rm(insn), false));
	default: return (uint16_t)bits_of_vector(insn);
	}
}

/* ------------------------------------------------------------------ functions */

/* True at the first visit. *is_far: the address is outside of what is followed. */
static bool see_in_callee(uintptr_t at, bool *is_far)
{
	uintptr_t bit = at - state.start + CALLEE_BYTES / 2;
	*is_far = bit >= CALLEE_BYTES;
	if (*is_far || state.seen[bit / 8] >> bit % 8 & 1)
		return false;
	state.seen[bit / 8] |= (uint8_t)(1u << bit % 8);
	return true;
}

/* Decodes the instruction at a place. False: it cannot be followed. */
static bool decode_in_callee(const struct pa_code_reader *reader, uintptr_t at,
	struct pa_insn *insn)
{
	uint8_t code[PA_INSN_BYTES + 1] = { 0 };
	return state.decoded++ < CALLEE_INSNS && reader->read_cached(code, at, PA_INSN_BYTES) &&
		pa_insn_decode(code, insn) && !pa_insn_ends_path(insn) && !pa_insn_is_call(insn);
}

/* From a place to a return, or to code that was followed before. */
static uint16_t follow_callee(const struct pa_code_reader *reader, uintptr_t at)
{
	uint16_t written = 0;
	bool is_far;
	struct pa_insn insn;
	/* Ends: each iteration sees a new address of a bounded range. */
	while (see_in_callee(at, &is_far)) {
		if (!decode_in_callee(reader, at, &insn))
			return PA_CLOBBERS_ALL;
		at += insn.length;
		if (pa_insn_is_one(&insn, 0xc3, 0xc3))
			return written;
		written |= pa_clobbers_insn(&insn);
		if (pa_insn_is_conditional_jump(&insn)) {
			if (state.todo_count == CALLEE_PLACES)
				return PA_CLOBBERS_ALL;
			state.todo[state.todo_count++] = at + (uintptr_t)insn.immediate;
		}
		if (pa_insn_is_direct_jump(&insn))
			at += (uintptr_t)insn.immediate;
	}
	return is_far ? PA_CLOBBERS_ALL : written;
}

uint16_t pa_clobbers_callee(const struct pa_code_reader *reader, uintptr_t start)
{
	uint16_t written = 0;
	memset(&state, 0, sizeof(state));
	state.start = start;
	state.todo[state.todo_count++] = start;
	while (state.todo_count && written != PA_CLOBBERS_ALL)
		written |= follow_callee(reader, state.todo[--state.todo_count]);
	PA_ASSERT(state.todo_count <= CALLEE_PLACES);
	return written;
}
