/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu_names.h"

#include <string.h>

#include "../arch/arch.h"
#include "../base/arena.h"
#include "../base/assert.h"
#include "thread_names.h"

#define SLOTS (PA_CPU_NAMES_MAX * 2)
#define BYTES ((size_t)PA_CPU_NAMES_MAX * 64 + 4 * PA_PAGE_BYTES)

/* Names that need no memory. */
enum { NAME_EMPTY, NAME_OTHER, NAME_FIRST };

_Static_assert(PA_CPU_NAMES_MAX <= UINT16_MAX, "ids of names have 16 bits");

static struct {
	struct pa_arena arena;
	const char *names[PA_CPU_NAMES_MAX]; /* by id, from NAME_FIRST */
	uint16_t slots[SLOTS];               /* by hash: id, 0 = free; open addressing */
	uint16_t count;                      /* 0: nothing is set up yet */
	uint64_t dropped;
} state;

static void forget_names(void)
{
	state.arena = (struct pa_arena)PA_ARENA_INIT("thread names", BYTES);
	memset(state.slots, 0, sizeof(state.slots));
	state.count = NAME_FIRST;
}

static uint32_t hash_name(const char *name, size_t length)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	return hash ^ hash >> 15;
}

static bool is_thread_name(uint16_t id, const char *name, size_t length)
{
	PA_ASSERT(id >= NAME_FIRST && id < state.count);
	return strncmp(state.names[id], name, length) == 0 && !state.names[id][length];
}

static uint16_t add_thread_name(const char *name, size_t length)
{
	PA_ASSERT(state.count >= NAME_FIRST && state.count <= PA_CPU_NAMES_MAX);
	const char *copy = NULL;
	if (state.count < PA_CPU_NAMES_MAX)
		copy = pa_arena_strndup(&state.arena, name, length);
	if (!copy) {
		state.dropped++;
		return NAME_OTHER;
	}
	state.names[state.count] = copy;
	return state.count++;
}

uint16_t pa_cpu_names_id(const char raw[PA_EVENT_NAME_BYTES])
{
	if (!state.count)
		forget_names();
	char name[PA_THREAD_NAMES_BYTES];
	size_t length = pa_thread_names_clean(name, sizeof(name), raw);
	if (!length)
		return NAME_EMPTY;
	uint32_t i = hash_name(name, length) % SLOTS;
	/* Terminates: there are twice as many slots as names. */
	for (; state.slots[i]; i = (i + 1) % SLOTS) {
		if (is_thread_name(state.slots[i], name, length))
			return state.slots[i];
	}
	uint16_t id = add_thread_name(name, length);
	if (id != NAME_OTHER)
		state.slots[i] = id;
	return id;
}

const char *pa_cpu_names_at(uint32_t id)
{
	PA_ASSERT(id < state.count || id == NAME_OTHER);
	switch (id) {
	case NAME_EMPTY: return "";
	case NAME_OTHER: return PA_CPU_NAMES_OTHER;
	default: return state.names[id];
	}
}

struct pa_cpu_names_stats pa_cpu_names_stats(void)
{
	return (struct pa_cpu_names_stats){ state.dropped, state.arena.mapped_bytes };
}

PA_BOOT void pa_cpu_names_abandon(void)
{
	forget_names();
}
