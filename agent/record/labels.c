/* SPDX-License-Identifier: Apache-2.0 */
#include "labels.h"

#include <errno.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/atomic.h"
#include "../base/lock.h"
#include "thread.h"

#include "../base/banned.h"

/* Twice the number of sets: probing ends. */
#define SLOTS (PA_LABELS_SETS * 2)

/*
 * Mapped when the first labels are set. Sets are found without the lock: each is complete before
 * its address is stored, and never changes.
 */
struct table {
	PA_ATOMIC(const struct pa_labels *) sets[PA_LABELS_SETS]; /* by id; release, acquire */
	PA_ATOMIC(uint16_t) slots[SLOTS]; /* by hash: id, 0 = free; release, acquire */
	char room[];
};

#define ROOM_BYTES (PA_LABELS_BYTES - sizeof(struct table))

_Static_assert(PA_LABELS_SETS <= UINT16_MAX + 1u, "an id fits into a slot");
_Static_assert(sizeof(struct table) < PA_LABELS_BYTES / 8, "the rest is for the texts");

static struct {
	struct pa_lock lock;
	PA_ATOMIC(struct table *) table; /* set once; release, acquire */
	uint32_t last_id;                /* guard: lock */
	size_t used_bytes;               /* of room; guard: lock */
} state = { .lock = PA_LOCK_INIT(PA_LOCK_LABELS) };

/* A set under construction. */
struct draft {
	uint32_t count;
	uint64_t hash;
	struct pa_label labels[PA_LABELS_MAX];
};

/* ---- drafts ---- */

static int put_label(struct draft *draft, const char *key, const char *value)
{
	PA_ASSERT(draft->count <= PA_LABELS_MAX);
	uint32_t at = 0;
	int order = 1;
	while (at < draft->count && (order = strcmp(draft->labels[at].key, key)) < 0)
		at++;
	if (at < draft->count && order == 0) {
		draft->labels[at].value = value;
		return 0;
	}
	if (draft->count == PA_LABELS_MAX)
		return -ENOSPC;
	struct pa_label *label = &draft->labels[at];
	memmove(label + 1, label, (draft->count - at) * sizeof(*label));
	*label = (struct pa_label){ key, value };
	draft->count++;
	return 0;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	/* Includes the NUL, so that ("a", "bc") differs from ("ab", "c"). */
	do
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	while (*text++);
	return hash;
}

static int make_draft(struct draft *draft, const struct pa_labels *base, const char *const *pairs)
{
	draft->count = base ? base->count : 0;
	if (base)
		memcpy(draft->labels, base->labels, base->count * sizeof(*base->labels));
	for (; pairs && *pairs; pairs += 2) {
		int error = pairs[1] ? put_label(draft, pairs[0], pairs[1]) : -EINVAL;
		if (error)
			return error;
	}
	draft->hash = 0xcbf29ce484222325u;
	for (uint32_t i = 0; i < draft->count; i++) {
		draft->hash = hash_text(draft->hash, draft->labels[i].key);
		draft->hash = hash_text(draft->hash, draft->labels[i].value);
	}
	return 0;
}

static bool is_same_labels(const struct pa_labels *set, const struct draft *draft)
{
	if (set->hash != draft->hash || set->count != draft->count)
		return false;
	for (uint32_t i = 0; i < set->count; i++)
		if (strcmp(set->labels[i].key, draft->labels[i].key) != 0 ||
			strcmp(set->labels[i].value, draft->labels[i].value) != 0)
			return false;
	return true;
}

/* ---- sets ---- */

/* The draft's set, or NULL and the slot for its id. */
static const struct pa_labels *find_labels(struct table *table, const struct draft *draft,
	uint32_t *slot)
{
	uint32_t id, i = (uint32_t)(draft->hash ^ draft->hash >> 32) % SLOTS;
	for (; (id = pa_load_acquire(&table->slots[i])) != 0; i = (i + 1) % SLOTS) {
		const struct pa_labels *set = pa_load_acquire(&table->sets[id]);
		PA_ASSERT(set && set->id == id);
		if (is_same_labels(set, draft))
			return set;
	}
	*slot = i;
	return NULL;
}

/* Texts of a label taken from another set are stored already. */
static bool is_kept(const struct table *table, const char *text)
{
	return (uintptr_t)text - (uintptr_t)table->room < ROOM_BYTES;
}

