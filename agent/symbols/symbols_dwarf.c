/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_dwarf.h"

#include <dwarf.h>
#include <errno.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "symbols.h"
#include "symbols_guard.h"
#include "symbols_split.h"

#define MAX_SCOPE_DEPTH 64
/* Longest chain of references between the entries of one function. */
#define MAX_ORIGINS 16
/* Memory for the strings of one answer. */
#define TEXT_BYTES ((size_t)256 << 10)
/* A unit that could not be completed in this many requests, each with twice the time of the one
 * before, gets no lines. Only requests with at least WHOLE_TRY_NS left count. */
#define MAX_TRIES 4
#define WHOLE_TRY_NS PA_NS_PER_S

struct pa_symbols_dwarf {
	struct pa_symbols_debug own, shared;
	struct pa_symbols_clock clock;
	bool lost; /* libdw was left by longjmp(): must not be used again */
	size_t text_used;
	char text[TEXT_BYTES];
};

/* ---------------------------------------------------------------- opening */

static void take_over(struct pa_symbols_elf *to, struct pa_symbols_elf *from)
{
	*to = *from;
	memset(from, 0, sizeof(*from));
	from->fd = -1;
}

PA_AGENT bool pa_symbols_dwarf_present(const struct pa_symbols_elf *file)
{
	return pa_symbols_elf_find(file, ".debug_info") ||
		pa_symbols_elf_find(file, ".zdebug_info");
}

static int open_debug_file(struct pa_symbols_dwarf *dwarf, struct pa_symbols_debug *file,
	struct pa_symbols_elf *elf, struct pa_symbols_units *units)
{
	struct pa_symbols_source sources[PA_SYMBOLS_PART_COUNT];

	take_over(&file->elf, elf);
	file->units = units;
	file->clock = &dwarf->clock;
	if (!pa_symbols_image_list(&file->elf, "", sources))
		return -ENODATA;
	return pa_symbols_unit_open_file(file, sources);
}

PA_AGENT struct pa_symbols_dwarf *pa_symbols_dwarf_open(struct pa_symbols_elf *file,
	struct pa_symbols_elf *shared, struct pa_symbols_known *known, int *error)
{
	struct pa_symbols_dwarf *dwarf = pa_map(sizeof(*dwarf));

	*error = -ENOMEM;
	if (!dwarf) {
		pa_symbols_elf_close(file);
		if (shared)
			pa_symbols_elf_close(shared);
		return NULL;
	}
	dwarf->own.elf.fd = dwarf->shared.elf.fd = -1;
	*error = open_debug_file(dwarf, &dwarf->own, file, &known->own);
	if (shared && open_debug_file(dwarf, &dwarf->shared, shared, &known->shared) == 0)
		dwarf->own.shared = &dwarf->shared;
	if (*error == 0)
		return dwarf;
	pa_symbols_dwarf_close(dwarf);
	return NULL;
}

static void close_files(void *arg)
{
	struct pa_symbols_dwarf *dwarf = arg;

	pa_symbols_split_close(&dwarf->own);
	pa_symbols_unit_close_file(&dwarf->own);
	pa_symbols_unit_close_file(&dwarf->shared);
}

PA_AGENT void pa_symbols_dwarf_close(struct pa_symbols_dwarf *dwarf)
{
	if (!dwarf->lost)
		pa_symbols_guard(close_files, dwarf);
	pa_symbols_split_abandon(&dwarf->own);
	pa_symbols_image_free(&dwarf->own.image);
	pa_symbols_image_free(&dwarf->shared.image);
	pa_symbols_elf_close(&dwarf->own.elf);
	pa_symbols_elf_close(&dwarf->shared.elf);
	pa_unmap(dwarf, sizeof(*dwarf));
}

struct listing {
	struct pa_symbols_dwarf *dwarf;
	const struct pa_symbols_wants *wants;
	bool wanted;
};

