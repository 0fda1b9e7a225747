/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the text of /proc/PID/maps by lines. Pure functions of the text: no state, any context. */
#ifndef PA_MAPS_TEXT_H
#define PA_MAPS_TEXT_H

#include "../base/base.h"

struct pa_maps_line {
	uintptr_t start, limit;
	bool readable, executable;
	uint64_t offset, device, inode; /* device as in st_dev */
	const char *path;               /* points into the text, not terminated, escaped */
	size_t path_bytes;              /* 0: anonymous */
};

/*
 * Parses the line at text (end: one past the last byte) into *line. Returns the start of the next
 * line, NULL at the end of the text. An invalid line has start = limit = 0.
 */
PA_AGENT const char *pa_maps_text_line(const char *text, const char *end,
	struct pa_maps_line *line);

/*
 * The path in the file system: newlines unescaped, without " (deleted)". Writes at most size bytes
 * with NUL, returns the length; *deleted: the mark was present.
 */
PA_AGENT size_t pa_maps_text_path(const struct pa_maps_line *line, char *out, size_t size,
	bool *deleted);

/* True when the path, still escaped, starts with prefix. */
PA_AGENT bool pa_maps_text_path_starts(const struct pa_maps_line *line, const char *prefix);

#endif
