#include "symbols.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/seat.h"
#include "symbols_load.h"
#include "symbols_memory.h"
#include "symbols_names.h"

/* Time for debug information that one request may take; then names must do until the next one. */
#define DEBUG_BUDGET_NS (2 * PA_NS_PER_S)
/* So long without a lookup means another request. */
#define SILENCE_NS PA_NS_PER_S
/* Symbol tables that are kept between requests. */
#define TABLES_KEPT_BYTES ((size_t)12 << 20)
#define FIRST_SLOTS 4096
#define STUB_NAME_BYTES 512

/* What was found for a location. */
struct answer {
	uintptr_t pc;
	const struct pa_module *module;
	uint32_t count;
	uint32_t cut_in; /* the request in which time ran out for it; 0: this is all there is */
	struct pa_frame frames[];
};

static struct {
	enum pa_symbols_mode mode;
	struct answer **slots; /* by hash, open addressing, at most half full */
	uint32_t answer_count, slot_count;
	uint32_t request;      /* number of the current one */
	int64_t spent_ns;      /* on debug information in it */
	int64_t last_ns;       /* end of the last look into debug information */
	struct pa_module *last_module; /* of pa_symbols_at */
	PA_ATOMIC(bool) busy;  /* relaxed: only tells a forked child about its parent */
} state = { .request = 1 };

static struct pa_function pseudo_functions[PA_PSEUDO_LIMIT] = {
#define PSEUDO(text) { .name = (text), .system_name = (text), .file = "" }
	[PA_PSEUDO_LOST] = PSEUDO("pprofagent.lostEvents"),
	[PA_PSEUDO_BROKEN] = PSEUDO("[no unwind information]"),
	[PA_PSEUDO_CUT] = PSEUDO("[stack depth limit]"),
	[PA_PSEUDO_NO_ANSWER] = PSEUDO("[no answer]"),
#undef PSEUDO
};

PA_AGENT void pa_symbols_init(enum pa_symbols_mode mode)
{
	state.mode = mode;
}

/* ---------------------------------------------------------------- answers known */

static uint64_t slot_of(uintptr_t pc, const struct pa_module *module)
{
	uint64_t hash = (pc ^ module->id) * 0x9e3779b97f4a7c15u;

	return hash ^ hash >> 32;
}

/* The slot of the location's answer, or the empty one where it belongs. The table is not empty. */
static struct answer **find_slot(uintptr_t pc, const struct pa_module *module)
{
	for (uint64_t i = slot_of(pc, module);; i++) {
		struct answer **slot = &state.slots[i & (state.slot_count - 1)];

		if (!*slot || ((*slot)->pc == pc && (*slot)->module == module))
			return slot;
	}
}

static bool has_room(void)
{
	uint32_t old_count = state.slot_count;
	struct answer **old = state.slots;

	if (2 * state.answer_count < old_count)
		return true;
	uint32_t count = old_count ? 2 * old_count : FIRST_SLOTS;
	struct answer **slots = pa_map(count * sizeof(*slots));
	if (!slots)
		return false;
	state.slots = slots;
	state.slot_count = count;
	for (uint32_t i = 0; i < old_count; i++) {
		if (old[i])
			*find_slot(old[i]->pc, old[i]->module) = old[i];
	}
	if (old)
		pa_unmap(old, old_count * sizeof(*old));
	return true;
}

static void remember(const struct pa_loc *loc, const struct pa_frame *frames, uint32_t count,
	uint32_t cut_in)
{
	size_t bytes = count * sizeof(*frames);
	struct answer **slot, *answer;

	if (!has_room())
		return;
	slot = find_slot(loc->pc, loc->module);
	answer = *slot;
	if (!answer || answer->count != count) {
		answer = pa_symbols_names_alloc(sizeof(*answer) + bytes);
		if (!answer)
			return;
		state.answer_count += !*slot;
	}
	answer->pc = loc->pc;
	answer->module = loc->module;
	answer->count = count;
	answer->cut_in = cut_in;
	memcpy(answer->frames, frames, bytes);
	*slot = answer;
}

static void begin_request(void)
{
	state.spent_ns = 0;
	state.request++;
	state.request += state.request == 0;
}

/* The time now. */
static int64_t notice_silence(void)
{
	int64_t now_ns = pa_clock_mono_ns();

	if (now_ns - state.last_ns > SILENCE_NS)
		begin_request();
	return now_ns;
}

static const struct answer *recall(const struct pa_loc *loc)
{
	const struct answer *answer = state.slots ? *find_slot(loc->pc, loc->module) : NULL;

	if (answer && answer->cut_in)
		notice_silence();
	return answer && (answer->cut_in == 0 || answer->cut_in == state.request) ? answer : NULL;
}

