#include "symbols_dwarf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <libelf.h>
#include <string.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "symbols.h"
#include "symbols_guard.h"
#include "symbols_image.h"
#include "symbols_ranges.h"
#include "symbols_room.h"

#define INDEX_BYTES ((size_t)256 << 20)
#define MAX_SCOPE_DEPTH 64
#define MAX_NAMESPACE_DEPTH 32
/* A unit whose functions take longer to be listed is not tried again. */
#define TOO_LONG_NS PA_NS_PER_S
/* The deadline is looked at after so many entries or ranges. */
#define CHECK_EVERY 64
/* What libdw takes at most for a byte of the line table: a byte may be a row of it. */
#define LINE_COST_BYTES 144

struct unit {
	Dwarf_CU *cu;
	struct pa_symbols_range *functions; /* by address; NULL until the unit is first asked for */
	size_t function_count;
	bool indexed;
};

/* An open file of debug information. */
struct half {
	struct pa_symbols_image image;
	Elf *elf;
	Dwarf *dwarf;
};

struct pa_symbols_dwarf {
	struct half own, shared;
	struct pa_arena arena; /* units and functions */
	struct pa_symbols_ranges ranges;  /* of units, by address */
	struct pa_symbols_ranges scratch; /* functions of the unit being indexed */
	struct unit *units;
	size_t unit_count;
	bool lost;             /* libdw was left half done: never touched again */
	int64_t deadline_ns;   /* of the work being done */
	uint32_t steps;
	bool late;
};

/* ---------------------------------------------------------------- tools */

static bool is_late(struct pa_symbols_dwarf *dwarf)
{
	if (++dwarf->steps % CHECK_EVERY == 0 && pa_clock_mono_ns() > dwarf->deadline_ns)
		dwarf->late = true;
	return dwarf->late;
}

