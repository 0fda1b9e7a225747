/* SPDX-License-Identifier: Apache-2.0 */
#include "../prologue.h"

#include <string.h>

#include "insn.h"

/*
 * A cfa: sp and bp before an instruction, in one word. The distance of sp below its value at
 * function entry, a multiple of 8, with the state of bp in the low bits. 0: not reached.
 */
enum {
	CFA_KNOWN = 4,
	CFA_SAVED = 1,  /* push %rbp was the first push */
	CFA_FRAMED = 2, /* and bp points to it */
	CFA_BP = 3
};
#define DEPTH_LIMIT ((int64_t)1 << 30)

/* The function under analysis. Offsets are relative to its start. */
static struct {
	uint8_t code[PA_PROLOGUE_BYTES + PA_INSN_BYTES + 1];
	uint32_t at[PA_PROLOGUE_BYTES];
	uint8_t length[PA_PROLOGUE_BYTES]; /* of a decoded instruction; 0: not decoded */
	uint16_t todo[PA_PROLOGUE_BYTES];  /* jump targets to follow */
	size_t size, todo_count, pc;
	uint32_t found;    /* at the call that ends at pc */
	uint32_t body;     /* the least depth at calls with a frame: no arguments pushed */
	uint32_t indirect; /* at indirect jumps */
	bool differs;      /* the cfa differs between indirect jumps */
} state;

/* ------------------------------------------------------------------ effect on sp */

static int64_t depth_of(uint32_t cfa)
{
	return cfa & ~(uint32_t)(CFA_KNOWN | CFA_BP);
}

/* False: a depth that no function has. */
static bool set_cfa(uint32_t *cfa, int64_t depth, uint32_t bp)
{
	*cfa = CFA_KNOWN | bp | (uint32_t)depth;
	return depth >= 0 && depth < DEPTH_LIMIT && depth % 8 == 0;
}

static bool push_or_pop(const struct pa_insn *insn, uint32_t *cfa, int grows)
{
	uint32_t bp = *cfa & CFA_BP;
	bool is_bp = (insn->opcode & ~8) == 0x55 && !(insn->rex & PA_INSN_REX_B);
	bool to_sp = pa_insn_is_one(insn, 0x5c, 0x5c) && !(insn->rex & PA_INSN_REX_B);
	/* 16-bit operands; sp as operand; AMD's XOP, which shares its opcode with pop. */
	if (insn->operand_size || to_sp ||
		(pa_insn_is_one(insn, 0x8f, 0x8f) &&
			(insn->modrm & 0x38 || pa_insn_rm(insn) == PA_INSN_SP)))
		return false;
	if (pa_insn_is_one(insn, 0x50, 0x5f) && is_bp)
		bp = grows > 0 && depth_of(*cfa) == 0 ? CFA_SAVED : grows > 0 ? bp : 0;
	return set_cfa(cfa, depth_of(*cfa) + grows, bp);
}

/* sp = bp + constant: the end of a frame. */
static bool sp_from_bp(uint32_t *cfa, int64_t disp)
{
	return (*cfa & CFA_BP) == CFA_FRAMED && set_cfa(cfa, 8 - disp, CFA_FRAMED);
}

static bool lea_sp(const struct pa_insn *insn, uint32_t *cfa)
{
	unsigned base = insn->rex & PA_INSN_REX_W ? pa_insn_base(insn) : 16;
	if (base == PA_INSN_SP)
		return set_cfa(cfa, depth_of(*cfa) - insn->disp, *cfa & CFA_BP);
	return base == PA_INSN_BP && sp_from_bp(cfa, insn->disp);
}

/* and $-16, %rsp in a frame: by the ABI, sp + 8 is a multiple of 16 at the function's start. */
static bool align_sp(uint32_t *cfa)
{
	const int64_t alignment = 16;
	int64_t depth = PA_ALIGN_UP(depth_of(*cfa) + 8, alignment) - 8;
	return (*cfa & CFA_BP) == CFA_FRAMED && set_cfa(cfa, depth, CFA_FRAMED);
}

