/* SPDX-License-Identifier: Apache-2.0 */
#include "../epilogue.h"

#include <string.h>

#include "clobbers.h"

#define SEEN (2 * PA_EPILOGUE_INSNS) /* a power of two */
#define PLACES 256
#define TAIL_INSNS 4
#define STORES 16 /* words written from pc to a return; all registers of a function */
#define OFFSET_LIMIT ((int64_t)1 << 23)
#define REGISTERS 16
#define CALLS 4 /* of different functions, from pc to a return */

/* System V ABI, AMD64 supplement, figure 3.36: by the numbers in instructions. */
static const uint8_t dwarf_numbers[REGISTERS] = { 0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14,
	15 };

/* A symbolic value in terms of the registers at pc: a register, or a word in memory that it points
 * to, plus an offset. */
enum origin {
	OF_NOTHING, /* unknown */
	OF_SP,
	OF_BP,
	OF_SP_WORD, /* the word at sp + base */
	OF_BP_WORD,
	OF_REG /* the register with the number base */
};

struct value {
	enum origin origin;
	int64_t base, offset;
};

/* A word that was written since pc. */
struct store {
	struct value address, word;
};

/* The state before an instruction. */
struct frame {
	struct value sp;
	struct value bp;  /* OF_BP + 0: unchanged since pc */
	bool bp_loaded;   /* bp is the word at address bp, as of pc, not that value */
	uint16_t written; /* registers written since pc, by number; not by calls */
	uint8_t stores, calls;
	struct store stored[STORES]; /* the latest word at each address */
	uintptr_t called[CALLS];     /* functions called since pc */
};

struct place {
	uintptr_t at;
	struct frame frame;
};

static struct {
	const struct pa_code_reader *reader;
	uintptr_t seen[SEEN]; /* decoded addresses; open addressing, 0: free */
	struct place todo[PLACES];
	uint32_t todo_count, decoded;
	struct pa_epilogue found;
	bool any, differs;
	uint16_t written; /* by number: on any path */
	uintptr_t wanted; /* pa_epilogue_frame_is_set: the pc to reach; else 0 */
	bool reached, framed;
} state;

/* ------------------------------------------------------------------ values */

static bool is_same_value(const struct value *a, const struct value *b)
{
	return a->origin != OF_NOTHING && a->origin == b->origin && a->base == b->base &&
		a->offset == b->offset;
}

static struct value value_plus(struct value value, int64_t bytes)
{
	value.offset += bytes;
	return value;
}

static const struct value nothing = { OF_NOTHING, 0, 0 };

/* What has been written there since pc; NULL: nothing. */
static const struct store *find_store(const struct frame *frame, const struct value *address)
{
	for (unsigned i = 0; i < frame->stores; i++)
		if (is_same_value(&frame->stored[i].address, address))
			return &frame->stored[i];
	return NULL;
}

/* False: too many words are written. */
static bool store_word(struct frame *frame, struct value address, struct value word)
{
	struct store *store = (struct store *)find_store(frame, &address);
	if (!store) {
		if (address.origin == OF_NOTHING)
			return true;
		if (frame->stores == STORES)
			return false;
		store = &frame->stored[frame->stores++];
	}
	*store = (struct store){ address, word };
	return true;
}

/* The symbolic value of the word at an address; unknown unless the address is relative to a
 * register at pc. */
static struct value memory_word(const struct frame *frame, struct value address)
{
	const struct store *store = find_store(frame, &address);
	if (store)
		return store->word;
	if (address.origin != OF_SP && address.origin != OF_BP)
		return nothing;
	enum origin origin = address.origin == OF_SP ? OF_SP_WORD : OF_BP_WORD;
	return (struct value){ origin, address.offset, 0 };
}

static struct value bp_value(const struct frame *frame)
{
	return frame->bp_loaded ? nothing : frame->bp;
}

/* Loads bp from that address. */
static void load_bp(struct frame *frame, struct value address)
{
	const struct store *store = find_store(frame, &address);
	frame->bp_loaded = !store;
	frame->bp = store ? store->word : address;
}

static void set_bp(struct frame *frame, struct value value)
{
	frame->bp_loaded = false;
	frame->bp = value;
}

/* ------------------------------------------------------------------ one instruction */

static bool push_word(struct frame *frame, const struct pa_insn *insn)
{
	bool is_bp = pa_insn_is_one(insn, 0x55, 0x55) && !(insn->rex & PA_INSN_REX_B);
	bool is_sp = pa_insn_is_one(insn, 0x54, 0x54) && !(insn->rex & PA_INSN_REX_B);
	struct value word = is_bp ? bp_value(frame) : is_sp ? frame->sp : nothing;
	frame->sp = value_plus(frame->sp, -8);
	return store_word(frame, frame->sp, word);
}