static void list_units(void *arg)
{
	struct listing *listing = arg;
	struct pa_symbols_dwarf *dwarf = listing->dwarf;

	if (!dwarf->own.units->complete)
		pa_symbols_split_close(&dwarf->own);
	if (dwarf->own.shared)
		pa_symbols_unit_list(&dwarf->shared, false, NULL);
	if (!dwarf->clock.late)
		listing->wanted = pa_symbols_unit_list(&dwarf->own, true, listing->wants);
}

PA_AGENT bool pa_symbols_dwarf_list(struct pa_symbols_dwarf *dwarf, int64_t deadline_ns, bool *late)
{
	pa_symbols_dwarf_list_to_wanted(dwarf, NULL, deadline_ns);
	*late = !dwarf->lost && dwarf->clock.late;
	return !dwarf->lost && dwarf->own.units->complete;
}

PA_AGENT bool pa_symbols_dwarf_list_to_wanted(struct pa_symbols_dwarf *dwarf,
	const struct pa_symbols_wants *wants, int64_t deadline_ns)
{
	struct listing listing = { .dwarf = dwarf, .wants = wants };

	if (dwarf->lost)
		return false;
	dwarf->clock = (struct pa_symbols_clock){ .deadline_ns = deadline_ns };
	if (!pa_symbols_guard(list_units, &listing))
		dwarf->lost = true;
	return !dwarf->lost && listing.wanted;
}

PA_AGENT uint32_t pa_symbols_dwarf_unit(const struct pa_symbols_dwarf *dwarf, uint64_t address)
{
	const struct pa_symbols_units *units = dwarf->own.units;
	const struct pa_symbols_listed *listed =
		units->complete ? pa_symbols_units_of_code(units, address) : NULL;

	return listed ? (uint32_t)(listed - units->at) + 1 : 0;
}

/* ---------------------------------------------------------------- entries */

/* Position of an entry. */
struct place {
	struct pa_symbols_unit *unit;
	Dwarf_Die die;
};

/* Reference to another unit, of the unit's offset size. */
static uint64_t far_reference(const Dwarf_Attribute *attribute)
{
	Dwarf_Half version;
	uint8_t address_bytes, offset_bytes;
	uint64_t offset = 0;
	size_t bytes;

	if (dwarf_cu_info(attribute->cu, &version, NULL, NULL, NULL, NULL, &address_bytes,
		    &offset_bytes) != 0)
		return UINT64_MAX;
	bytes = version == 2 && attribute->form == DW_FORM_ref_addr ? address_bytes : offset_bytes;
	if (attribute->form == DW_FORM_ref_sup4)
		bytes = sizeof(uint32_t);
	if (attribute->form == DW_FORM_ref_sup8)
		bytes = sizeof(uint64_t);
	memcpy(&offset, attribute->valp, bytes);
	return offset;
}

/* keep: stays open meanwhile. */
static bool go_to(struct place *place, struct pa_symbols_debug *file, uint64_t offset,
	const struct pa_symbols_unit *keep)
{
	struct pa_symbols_listed *listed =
		file ? pa_symbols_units_around(file->units, offset) : NULL;

	if (!listed && file && !file->units->complete)
		place->unit->file->clock->late = true;
	struct pa_symbols_unit *unit = listed ? pa_symbols_unit_open(file, listed, keep) : NULL;

	if (!unit || !dwarf_offdie(unit->dwarf, offset - listed->at, &place->die))
		return false;
	place->unit = unit;
	return true;
}

/* Moves to the entry that this one refers to for its missing attributes. */
static bool go_to_origin(struct place *place, const struct pa_symbols_unit *keep)
{
	struct pa_symbols_debug *file = place->unit->file;
	Dwarf_Attribute attribute;

	if (!dwarf_attr(&place->die, DW_AT_abstract_origin, &attribute) &&
		!dwarf_attr(&place->die, DW_AT_specification, &attribute))
		return false;
	switch (attribute.form) {
	case DW_FORM_ref_addr: return go_to(place, file, far_reference(&attribute), keep);
	case DW_FORM_GNU_ref_alt:
	case DW_FORM_ref_sup4:
	case DW_FORM_ref_sup8: return go_to(place, file->shared, far_reference(&attribute), keep);
	case DW_FORM_ref_sig8: return false; /* a type */
	default: return dwarf_formref_die(&attribute, &place->die) != NULL;
	}
}