/* The cfa behind the instruction. False: unknown. */
static bool apply_insn(const struct pa_insn *insn, uint32_t *cfa)
{
	int64_t depth = depth_of(*cfa);
	uint32_t bp = *cfa & CFA_BP;
	int grows;
	if (pa_insn_is_push_or_pop(insn, &grows))
		return push_or_pop(insn, cfa, grows);
	if (pa_insn_is_one(insn, 0xc9, 0xc9)) /* leave */
		return sp_from_bp(cfa, 0) && set_cfa(cfa, 0, 0);
	if (pa_insn_is_move(insn, PA_INSN_SP, PA_INSN_BP))
		return set_cfa(cfa, depth, bp == CFA_SAVED && depth == 8 ? CFA_FRAMED : 0);
	if (pa_insn_is_move(insn, PA_INSN_BP, PA_INSN_SP))
		return sp_from_bp(cfa, 0);
	bool add = pa_insn_is_group(insn, 0x81, 0) || pa_insn_is_group(insn, 0x83, 0);
	bool sub = pa_insn_is_group(insn, 0x81, 5) || pa_insn_is_group(insn, 0x83, 5);
	if ((add || sub) && pa_insn_rm(insn) == PA_INSN_SP && insn->rex & PA_INSN_REX_W)
		return set_cfa(cfa, depth + (sub ? insn->immediate : -insn->immediate), bp);
	if (pa_insn_is_one(insn, 0x8d, 0x8d) && pa_insn_reg(insn) == PA_INSN_SP)
		return lea_sp(insn, cfa);
	if (pa_insn_is_group(insn, 0x83, 4) && pa_insn_rm(insn) == PA_INSN_SP &&
		insn->immediate == -16 && insn->rex & PA_INSN_REX_W)
		return align_sp(cfa);
	return !pa_insn_writes(insn, PA_INSN_SP) &&
		set_cfa(cfa, depth, pa_insn_writes(insn, PA_INSN_BP) ? 0 : bp);
}

/* ------------------------------------------------------------------ following the code */

/* Records the cfa at an offset. False: another path reaches it with another cfa. */
static bool reach_offset(uint64_t offset, uint32_t cfa, bool jumped)
{
	if (state.at[offset])
		return state.at[offset] == cfa;
	state.at[offset] = cfa;
	if (jumped)
		state.todo[state.todo_count++] = (uint16_t)offset;
	return true;
}

/*
 * A tail call, or with a frame pointer a jump to the part of the function in .text.unlikely, which
 * is elsewhere. That part may come back with another sp only if it has alloca.
 */
static bool may_jump_out(uint32_t cfa)
{
	uint32_t bp = cfa & CFA_BP;
	return bp == CFA_FRAMED || (depth_of(cfa) == 0 && !bp);
}

/* offset: of the instruction behind the jump. */
static bool jump_to_target(const struct pa_insn *insn, uint64_t offset, uint32_t cfa)
{
	uint64_t target = offset + (uint64_t)insn->immediate;
	return target < state.size ? reach_offset(target, cfa, true) : may_jump_out(cfa);
}

static void note_body(uint32_t cfa)
{
	if ((cfa & CFA_BP) == CFA_FRAMED && (!state.body || cfa < state.body))
		state.body = cfa;
}

static void note_indirect(uint32_t cfa)
{
	state.differs |= state.indirect && state.indirect != cfa;
	state.indirect = cfa;
	note_body(cfa);
}

/* Follows control flow from the instruction that ends at end. *on: it continues with the next
 * one. */
static bool leave_insn(const struct pa_insn *insn, uint64_t end, uint32_t cfa, bool *on)
{
	*on = false;
	if (pa_insn_is_one(insn, 0xe9, 0xe9) || pa_insn_is_one(insn, 0xeb, 0xeb))
		return jump_to_target(insn, end, cfa);
	if (pa_insn_is_group(insn, 0xff, 4)) {
		note_indirect(cfa);
		return true;
	}
	if (pa_insn_is_one(insn, 0xc2, 0xc3))
		return depth_of(cfa) == 0 && insn->opcode == 0xc3;
	if (pa_insn_is_one(insn, 0xcc, 0xcc) || pa_insn_is_one(insn, 0xf4, 0xf4) ||
		pa_insn_is_0f(insn, 0x0b, 0x0b))
		return true; /* int3, hlt, ud2 */
	/* Far calls and jumps, returns from interrupts, transactions: not supported. */
	if (pa_insn_is_group(insn, 0xff, 3) || pa_insn_is_group(insn, 0xff, 5) ||
		pa_insn_is_one(insn, 0xca, 0xcb) || pa_insn_is_one(insn, 0xcf, 0xcf) ||
		pa_insn_is_group(insn, 0xc6, 7) || pa_insn_is_group(insn, 0xc7, 7))
		return false;
	*on = true;
	if (pa_insn_is_one(insn, 0x70, 0x7f) || pa_insn_is_one(insn, 0xe0, 0xe3) ||
		pa_insn_is_0f(insn, 0x80, 0x8f))
		return jump_to_target(insn, end, cfa);
	if (pa_insn_is_call(insn) || pa_insn_is_0f(insn, 0x05, 0x05)) {
		note_body(cfa);
		if (end == state.pc)
			state.found = cfa;
	}
	/* A call of the next instruction, which loads its own address, is no call. */
	uint64_t target = end + (uint64_t)insn->immediate;
	return !pa_insn_is_one(insn, 0xe8, 0xe8) || target == 0 || target >= state.size;
}

