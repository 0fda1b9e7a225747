/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_names.h"

#include <string.h>

#include "../base/arena.h"
#include "../base/hash_table.h"
#include "../base/utf8.h"
#include "demangle.h"

/* Some ten thousand functions of a program ever appear in profiles. */
#define STORE_BYTES ((size_t)24 << 20)
#define FIRST_SLOTS 1024
/* Longer names are useless, and some readers of profiles reject them. */
#define NAME_BYTES 4096

struct string {
	uint64_t hash;
	uint32_t bytes;
	char text[];
};

struct function {
	uint64_t hash;
	struct pa_function function;
};

static struct {
	struct pa_arena arena;
	struct pa_hash_table strings, functions; /* pointers */
} state = { .arena = PA_ARENA_INIT("function names", STORE_BYTES) };

/* Both kinds of members begin with their hash. */
static uint64_t hash_of_member(const struct pa_hash_table *unused, const void *slot)
{
	uint64_t hash;

	(void)unused;
	memcpy(&hash, *(const void *const *)slot, sizeof(hash));
	return hash;
}

static uint64_t hash_bytes(const char *bytes, size_t count)
{
	uint64_t hash = count, word = 0;

	for (; count >= sizeof(word); bytes += sizeof(word), count -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		hash = pa_hash_table_mix(hash, word);
	}
	word = 0;
	memcpy(&word, bytes, count);
	return pa_hash_table_mix(hash, word);
}

PA_AGENT void *pa_symbols_names_alloc(size_t bytes)
{
	return pa_arena_alloc(&state.arena, bytes);
}

struct wanted_string {
	const char *text;
	size_t bytes;
	uint64_t hash;
};

static bool is_wanted_string(const struct pa_hash_table *unused, const void *slot, const void *key)
{
	const struct string *string = *(const struct string *const *)slot;
	const struct wanted_string *wanted = key;

	(void)unused;
	return string->hash == wanted->hash && string->bytes == wanted->bytes &&
		memcmp(string->text, wanted->text, wanted->bytes) == 0;
}

static const struct pa_hash_table_kind string_kind = {
	.slot_bytes = sizeof(struct string *),
	.has_key = is_wanted_string,
	.hash = hash_of_member,
};

/* What is in the table for the key, or NULL. */
PA_INLINE void *find_member(const struct pa_hash_table_kind *kind,
	const struct pa_hash_table *table, uint64_t hash, const void *key)
{
	return *(void **)pa_hash_table_at(kind, table, pa_hash_table_find(kind, table, hash, key));
}

/* Returns the unique copy of a text; NULL: the store is full. */
static const char *intern_text(const char *text, size_t bytes)
{
	const struct wanted_string wanted = { text, bytes, hash_bytes(text, bytes) };
	struct string *string;

	if (!pa_hash_table_grow(&string_kind, &state.strings, FIRST_SLOTS))
		return NULL;
	string = find_member(&string_kind, &state.strings, wanted.hash, &wanted);
	if (string)
		return string->text;
	string = pa_symbols_names_alloc(sizeof(*string) + bytes + 1);
	if (!string)
		return NULL;
	string->hash = wanted.hash;
	string->bytes = (uint32_t)bytes;
	memcpy(string->text, text, bytes);
	*(void **)pa_hash_table_add(&string_kind, &state.strings, wanted.hash) = string;
	return string->text;
}

PA_AGENT size_t pa_symbols_names_clean(char *out, size_t size, const char *text, size_t bytes)
{
	size_t length = 0;

	while (bytes) {
		size_t character = pa_utf8_char(text, bytes, true);
		size_t used = character ? character : 1;

		if (length + used >= size)
			break;
		if (character)
			memcpy(out + length, text, used);
		else
			out[length] = '?';
		length += used;
		text += used;
		bytes -= used;
	}
	out[length] = '\0';
	return length;
}

static const char *intern_clean(const char *text, size_t bytes)
{
	char clean[NAME_BYTES];

	return intern_text(clean, pa_symbols_names_clean(clean, sizeof(clean), text, bytes));
}

/* The name for people of one that is not cut; NULL when the memory is full. */
static const char *demangled_name(const struct pa_symbols_function *wanted, const char *kept)
{
	static const char stub[] = "@plt";
	char name[PA_SYMBOLS_NAMES_LONGEST], plain[NAME_BYTES];
	size_t bytes = wanted->system_name_bytes, end = bytes - (sizeof(stub) - 1);

	if (bytes >= sizeof(name))
		return kept;
	memcpy(name, wanted->system_name, bytes);
	name[bytes] = '\0';
	bool is_stub = bytes >= sizeof(stub) && strcmp(name + end, stub) == 0;
	if (is_stub)
		name[end] = '\0';
	if (!pa_demangle(name, plain, sizeof(plain) - sizeof(stub)))
		return kept;
	size_t length = strlen(plain);
	if (is_stub)
		memcpy(plain + length, stub, sizeof(stub));
	return intern_clean(plain, strlen(plain));
}

static uint64_t hash_function(const struct pa_function *function)
{
	uint64_t hash =
		pa_hash_table_mix((uintptr_t)function->system_name, (uintptr_t)function->file);

	return pa_hash_table_mix(pa_hash_table_mix(hash, function->start_line), function->entry);
}

static bool is_wanted_function(const struct pa_hash_table *unused, const void *slot,
	const void *key)
{
	const struct pa_function *own = &(*(const struct function *const *)slot)->function;
	const struct pa_function *wanted = key;

	(void)unused;
	return own->system_name == wanted->system_name && own->file == wanted->file &&
		own->start_line == wanted->start_line && own->entry == wanted->entry;
}

static const struct pa_hash_table_kind function_kind = {
	.slot_bytes = sizeof(struct function *),
	.has_key = is_wanted_function,
	.hash = hash_of_member,
};

/* The strings of wanted must be interned; given: what it was made from. */
static struct pa_function *intern_function(const struct pa_function *wanted,
	const struct pa_symbols_function *given)
{
	uint64_t hash = hash_function(wanted);
	struct function *function;

	if (!pa_hash_table_grow(&function_kind, &state.functions, FIRST_SLOTS))
		return NULL;
	function = find_member(&function_kind, &state.functions, hash, wanted);
	if (function)
		return &function->function;
	const char *name =
		given->plain ? wanted->system_name : demangled_name(given, wanted->system_name);
	function = name ? pa_symbols_names_alloc(sizeof(*function)) : NULL;
	if (!function)
		return NULL;
	function->hash = hash;
	function->function = *wanted;
	function->function.name = name;
	*(void **)pa_hash_table_add(&function_kind, &state.functions, hash) = function;
	return &function->function;
}

PA_AGENT struct pa_function *pa_symbols_names_function(const struct pa_symbols_function *wanted)
{
	const char *file = wanted->file ? wanted->file : "";
	struct pa_function function = {
		.system_name = intern_clean(wanted->system_name, wanted->system_name_bytes),
		.file = intern_clean(file, strlen(file)),
		.start_line = wanted->start_line,
		.entry = wanted->entry,
	};

	if (!function.system_name || !function.file || !function.system_name[0])
		return NULL;
	return intern_function(&function, wanted);
}

PA_BOOT void pa_symbols_names_reset(void)
{
	memset(&state, 0, sizeof(state));
	state.arena = (struct pa_arena)PA_ARENA_INIT("function names", STORE_BYTES);
}
