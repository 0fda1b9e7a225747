/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "../base/thread_slot.h"
#include "../arch/epilogue.h"
#include "../arch/prologue.h"
#include "cfi.h"
#include "live_stack.h"
#include "registered.h"
#include "../modules/maps.h"
#include "../record/copy_size.h"
#include "unwind.h"
#include "unwind_assembly.h"
#include "unwind_calls.h"
#include "unwind_step.h"

#define FEW_REGS (1u << PA_REG_PC | 1u << PA_REG_SP)
#define ALL_REGS ((1u << PA_REGS_COUNT) - 1)

static struct {
	struct pa_cfi cfi; /* too large for the stack */
	bool guessed;      /* the frame cache may have PA_RULE_CHAIN for code in no file */
	uint64_t followed; /* registrations of unwind tables by then; pa_registered_count */
} state;

/* A walk over the copied stack. */
struct walk {
	struct pa_cursor cursor;
	bool leaf;
	bool bp_known; /* cursor.bp is valid */
	bool chained;  /* cursor.pc came from a frame of code without CFI: to be verified */
	bool ended;    /* the last step found the outermost frame */
	/* The rule of the inner frame, from its code; cached once pc is verified. */
	struct pa_rule by_code;
	uintptr_t by_code_pc;
	bool by_code_leaf;
	uint32_t steps; /* from the deferred part's first frame */
	struct pa_unwind_from first;
	const char *bytes;
	uintptr_t from, limit; /* range of addresses that bytes is the copy of */
	bool to_stack_end;     /* nothing is behind limit */
	bool live;             /* read the stack itself, not the copy */
	uint64_t needed;       /* bytes of the copy, with those that it lacks */
	uint32_t epoch;        /* of the frame cache when the event was recorded */
};

/* A word farther away is not asked for because the copy is short, but by a wrong pointer. */
#define NEEDED_BYTES_MAX ((uintptr_t)64 << 20)

static void note_needed(struct walk *walk, uint64_t bytes)
{
	if (bytes > walk->needed && bytes <= NEEDED_BYTES_MAX)
		walk->needed = bytes;
}

static bool copy_word(void *arg, uintptr_t at, uintptr_t *word)
{
	struct walk *walk = arg;
	PA_ASSERT(walk->from <= walk->limit);
	if (at < walk->from)
		return false;
	if (walk->live)
		return pa_maps_read_memory(word, at, sizeof(*word));
	bool in_copy = at < walk->limit && walk->limit - at >= sizeof(*word);
	if (in_copy || !walk->to_stack_end)
		note_needed(walk, at - walk->from + sizeof(*word));
	if (!in_copy)
		return false;
	memcpy(word, walk->bytes + (at - walk->from), sizeof(*word));
	return true;
}

/* ------------------------------------------------------------------ bp of sleeping threads */

/*
 * For a frame with a frame pointer, when the kernel reported no bp and no inner frame saved it:
 * analyzes the function's code for the distance of sp below bp (prologue.h), and checks that the
 * word there is a return address of a call of that function. bp is then unchanged since the first
 * frame, and known there too.
 */
static bool find_bp(struct walk *walk, const struct pa_rule *rule)
{
	PA_ASSERT(!walk->bp_known);
	struct pa_cursor *cursor = &walk->cursor;
	uintptr_t bytes, bp, return_address;
	if (rule->kind != PA_RULE_BP || rule->cfa_offset != 16 || rule->bp_offset != -16)
		return false;
	if (pa_cfi_find(&state.cfi, walk->leaf ? cursor->pc : cursor->pc - 1) != 0 ||
		!pa_prologue_find(&pa_unwind_calls_code, state.cfi.start, state.cfi.limit,
			cursor->pc, &bytes))
		return false;
	bp = cursor->sp + bytes;
	if (!copy_word(walk, bp + 8, &return_address) ||
		!pa_unwind_calls_is_of(return_address, state.cfi.start))
		return false;
	cursor->bp = bp;
	if (walk->first.known >> PA_REG_BP & 1)
		return true; /* an inner frame has lost it */
	walk->first.regs.gpr[PA_REG_BP] = bp;
	walk->first.known |= 1u << PA_REG_BP;
	return true;
}