/* The code ranges of an entry, each with what. Linkers leave 0 where they dropped code. */
static bool add_ranges(struct pa_symbols_dwarf *dwarf, struct pa_symbols_ranges *to, Dwarf_Die *die,
	uint64_t what)
{
	Dwarf_Addr base, low, high;
	ptrdiff_t offset = 0;

	while (!is_late(dwarf) &&
			(offset = dwarf_ranges(die, offset, &base, &low, &high)) > 0) {
		struct pa_symbols_range range = { low, high, what };

		if (low != 0 && low < high && !pa_symbols_ranges_add(to, &range))
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------- opening */

/* Must not return. All work that may need memory is guarded. */
static void __attribute__((noreturn)) out_of_memory(void)
{
	for (;;) {
		pa_symbols_bail();
		pause();
	}
}

static bool open_half(struct half *half, const struct pa_symbols_elf *file, int64_t deadline_ns)
{
	if (pa_symbols_image_make(&half->image, file, deadline_ns) != 0)
		return false;
	elf_version(EV_CURRENT);
	half->elf = elf_memory(half->image.at, half->image.bytes);
	if (half->elf)
		half->dwarf = dwarf_begin_elf(half->elf, DWARF_C_READ, NULL);
	if (half->dwarf)
		dwarf_new_oom_handler(half->dwarf, out_of_memory);
	return half->dwarf != NULL;
}

static void close_half(struct half *half)
{
	if (half->dwarf)
		dwarf_end(half->dwarf);
	if (half->elf)
		elf_end(half->elf);
}

static void close_halves(void *arg)
{
	struct pa_symbols_dwarf *dwarf = arg;

	close_half(&dwarf->own);
	close_half(&dwarf->shared);
}

static size_t count_units(struct pa_symbols_dwarf *dwarf)
{
	Dwarf_CU *cu = NULL;
	size_t count = 0;

	while (dwarf_get_units(dwarf->own.dwarf, cu, &cu, NULL, NULL, NULL, NULL) == 0 &&
			!is_late(dwarf))
		count++;
	return count;
}

/* The whole section of lines, unpacked; NULL: there is none. */
static const Elf_Data *line_data(Elf *elf)
{
	size_t names;
	Elf_Scn *section = NULL;

	if (elf_getshdrstrndx(elf, &names) != 0)
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		const Elf64_Shdr *header = elf64_getshdr(section);
		const char *name = header ? elf_strptr(elf, names, header->sh_name) : NULL;

		if (name && (strcmp(name, ".debug_line") == 0 || strcmp(name, ".zdebug_line") == 0))
			return elf_rawdata(section, NULL);
	}
	return NULL;
}

/* The bytes of a unit's line table, by its length field; 0: none. */
static uint64_t line_bytes(const Elf_Data *lines, Dwarf_Die *unit)
{
	Dwarf_Attribute attribute;
	Dwarf_Word at;
	uint32_t length;
	uint64_t left, long_length;

	if (!lines || !lines->d_buf || !dwarf_attr(unit, DW_AT_stmt_list, &attribute) ||
			dwarf_formudata(&attribute, &at) != 0 || at > lines->d_size)
		return 0;
	left = lines->d_size - at;
	if (left < sizeof(length) + sizeof(long_length))
		return 0;
	memcpy(&length, (const char *)lines->d_buf + at, sizeof(length));
	memcpy(&long_length, (const char *)lines->d_buf + at + sizeof(length), sizeof(long_length));
	if (length == UINT32_MAX)
		return long_length < left ? long_length : left;
	return length < left ? length : left;
}

/* Units that have code. The compiler's own table of them (.debug_aranges) may be missing. */
static void index_units(struct pa_symbols_dwarf *dwarf)
{
	const Elf_Data *lines = line_data(dwarf->own.elf);
	size_t count = count_units(dwarf);
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	uint8_t type;

	dwarf->units = pa_arena_alloc(&dwarf->arena, count * sizeof(*dwarf->units));
	while (dwarf->units && dwarf->unit_count < count && !is_late(dwarf) &&
			dwarf_get_units(dwarf->own.dwarf, cu, &cu, NULL, &type, &die, NULL) == 0) {
		/* libdw reads all lines of a unit when it is asked for one. */
		if (!pa_symbols_room_for(line_bytes(lines, &die) * LINE_COST_BYTES)) {
			dwarf->late = true;
			break;
		}
		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		if (!add_ranges(dwarf, &dwarf->ranges, &die, dwarf->unit_count))
			break;
		dwarf->units[dwarf->unit_count++].cu = cu;
	}
	pa_symbols_ranges_sort(&dwarf->ranges);
}

/* What is to be opened. */
struct request {
	struct pa_symbols_dwarf *dwarf;
	const struct pa_symbols_elf *file, *shared;
};

static void open_halves(void *arg)
{
	const struct request *request = arg;
	struct pa_symbols_dwarf *dwarf = request->dwarf;

	if (!open_half(&dwarf->own, request->file, dwarf->deadline_ns))
		return;
	if (request->shared && open_half(&dwarf->shared, request->shared, dwarf->deadline_ns))
		dwarf_setalt(dwarf->own.dwarf, dwarf->shared.dwarf);
	index_units(dwarf);
}

PA_AGENT bool pa_symbols_dwarf_present(const struct pa_symbols_elf *file)
{
	return pa_symbols_elf_find(file, ".debug_info") ||
		pa_symbols_elf_find(file, ".zdebug_info");
}

PA_AGENT struct pa_symbols_dwarf *pa_symbols_dwarf_open(const struct pa_symbols_elf *file,
	const struct pa_symbols_elf *shared, int64_t deadline_ns)
{
	struct pa_symbols_dwarf *dwarf = pa_map(sizeof(*dwarf));
	struct request request = { dwarf, file, shared };

	if (!dwarf)
		return NULL;
	dwarf->arena = (struct pa_arena)PA_ARENA_INIT("debug index", INDEX_BYTES);
	dwarf->deadline_ns = deadline_ns;
	dwarf->lost = !pa_symbols_guard(open_halves, &request);
	if (dwarf->ranges.count && !dwarf->lost && !dwarf->late)
		return dwarf;
	pa_symbols_dwarf_close(dwarf);
	return NULL;
}

PA_AGENT void pa_symbols_dwarf_close(struct pa_symbols_dwarf *dwarf)
{
	if (!dwarf->lost)
		pa_symbols_guard(close_halves, dwarf);
	pa_symbols_image_free(&dwarf->own.image);
	pa_symbols_image_free(&dwarf->shared.image);
	pa_symbols_ranges_free(&dwarf->ranges);
	pa_symbols_ranges_free(&dwarf->scratch);
	pa_arena_free(&dwarf->arena);
	pa_unmap(dwarf, sizeof(*dwarf));
}

/* ---------------------------------------------------------------- functions of a unit */

/* Functions stand in the unit, in namespaces and in types; what is within them is not looked at. */
static bool collect_functions(struct pa_symbols_dwarf *dwarf, Dwarf_Die *parent, unsigned depth)
{
	Dwarf_Die die;
	bool good = true;

	if (depth > MAX_NAMESPACE_DEPTH || dwarf_child(parent, &die) != 0)
		return true;
	do {
		switch (dwarf_tag(&die)) {
		case DW_TAG_subprogram:
			good = add_ranges(dwarf, &dwarf->scratch, &die, dwarf_dieoffset(&die));
			break;
		case DW_TAG_namespace:
		case DW_TAG_module:
		case DW_TAG_structure_type:
		case DW_TAG_class_type:
		case DW_TAG_union_type:
		case DW_TAG_enumeration_type:
			good = collect_functions(dwarf, &die, depth + 1);
			break;
		}
	} while (good && !is_late(dwarf) && dwarf_siblingof(&die, &die) == 0);
	return good;
}

static bool index_functions(struct pa_symbols_dwarf *dwarf, struct unit *unit, Dwarf_Die *root)
{
	int64_t start_ns = pa_clock_mono_ns();
	size_t bytes;

	dwarf->scratch.count = 0;
	if (!collect_functions(dwarf, root, 0) || dwarf->late) {
		/* Not again: it would never be done in time. Lines are all there is, then. */
		unit->indexed = pa_clock_mono_ns() - start_ns > TOO_LONG_NS;
		return false;
	}
	unit->indexed = true;
	bytes = dwarf->scratch.count * sizeof(struct pa_symbols_range);
	if (bytes == 0)
		return true;
	pa_symbols_ranges_sort(&dwarf->scratch);
	unit->functions = pa_arena_alloc(&dwarf->arena, bytes);
	if (!unit->functions)
		return false;
	memcpy(unit->functions, dwarf->scratch.at, bytes);
	unit->function_count = dwarf->scratch.count;
	return true;
}

/* ---------------------------------------------------------------- functions at an address */

struct query {
	struct pa_symbols_dwarf *dwarf;
	uint64_t address;
	struct pa_symbols_scope *scopes;
	uint32_t max, count;
	Dwarf_Die root;                   /* of the unit */
	Dwarf_Die chain[MAX_SCOPE_DEPTH]; /* the function, then what is inlined, going inwards */
	uint32_t chain_count;
	uint64_t start;
};

static bool is_block(int tag)
{
	return tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
		tag == DW_TAG_try_block || tag == DW_TAG_catch_block || tag == DW_TAG_with_stmt;
}

/* The block in parent that has the address. */
static bool find_block(const struct query *query, Dwarf_Die *parent, Dwarf_Die *block)
{
	if (dwarf_child(parent, block) != 0)
		return false;
	do {
		if (is_block(dwarf_tag(block)) && dwarf_haspc(block, query->address) > 0)
			return true;
	} while (!is_late(query->dwarf) && dwarf_siblingof(block, block) == 0);
	return false;
}

static void find_chain(struct query *query, const struct pa_symbols_range *function)
{
	Dwarf_Die block = { .addr = NULL }, inner;

	if (!dwarf_offdie(query->dwarf->own.dwarf, function->what, &block))
		return;
	query->chain[query->chain_count++] = block;
	query->start = function->low;
	/* Blocks may nest deeper than inlined functions: is_late bounds both. */
	while (query->chain_count < MAX_SCOPE_DEPTH && find_block(query, &block, &inner)) {
		block = inner;
		if (dwarf_tag(&block) == DW_TAG_inlined_subroutine)
			query->chain[query->chain_count++] = block;
		if (is_late(query->dwarf))
			break;
	}
}

/* The directory that a unit's relative paths start from, or NULL. */
static const char *directory_of(Dwarf_CU *cu)
{
	Dwarf_Attribute attribute;
	Dwarf_Die root;

	if (dwarf_cu_info(cu, NULL, NULL, &root, NULL, NULL, NULL, NULL) != 0 ||
			!dwarf_attr(&root, DW_AT_comp_dir, &attribute))
		return NULL;
	return dwarf_formstring(&attribute);
}

static void set_names(struct pa_symbols_scope *scope, Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	int line = 0;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) ||
			dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute))
		scope->linkage = dwarf_formstring(&attribute);
	scope->name = dwarf_diename(die);
	scope->declared_in = dwarf_decl_file(die);
	if (dwarf_attr_integrate(die, DW_AT_decl_file, &attribute))
		scope->declared_dir = directory_of(attribute.cu);
	if (dwarf_decl_line(die, &line) == 0 && line > 0)
		scope->declared_at = (uint32_t)line;
}