/* Copies text for the life of the answer; NULL: none, or no room. */
static const char *keep_scope_text(struct pa_symbols_dwarf *dwarf,
	const struct pa_symbols_unit *unit, const char *text)
{
	char *copy = dwarf->text + dwarf->text_used;

	text = pa_symbols_unit_text(unit, text);
	size_t bytes = text ? strlen(text) + 1 : 0;
	if (bytes == 0 || bytes > sizeof(dwarf->text) - dwarf->text_used)
		return NULL;
	memcpy(copy, text, bytes);
	dwarf->text_used += bytes;
	return copy;
}

static const char *scope_text(struct pa_symbols_dwarf *dwarf, struct place *place, unsigned name)
{
	Dwarf_Attribute attribute;

	if (!dwarf_attr(&place->die, name, &attribute))
		return NULL;
	return keep_scope_text(dwarf, place->unit, dwarf_formstring(&attribute));
}

static bool die_number(Dwarf_Die *die, unsigned name, Dwarf_Word *value)
{
	Dwarf_Attribute attribute;

	return dwarf_attr(die, name, &attribute) && dwarf_formudata(&attribute, value) == 0;
}

/* File of that number in the unit's line table. */
static const char *line_table_file(struct pa_symbols_dwarf *dwarf, struct pa_symbols_unit *unit,
	Dwarf_Word number)
{
	struct pa_symbols_image *image = &unit->file->image;
	Dwarf_Files *files;
	size_t count;

	/* A .dwo file has a table of files or refers to that of its skeleton. */
	if (unit->skeleton && pa_symbols_image_bytes(image, PA_SYMBOLS_PART_LINE) == 0)
		unit = unit->skeleton;
	if (!(unit->skeleton ? pa_symbols_image_load_all(image, PA_SYMBOLS_PART_LINE) :
			       pa_symbols_unit_load_lines(unit)) ||
		dwarf_getsrcfiles(&unit->root, &files, &count) != 0 || number >= count)
		return NULL;
	return keep_scope_text(dwarf, unit, dwarf_filesrc(files, number, NULL, NULL));
}

static void add_scope_names(struct pa_symbols_dwarf *dwarf, struct pa_symbols_scope *scope,
	struct place *place)
{
	Dwarf_Word value;

	if (!scope->linkage)
		scope->linkage = scope_text(dwarf, place, DW_AT_linkage_name);
	if (!scope->linkage)
		scope->linkage = scope_text(dwarf, place, DW_AT_MIPS_linkage_name);
	if (!scope->name)
		scope->name = scope_text(dwarf, place, DW_AT_name);
	if (!scope->declared_in && die_number(&place->die, DW_AT_decl_file, &value)) {
		scope->declared_in = line_table_file(dwarf, place->unit, value);
		scope->declared_dir = keep_scope_text(dwarf, place->unit, place->unit->directory);
	}
	if (!scope->declared_at && die_number(&place->die, DW_AT_decl_line, &value) &&
		value <= INT32_MAX)
		scope->declared_at = (uint32_t)value;
}

static void set_names(struct pa_symbols_dwarf *dwarf, struct pa_symbols_scope *scope,
	struct pa_symbols_unit *unit, const Dwarf_Die *die)
{
	struct place place = { unit, *die };
	unsigned steps = 0;

	do
		add_scope_names(dwarf, scope, &place);
	while (++steps < MAX_ORIGINS && !dwarf->clock.late && go_to_origin(&place, unit));
}