static bool needs_bp(const struct pa_rule *rule)
{
	return rule->kind == PA_RULE_BP || rule->kind == PA_RULE_BP_DEREF ||
		rule->kind == PA_RULE_REALIGNED || rule->kind == PA_RULE_CHAIN;
}

/* Kinds that read the caller's bp from memory. With any other bp is unchanged, known or not. */
static bool restores_bp(const struct pa_rule *rule)
{
	return rule->bp_offset || rule->kind == PA_RULE_REALIGNED || rule->kind == PA_RULE_CHAIN ||
		rule->kind == PA_RULE_SIGNAL;
}

/* ------------------------------------------------------------------ the walk */

/*
 * A frame without a rule (its CFA depends on another register, say): libunwind steps, from the
 * first frame of the deferred part, since inner frames may have restored registers that it needs.
 * Fails where these are unknown.
 */
static bool step_complex(struct walk *walk)
{
	struct pa_unwind_to to;
	if (!pa_unwind_steps(&walk->first, walk->steps + 1, &to) ||
		to.cursor.sp < walk->cursor.sp + !walk->leaf || (to.cursor.sp & 7))
		return false;
	if (walk->leaf && pa_epilogue_keeps_bp(&pa_unwind_calls_code, walk->cursor.pc)) {
		to.cursor.bp = walk->cursor.bp;
		to.bp_known = walk->bp_known;
	}
	walk->cursor = to.cursor;
	walk->bp_known = to.bp_known;
	walk->leaf = to.leaf;
	return true;
}

static bool step_walk(struct walk *walk, const struct pa_rule *rule)
{
	PA_ASSERT(rule->kind != PA_RULE_NONE && rule->kind != PA_RULE_END);
	walk->chained = false;
	if (rule->kind == PA_RULE_COMPLEX)
		return step_complex(walk);
	if (needs_bp(rule) && !walk->bp_known && !find_bp(walk, rule))
		return false;
	struct pa_cursor before = walk->cursor;
	/* bp of code without CFI may contain anything: accept it only if it looks like a frame
	 * pointer and leads to a return address. */
	walk->chained = rule->kind == PA_RULE_CHAIN;
	if (walk->chained && (before.bp < before.sp || before.bp & 7))
		return false;
	if (!pa_frame_cache_step(rule, &walk->cursor, copy_word, walk))
		return false;
	walk->bp_known |= restores_bp(rule);
	walk->leaf = rule->kind == PA_RULE_SIGNAL;
	/* A handler's frame is below the frame that it interrupted, or on a stack that is not
	 * copied. */
	return walk->cursor.sp > before.sp;
}

/* ------------------------------------------------------------------ code without CFI */

/* Only code in files: code written by the program may change before the rule is used. */
static bool is_of_file(uintptr_t at)
{
	const struct pa_module *module = pa_maps_find(at);
	return module && module->is_elf;
}

/* The rule of a frame without CFI, by what its code does up to its return. */
static bool find_by_code(uintptr_t pc, bool leaf, struct pa_rule *rule)
{
	static const uint8_t kinds[] = {
		[PA_EPILOGUE_SP] = PA_RULE_SP,
		[PA_EPILOGUE_BP] = PA_RULE_BP,
		[PA_EPILOGUE_SP_DEREF] = PA_RULE_SP_DEREF,
		[PA_EPILOGUE_BP_DEREF] = PA_RULE_BP_DEREF,
	};
	struct pa_epilogue out;
	if (!is_of_file(leaf ? pc : pc - 1) || !pa_epilogue_find(&pa_unwind_calls_code, pc, &out) ||
		out.base == PA_EPILOGUE_REG || out.bp_lost)
		return false;
	*rule = (struct pa_rule){
		.kind = kinds[out.base],
		.cfa_offset = (int32_t)out.cfa_offset,
		.base_offset = (int32_t)out.base_offset,
		.bp_offset = (int32_t)out.bp_offset,
	};
	return true;
}

/* The step by such a rule is to be proven: its return address must be one. */
static bool step_by_code(struct walk *walk, const struct pa_rule *rule)
{
	walk->by_code = *rule;
	walk->by_code_pc = walk->cursor.pc;
	walk->by_code_leaf = walk->leaf;
	if (!step_walk(walk, rule))
		return false;
	walk->chained = true;
	return true;
}

