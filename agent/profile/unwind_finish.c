#include <string.h>

#include "cfi.h"
#include "core.h"
#include "maps.h"
#include "prologue.h"
#include "unwind.h"
#include "unwind_step.h"

#define FEW_REGS (1u << PA_REG_PC | 1u << PA_REG_SP)
#define ALL_REGS ((1u << PA_REGS_COUNT) - 1)

static struct {
	struct pa_cfi cfi; /* too large for the stack */
} state;

/* A walk over the copied stack. */
struct walk {
	struct pa_cursor cursor;
	bool leaf;
	bool bp_known; /* cursor.bp is true */
	bool chained;  /* cursor.pc is what a frame pointer of code without CFI led to */
	uint32_t steps; /* from the cold part's first frame */
	struct pa_unwind_from first;
	const char *bytes;
	uintptr_t from, limit; /* addresses that bytes is the copy of */
	uint32_t epoch; /* of the frame cache when the event was recorded */
};

static bool copy_word(void *arg, uintptr_t at, uintptr_t *word)
{
	const struct walk *walk = arg;
	if (at < walk->from || at >= walk->limit || walk->limit - at < sizeof(*word))
		return false;
	memcpy(word, walk->bytes + (at - walk->from), sizeof(*word));
	return true;
}

/* ------------------------------------------------------------------ bp of threads that sleep */

static bool is_executable(uintptr_t at)
{
	return at < PA_ADDRESS_LIMIT && pa_maps_find(at);
}

/* What lies behind a PLT entry: endbr64 or not, jmp *x(%rip) with bnd or not. */
static bool read_plt(uintptr_t entry, uintptr_t *word_at)
{
	static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	uint8_t code[11];
	size_t at = 0;
	int32_t distance;
	if (!pa_maps_read_cached(code, entry, sizeof(code)))
		return false;
	if (memcmp(code, endbr, sizeof(endbr)) == 0)
		at += sizeof(endbr);
	at += code[at] == 0xf2;
	if (code[at] != 0xff || code[at + 1] != 0x25)
		return false;
	if (!pa_maps_read_cached(&distance, entry + at + 2, sizeof(distance)))
		return false;
	*word_at = entry + at + 6 + (uintptr_t)(intptr_t)distance;
	return true;
}

/* A jump of one of our hooks is to the function that it stands before. */
static bool is_start(uintptr_t target, uintptr_t start)
{
	return target == start || (pa_core_bridge && target >= pa_core_bridge->text_lo &&
		target < pa_core_bridge->text_hi);
}

/* By itself or by way of one PLT entry. */
static bool leads_to(uintptr_t target, uintptr_t start)
{
	uintptr_t word_at, word;
	if (is_start(target, start))
		return true;
	/* Not through the cache of pages: a program may write it at any time. */
	return read_plt(target, &word_at) && pa_maps_read_memory(&word, word_at, sizeof(word)) &&
		is_start(word, start);
}

/* True when the function can have been called from there. */
static bool is_call_of(uintptr_t return_address, uintptr_t start)
{
	struct pa_prologue_call call;
	uintptr_t target;
	if (!is_executable(return_address - 1) || !pa_prologue_call_before(return_address, &call))
		return false;
	if (call.target)
		return leads_to(call.target, start);
	if (!call.word_at)
		return true;
	return pa_maps_read_memory(&target, call.word_at, sizeof(target)) &&
		leads_to(target, start);
}

/*
 * For a frame with a frame pointer, when the kernel told no bp and nobody saved it on the way: the
 * function's own code says how far sp is below it, and what lies there must be a return address of
 * a call of that function. bp has not changed since the first frame then, and is known there too.
 */
static bool find_bp(struct walk *walk, const struct pa_rule *rule)
{
	struct pa_cursor *cursor = &walk->cursor;
	uintptr_t bytes, bp, return_address;
	if (rule->kind != PA_RULE_BP || rule->cfa_offset != 16 || rule->bp_offset != -16)
		return false;
	if (pa_cfi_find(&state.cfi, walk->leaf ? cursor->pc : cursor->pc - 1) != 0 ||
		!pa_prologue_find(state.cfi.start, state.cfi.limit, cursor->pc, &bytes))
		return false;
	bp = cursor->sp + bytes;
	if (!copy_word(walk, bp + 8, &return_address) ||
		!is_call_of(return_address, state.cfi.start))
		return false;
	cursor->bp = walk->first.regs.gpr[PA_REG_BP] = bp;
	walk->first.known |= 1u << PA_REG_BP;
	return true;
}

static bool needs_bp(const struct pa_rule *rule)
{
	return rule->kind == PA_RULE_BP || rule->kind == PA_RULE_BP_DEREF ||
		rule->kind == PA_RULE_REALIGNED || rule->kind == PA_RULE_CHAIN;
}

/* Kinds that find the caller's bp in memory. With any other it is what it was, known or not. */
static bool restores_bp(const struct pa_rule *rule)
{
	return rule->bp_offset || rule->kind == PA_RULE_REALIGNED ||
		rule->kind == PA_RULE_CHAIN || rule->kind == PA_RULE_SIGNAL;
}

/* ------------------------------------------------------------------ the walk */

/*
 * A frame that no rule describes (its CFA hangs on another register, say): libunwind itself steps,
 * from the cold part's first frame on, since registers that the frame needs may have been restored
 * on the way. Where they are not known, it fails.
 */
static bool step_complex(struct walk *walk)
{
	struct pa_unwind_to to;
	if (!pa_unwind_step(&walk->first, walk->steps + 1, &to) ||
		to.cursor.sp <= walk->cursor.sp || (to.cursor.sp & 7))
		return false;
	walk->cursor = to.cursor;
	walk->bp_known = to.bp_known;
	walk->leaf = to.leaf;
	return true;
}