/* ---------------------------------------------------------------- finding answers */

static struct pa_symbols *symbols_of(struct pa_module *module)
{
	if (!module->symbols)
		module->symbols = pa_symbols_names_alloc(sizeof(*module->symbols));
	if (module->symbols)
		pa_symbols_load_table(module, module->symbols);
	return module->symbols;
}

/* The function that has the code, by tables alone. */
static struct pa_function *function_by_table(const struct pa_module *module,
	const struct pa_symbols *symbols, uintptr_t pc)
{
	struct pa_symbols_function wanted = { .file = "" };
	struct pa_symbols_match match;
	char stub[STUB_NAME_BYTES];

	if (pa_symbols_table_find(&symbols->table, pc - symbols->bias, &match)) {
		wanted.system_name = match.name;
		wanted.system_name_bytes = match.name_bytes;
		wanted.entry = match.start + symbols->bias;
	} else if (pa_symbols_memory_stub(module, pc, stub, sizeof(stub), &wanted.entry)) {
		wanted.system_name = stub;
		wanted.system_name_bytes = strlen(stub);
	} else {
		return NULL;
	}
	return pa_symbols_names_function(&wanted);
}

/* The functions at pc by debug information. *cut: there was no time for it. */
static uint32_t scopes_at(const struct pa_module *module, struct pa_symbols *symbols, uintptr_t pc,
	struct pa_symbols_scope *scopes, bool *cut)
{
	int64_t now_ns = notice_silence();
	int64_t deadline_ns = now_ns + DEBUG_BUDGET_NS - state.spent_ns;
	uint32_t count = 0;

	*cut = true;
	if (now_ns >= deadline_ns)
		return 0;
	if (pa_symbols_load_debug(module, symbols, deadline_ns))
		count = pa_symbols_dwarf_find(symbols->dwarf, pc - symbols->bias, scopes,
			PA_SYMBOLS_INLINE_MAX, deadline_ns);
	state.last_ns = pa_clock_mono_ns();
	state.spent_ns += state.last_ns - now_ns;
	*cut = count == 0 && state.last_ns >= deadline_ns;
	return count;
}

/* A path that is relative to a directory: the whole, in out, if that says more. */
static const char *full_path(char *out, size_t size, const char *dir, const char *file)
{
	if (!file || file[0] == '/' || !dir || dir[0] != '/' ||
			snprintf(out, size, "%s/%s", dir, file) >= (int)size)
		return file;
	return out;
}

/* The function of a scope; of_code: what the symbol table says of the outermost one, or NULL. */
static struct pa_function *function_of(const struct pa_symbols_scope *scope,
	const struct pa_symbols_match *of_code, uintptr_t bias)
{
	char file[PATH_MAX], declared_in[PATH_MAX];
	const char *declared = full_path(declared_in, sizeof(declared_in), scope->declared_dir,
		scope->declared_in);
	struct pa_symbols_function wanted = {
		.system_name = scope->linkage ? scope->linkage : scope->name,
		.file = full_path(file, sizeof(file), scope->dir, scope->file),
		.entry = scope->start ? scope->start + bias : 0,
	};

	/* The function's own place means something only if its code is in the same file. */
	if (!wanted.file)
		wanted.file = declared;
	if (wanted.file && declared && strcmp(wanted.file, declared) == 0)
		wanted.start_line = scope->declared_at;
	if (of_code) {
		wanted.system_name = of_code->name;
		wanted.system_name_bytes = of_code->name_bytes;
		wanted.entry = of_code->start + bias;
	} else if (wanted.system_name) {
		wanted.system_name_bytes = strlen(wanted.system_name);
	} else {
		return NULL;
	}
	return pa_symbols_names_function(&wanted);
}

static uint32_t frames_of_scopes(const struct pa_symbols *symbols, uintptr_t pc,
	const struct pa_symbols_scope *scopes, uint32_t count, struct pa_frame *frames)
{
	struct pa_symbols_match match;
	bool known = pa_symbols_table_find(&symbols->table, pc - symbols->bias, &match);
	uint32_t named = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct pa_symbols_match *of_code = known && i == count - 1 ? &match : NULL;

		frames[named].function = function_of(&scopes[i], of_code, symbols->bias);
		frames[named].line = scopes[i].line;
		named += frames[named].function != NULL;
	}
	return named;
}