/* It is: from now on walkers step by the rule alone. */
static void keep_by_code(struct walk *walk, struct pa_frame_cache *frames)
{
	if (frames && walk->by_code.kind != PA_RULE_NONE)
		pa_frame_cache_insert(frames, walk->by_code_pc, walk->by_code_leaf, &walk->by_code,
			walk->epoch);
	walk->by_code.kind = PA_RULE_NONE;
}

/* True for code behind a call, a signal trampoline, and the first function of a thread or
 * context. */
static bool is_return_address(uintptr_t pc)
{
	struct pa_prologue_call call;
	if (pa_prologue_call_before(&pa_unwind_calls_code, pc, &call))
		return true;
	enum pa_rule_kind kind = pa_unwind_learn(pc, false).kind;
	/* A pointer to such a first function looks the same. */
	return kind == PA_RULE_SIGNAL ||
		(kind == PA_RULE_END && pa_cfi_find(&state.cfi, pc - 1) == 0);
}

/* Tries a step that leaves the walk where it is. */
static bool leads_to_return(struct walk *walk, const struct pa_rule *rule)
{
	struct pa_cursor cursor = walk->cursor;
	return pa_frame_cache_step(rule, &cursor, copy_word, walk) &&
		(cursor.pc == 0 ||
			(pa_unwind_calls_is_code(cursor.pc - 1) && is_return_address(cursor.pc)));
}

/*
 * Call frame information may be wrong: LuaJIT's describes its interpreter as one frame, also in
 * its parts that are called. True when it leads to no return address, but the code does.
 */
static bool is_refuted_by_code(struct walk *walk, const struct pa_rule *rule,
	struct pa_rule *by_code)
{
	if (rule->kind < PA_RULE_SP || rule->kind > PA_RULE_REALIGNED ||
		(needs_bp(rule) && !walk->bp_known) || leads_to_return(walk, rule))
		return false;
	return find_by_code(walk->cursor.pc, walk->leaf, by_code) &&
		!(needs_bp(by_code) && !walk->bp_known) && leads_to_return(walk, by_code);
}

/* ------------------------------------------------------------------ rules */

/*
 * A new rule is stored with the event's epoch: if a module was unloaded since, the rule may be that
 * of other code at the same address, and is invalid at once.
 */
static struct pa_rule rule_of(struct pa_frame_cache *frames, uint32_t epoch, uintptr_t pc,
	bool leaf, bool *is_new)
{
	PA_ASSERT_AGENT();
	struct pa_rule rule = { .kind = PA_RULE_NONE };
	if (frames)
		rule = pa_frame_cache_find(frames, pc, leaf);
	*is_new = rule.kind == PA_RULE_NONE;
	if (!*is_new)
		return rule;
	rule = pa_unwind_learn(pc, leaf);
	if (rule.kind == PA_RULE_NONE)
		return rule;
	/* The maps may be older than the code, which may have unwind information. Code of files is
	 * left to step_in_file. */
	uintptr_t at = leaf ? pc : pc - 1;
	if (rule.kind == PA_RULE_CHAIN && (!pa_maps_find(at) || is_of_file(at)))
		return rule;
	state.guessed |= rule.kind == PA_RULE_CHAIN;
	if (frames && pa_unwind_usable() &&
		!pa_frame_cache_insert(frames, pc, leaf, &rule, epoch)) {
		struct pa_rule complex = { .kind = PA_RULE_COMPLEX };
		pa_frame_cache_insert(frames, pc, leaf, &complex, epoch);
	}
	return rule;
}

/*
 * By the frame pointer, which may be that of any outer frame: the function that was called there
 * must be the one of this frame, and must have set it.
 */
static bool step_framed(struct walk *walk)
{
	const struct pa_rule chain = { .kind = PA_RULE_CHAIN };
	uintptr_t pc = walk->cursor.pc, start;
	return step_walk(walk, &chain) && pa_unwind_calls_find(walk->cursor.pc, &start) &&
		pa_epilogue_frame_is_set(&pa_unwind_calls_code, start, pc);
}

