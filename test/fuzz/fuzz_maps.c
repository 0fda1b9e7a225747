/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds the readers of /proc/PID/maps (modules/maps_text.c, maps_scan.c, maps.c, maps_image.c): the
 * text of two refreshes, one after the other, and what lies in memory at MEMORY_AT, where the texts
 * may say that images are. May not happen: modules whose segments are empty or not found again, a
 * path that is longer than its line, more modules than lines of code.
 */
#include "fuzz.h"

#include "agent/modules/maps.c"
#include "agent/modules/maps_image.h"
#include "fuzz_memory.h"

static void check_lines(const char *text, size_t bytes)
{
	const char *end = text + bytes, *at = text;
	struct pa_maps_line line;
	bool deleted;

	while ((at = pa_maps_text_line(at, end, &line))) {
		must(at <= end && line.start <= line.limit);
		must(!line.path_bytes || (line.path >= text && line.path + line.path_bytes <= end));
		for (size_t size = 0; size < line.path_bytes + 2; size += 1 + size / 2) {
			char *path = malloc(size + !size);
			size_t length = pa_maps_text_path(&line, path, size, &deleted);

			must(length <= line.path_bytes && (!size || length < size));
			must(!size || path[length] == '\0');
			free(path);
		}
	}
}

static void check_modules(void)
{
	for (size_t i = 0; i < state.live_count; i++) {
		const struct live *live = &state.live[i];

		must(live->start < live->limit && (!i || state.live[i - 1].start <= live->start));
		must(!pa_load_relaxed(&live->module->dead) || i);
	}
	for (uint32_t id = 1; id <= pa_maps_count(); id++) {
		const struct pa_module *module = pa_maps_get(id);

		must(module && module->id == id && module->path && module->segment_count > 0);
		must(module->segment_count <= PA_MODULE_SEGMENTS && module->start < module->limit);
		must(module->build_id_bytes <= PA_BUILD_ID_BYTES);
		for (uint32_t s = 0; s < module->segment_count; s++)
			must(module->segments[s].start < module->segments[s].limit);
	}
	must(!pa_maps_get(0) && !pa_maps_get(pa_maps_count() + 1));
}

static void start_afresh(void)
{
	pa_unmap(state.live, state.live_bytes);
	pa_arena_free(&state.arena);
	memset(state.modules, 0, pa_maps_count() * sizeof(state.modules[0]));
	state.live = NULL;
	state.live_count = state.live_bytes = 0;
	state.count = 0;
}

static void refresh(struct input text)
{
	char *copy = input_copy(text.at, text.left);

	check_lines(copy, text.left);
	pa_maps_refresh_from(copy, text.left);
	check_modules();
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct input input = { bytes, count };
	struct input first = input_piece(&input), second = input_piece(&input);
	uint8_t id[PA_BUILD_ID_BYTES];

	memory_set(input.at, input.left);
	refresh(first);
	refresh(second);
	for (uintptr_t at = 0; at < input.left; at += 0x800)
		pa_maps_find(MEMORY_AT + at);
	must(pa_maps_image_note(input.at, input.left, 4, id) <= PA_BUILD_ID_BYTES);
	must(pa_maps_image_note(input.at, input.left, 8, id) <= PA_BUILD_ID_BYTES);
	start_afresh();
	return 0;
}