/* At most PA_SYMBOLS_INLINE_MAX frames. */
static uint32_t find_frames(struct pa_module *module, uintptr_t pc, struct pa_frame *frames,
	bool *cut)
{
	struct pa_symbols_scope scopes[PA_SYMBOLS_INLINE_MAX];
	struct pa_symbols *symbols = symbols_of(module);
	uint32_t count = 0;

	*cut = false;
	if (!symbols)
		return 0;
	if (state.mode == PA_SYMBOLS_LINES && module->is_elf)
		count = scopes_at(module, symbols, pc, scopes, cut);
	if (count)
		count = frames_of_scopes(symbols, pc, scopes, count, frames);
	if (count)
		return count;
	frames->function = function_by_table(module, symbols, pc);
	frames->line = 0;
	return frames->function != NULL;
}

static uint32_t lookup(const struct pa_loc *loc, struct pa_frame *frames)
{
	const struct answer *answer = recall(loc);
	uint32_t count;
	bool cut;

	if (answer) {
		memcpy(frames, answer->frames, answer->count * sizeof(*frames));
		return answer->count;
	}
	count = find_frames(loc->module, loc->pc, frames, &cut);
	remember(loc, frames, count, cut ? state.request : 0);
	return count;
}

PA_AGENT uint32_t pa_symbols_lookup(const struct pa_loc *loc, struct pa_frame *frames,
	uint32_t max)
{
	struct pa_frame found[PA_SYMBOLS_INLINE_MAX];
	uint32_t count = 0;

	pa_seat_mind(); /* nothing is half done here, and a profile has thousands of these */
	if (max == 0 || loc->pc == PA_PSEUDO_NONE)
		return 0;
	if (loc->pc < PA_PSEUDO_LIMIT) {
		frames[0] = (struct pa_frame){ &pseudo_functions[loc->pc], 0 };
		return 1;
	}
	if (!loc->module)
		return 0;
	if (state.mode != PA_SYMBOLS_NONE) {
		pa_store_relaxed(&state.busy, true);
		count = lookup(loc, found);
		pa_store_relaxed(&state.busy, false);
	}
	/* Too many: the inner ones go, since all of them lie in the outermost one's code. */
	uint32_t first = count > max ? count - max : 0;
	memcpy(frames, found + first, (count - first) * sizeof(*frames));
	return count - first;
}

/* ---------------------------------------------------------------- by address */

static bool has_code(const struct pa_module *module, uintptr_t address)
{
	if (pa_load_relaxed(&module->dead))
		return false;
	for (uint32_t i = 0; i < module->segment_count; i++) {
		if (address - module->segments[i].start <
				module->segments[i].limit - module->segments[i].start)
			return true;
	}
	return false;
}

/* Without the tables' lock: modules never go away, and those that are dead are passed over. */
static struct pa_module *module_at(uintptr_t address)
{
	if (state.last_module && has_code(state.last_module, address))
		return state.last_module;
	for (uint32_t id = pa_maps_count(); id > 0; id--) {
		struct pa_module *module = pa_maps_get(id);

		if (module && has_code(module, address)) {
			state.last_module = module;
			return module;
		}
	}
	return NULL;
}

PA_AGENT struct pa_function *pa_symbols_at(uintptr_t address)
{
	struct pa_module *module = state.mode == PA_SYMBOLS_NONE ? NULL : module_at(address);
	struct pa_function *function = NULL;
	struct pa_symbols *symbols;

	if (!module)
		return NULL;
	pa_store_relaxed(&state.busy, true);
	symbols = symbols_of(module);
	if (symbols)
		function = function_by_table(module, symbols, address);
	pa_store_relaxed(&state.busy, false);
	return function;
}

/* ---------------------------------------------------------------- giving back */

PA_AGENT void pa_symbols_rest(void)
{
	size_t kept = 0;

	pa_store_relaxed(&state.busy, true);
	for (uint32_t id = 1; id <= pa_maps_count(); id++) {
		struct pa_module *module = pa_maps_get(id);
		struct pa_symbols *symbols = module ? module->symbols : NULL;

		if (!symbols)
			continue;
		pa_symbols_load_drop_debug(symbols);
		kept += pa_symbols_table_bytes(&symbols->table);
		if (kept > TABLES_KEPT_BYTES) {
			kept -= pa_symbols_table_bytes(&symbols->table);
			pa_symbols_load_drop_table(symbols);
		}
	}
	begin_request();
	pa_store_relaxed(&state.busy, false);
}

PA_BOOT void pa_symbols_reset(void)
{
	enum pa_symbols_mode mode = state.mode;

	state.last_module = NULL;
	if (!pa_load_relaxed(&state.busy))
		return;
	/* The thread that was working is not in this process: what it held may be half done, and is
	 * neither used nor freed. */
	for (uint32_t id = 1; id <= pa_maps_count(); id++) {
		struct pa_module *module = pa_maps_get(id);

		if (module)
			module->symbols = NULL;
	}
	pa_symbols_names_reset();
	memset(&state, 0, sizeof(state));
	state.mode = mode;
	state.request = 1;
}