/* A frame whose code says what no rule can; see unwind_assembly.h. */
static bool step_by_assembly(struct walk *walk)
{
	struct pa_unwind_assembly frame;
	bool is_near = walk->steps <= 1 && walk->leaf == !walk->steps;
	const struct pa_regs *first =
		is_near && walk->first.known == ALL_REGS ? &walk->first.regs : NULL;
	if (!pa_unwind_assembly_find(&walk->cursor, walk->leaf, first, &frame))
		return false;
	struct pa_cursor to = { .sp = frame.cfa, .bp = walk->cursor.bp };
	uintptr_t bp_at = frame.cfa + (uintptr_t)frame.bp_offset;
	if (!copy_word(walk, frame.cfa - sizeof(to.pc), &to.pc) ||
		(frame.bp_offset && !copy_word(walk, bp_at, &to.bp)))
		return false;
	walk->cursor = to;
	walk->bp_known = !frame.bp_lost && (walk->bp_known || frame.bp_offset);
	walk->leaf = false;
	walk->chained = true; /* the return address is to be proven */
	return true;
}

/*
 * A frame of a file's code that no table describes. Where its code does not say enough (it does not
 * return, or jumps by a table) walkers leave each such frame to the collector. If no call is in
 * front of it either, it has no caller: a coroutine's first function would return there.
 */
static bool step_in_file(struct walk *walk, struct pa_frame_cache *frames, bool is_new)
{
	const uintptr_t pc = walk->cursor.pc;
	const bool leaf = walk->leaf;
	struct pa_rule by_code;
	PA_ASSERT(walk->by_code.kind == PA_RULE_NONE);
	if (is_new && find_by_code(pc, leaf, &by_code))
		return step_by_code(walk, &by_code);
	bool stepped = step_by_assembly(walk) || step_framed(walk);
	walk->ended = !stepped && !leaf && !pa_unwind_calls_may_return_to(pc);
	const struct pa_rule rule = { .kind = walk->ended ? PA_RULE_END : PA_RULE_COMPLEX };
	if (is_new && frames)
		pa_frame_cache_insert(frames, pc, leaf, &rule, walk->epoch);
	return stepped;
}

static bool step_by_rule(struct walk *walk, struct pa_frame_cache *frames,
	const struct pa_rule *rule, bool is_new)
{
	struct pa_rule by_code;
	uintptr_t at = walk->leaf ? walk->cursor.pc : walk->cursor.pc - 1;
	bool bare = rule->kind == PA_RULE_CHAIN ||
		(rule->kind == PA_RULE_COMPLEX && pa_cfi_find(&state.cfi, at) == -ENOENT);
	if (bare && is_of_file(at))
		return step_in_file(walk, frames, is_new);
	if (is_new && is_refuted_by_code(walk, rule, &by_code))
		return step_by_code(walk, &by_code);
	return step_walk(walk, rule);
}

/* Appends frames to pcs until the stack ends, breaks or reaches max. */
static void run_walk(struct walk *walk, struct pa_frame_cache *frames, uintptr_t *pcs, uint32_t max,
	struct pa_unwind_result *result)
{
	PA_ASSERT(result->depth <= max);
	/* Ends: each step adds a frame, up to max. */
	for (;; walk->steps++) {
		uintptr_t pc = walk->cursor.pc;
		/* Stacks created by the program end with a null return address. */
		result->complete = pc == 0;
		if (pc < PA_PAGE_BYTES || pc >= PA_ADDRESS_LIMIT)
			return;
		result->cut = result->depth >= max;
		if (result->cut)
			return;
		uintptr_t at = walk->leaf ? pc : pc - 1;
		bool known = pa_maps_find(at);
		if (walk->chained && !known && pa_unwind_calls_is_behind_call(pc))
			result->unmapped = at;
		/* Check before learning its rule: walks trust a pc that has a rule. */
		if (walk->chained && (!known || !is_return_address(pc)))
			return;
		keep_by_code(walk, frames);
		bool is_new;
		struct pa_rule rule = rule_of(frames, walk->epoch, pc, walk->leaf, &is_new);
		if (rule.kind == PA_RULE_CHAIN && !known) {
			result->unmapped = at;
			if (!walk->leaf)
				return;
		}
		pcs[result->depth++] = pc;
		result->complete = rule.kind == PA_RULE_END;
		result->late = rule.kind == PA_RULE_NONE;
		if (result->complete || result->late)
			return;
		bool stepped = step_by_rule(walk, frames, &rule, is_new);
		result->complete = walk->ended;
		if (!stepped)
			return;
	}
}