/* ---------------------------------------------------------------- functions at an address */

struct query {
	struct pa_symbols_dwarf *dwarf;
	uint64_t address;
	struct pa_symbols_scope *scopes;
	uint32_t max, count;
	struct pa_symbols_unit *unit;
	Dwarf_Die chain[MAX_SCOPE_DEPTH]; /* the function, then the inlined ones, outermost first */
	uint32_t chain_count;
	uint64_t start, end; /* of the function */
};

/*
 * The entry's code includes the address. Range lists of a split unit may be relative to the start
 * of its skeleton's code, which libdw does not know: all code is inside the function.
 */
static bool entry_has_code(const struct query *query, Dwarf_Die *die)
{
	uint64_t shift = query->unit->base;
	Dwarf_Addr base, low, high;
	ptrdiff_t offset = 0;

	if (shift == 0 || dwarf_hasattr(die, DW_AT_low_pc))
		return dwarf_haspc(die, query->address) > 0;
	while ((offset = dwarf_ranges(die, offset, &base, &low, &high)) > 0) {
		if (low >= query->start && low < query->end)
			shift = 0;
		if (query->address - shift >= low && query->address - shift < high)
			return true;
	}
	return false;
}

static bool is_block(int tag)
{
	return tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
		tag == DW_TAG_try_block || tag == DW_TAG_catch_block || tag == DW_TAG_with_stmt;
}

/* Finds the block of parent that contains the address. */
static bool find_block(const struct query *query, Dwarf_Die *parent, Dwarf_Die *block)
{
	if (dwarf_child(parent, block) != 0)
		return false;
	do {
		if (is_block(dwarf_tag(block)) && entry_has_code(query, block))
			return true;
	} while (!pa_symbols_unit_is_late(&query->dwarf->clock) &&
		dwarf_siblingof(block, block) == 0);
	return false;
}

static void find_chain(struct query *query, const struct pa_symbols_range *function)
{
	Dwarf_Die block = { .addr = NULL }, inner;

	if (!dwarf_offdie(query->unit->dwarf, function->what, &block))
		return;
	query->chain[query->chain_count++] = block;
	query->start = function->low;
	query->end = function->high;
	/* Blocks may nest deeper than inlined functions; the clock bounds both. */
	while (query->chain_count < MAX_SCOPE_DEPTH && find_block(query, &block, &inner)) {
		block = inner;
		if (dwarf_tag(&block) == DW_TAG_inlined_subroutine)
			query->chain[query->chain_count++] = block;
		if (pa_symbols_unit_is_late(&query->dwarf->clock))
			break;
	}
}

/* Sets the call site of an inlined function, which is a line of the function around it. */
static void set_call_site(struct query *query, struct pa_symbols_scope *scope, Dwarf_Die *inlined)
{
	Dwarf_Word value;

	if (die_number(inlined, DW_AT_call_line, &value) && value < INT32_MAX)
		scope->line = (uint32_t)value;
	if (die_number(inlined, DW_AT_call_file, &value)) {
		scope->file = line_table_file(query->dwarf, query->unit, value);
		scope->dir = keep_scope_text(query->dwarf, query->unit, query->unit->directory);
	}
}

static void set_line(struct query *query, struct pa_symbols_scope *scope)
{
	struct pa_symbols_unit *unit = query->unit->skeleton ? query->unit->skeleton : query->unit;
	bool end = false;
	int number = 0;

	if (!pa_symbols_unit_load_lines(unit))
		return;
	Dwarf_Line *line = dwarf_getsrc_die(&unit->root, query->address);
	if (!line || (dwarf_lineendsequence(line, &end) == 0 && end))
		return;
	scope->file = keep_scope_text(query->dwarf, unit, dwarf_linesrc(line, NULL, NULL));
	scope->dir = keep_scope_text(query->dwarf, unit, unit->directory);
	if (dwarf_lineno(line, &number) == 0 && number > 0)
		scope->line = (uint32_t)number;
}