static void pop_word(struct frame *frame, const struct pa_insn *insn)
{
	if (pa_insn_is_one(insn, 0x5d, 0x5d) && !(insn->rex & PA_INSN_REX_B))
		load_bp(frame, frame->sp);
	frame->sp = value_plus(frame->sp, 8);
}

/* False: 16-bit operand, or a memory or register operand in the long encoding. */
static bool push_or_pop_word(struct frame *frame, const struct pa_insn *insn, int grows)
{
	bool to_sp = pa_insn_is_one(insn, 0x5c, 0x5c) && !(insn->rex & PA_INSN_REX_B);
	if (insn->operand_size || pa_insn_is_one(insn, 0x8f, 0x8f))
		return false;
	if (grows > 0)
		return push_word(frame, insn);
	if (to_sp)
		frame->sp = memory_word(frame, frame->sp);
	else
		pop_word(frame, insn);
	return true;
}

/* Address of a memory operand relative to sp or bp without an index; otherwise unknown. */
static struct value operand_address(const struct frame *frame, const struct pa_insn *insn)
{
	switch (pa_insn_base(insn)) {
	case PA_INSN_SP: return value_plus(frame->sp, insn->disp);
	case PA_INSN_BP: return value_plus(bp_value(frame), insn->disp);
	default: return nothing;
	}
}

/* mov of a register of 8 bytes to the stack. *fits false: too many words are written. */
static bool store_register(struct frame *frame, const struct pa_insn *insn, bool *fits)
{
	unsigned reg = pa_insn_reg(insn);
	if (!pa_insn_is_one(insn, 0x89, 0x89) || insn->modrm >> 6 == 3 ||
		!(insn->rex & PA_INSN_REX_W))
		return false;
	struct value word = reg == PA_INSN_SP ? frame->sp :
		reg == PA_INSN_BP             ? bp_value(frame) :
						nothing;
	*fits = store_word(frame, operand_address(frame, insn), word);
	return true;
}

/* mov and lea to sp or bp. False: another instruction. */
static bool load_pointer(struct frame *frame, const struct pa_insn *insn)
{
	unsigned reg = pa_insn_reg(insn);
	bool lea = pa_insn_is_one(insn, 0x8d, 0x8d), load = pa_insn_is_one(insn, 0x8b, 0x8b);
	if (!(lea || load) || insn->modrm >> 6 == 3 || !(insn->rex & PA_INSN_REX_W) ||
		(reg != PA_INSN_SP && reg != PA_INSN_BP))
		return false;
	struct value address = operand_address(frame, insn);
	if (reg == PA_INSN_SP)
		frame->sp = lea ? address : memory_word(frame, address);
	else if (lea)
		set_bp(frame, address);
	else
		load_bp(frame, address);
	return true;
}

static bool add_to_sp(struct frame *frame, const struct pa_insn *insn)
{
	bool add = pa_insn_is_group(insn, 0x81, 0) || pa_insn_is_group(insn, 0x83, 0);
	bool sub = pa_insn_is_group(insn, 0x81, 5) || pa_insn_is_group(insn, 0x83, 5);
	if (!(add || sub) || pa_insn_rm(insn) != PA_INSN_SP || !(insn->rex & PA_INSN_REX_W))
		return false;
	frame->sp = value_plus(frame->sp, add ? insn->immediate : -insn->immediate);
	return true;
}

/* Assembly knows which registers its own subroutines leave alone. */
static bool is_register_kept(const struct frame *frame, unsigned reg)
{
	if (frame->written >> reg & 1)
		return false;
	for (unsigned i = 0; i < frame->calls && PA_CLOBBERS_CALLER_SAVED >> reg & 1; i++)
		if (pa_clobbers_callee(state.reader, frame->called[i]) >> reg & 1)
			return false;
	return true;
}

/* sp from a register that has kept it: functions that align their stack, and have one to spare. */
static bool restore_sp(struct frame *frame, const struct pa_insn *insn)
{
	for (unsigned reg = 0; reg < REGISTERS; reg++) {
		if (reg == PA_INSN_SP || reg == PA_INSN_BP ||
			!pa_insn_is_move(insn, reg, PA_INSN_SP))
			continue;
		frame->sp =
			is_register_kept(frame, reg) ? (struct value){ OF_REG, reg, 0 } : nothing;
		return true;
	}
	return false;
}