/* Outside of a signal frame that was walked already, only the cursor is known. */
static uint32_t known_regs(const struct pa_deferred *deferred, uint32_t depth)
{
	PA_ASSERT(deferred->few_regs <= 1);
	if (deferred->few_regs)
		return FEW_REGS;
	return deferred->leaf && depth == 0 ? ALL_REGS : FEW_REGS | 1u << PA_REG_BP;
}

static struct walk start_walk(const struct pa_event *event)
{
	const struct pa_deferred *deferred = pa_event_deferred(event);
	return (struct walk){
		.cursor = pa_arch_cursor(&deferred->regs),
		.leaf = deferred->leaf,
		.bp_known = !deferred->few_regs,
		.epoch = (uint32_t)event->value[1],
		.first = { .regs = deferred->regs,
			.known = known_regs(deferred, event->depth),
			.read = copy_word },
		.bytes = (const char *)(deferred + 1),
		.from = deferred->stack_at,
		.limit = deferred->stack_at + deferred->stack_bytes,
		.to_stack_end = deferred->to_stack_end,
	};
}

/*
 * Once more on the stack of a blocked thread itself, where its copy was too short. False: it has
 * run meanwhile.
 */
static bool finish_live(const struct pa_event *event, struct pa_frame_cache *frames, uintptr_t *pcs,
	uint32_t max, struct pa_unwind_result *result)
{
	struct walk walk = start_walk(event);
	const struct pa_cursor *cursor = &walk.cursor;
	struct pa_live_stack live;
	PA_ASSERT(!event->depth);
	if (!pa_live_stack_begin(&live, event->tid, cursor->sp, cursor->pc))
		return false;
	walk.first.read_arg = &walk;
	walk.live = true;
	*result = (struct pa_unwind_result){ .depth = 0 };
	run_walk(&walk, frames, pcs, max, result);
	return pa_live_stack_is_same(&live);
}

static void finish_copy(const struct pa_event *event, struct pa_frame_cache *frames, uintptr_t *pcs,
	uint32_t max, struct pa_unwind_result *result)
{
	struct walk walk = start_walk(event);
	walk.first.read_arg = &walk;
	run_walk(&walk, frames, pcs, max, result);
	/* No copy is that long. */
	bool is_useless = !pa_event_deferred(event)->few_regs &&
		walk.needed > 4 * (uint64_t)PA_COPY_SIZE_MAX_BYTES;
	result->stack_bytes = is_useless ? 0 : walk.needed;
	result->is_short = !result->complete && !result->cut &&
		walk.needed > pa_event_deferred(event)->stack_bytes;
}

struct pa_unwind_result pa_unwind_finish(const struct pa_event *event,
	struct pa_frame_cache *frames, uintptr_t *pcs, uint32_t max)
{
	PA_ASSERT(pcs && max);
	pa_registered_event(event->time_ns);
	uint32_t depth = event->depth, flags = event->flags;
	const struct pa_deferred *deferred = pa_event_deferred(event);
	struct pa_unwind_result result = { .depth = depth < max ? depth : max };
	memcpy(pcs, pa_event_pcs(event), result.depth * sizeof(*pcs));
	result.cut = depth > max || flags & PA_EVENT_CUT;
	result.complete = !result.cut && !(flags & PA_EVENT_BROKEN);
	if (result.cut || !deferred)
		return result;
	struct pa_unwind_result before = result;
	finish_copy(event, frames, pcs, max, &result);
	if (deferred->few_regs) {
		bool is_short = result.stack_bytes > deferred->stack_bytes;
		bool is_whole = !is_short || finish_live(event, frames, pcs, max, &result);
		if (!is_whole) {
			result = before;
			finish_copy(event, frames, pcs, max, &result);
		}
		result.stack_bytes = 0;
	}
	PA_ASSERT(result.depth <= max);
	return result;
}

void pa_unwind_follow_tables(struct pa_frame_cache *frames)
{
	uint64_t count = pa_registered_count();
	if (count == state.followed)
		return;
	state.followed = count;
	if (frames && state.guessed)
		pa_frame_cache_forget_kind(frames, PA_RULE_CHAIN);
	state.guessed = false;
}
