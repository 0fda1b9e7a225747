/* SPDX-License-Identifier: Apache-2.0 */
#include "maps.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "maps_scan.h"

/* Upper bound of modules over the life of the process: endless loading and unloading must not fill
 * the memory. Code mapped after the last one has no module. */
#define MAX_MODULES 65536
#define ARENA_BYTES ((size_t)16 << 20)
#define FIRST_TEXT_BYTES ((size_t)256 << 10)
#define MAX_TEXT_BYTES ((size_t)256 << 20)

/* One executable segment of a live module. */
struct live {
	uintptr_t start, limit;
	struct pa_module *module;
};

static struct {
	struct pa_arena arena;
	struct live *live; /* by address, disjoint */
	size_t live_count, live_bytes;
	PA_ATOMIC(uint32_t) count; /* release in publish_module, acquire in count and get */
	PA_ATOMIC(bool) changing;  /* relaxed: only for a forked child, about its parent */
	struct pa_module *modules[MAX_MODULES];
} state = { .arena = PA_ARENA_INIT("modules", ARENA_BYTES) };

static struct pa_module *find_in_live(const struct live *live, size_t count, uintptr_t address)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (live[middle].limit <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && live[low].start <= address ? live[low].module : NULL;
}

/* ---------------------------------------------------------------- from drafts to modules */

static bool segments_known(const struct pa_maps_draft *draft, const struct pa_module *module)
{
	for (uint32_t i = 0; i < draft->segment_count; i++) {
		const struct pa_segment *segment = &draft->segments[i];
		bool known = false;

		for (uint32_t m = 0; m < module->segment_count && !known; m++)
			known = module->segments[m].start <= segment->start &&
				segment->limit <= module->segments[m].limit;
		if (!known)
			return false;
	}
	return true;
}

/*
 * Loose code stays in its module while its range contains no file, although a module created now
 * might be larger. Fewer segments than before are no change: a JIT toggles pages between writable
 * and executable.
 */
static bool is_same_module(const struct pa_maps_draft *draft, const struct pa_module *module)
{
	if (draft->line.path_bytes == 0)
		return pa_maps_is_loose(module) && draft->start <= module->start &&
			module->limit <= draft->limit && segments_known(draft, module);
	return draft->start == module->start && draft->bias == module->bias &&
		draft->is_elf == module->is_elf && draft->line.device == module->device &&
		draft->line.inode == module->inode &&
		draft->build_id_bytes == module->build_id_bytes &&
		memcmp(draft->build_id, module->build_id, draft->build_id_bytes) == 0 &&
		segments_known(draft, module);
}

static char *copy_path(struct pa_module *module, const struct pa_maps_draft *draft)
{
	static const char anonymous[] = "[jit]";

	if (draft->line.path_bytes == 0)
		return pa_arena_strndup(&state.arena, anonymous, sizeof(anonymous) - 1);
	char *path = pa_arena_alloc(&state.arena, draft->line.path_bytes + 1);
	if (path)
		pa_maps_text_path(&draft->line, path, draft->line.path_bytes + 1, &module->deleted);
	return path;
}

/* Without a build-id only its time tells a file from one that is written in its place later. */
static void note_file_time(struct pa_module *module)
{
	int fd = module->build_id_bytes || !module->inode ? -1 : pa_maps_open(module->path);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_ino == module->inode)
		module->file_time_ns = st.st_mtim.tv_sec * PA_NS_PER_S + st.st_mtim.tv_nsec;
	close(fd);
}

/* Not published yet. NULL: no memory. */
static struct pa_module *make_module(const struct pa_maps_draft *draft)
{
	struct pa_module *module = pa_arena_alloc(&state.arena, sizeof(*module));

	if (!module)
		return NULL;
	module->path = copy_path(module, draft);
	if (!module->path)
		return NULL;
	module->start = draft->start;
	module->limit = draft->limit;
	module->bias = draft->bias;
	module->is_elf = draft->is_elf;
	module->device = draft->line.device;
	module->inode = draft->line.inode;
	module->segment_count = draft->segment_count;
	memcpy(module->segments, draft->segments, sizeof(module->segments));
	if (draft->line.path_bytes == 0)
		module->segments[0] = (struct pa_segment){ draft->start, draft->limit, 0 };
	module->build_id_bytes = draft->build_id_bytes;
	memcpy(module->build_id, draft->build_id, sizeof(module->build_id));
	note_file_time(module);
	return module;
}

static void publish_module(struct pa_module *module)
{
	uint32_t count = pa_load_relaxed(&state.count);

	module->id = count + 1;
	state.modules[count] = module;
	pa_store_release(&state.count, count + 1);
}

/* The draft of the executable: it contains the program headers and entry point (getauxval(3)). */
static size_t main_draft(const struct pa_maps_scan *scan)
{
	const uintptr_t known_addresses[] = { getauxval(AT_PHDR), getauxval(AT_ENTRY) };

	for (size_t t = 0; t < PA_COUNT(known_addresses); t++) {
		for (size_t i = 0; i < scan->draft_count; i++) {
			if (known_addresses[t] >= scan->drafts[i].start &&
				known_addresses[t] < scan->drafts[i].limit)
				return i;
		}
	}
	return 0;
}