/* Where an inlined function is called from: a place in the function around it. */
static void set_call_site(struct pa_symbols_scope *scope, Dwarf_Die *inlined, Dwarf_Die *root)
{
	Dwarf_Attribute attribute;
	Dwarf_Files *files;
	Dwarf_Word value;
	size_t count;

	if (dwarf_attr(inlined, DW_AT_call_line, &attribute) &&
			dwarf_formudata(&attribute, &value) == 0 && value < INT32_MAX)
		scope->line = (uint32_t)value;
	if (dwarf_attr(inlined, DW_AT_call_file, &attribute) &&
			dwarf_formudata(&attribute, &value) == 0 &&
			dwarf_getsrcfiles(root, &files, &count) == 0 && value < count) {
		scope->file = dwarf_filesrc(files, value, NULL, NULL);
		scope->dir = directory_of(root->cu);
	}
}

static void set_line(struct pa_symbols_scope *scope, struct query *query)
{
	Dwarf_Line *line = dwarf_getsrc_die(&query->root, query->address);
	bool end = false;
	int number = 0;

	if (!line || (dwarf_lineendsequence(line, &end) == 0 && end))
		return;
	scope->file = dwarf_linesrc(line, NULL, NULL);
	scope->dir = directory_of(query->root.cu);
	if (dwarf_lineno(line, &number) == 0 && number > 0)
		scope->line = (uint32_t)number;
}