/* next: the address behind the instruction. */
static void note_call(struct frame *frame, const struct pa_insn *insn, uintptr_t next)
{
	uintptr_t target = next + (uintptr_t)insn->immediate;
	for (unsigned i = 0; i < frame->calls; i++)
		if (frame->called[i] == target)
			return;
	if (frame->calls < CALLS && pa_insn_is_one(insn, 0xe8, 0xe8))
		frame->called[frame->calls++] = target;
	else
		frame->written |= PA_CLOBBERS_CALLER_SAVED;
}

/* False: the state behind the instruction is unknown. */
static bool run_insn(struct frame *frame, const struct pa_insn *insn, uintptr_t next)
{
	int grows;
	bool fits;
	if (pa_insn_is_call(insn))
		note_call(frame, insn, next);
	else
		frame->written |= pa_clobbers_insn(insn);
	if (pa_insn_is_push_or_pop(insn, &grows))
		return push_or_pop_word(frame, insn, grows);
	if (store_register(frame, insn, &fits))
		return fits;
	if (pa_insn_is_one(insn, 0xc9, 0xc9)) { /* leave */
		frame->sp = bp_value(frame);
		load_bp(frame, frame->sp);
		frame->sp = value_plus(frame->sp, 8);
	} else if (pa_insn_is_move(insn, PA_INSN_SP, PA_INSN_BP)) {
		set_bp(frame, frame->sp);
	} else if (pa_insn_is_move(insn, PA_INSN_BP, PA_INSN_SP)) {
		frame->sp = bp_value(frame);
	} else if (!restore_sp(frame, insn) && !load_pointer(frame, insn) &&
		!add_to_sp(frame, insn)) {
		if (pa_insn_writes(insn, PA_INSN_SP))
			frame->sp.origin = OF_NOTHING;
		if (pa_insn_writes(insn, PA_INSN_BP))
			set_bp(frame, nothing);
	}
	return true;
}

/* ------------------------------------------------------------------ returns */

static bool is_offset(int64_t bytes)
{
	return bytes > -OFFSET_LIMIT && bytes < OFFSET_LIMIT && bytes % 8 == 0;
}

/* Derives the rule from the state at a return. False: there is none. */
static bool rule_at_return(const struct frame *frame, struct pa_epilogue *out)
{
	const struct value *sp = &frame->sp, *bp = &frame->bp, start = { OF_BP, 0, 0 };
	if (sp->origin == OF_NOTHING)
		return false;
	*out = (struct pa_epilogue){
		.base = (enum pa_epilogue_base)(sp->origin - OF_SP + PA_EPILOGUE_SP),
		.cfa_offset = sp->offset + 8,
	};
	if (sp->origin == OF_REG)
		out->reg = dwarf_numbers[sp->base];
	else
		out->base_offset = sp->base;
	out->bp_lost = frame->bp_loaded ?
		bp->origin != sp->origin || bp->base != sp->base || bp->offset >= sp->offset :
		!is_same_value(bp, &start);
	if (frame->bp_loaded && !out->bp_lost)
		out->bp_offset = bp->offset - out->cfa_offset;
	return is_offset(out->cfa_offset) && is_offset(out->base_offset) &&
		is_offset(out->bp_offset);
}

/* Returns that restore bp count first. */
static void note_return(const struct frame *frame)
{
	struct pa_epilogue here;
	const struct pa_epilogue *found = &state.found;
	if (!rule_at_return(frame, &here) || (state.any && here.bp_lost && !found->bp_lost))
		return;
	if (found->bp_lost && !here.bp_lost)
		state.any = state.differs = false;
	state.differs |= state.any &&
		(here.base != found->base || here.cfa_offset != found->cfa_offset ||
			here.base_offset != found->base_offset || here.reg != found->reg ||
			here.bp_offset != found->bp_offset);
	state.any = true;
	state.found = here;
}

/* Reached by the first path. There the frame is complete when bp, pushed first, points to itself:
 * the return address is at bp + 8. */
static void note_wanted(const struct frame *frame)
{
	const struct value framed = { OF_SP, 0, -8 };
	struct value bp = bp_value(frame), pushed = memory_word(frame, framed);
	state.reached = true;
	state.framed = is_same_value(&bp, &framed) && pushed.origin == OF_BP && !pushed.offset;
}

/* ------------------------------------------------------------------ following the code */

/* True at the first visit. Ends: PA_EPILOGUE_INSNS bounds the entries, so the table is never
 * full. */
