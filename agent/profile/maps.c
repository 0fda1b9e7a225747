#include "maps.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "../base/arena.h"
#include "maps_scan.h"

/* Modules ever: a program that loads and unloads for ever must not fill the memory. What comes
 * after the last one has no module. */
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
	PA_ATOMIC(uint32_t) count; /* release in publish, acquire in pa_maps_count and _get */
	PA_ATOMIC(bool) changing;  /* relaxed: only tells a forked child about its parent */
	struct pa_module *modules[MAX_MODULES];
} state = { .arena = PA_ARENA_INIT("modules", ARENA_BYTES) };

static struct pa_module *find_in(const struct live *live, size_t count, uintptr_t address)
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

static bool is_loose(const struct pa_module *module)
{
	return !module->is_elf && module->inode == 0;
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
 * Loose code stays in its module while that still is free of files, though another one made today
 * might be larger. Fewer segments than known are no change: a page may be writable just now, and
 * code again soon.
 */
static bool is_same(const struct pa_maps_draft *draft, const struct pa_module *module)
{
	if (draft->line.path_bytes == 0)
		return is_loose(module) && draft->start <= module->start &&
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
	static const char anonymous[] = "[anon]";

	if (draft->line.path_bytes == 0)
		return pa_arena_strndup(&state.arena, anonymous, sizeof(anonymous) - 1);
	char *path = pa_arena_alloc(&state.arena, draft->line.path_bytes + 1);
	if (path)
		pa_maps_text_path(&draft->line, path, draft->line.path_bytes + 1,
			&module->deleted);
	return path;
}

/* NULL: no memory. Not published yet. */
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
	return module;
}

static void publish(struct pa_module *module)
{
	uint32_t count = pa_load_relaxed(&state.count);

	module->id = count + 1;
	state.modules[count] = module;
	pa_store_release(&state.count, count + 1);
}

/* The draft of the executable: it has the program headers that the kernel told of. */
static size_t main_draft(const struct pa_maps_scan *scan)
{
	const uintptr_t told[] = { getauxval(AT_PHDR), getauxval(AT_ENTRY) };

	for (size_t t = 0; t < PA_COUNT(told); t++) {
		for (size_t i = 0; i < scan->draft_count; i++) {
			if (told[t] >= scan->drafts[i].start && told[t] < scan->drafts[i].limit)
				return i;
		}
	}
	return 0;
}

/* The drafts' modules, known or new, into of_draft; NULL where no memory is left. */
static void match(const struct pa_maps_scan *scan, struct pa_module **of_draft)
{
	bool first = pa_load_relaxed(&state.count) == 0;
	size_t main_index = first ? main_draft(scan) : 0;

	for (size_t n = 0; n < scan->draft_count; n++) {
		/* The executable first, so that its id is 1. */
		size_t i = n == 0 ? main_index : n <= main_index ? n - 1 : n;
		const struct pa_maps_draft *draft = &scan->drafts[i];
		struct pa_module *known = find_in(state.live, state.live_count,
			draft->segments[0].start);

		if (known && is_same(draft, known)) {
			of_draft[i] = known;
			continue;
		}
		if (pa_load_relaxed(&state.count) == MAX_MODULES)
			continue;
		of_draft[i] = make_module(draft);
		if (!of_draft[i])
			continue;
		of_draft[i]->is_main = first && i == main_index;
		publish(of_draft[i]);
	}
}

/* Insertion: one segment starts behind the one before but for those of loose code. */
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

/* Replaces the set of live modules. Only assignments: nothing here can fail. */
static void commit(struct live *live, size_t live_count, size_t live_bytes)
{
	bool any_dead = false;

	for (size_t i = 0; i < state.live_count; i++) {
		struct live *old = &state.live[i];

		if (find_in(live, live_count, old->start) == old->module)
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
	match(scan, of_draft);
	for (size_t i = 0; i < scan->draft_count; i++) {
		if (of_draft[i])
			add_live(live, &live_count, of_draft[i]);
	}
	commit(live, live_count, live_bytes);
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

static int grow(struct text *text)
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

static int read_all(int fd, struct text *text)
{
	for (;;) {
		if (text->bytes == text->capacity) {
			int error = grow(text);

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
	int error = read_all(fd, &text);
	close(fd);
	if (!error)
		error = pa_maps_refresh_from(text.at, text.bytes);
	pa_unmap(text.at, text.capacity);
	return error;
}

/* ---------------------------------------------------------------- lookups */

PA_AGENT struct pa_module *pa_maps_find(uintptr_t pc)
{
	return find_in(state.live, state.live_count, pc);
}

PA_AGENT uint32_t pa_maps_count(void)
{
	return pa_load_acquire(&state.count);
}

PA_AGENT struct pa_module *pa_maps_get(uint32_t id)
{
	return id - 1 < pa_load_acquire(&state.count) ? state.modules[id - 1] : NULL;
}

PA_BOOT void pa_maps_reset(void)
{
	pa_maps_forget_pages();
	if (!pa_load_relaxed(&state.changing))
		return;
	/* Whoever was changing it is gone. The memory is not given back: the lists in it may be
	 * half done as well. */
	memset(state.modules, 0, sizeof(state.modules));
	state.live = NULL;
	state.live_count = state.live_bytes = 0;
	state.arena = (struct pa_arena)PA_ARENA_INIT("modules", ARENA_BYTES);
	pa_store_release(&state.count, 0);
	pa_store_relaxed(&state.changing, false);
}
