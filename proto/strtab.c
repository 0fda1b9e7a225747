/* SPDX-License-Identifier: Apache-2.0 */
#include "strtab.h"

#include <errno.h>
#include <string.h>

#define FIRST_SLOTS 1024

struct slot {
	uint32_t hash;
	uint32_t index; /* index of the text plus 1; 0: free */
};

struct wanted {
	const char *text;
	uint32_t hash;
};

/* FNV-1a: short; names of one program differ mostly at their ends. */
static uint32_t hash_of_text(const char *text)
{
	uint64_t hash = 0xCBF29CE484222325u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001B3u;
	return (uint32_t)(hash ^ hash >> 32);
}

PA_AGENT const char *pa_strtab_text(const struct pa_strtab *table, uint32_t index)
{
	return ((const char **)table->texts.at)[index];
}

static bool is_text_taken(const void *slot)
{
	return ((const struct slot *)slot)->index != 0;
}

static bool is_wanted_text(const struct pa_hash_table *slots, const void *slot, const void *key)
{
	const char *table = (const char *)slots - offsetof(struct pa_strtab, slots);
	const struct slot *found = slot;
	const struct wanted *wanted = key;

	return found->hash == wanted->hash &&
		!strcmp(pa_strtab_text((const struct pa_strtab *)table, found->index - 1),
			wanted->text);
}

/* No text is read. */
static uint64_t hash_of_text_slot(const struct pa_hash_table *unused, const void *slot)
{
	(void)unused;
	return (uint64_t)((const struct slot *)slot)->hash << 32;
}

static const struct pa_hash_table_kind text_kind = {
	.slot_bytes = sizeof(struct slot),
	.is_taken = is_text_taken,
	.has_key = is_wanted_text,
	.hash = hash_of_text_slot,
	.passing = true,
};

static int64_t find_text(const struct pa_strtab *table, struct wanted wanted)
{
	uint32_t i =
		pa_hash_table_find(&text_kind, &table->slots, (uint64_t)wanted.hash << 32, &wanted);
	return (int64_t)((const struct slot *)pa_hash_table_at(&text_kind, &table->slots, i))
		       ->index -
		1;
}

PA_AGENT int64_t pa_strtab_find(const struct pa_strtab *table, const char *text)
{
	if (!text)
		text = "";
	return find_text(table, (struct wanted){ text, hash_of_text(text) });
}

PA_AGENT int64_t pa_strtab_index(struct pa_strtab *table, const char *text)
{
	uint32_t hash = hash_of_text(text ? text : (text = ""));
	int64_t known = find_text(table, (struct wanted){ text, hash });

	if (known >= 0)
		return known;
	if (!pa_scratch(&table->texts, (table->count + 1) * sizeof(char *)) ||
		!pa_hash_table_grow(&text_kind, &table->slots, FIRST_SLOTS))
		return -ENOMEM;
	((const char **)table->texts.at)[table->count++] = text;
	*(struct slot *)pa_hash_table_add(&text_kind, &table->slots, (uint64_t)hash << 32) =
		(struct slot){ hash, table->count };
	return table->count - 1;
}

PA_AGENT int pa_strtab_init(struct pa_strtab *table)
{
	if (!pa_hash_table_grow(&text_kind, &table->slots, FIRST_SLOTS))
		return -ENOMEM;
	return pa_strtab_index(table, "") < 0 ? -ENOMEM : 0;
}

PA_AGENT void pa_strtab_free(struct pa_strtab *table)
{
	pa_scratch_free(&table->texts);
	pa_hash_table_free(&text_kind, &table->slots);
	*table = (struct pa_strtab){ 0 };
}

PA_AGENT size_t pa_strtab_bytes(const struct pa_strtab *table)
{
	return table->texts.bytes + table->slots.capacity * sizeof(struct slot);
}