/* Stores the module of each draft, known or new, in of_draft; NULL without memory. */
static void match_drafts(const struct pa_maps_scan *scan, struct pa_module **of_draft)
{
	bool first = pa_load_relaxed(&state.count) == 0;
	size_t main_index = first ? main_draft(scan) : 0;

	for (size_t n = 0; n < scan->draft_count; n++) {
		/* The executable first, so that its id is 1. */
		size_t i = n == 0 ? main_index : n <= main_index ? n - 1 : n;
		const struct pa_maps_draft *draft = &scan->drafts[i];
		struct pa_module *known =
			find_in_live(state.live, state.live_count, draft->segments[0].start);

		if (known && is_same_module(draft, known)) {
			of_draft[i] = known;
			continue;
		}
		if (pa_load_relaxed(&state.count) == MAX_MODULES)
			continue;
		of_draft[i] = make_module(draft);
		if (!of_draft[i])
			continue;
		of_draft[i]->is_main = first && i == main_index;
		publish_module(of_draft[i]);
	}
}

/* Inserts sorted: segments arrive in ascending order except those of loose code. */
static void add_live(struct live *live, size_t *count, struct pa_module *module)
{
	for (uint32_t s = 0; s < module->segment_count; s++) {
		size_t at = *count;

		for (; at > 0 && live[at - 1].start > module->segments[s].start; at--)
			live[at] = live[at - 1];
		live[at] = (struct live){ module->segments[s].start, module->segments[s].limit,
			module };
		++*count;
	}
}

/* Replaces the set of live modules. Assignments only: cannot fail. */
static void commit_live(struct live *live, size_t live_count, size_t live_bytes)
{
	bool any_dead = false;

	for (size_t i = 0; i < state.live_count; i++) {
		struct live *old = &state.live[i];

		if (find_in_live(live, live_count, old->start) == old->module)
			continue;
		pa_store_relaxed(&old->module->dead, true);
		any_dead = true;
	}
	pa_unmap(state.live, state.live_bytes);
	state.live = live;
	state.live_bytes = live_bytes;
	state.live_count = live_count;
	if (any_dead)
		pa_maps_forget_pages();
}

static int take_scan(const struct pa_maps_scan *scan)
{
	size_t live_count = 0;
	size_t live_bytes = scan->draft_count * PA_MODULE_SEGMENTS * sizeof(struct live);
	size_t table_bytes = scan->draft_count * sizeof(struct pa_module *);
	struct live *live = pa_map(live_bytes);
	struct pa_module **of_draft = pa_map(table_bytes);

	if (!live || !of_draft) {
		pa_unmap(live, live_bytes);
		pa_unmap(of_draft, table_bytes);
		return scan->draft_count ? -ENOMEM : -ENOENT;
	}
	pa_store_relaxed(&state.changing, true);
	match_drafts(scan, of_draft);
	for (size_t i = 0; i < scan->draft_count; i++) {
		if (of_draft[i])
			add_live(live, &live_count, of_draft[i]);
	}
	commit_live(live, live_count, live_bytes);
	pa_store_relaxed(&state.changing, false);
	pa_unmap(of_draft, table_bytes);
	return 0;
}

PA_AGENT int pa_maps_refresh_from(const char *text, size_t bytes)
{
	struct pa_maps_scan scan;
	int error = pa_maps_scan(&scan, text, bytes);

	if (error)
		return error;
	error = take_scan(&scan);
	pa_maps_scan_free(&scan);
	return error;
}

/* ---------------------------------------------------------------- reading the file */

struct text {
	char *at;
	size_t bytes, capacity;
};

static int grow_text(struct text *text)
{
	size_t capacity = text->capacity ? text->capacity * 2 : FIRST_TEXT_BYTES;
	char *at = capacity <= MAX_TEXT_BYTES ? pa_map(capacity) : NULL;

	if (!at)
		return -ENOMEM;
	if (text->bytes)
		memcpy(at, text->at, text->bytes);
	pa_unmap(text->at, text->capacity);
	text->at = at;
	text->capacity = capacity;
	return 0;
}

static int read_maps_text(int fd, struct text *text)
{
	for (;;) {
		if (text->bytes == text->capacity) {
			int error = grow_text(text);

			if (error)
				return error;
		}
		ssize_t got = read(fd, text->at + text->bytes, text->capacity - text->bytes);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return 0;
		text->bytes += got > 0 ? (size_t)got : 0;
	}
}

PA_AGENT int pa_maps_refresh(void)
{
	struct text text = { NULL, 0, 0 };
	int fd = pa_maps_open("/proc/thread-self/maps");

	if (fd < 0)
		return fd;
	int error = read_maps_text(fd, &text);
	close(fd);
	if (!error)
		error = pa_maps_refresh_from(text.at, text.bytes);
	pa_unmap(text.at, text.capacity);
	return error;
}

/* ---------------------------------------------------------------- lookups */

PA_AGENT struct pa_module *pa_maps_find(uintptr_t pc)
{
	return find_in_live(state.live, state.live_count, pc);
}

PA_APP uint32_t pa_maps_count(void)
{
	return pa_load_acquire(&state.count);
}

PA_APP struct pa_module *pa_maps_get(uint32_t id)
{
	return id - 1 < pa_load_acquire(&state.count) ? state.modules[id - 1] : NULL;
}

PA_BOOT void pa_maps_reset(void)
{
	pa_maps_forget_pages();
	if (!pa_load_relaxed(&state.changing))
		return;
	/* The thread that was changing it does not exist here. The memory is not freed: its lists
	 * may be inconsistent. */
	memset(state.modules, 0, sizeof(state.modules));
	state.live = NULL;
	state.live_count = state.live_bytes = 0;
	state.arena = (struct pa_arena)PA_ARENA_INIT("modules", ARENA_BYTES);
	pa_store_release(&state.count, 0);
	pa_store_relaxed(&state.changing, false);
}