static size_t bytes_of_labels(const struct table *table, const struct draft *draft)
{
	size_t bytes = sizeof(struct pa_labels) + draft->count * sizeof(struct pa_label);
	for (uint32_t i = 0; i < draft->count; i++) {
		const struct pa_label *label = &draft->labels[i];
		bytes += is_kept(table, label->key) ? 0 : strlen(label->key) + 1;
		bytes += is_kept(table, label->value) ? 0 : strlen(label->value) + 1;
	}
	return PA_ALIGN_UP(bytes, _Alignof(struct pa_labels));
}

static const char *keep_string(const struct table *table, const char *text, char **free)
{
	if (is_kept(table, text))
		return text;
	size_t bytes = strlen(text) + 1;
	char *copy = memcpy(*free, text, bytes);
	*free += bytes;
	return copy;
}

static void fill_label_set(struct pa_labels *set, const struct table *table,
	const struct draft *draft)
{
	char *free = (char *)(set->labels + draft->count);
	set->hash = draft->hash;
	set->count = draft->count;
	for (uint32_t i = 0; i < set->count; i++) {
		set->labels[i].key = keep_string(table, draft->labels[i].key, &free);
		set->labels[i].value = keep_string(table, draft->labels[i].value, &free);
	}
}

/*
 * Reserves space and id before the set becomes visible: a child forked at any point of this
 * function at worst loses them.
 */
static const struct pa_labels *add_labels_locked(struct table *table, const struct draft *draft)
{
	PA_ASSERT_HELD(PA_LOCK_LABELS);
	PA_ASSERT(state.used_bytes <= ROOM_BYTES);
	uint32_t slot;
	const struct pa_labels *found = find_labels(table, draft, &slot);
	if (found)
		return found;
	size_t bytes = bytes_of_labels(table, draft);
	PA_ASSERT(slot < SLOTS && !pa_load_relaxed(&table->slots[slot]));
	if (state.last_id == PA_LABELS_SETS - 1 || bytes > ROOM_BYTES - state.used_bytes)
		return NULL;
	struct pa_labels *set = (struct pa_labels *)(table->room + state.used_bytes);
	state.used_bytes += bytes;
	set->id = ++state.last_id;
	fill_label_set(set, table, draft);
	PA_ASSERT(pa_labels_id(set) == 0);
	pa_store_release(&table->sets[set->id], set);
	pa_store_release(&table->slots[slot], (uint16_t)set->id);
	return set;
}

static struct table *have_table_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_LABELS);
	struct table *table = pa_load_acquire(&state.table);
	if (!table) {
		table = pa_map(PA_LABELS_BYTES);
		pa_store_release(&state.table, table);
	}
	return table;
}

static const struct pa_labels *intern_labels(const struct draft *draft)
{
	PA_ASSERT(draft->count && draft->count <= PA_LABELS_MAX);
	uint32_t slot;
	struct table *table = pa_load_acquire(&state.table);
	const struct pa_labels *set = table ? find_labels(table, draft, &slot) : NULL;
	if (set)
		return set;
	pa_lock(&state.lock);
	table = have_table_locked();
	if (table)
		set = add_labels_locked(table, draft);
	pa_unlock(&state.lock);
	return set;
}

int pa_labels_add(const struct pa_labels *base, const char *const *pairs,
	const struct pa_labels **out)
{
	PA_ASSERT_PROGRAM();
	struct draft draft;
	int error = make_draft(&draft, base, pairs);
	if (error)
		return error;
	const struct pa_labels *set = draft.count ? intern_labels(&draft) : NULL;
	if (draft.count && !set)
		return -ENOSPC;
	*out = set;
	return 0;
}

const struct pa_labels *pa_labels_get(uint32_t id)
{
	struct table *table = pa_load_acquire(&state.table);
	return table && id < PA_LABELS_SETS ? pa_load_acquire(&table->sets[id]) : NULL;
}

uint32_t pa_labels_id(const struct pa_labels *labels)
{
	const struct table *table = pa_load_acquire(&state.table);
	if (!labels || !table)
		return 0;
	uintptr_t at = (uintptr_t)labels - (uintptr_t)table->room;
	if (at > ROOM_BYTES - sizeof(*labels) || at % _Alignof(struct pa_labels))
		return 0;
	return pa_labels_get(labels->id) == labels ? labels->id : 0;
}

const char *pa_labels_value(const struct pa_labels *labels, const char *key)
{
	for (uint32_t i = 0; labels && i < labels->count; i++)
		if (strcmp(labels->labels[i].key, key) == 0)
			return labels->labels[i].value;
	return NULL;
}

void pa_labels_atfork_child(void)
{
	pa_lock_reset(&state.lock);
}
