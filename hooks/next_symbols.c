/* SPDX-License-Identifier: Apache-2.0 */
#include "next_symbols.h"

#include <gnu/lib-names.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "../agent/base/banned.h"

extern ElfW(Dyn) _DYNAMIC[] PA_HIDDEN; /* of this object: no look-up */

/* A loaded object with a hash table of the GNU kind: see elf/dl-lookup.c of glibc. */
struct object {
	uintptr_t base;
	const ElfW(Sym) * symbols;
	const char *strings;
	const ElfW(Half) * versions; /* NULL: none */
	const uint32_t *buckets, *chains;
	const uintptr_t *bloom;
	uint32_t bucket_count, bloom_mask, bloom_shift, first_symbol;
	bool is_libc;
};

/* ld.so relocates these pointers in place, but not those of the vDSO. */
static const void *dynamic_pointer(uintptr_t base, const ElfW(Dyn) * entry)
{
	return (const void *)(entry->d_un.d_ptr < base ? base + entry->d_un.d_ptr :
							 entry->d_un.d_ptr);
}

static void read_hash(struct object *object, const uint32_t *hash)
{
	uint32_t bloom_words = hash[2];
	object->bucket_count = hash[0];
	object->first_symbol = hash[1];
	object->bloom_mask = bloom_words - 1;
	object->bloom_shift = hash[3];
	object->bloom = (const uintptr_t *)(hash + 4);
	object->buckets = (const uint32_t *)(object->bloom + bloom_words);
	object->chains = object->buckets + object->bucket_count;
}

/* False: it has no such table. */
static bool read_object(struct object *object, const struct link_map *map)
{
	size_t name_at = 0;
	*object = (struct object){ .base = map->l_addr };
	for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
		switch (entry->d_tag) {
		case DT_SYMTAB: object->symbols = dynamic_pointer(map->l_addr, entry); break;
		case DT_STRTAB: object->strings = dynamic_pointer(map->l_addr, entry); break;
		case DT_VERSYM: object->versions = dynamic_pointer(map->l_addr, entry); break;
		case DT_GNU_HASH: read_hash(object, dynamic_pointer(map->l_addr, entry)); break;
		case DT_SONAME: name_at = entry->d_un.d_val; break;
		}
	}
	if (!object->symbols || !object->strings || !object->bucket_count)
		return false;
	object->is_libc = name_at && strcmp(object->strings + name_at, LIBC_SO) == 0;
	return true;
}

/* *end: the end of the name. */
static uint32_t hash_of_name(const char *name, const char **end)
{
	uint32_t hash = 5381;
	for (; *name; name++)
		hash = hash * 33 + (uint8_t)*name;
	*end = name;
	return hash;
}

static bool may_have(const struct object *object, uint32_t hash)
{
	const uint32_t bits = 8 * sizeof(uintptr_t);
	uintptr_t word = object->bloom[hash / bits & object->bloom_mask];
	return word >> hash % bits & word >> (hash >> object->bloom_shift) % bits & 1;
}

static bool is_definition(const ElfW(Sym) * symbol)
{
	return symbol->st_shndx != SHN_UNDEF && symbol->st_value != 0 &&
		ELF64_ST_VISIBILITY(symbol->st_other) != STV_HIDDEN &&
		ELF64_ST_VISIBILITY(symbol->st_other) != STV_INTERNAL;
}

enum match { NONE, PLAIN, DEFAULT_VERSION };

/* Of several versions the default one counts, to which new programs are bound. So does dlsym since
 * glibc 2.36; before, dlsym(RTLD_NEXT) preferred the oldest version (glibc bug 14932). */
static enum match match_of(const struct object *object, uint32_t index, const char *name)
{
	const ElfW(Sym) *symbol = &object->symbols[index];
	const ElfW(Half) hidden = 0x8000, unversioned = 1;
	if (!is_definition(symbol) || strcmp(object->strings + symbol->st_name, name) != 0)
		return NONE;
	if (!object->versions || (object->versions[index] & ~hidden) <= unversioned)
		return PLAIN;
	return object->versions[index] & hidden ? NONE : DEFAULT_VERSION;
}

/* The index of the symbol; 0: none. *several: more than one has a default version. */
static uint32_t index_of(const struct object *object, const char *name, uint32_t hash,
	bool *several)
{
	uint32_t found = 0;
	uint32_t index = object->buckets[hash % object->bucket_count];
	for (; index; index++) {
		uint32_t chain = object->chains[index - object->first_symbol];
		enum match match = (chain ^ hash) >> 1 ? NONE : match_of(object, index, name);
		if (match == PLAIN)
			return index;
		*several |= match && found;
		found = match && !found ? index : found;
		if (chain & 1)
			break;
	}
	return found;
}

/* Places of symbols that only dlsym can find contain this until the end. */
static char for_dlsym;

static void *place_in(const struct object *object, const char *name, uint32_t hash)
{
	bool several = false;
	uint32_t index = may_have(object, hash) ? index_of(object, name, hash, &several) : 0;
	if (!index)
		return NULL;
	const ElfW(Sym) *symbol = &object->symbols[index];
	unsigned type = ELF64_ST_TYPE(symbol->st_info), bind = ELF64_ST_BIND(symbol->st_info);
	bool is_simple = type == STT_FUNC && symbol->st_shndx != SHN_ABS &&
		(bind == STB_GLOBAL || bind == STB_WEAK);
	return several || !is_simple ? &for_dlsym : (char *)object->base + symbol->st_value;
}

static void find_in_object(const struct object *object, const char *names, void **found,
	size_t count)
{
	const char *end;
	for (size_t i = 0; i < count; i++, names = end + 1) {
		uint32_t hash = hash_of_name(names, &end);
		if (*names && !found[i])
			found[i] = place_in(object, names, hash);
	}
}

/* The next object up to libc, at first the one behind this one. False: no more, or one without a
 * table. The vDSO is passed over: no program is bound to it. */
static bool next_object(struct object *object, const struct link_map **map)
{
	if (object->is_libc)
		return false;
	do
		*map = (*map)->l_next;
	while (*map && (*map)->l_addr == getauxval(AT_SYSINFO_EHDR));
	return *map && read_object(object, *map);
}

/* NULL: the loader does not list it. */
static const struct link_map *this_object(void)
{
	const struct link_map *map = _r_debug.r_map;
	while (map && map->l_ld != _DYNAMIC)
		map = map->l_next;
	return map;
}

void pa_next_symbols_find(const char *names, void **found, size_t count)
{
	struct object object = { 0 };
	const struct link_map *map = this_object();
	while (map && next_object(&object, &map))
		find_in_object(&object, names, found, count);
	for (size_t i = 0; i < count; i++)
		if (found[i] == &for_dlsym)
			found[i] = NULL;
}

void *pa_next_symbols_of_libc(const char *name)
{
	struct object object = { 0 };
	const struct link_map *map = this_object();
	void *found = NULL;
	while (map && next_object(&object, &map))
		if (object.is_libc)
			find_in_object(&object, name, &found, 1);
	return found == &for_dlsym ? NULL : found;
}
