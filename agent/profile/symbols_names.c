#include "symbols_names.h"

#include <string.h>

#include "../base/arena.h"
#include "../base/utf8.h"
#include "demangle.h"

/* A program has some ten thousand functions that are ever seen in a profile. */
#define STORE_BYTES ((size_t)24 << 20)
#define FIRST_SLOTS 1024
/* Longer names are of no use to anybody, and refused by some who read profiles. */
#define NAME_BYTES 4096

/* A set of pointers by hash, open addressing, at most half full. */
struct set {
	void **slots;
	uint32_t count, capacity;
};

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
	struct set strings, functions;
} state = { .arena = PA_ARENA_INIT("function names", STORE_BYTES) };

/* Both kinds of members start with their hash. */
static uint64_t hash_of(const void *member)
{
	uint64_t hash;

	memcpy(&hash, member, sizeof(hash));
	return hash;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

static uint64_t hash_bytes(const char *bytes, size_t count)
{
	uint64_t hash = count, word = 0;

	for (; count >= sizeof(word); bytes += sizeof(word), count -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, bytes, count);
	return mix(hash, word);
}

static void insert(struct set *set, void *member)
{
	uint64_t i = hash_of(member);

	while (set->slots[i & (set->capacity - 1)])
		i++;
	set->slots[i & (set->capacity - 1)] = member;
	set->count++;
}

static bool has_room(struct set *set)
{
	struct set larger = { .capacity = set->capacity ? 2 * set->capacity : FIRST_SLOTS };

	if (2 * set->count < set->capacity)
		return true;
	larger.slots = pa_map(larger.capacity * sizeof(*larger.slots));
	if (!larger.slots)
		return false;
	for (uint32_t i = 0; i < set->capacity; i++) {
		if (set->slots[i])
			insert(&larger, set->slots[i]);
	}
	if (set->slots)
		pa_unmap(set->slots, set->capacity * sizeof(*set->slots));
	*set = larger;
	return true;
}

PA_AGENT void *pa_symbols_names_alloc(size_t bytes)
{
	return pa_arena_alloc(&state.arena, bytes);
}

/* The one copy of a text; NULL when the memory is full. */
static const char *intern(const char *text, size_t bytes)
{
	uint64_t hash = hash_bytes(text, bytes);
	struct string *string;

	if (!has_room(&state.strings))
		return NULL;
	for (uint64_t i = hash;; i++) {
		string = state.strings.slots[i & (state.strings.capacity - 1)];
		if (!string)
			break;
		if (string->hash == hash && string->bytes == bytes &&
				memcmp(string->text, text, bytes) == 0)
			return string->text;
	}
	string = pa_symbols_names_alloc(sizeof(*string) + bytes + 1);
	if (!string)
		return NULL;
	string->hash = hash;
	string->bytes = (uint32_t)bytes;
	memcpy(string->text, text, bytes);
	insert(&state.strings, string);
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

	return intern(clean, pa_symbols_names_clean(clean, sizeof(clean), text, bytes));
}

static const char *demangled(const char *system_name)
{
	char name[NAME_BYTES];

	if (!pa_demangle(system_name, name, sizeof(name)))
		return system_name;
	return intern_clean(name, strlen(name));
}

static bool is_wanted(const struct function *function, const struct pa_function *wanted)
{
	const struct pa_function *own = &function->function;

	return own->system_name == wanted->system_name && own->file == wanted->file &&
		own->start_line == wanted->start_line && own->entry == wanted->entry;
}

/* The strings of wanted are interned already. */
static struct pa_function *intern_function(const struct pa_function *wanted)
{
	uint64_t hash = mix(mix(mix((uintptr_t)wanted->system_name, (uintptr_t)wanted->file),
		wanted->start_line), wanted->entry);
	struct function *function;

	if (!has_room(&state.functions))
		return NULL;
	for (uint64_t i = hash;; i++) {
		function = state.functions.slots[i & (state.functions.capacity - 1)];
		if (!function)
			break;
		if (function->hash == hash && is_wanted(function, wanted))
			return &function->function;
	}
	const char *name = demangled(wanted->system_name);
	function = name ? pa_symbols_names_alloc(sizeof(*function)) : NULL;
	if (!function)
		return NULL;
	function->hash = hash;
	function->function = *wanted;
	function->function.name = name;
	insert(&state.functions, function);
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
	return intern_function(&function);
}

PA_BOOT void pa_symbols_names_reset(void)
{
	memset(&state, 0, sizeof(state));
	state.arena = (struct pa_arena)PA_ARENA_INIT("function names", STORE_BYTES);
}