static bool see_address(uintptr_t at)
{
	uint32_t i = (uint32_t)(at * 0x9e3779b1u) & (SEEN - 1);
	while (state.seen[i] && state.seen[i] != at)
		i = (i + 1) & (SEEN - 1);
	if (state.seen[i])
		return false;
	state.seen[i] = at;
	return true;
}

static void follow_later(uintptr_t at, const struct frame *frame)
{
	if (state.todo_count < PLACES)
		state.todo[state.todo_count++] = (struct place){ at, *frame };
	else
		state.written = PA_CLOBBERS_ALL;
}

/* Analyzes from a place to the end of its path. False: it ends where it cannot be followed. */
static bool follow_way(struct place *place)
{
	uint8_t code[PA_INSN_BYTES + 1] = { 0 };
	struct pa_insn insn;
	/* Ends: each iteration decodes a new address, and their number is bounded. */
	while (state.decoded < PA_EPILOGUE_INSNS && see_address(place->at)) {
		state.decoded++;
		if (place->at == state.wanted) {
			note_wanted(&place->frame);
			return true;
		}
		if (!state.reader->read_cached(code, place->at, PA_INSN_BYTES) ||
			!pa_insn_decode(code, &insn) || pa_insn_ends_path(&insn))
			return false;
		place->at += insn.length;
		if (pa_insn_is_one(&insn, 0xc3, 0xc3)) {
			note_return(&place->frame);
			return true;
		}
		if (!run_insn(&place->frame, &insn, place->at))
			return false;
		if (pa_insn_is_conditional_jump(&insn))
			follow_later(place->at + (uintptr_t)insn.immediate, &place->frame);
		if (pa_insn_is_direct_jump(&insn))
			place->at += (uintptr_t)insn.immediate;
	}
	return state.decoded < PA_EPILOGUE_INSNS;
}

static void follow_next_way(void)
{
	struct place place = state.todo[--state.todo_count];
	bool is_whole = follow_way(&place);
	state.written |= is_whole ? place.frame.written : PA_CLOBBERS_ALL;
	if (place.frame.calls)
		state.written |= PA_CLOBBERS_CALLER_SAVED;
}

static void follow_all_ways(const struct pa_code_reader *reader, uintptr_t pc, uintptr_t wanted)
{
	const struct frame start = { .sp = { OF_SP, 0, 0 }, .bp = { OF_BP, 0, 0 } };
	memset(state.seen, 0, sizeof(state.seen));
	state.reader = reader;
	state.decoded = state.todo_count = 0;
	state.any = state.differs = state.reached = false;
	state.found = (struct pa_epilogue){ .base = PA_EPILOGUE_SP };
	state.written = 0;
	state.wanted = wanted;
	follow_later(pc, &start);
	while (state.todo_count && !state.reached &&
		!(state.differs && !state.found.bp_lost && !wanted))
		follow_next_way();
}

bool pa_epilogue_frame_is_set(const struct pa_code_reader *reader, uintptr_t start, uintptr_t pc)
{
	follow_all_ways(reader, start, pc);
	return state.reached && state.framed;
}

/* True for instructions behind which another one than the next may run, and for those that write
 * bp. */
static bool is_no_tail(const struct pa_insn *insn)
{
	return pa_insn_ends_path(insn) || pa_insn_is_direct_jump(insn) ||
		pa_insn_is_conditional_jump(insn) || pa_insn_is_call(insn) ||
		pa_insn_is_one(insn, 0xc9, 0xc9) || pa_insn_is_one(insn, 0x5d, 0x5d) ||
		pa_insn_writes(insn, PA_INSN_BP);
}

bool pa_epilogue_keeps_bp(const struct pa_code_reader *reader, uintptr_t pc)
{
	for (int i = 0; i < TAIL_INSNS; i++) {
		uint8_t code[PA_INSN_BYTES + 1] = { 0 };
		struct pa_insn insn;
		if (!reader->read_cached(code, pc, PA_INSN_BYTES) || !pa_insn_decode(code, &insn))
			return false;
		if (pa_insn_is_one(&insn, 0xc3, 0xc3))
			return true;
		if (is_no_tail(&insn))
			return false;
		pc += insn.length;
	}
	return false;
}

bool pa_epilogue_find(const struct pa_code_reader *reader, uintptr_t pc, struct pa_epilogue *out)
{
	follow_all_ways(reader, pc, 0);
	*out = state.found;
	for (unsigned reg = 0; reg < REGISTERS; reg++)
		out->written |= (uint32_t)(state.written >> reg & 1) << dwarf_numbers[reg];
	return state.any && !state.differs;
}