static bool step(struct walk *walk, const struct pa_rule *rule)
{
	walk->chained = false;
	if (rule->kind == PA_RULE_COMPLEX)
		return step_complex(walk);
	if (needs_bp(rule) && !walk->bp_known && !find_bp(walk, rule))
		return false;
	struct pa_cursor before = walk->cursor;
	/* bp of code without CFI may be anything: it must look like a frame pointer, and lead to a
	 * return address. */
	walk->chained = rule->kind == PA_RULE_CHAIN;
	if (walk->chained && (before.bp < before.sp || before.bp & 7))
		return false;
	if (!pa_frames_step(rule, &walk->cursor, copy_word, walk))
		return false;
	walk->bp_known |= restores_bp(rule);
	walk->leaf = rule->kind == PA_RULE_SIGNAL;
	/* A handler's frame lies below what it interrupted, or on a stack that is not copied. */
	return walk->cursor.sp > before.sp;
}

/*
 * A rule that was not known is stored as of the event's epoch: if something was unloaded since,
 * what was learnt now may be of other code at that address, and is dead on arrival.
 */
static struct pa_rule rule_of(struct pa_frames *frames, uint32_t epoch, uintptr_t pc, bool leaf)
{
	struct pa_rule rule = { .kind = PA_RULE_NONE };
	if (frames)
		rule = pa_frames_find(frames, pc, leaf);
	if (rule.kind != PA_RULE_NONE)
		return rule;
	rule = pa_unwind_learn(pc, leaf);
	/* The maps may be older than the code, which has unwind information then. */
	if (rule.kind == PA_RULE_CHAIN && !pa_maps_find(leaf ? pc : pc - 1))
		return rule;
	if (frames && pa_unwind_usable() && !pa_frames_insert(frames, pc, leaf, &rule, epoch)) {
		struct pa_rule complex = { .kind = PA_RULE_COMPLEX };
		pa_frames_insert(frames, pc, leaf, &complex, epoch);
	}
	return rule;
}

/* What returns there was called, or is a signal handler, or the first function of a thread or of a
 * context. */
static bool is_return_address(uintptr_t pc)
{
	struct pa_prologue_call call;
	if (pa_prologue_call_before(pc, &call))
		return true;
	enum pa_rule_kind kind = pa_unwind_learn(pc, false).kind;
	/* A pointer to a function looks like the latter. */
	return kind == PA_RULE_SIGNAL ||
		(kind == PA_RULE_END && pa_cfi_find(&state.cfi, pc - 1) == 0);
}

/* For code that the maps do not know yet: may a call return there? */
static bool is_behind_call(uintptr_t pc)
{
	struct pa_prologue_call call = { .target = 0 };
	return pa_prologue_call_before(pc, &call) || call.target;
}

/* Appends frames to pcs until the stack ends, breaks or is too deep. */
static void run(struct walk *walk, struct pa_frames *frames, uintptr_t *pcs, uint32_t max,
	struct pa_unwind_result *result)
{
	/* Ends: each step adds a frame, and max bounds them. */
	for (;; walk->steps++) {
		uintptr_t pc = walk->cursor.pc;
		/* Stacks that the program made itself end in a null return address. */
		result->complete = pc == 0;
		if (pc < PA_PAGE_BYTES || pc >= PA_ADDRESS_LIMIT)
			return;
		result->cut = result->depth >= max;
		if (result->cut)
			return;
		uintptr_t at = walk->leaf ? pc : pc - 1;
		bool known = pa_maps_find(at);
		if (walk->chained && !known && is_behind_call(pc))
			result->unmapped = at;
		/* Before its rule is learnt: with that, walkers believe it. */
		if (walk->chained && (!known || !is_return_address(pc)))
			return;
		struct pa_rule rule = rule_of(frames, walk->epoch, pc, walk->leaf);
		if (rule.kind == PA_RULE_CHAIN && !known) {
			result->unmapped = at;
			if (!walk->leaf)
				return;
		}
		pcs[result->depth++] = pc;
		result->complete = rule.kind == PA_RULE_END;
		if (result->complete || !step(walk, &rule))
			return;
	}
}

/* Behind a signal frame that was walked already, only the cursor was at hand. */
static uint32_t known_regs(const struct pa_cold *cold, uint32_t depth)
{
	if (cold->few_regs)
		return FEW_REGS;
	return cold->leaf && depth == 0 ? ALL_REGS : FEW_REGS | 1u << PA_REG_BP;
}

struct pa_unwind_result pa_unwind_finish(const struct pa_event *event, struct pa_frames *frames,
	uintptr_t *pcs, uint32_t max)
{
	uint32_t depth = event->depth, flags = event->flags;
	const struct pa_cold *cold = pa_event_cold(event);
	struct pa_unwind_result result = { .depth = depth < max ? depth : max };
	memcpy(pcs, pa_event_pcs(event), result.depth * sizeof(*pcs));
	result.cut = depth > max || flags & PA_EVENT_CUT;
	result.complete = !result.cut && !(flags & PA_EVENT_BROKEN);
	if (result.cut || !cold)
		return result;
	struct walk walk = {
		.cursor = pa_regs_cursor(&cold->regs),
		.leaf = cold->leaf,
		.bp_known = !cold->few_regs,
		.epoch = (uint32_t)event->value[1],
		.first = { .regs = cold->regs, .known = known_regs(cold, depth),
			.read = copy_word, .read_arg = &walk },
		.bytes = (const char *)(cold + 1),
		.from = cold->stack_at,
		.limit = cold->stack_at + cold->stack_bytes,
	};
	run(&walk, frames, pcs, max, &result);
	return result;
}