/* Converts the chain to scopes, innermost first. If there are too many, those before the outermost
 * are left out. */
static void fill_scopes(struct query *query)
{
	uint32_t all = query->chain_count;

	for (uint32_t i = all; i-- > 0;) {
		struct pa_symbols_scope *scope = &query->scopes[query->count];

		if (query->count == query->max - 1 && i > 0)
			continue;
		memset(scope, 0, sizeof(*scope));
		set_names(query->dwarf, scope, query->unit, &query->chain[i]);
		if (i == all - 1)
			set_line(query, scope);
		else
			set_call_site(query, scope, &query->chain[i + 1]);
		query->count++;
	}
	if (all)
		query->scopes[query->count - 1].start = query->start;
}

/* Assembly has line tables but no functions. A split unit gets nothing here: its line would be that
 * of an inlined function. */
static void fill_line(struct query *query)
{
	memset(query->scopes, 0, sizeof(*query->scopes));
	if (query->unit->listed->type == DW_UT_skeleton)
		return;
	set_line(query, query->scopes);
	query->count = query->scopes->file != NULL;
}

static void answer_query(void *arg)
{
	struct query *query = arg;
	struct pa_symbols_dwarf *dwarf = query->dwarf;
	struct pa_symbols_listed *listed =
		pa_symbols_units_of_code(dwarf->own.units, query->address);
	const struct pa_symbols_range *range;

	int64_t left_ns = dwarf->clock.deadline_ns - pa_clock_thread_cpu_ns();

	dwarf->clock.late = left_ns <= 0 || (!listed && !dwarf->own.units->complete);
	if (!listed || listed->tries == MAX_TRIES || dwarf->clock.late)
		return;
	dwarf->clock.deadline_ns += left_ns * ((1 << listed->tries) - 1);
	if (pa_symbols_unit_tidy(&dwarf->own))
		pa_symbols_split_close(&dwarf->own);
	pa_symbols_unit_tidy(&dwarf->shared);
	query->unit = pa_symbols_unit_open(&dwarf->own, listed, NULL);
	if (!query->unit)
		return;
	if (listed->type == DW_UT_skeleton) {
		struct pa_symbols_unit *split = pa_symbols_split_open(query->unit);

		query->unit = split ? split : query->unit;
	}
	range = pa_symbols_unit_function(query->unit, query->address);
	if (dwarf->clock.late)
		return;
	if (range)
		find_chain(query, range);
	fill_scopes(query);
	if (query->count == 0)
		fill_line(query);
}

/* Counts an attempt in which the full time of a request was not enough for this unit. */
static void note_try(struct pa_symbols_dwarf *dwarf, uint64_t address, int64_t given_ns)
{
	struct pa_symbols_listed *listed = pa_symbols_units_of_code(dwarf->own.units, address);

	if (listed && listed->tries < MAX_TRIES && given_ns >= WHOLE_TRY_NS &&
		pa_clock_thread_cpu_ns() > dwarf->clock.deadline_ns)
		listed->tries++;
}

PA_AGENT uint32_t pa_symbols_dwarf_find(struct pa_symbols_dwarf *dwarf, uint64_t address,
	struct pa_symbols_scope *scopes, uint32_t max, int64_t deadline_ns, bool *late)
{
	struct query query = { .dwarf = dwarf, .address = address, .scopes = scopes, .max = max };

	int64_t given_ns = deadline_ns - pa_clock_thread_cpu_ns();

	*late = false;
	if (dwarf->lost)
		return 0;
	dwarf->clock = (struct pa_symbols_clock){ .deadline_ns = deadline_ns };
	dwarf->text_used = 0;
	if (!pa_symbols_guard(answer_query, &query)) {
		dwarf->lost = true;
		return 0;
	}
	*late = dwarf->clock.late;
	if (*late)
		note_try(dwarf, address, given_ns);
	return *late ? 0 : query.count;
}
