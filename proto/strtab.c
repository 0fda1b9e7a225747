#include "strtab.h"

#include <errno.h>
#include <string.h>

#define FIRST_SLOTS 1024

struct slot {
	uint32_t hash;
	uint32_t index; /* of the text, plus 1; 0: free */
};

/* FNV-1a: short, and names of one program differ mostly at their ends. */
static uint32_t hash_of(const char *text)
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

/* The slot that has text, or the free one where it belongs. Ends: at most half are in use. */
static struct slot *find(const struct pa_strtab *table, const char *text, uint32_t hash)
{
	struct slot *slots = table->slots.at;
	uint32_t at = hash & (table->slot_count - 1);

	while (slots[at].index) {
		if (slots[at].hash == hash
			&& !strcmp(pa_strtab_text(table, slots[at].index - 1), text))
			break;
		at = (at + 1) & (table->slot_count - 1);
	}
	return &slots[at];
}

/* Twice the slots; the hashes suffice to fill them, no text is read. */
static bool widen(struct pa_strtab *table)
{
	struct pa_grow old = table->slots;
	const struct slot *from = old.at;
	uint32_t old_count = table->slot_count, count = old_count * 2, i, at;
	struct slot *to;

	table->slots = (struct pa_grow){ 0 };
	if (!pa_grow(&table->slots, count * sizeof(*to))) {
		table->slots = old;
		return false;
	}
	to = table->slots.at;
	for (i = 0; i < old_count; i++) {
		if (!from[i].index)
			continue;
		for (at = from[i].hash & (count - 1); to[at].index; at = (at + 1) & (count - 1))
			;
		to[at] = from[i];
	}
	table->slot_count = count;
	pa_grow_free(&old);
	return true;
}

PA_AGENT int64_t pa_strtab_find(const struct pa_strtab *table, const char *text)
{
	if (!text)
		text = "";
	return (int64_t)find(table, text, hash_of(text))->index - 1;
}

PA_AGENT int64_t pa_strtab_index(struct pa_strtab *table, const char *text)
{
	uint32_t hash = hash_of(text ? text : (text = ""));
	struct slot *slot = find(table, text, hash);

	if (slot->index)
		return slot->index - 1;
	if (!pa_grow(&table->texts, (table->count + 1) * sizeof(char *)))
		return -ENOMEM;
	if (table->count >= table->slot_count / 2) {
		if (!widen(table))
			return -ENOMEM;
		slot = find(table, text, hash);
	}
	((const char **)table->texts.at)[table->count++] = text;
	*slot = (struct slot){ .hash = hash, .index = table->count };
	return table->count - 1;
}

PA_AGENT int pa_strtab_init(struct pa_strtab *table)
{
	if (!pa_grow(&table->slots, FIRST_SLOTS * sizeof(struct slot)))
		return -ENOMEM;
	table->slot_count = FIRST_SLOTS;
	return pa_strtab_index(table, "") < 0 ? -ENOMEM : 0;
}

PA_AGENT void pa_strtab_free(struct pa_strtab *table)
{
	pa_grow_free(&table->texts);
	pa_grow_free(&table->slots);
	*table = (struct pa_strtab){ 0 };
}