/* From the chain to scopes; when there are too many, those between the inner ones and the last. */
static void fill_scopes(struct query *query)
{
	uint32_t all = query->chain_count;

	for (uint32_t i = all; i-- > 0;) {
		struct pa_symbols_scope *scope = &query->scopes[query->count];

		if (query->count == query->max - 1 && i > 0)
			continue;
		memset(scope, 0, sizeof(*scope));
		set_names(scope, &query->chain[i]);
		if (i == all - 1)
			set_line(scope, query);
		else
			set_call_site(scope, &query->chain[i + 1], &query->root);
		query->count++;
	}
	if (all)
		query->scopes[query->count - 1].start = query->start;
}

static void answer(void *arg)
{
	struct query *query = arg;
	struct pa_symbols_dwarf *dwarf = query->dwarf;
	const struct pa_symbols_range *range = pa_symbols_ranges_find(dwarf->ranges.at,
		dwarf->ranges.count, query->address);
	struct unit *unit = range ? &dwarf->units[range->what] : NULL;

	if (!unit || dwarf_cu_info(unit->cu, NULL, NULL, &query->root, NULL, NULL, NULL, NULL))
		return;
	if (!unit->indexed && !index_functions(dwarf, unit, &query->root))
		return;
	range = pa_symbols_ranges_find(unit->functions, unit->function_count, query->address);
	if (range)
		find_chain(query, range);
	fill_scopes(query);
	if (query->count)
		return;
	/* Assembly has lines but no functions. */
	memset(query->scopes, 0, sizeof(*query->scopes));
	set_line(query->scopes, query);
	query->count = query->scopes->file != NULL;
}

PA_AGENT uint32_t pa_symbols_dwarf_find(struct pa_symbols_dwarf *dwarf, uint64_t address,
	struct pa_symbols_scope *scopes, uint32_t max, int64_t deadline_ns)
{
	struct query query = { .dwarf = dwarf, .address = address, .scopes = scopes, .max = max };

	if (dwarf->lost)
		return 0;
	dwarf->deadline_ns = deadline_ns;
	dwarf->late = false;
	if (!pa_symbols_guard(answer, &query)) {
		dwarf->lost = true;
		return 0;
	}
	return dwarf->late ? 0 : query.count;
}