/* Analyzes from an offset with a known cfa until the path ends or joins an analyzed one. */
static bool follow_path(uint64_t offset)
{
	/* Ends: each iteration decodes an instruction for the first time. */
	while (!state.length[offset]) {
		struct pa_insn insn;
		uint32_t after = state.at[offset];
		bool on;
		if (!pa_insn_decode(state.code + offset, &insn) ||
			offset + insn.length > state.size)
			return false;
		state.length[offset] = insn.length;
		uint64_t end = offset + insn.length;
		if (!apply_insn(&insn, &after) || !leave_insn(&insn, end, after, &on))
			return false;
		/* No code follows a call that does not return. */
		if (!on || (end == state.size && pa_insn_is_call(&insn)))
			return true;
		if (end == state.size || !reach_offset(end, after, false))
			return false;
		offset = end;
	}
	return true;
}

static bool follow_all(uint64_t offset, uint32_t cfa)
{
	if (!reach_offset(offset, cfa, true))
		return false;
	while (state.todo_count)
		if (!follow_path(state.todo[--state.todo_count]))
			return false;
	return true;
}

/*
 * Code that no jump reaches: switch cases, with the cfa of the indirect jump, and exception landing
 * pads, with no call arguments pushed.
 */
static bool follow_rest(void)
{
	bool any = false;
	for (uint64_t offset = 0; offset < state.size;) {
		struct pa_insn insn;
		if (state.length[offset]) {
			offset += state.length[offset];
		} else if (pa_insn_decode(state.code + offset, &insn) &&
			pa_insn_is_padding(&insn)) {
			offset += insn.length;
		} else {
			any = true;
			if (!state.body || !follow_all(offset, state.body))
				return false;
		}
	}
	return !any || !state.indirect || (!state.differs && state.indirect == state.body);
}

bool pa_prologue_find(const struct pa_code_reader *reader, uintptr_t start, uintptr_t limit,
	uintptr_t pc, uintptr_t *bytes)
{
	if (pc <= start || pc > limit || limit - start > PA_PROLOGUE_BYTES)
		return false;
	size_t size = limit - start;
	if (!reader->read_cached(state.code, start, size))
		return false;
	memset(state.code + size, 0, PA_INSN_BYTES + 1);
	memset(state.at, 0, size * sizeof(state.at[0]));
	memset(state.length, 0, size);
	state.size = size;
	state.pc = pc - start;
	state.todo_count = 0;
	state.found = state.body = state.indirect = 0;
	state.differs = false;
	if (!follow_all(0, CFA_KNOWN) || !follow_rest() || (state.found & CFA_BP) != CFA_FRAMED)
		return false;
	*bytes = (uintptr_t)depth_of(state.found) - 8;
	return true;
}

/* ------------------------------------------------------------------ calls */

/* Prefixes do not matter: the end is fixed. Not through the page cache: JITs write code. */
bool pa_prologue_call_before(const struct pa_code_reader *reader, uintptr_t return_address,
	struct pa_prologue_call *call)
{
	static const uint8_t lengths[] = { 5, 2, 3, 4, 6, 7 };
	for (size_t i = 0; i < PA_COUNT(lengths); i++) {
		uint8_t code[PA_INSN_BYTES] = { 0 };
		struct pa_insn insn;
		uintptr_t at = return_address - lengths[i];
		if (!reader->read(code, at, lengths[i]) || !pa_insn_decode(code, &insn) ||
			insn.length != lengths[i] || !pa_insn_is_call(&insn) ||
			(code[0] != 0xe8 && code[0] != 0xff))
			continue;
		*call = (struct pa_prologue_call){ .target = 0 };
		if (insn.rip_relative)
			call->word_at = return_address + (uintptr_t)insn.disp;
		else if (insn.opcode == 0xe8)
			call->target = return_address + (uintptr_t)insn.immediate;
		/* The end of an indirect call can look like a direct one with a bad target. */
		if (!call->target || reader->is_code(call->target))
			return true;
	}
	return false;
}
