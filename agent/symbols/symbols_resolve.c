/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_resolve.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "symbols_names.h"
#include "symbols_unnamed.h"

/* A function that the debug information knows and neither it nor a table of symbols names. */
#define NAMELESS "[unnamed function]"

static struct {
	bool name_unnamed;
} state;

PA_AGENT void pa_symbols_resolve_name_unnamed(bool on)
{
	state.name_unnamed = on;
}

/* Finds the function at pc in the symbol tables. */
static struct pa_function *function_by_table(const struct pa_module *module,
	const struct pa_symbols *symbols, uintptr_t pc)
{
	struct pa_symbols_function wanted = { .file = "" };
	struct pa_symbols_match match;
	char stub[PA_SYMBOLS_NAMES_LONGEST];

	if (pa_symbols_table_find(&symbols->table, pc - symbols->bias, &match)) {
		wanted.system_name = match.name;
		wanted.system_name_bytes = match.name_bytes;
		wanted.entry = match.start + symbols->bias;
	} else if (pa_symbols_load_stub(module, symbols, pc, stub, &wanted.entry)) {
		wanted.system_name = stub;
		wanted.system_name_bytes = strlen(stub);
	} else {
		return NULL;
	}
	return pa_symbols_names_function(&wanted);
}

/* Where no table has the pc: by the start of its function in the file. */
static struct pa_function *function_without_name(const struct pa_module *module, uintptr_t pc)
{
	struct pa_symbols_function wanted = { .file = "" };
	char name[PA_SYMBOLS_NAMES_LONGEST];

	if (!state.name_unnamed ||
		!pa_symbols_unnamed(module, pc, name, sizeof(name), &wanted.entry))
		return NULL;
	wanted.system_name = name;
	wanted.system_name_bytes = strlen(name);
	return pa_symbols_names_function(&wanted);
}

struct pa_function *pa_symbols_resolve_at(const struct pa_module *module,
	const struct pa_symbols *symbols, uintptr_t pc)
{
	struct pa_function *function = function_by_table(module, symbols, pc);

	return function ? function : function_without_name(module, pc);
}

/* Joins a relative path with its absolute directory, in out, if both are known. */
static const char *full_path(char *out, size_t size, const char *dir, const char *file)
{
	if (!file || file[0] == '/' || !dir || dir[0] != '/' ||
		snprintf(out, size, "%s/%s", dir, file) >= (int)size)
		return file;
	return out;
}

/*
 * Returns the function of a scope; of_code: the symbol table's entry of the outermost one, or NULL.
 */
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

	/* The declaration's line is used only if it is in the same file as the code. */
	if (!wanted.file)
		wanted.file = declared;
	if (wanted.file && declared && strcmp(wanted.file, declared) == 0)
		wanted.start_line = scope->declared_at;
	if (of_code) {
		wanted.system_name = of_code->name;
		wanted.system_name_bytes = of_code->name_bytes;
		wanted.entry = of_code->start + bias;
	} else {
		if (!wanted.system_name)
			wanted.system_name = NAMELESS;
		wanted.system_name_bytes = strlen(wanted.system_name);
	}
	return pa_symbols_names_function(&wanted);
}

uint32_t pa_symbols_resolve_scopes(const struct pa_symbols *symbols, uintptr_t pc,
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
