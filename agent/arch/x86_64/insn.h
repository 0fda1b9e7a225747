/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64 instructions: length, opcode, operands, and their effect on the stack pointer and the
 * frame pointer. For prologue.c, epilogue.c and clobbers.c.
 *
 * Context: PA_AGENT; pure functions.
 */
#ifndef PA_INSN_H
#define PA_INSN_H

#include "../../base/base.h"

#define PA_INSN_BYTES 15 /* the longest instruction */
#define PA_INSN_SP 4
#define PA_INSN_BP 5

/* Bits of a REX prefix. */
enum { PA_INSN_REX_B = 1, PA_INSN_REX_X = 2, PA_INSN_REX_R = 4, PA_INSN_REX_W = 8 };

enum pa_insn_map { PA_INSN_ONE, PA_INSN_0F, PA_INSN_0F38, PA_INSN_0F3A, PA_INSN_VECTOR };

struct pa_insn {
	uint8_t length, opcode, rex, modrm;
	uint8_t map;        /* enum pa_insn_map */
	uint8_t vector_map; /* PA_INSN_VECTOR: 1 as 0F, 2 as 0F38, 3 as 0F3A, 5, 6 */
	bool operand_size;  /* prefix 66 */
	bool has_modrm, has_sib, rip_relative;
	uint8_t sib;
	int64_t disp, immediate; /* immediate: also the distance of a jump or call */
};

/* Decodes an instruction. False: unknown, or not used by compilers. code has PA_INSN_BYTES + 1
 * bytes. */
PA_AGENT bool pa_insn_decode(const uint8_t *code, struct pa_insn *insn);

/* True when it writes reg, PA_INSN_SP or PA_INSN_BP, other than by push, pop, leave and mov between
 * the two. */
PA_AGENT bool pa_insn_writes(const struct pa_insn *insn, unsigned reg);

PA_INLINE bool pa_insn_is_one(const struct pa_insn *insn, uint8_t low, uint8_t high)
{
	return insn->map == PA_INSN_ONE && insn->opcode >= low && insn->opcode <= high;
}

PA_INLINE bool pa_insn_is_0f(const struct pa_insn *insn, uint8_t low, uint8_t high)
{
	return insn->map == PA_INSN_0F && insn->opcode >= low && insn->opcode <= high;
}

/* ModRM.reg with its REX bit: 0..15. */
PA_INLINE unsigned pa_insn_reg(const struct pa_insn *insn)
{
	return (insn->modrm >> 3 & 7) | (insn->rex & PA_INSN_REX_R ? 8 : 0);
}

/* ModRM.rm with its REX bit; 16: memory. */
PA_INLINE unsigned pa_insn_rm(const struct pa_insn *insn)
{
	if (insn->modrm >> 6 != 3)
		return 16;
	return (insn->modrm & 7) | (insn->rex & PA_INSN_REX_B ? 8 : 0);
}

/* Opcode group member /n. */
PA_INLINE bool pa_insn_is_group(const struct pa_insn *insn, uint8_t opcode, unsigned n)
{
	return pa_insn_is_one(insn, opcode, opcode) && (insn->modrm >> 3 & 7) == n;
}

PA_INLINE bool pa_insn_is_padding(const struct pa_insn *insn)
{
	return pa_insn_is_one(insn, 0x90, 0x90) || pa_insn_is_one(insn, 0xcc, 0xcc) ||
		pa_insn_is_0f(insn, 0x1f, 0x1f);
}

PA_INLINE bool pa_insn_is_call(const struct pa_insn *insn)
{
	return pa_insn_is_one(insn, 0xe8, 0xe8) || pa_insn_is_group(insn, 0xff, 2);
}

PA_INLINE bool pa_insn_is_direct_jump(const struct pa_insn *insn)
{
	return pa_insn_is_one(insn, 0xe9, 0xe9) || pa_insn_is_one(insn, 0xeb, 0xeb);
}

PA_INLINE bool pa_insn_is_conditional_jump(const struct pa_insn *insn)
{
	return pa_insn_is_one(insn, 0x70, 0x7f) || pa_insn_is_one(insn, 0xe0, 0xe3) ||
		pa_insn_is_0f(insn, 0x80, 0x8f);
}

/* True for instructions that end a path without a usable return: int3, hlt, ud2, far jumps and
 * calls, indirect jumps, returns that pop arguments or return from interrupts, and a call of the
 * next instruction. */
PA_INLINE bool pa_insn_ends_path(const struct pa_insn *insn)
{
	return pa_insn_is_one(insn, 0xcc, 0xcc) || pa_insn_is_one(insn, 0xf4, 0xf4) ||
		pa_insn_is_0f(insn, 0x0b, 0x0b) || pa_insn_is_group(insn, 0xff, 3) ||
		pa_insn_is_group(insn, 0xff, 4) || pa_insn_is_group(insn, 0xff, 5) ||
		pa_insn_is_one(insn, 0xc2, 0xc2) || pa_insn_is_one(insn, 0xca, 0xcf) ||
		(pa_insn_is_one(insn, 0xe8, 0xe8) && insn->immediate == 0);
}

/* *grows: bytes that sp goes down. */
PA_INLINE bool pa_insn_is_push_or_pop(const struct pa_insn *insn, int *grows)
{
	bool pushes = pa_insn_is_one(insn, 0x50, 0x57) || pa_insn_is_one(insn, 0x68, 0x68) ||
		pa_insn_is_one(insn, 0x6a, 0x6a) || pa_insn_is_one(insn, 0x9c, 0x9c) ||
		pa_insn_is_group(insn, 0xff, 6) || pa_insn_is_0f(insn, 0xa0, 0xa0) ||
		pa_insn_is_0f(insn, 0xa8, 0xa8);
	bool pops = pa_insn_is_one(insn, 0x58, 0x5f) || pa_insn_is_one(insn, 0x8f, 0x8f) ||
		pa_insn_is_one(insn, 0x9d, 0x9d) || pa_insn_is_0f(insn, 0xa1, 0xa1) ||
		pa_insn_is_0f(insn, 0xa9, 0xa9);
	*grows = pushes ? 8 : -8;
	return pushes || pops;
}

/* Base of a memory operand without an index: PA_INSN_SP or PA_INSN_BP; 16: another operand. */
PA_INLINE unsigned pa_insn_base(const struct pa_insn *insn)
{
	const uint8_t only_sp = 0x24; /* a SIB byte: rsp, no index */
	unsigned mod = insn->modrm >> 6;
	if (mod == 3 || insn->rex & (PA_INSN_REX_B | PA_INSN_REX_X))
		return 16;
	if (insn->has_sib)
		return insn->sib == only_sp ? PA_INSN_SP : 16;
	return mod != 0 && (insn->modrm & 7) == PA_INSN_BP ? PA_INSN_BP : 16;
}

/* mov between registers of 8 bytes, either encoding. */
PA_INLINE bool pa_insn_is_move(const struct pa_insn *insn, unsigned from, unsigned to)
{
	unsigned reg = pa_insn_reg(insn), rm = pa_insn_rm(insn);
	bool stores = pa_insn_is_one(insn, 0x89, 0x89) && reg == from && rm == to;
	return insn->rex & PA_INSN_REX_W &&
		(stores || (pa_insn_is_one(insn, 0x8b, 0x8b) && rm == from && reg == to));
}

#endif
