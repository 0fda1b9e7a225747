/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses /proc/PID/maps into drafts of modules: lines of one image are grouped, and executable
 * mappings without a file are loose code.
 *
 * Context: PA_AGENT, under PA_LOCK_TABLES. The scan owns its arrays until pa_maps_scan_free.
 */
#ifndef PA_MAPS_SCAN_H
#define PA_MAPS_SCAN_H

#include "maps.h"
#include "maps_text.h"

/* A module, before it is matched with the known ones. */
struct pa_maps_draft {
	uintptr_t start, limit, bias;
	uint32_t segment_count;
	struct pa_segment segments[PA_MODULE_SEGMENTS];
	struct pa_maps_line line; /* the first line: device, inode, path */
	bool is_elf;
	uint8_t build_id[PA_BUILD_ID_BYTES];
	uint32_t build_id_bytes;
};

/*
 * path_bytes of the line = 0 is loose code, in no file: such a draft has one segment, from the
 * first to the last piece of code, and [start, limit) is the range that a module for it may cover:
 * without files, within one PA_MAPS_SCAN_UNIT. A JIT's next mapping is likely in it.
 */
#define PA_MAPS_SCAN_UNIT ((uintptr_t)64 << 20)

struct pa_maps_range {
	uintptr_t start, limit;
};

struct pa_maps_scan {
	struct pa_maps_draft *drafts; /* disjoint: files by address, then loose code by address */
	size_t draft_count, file_count;
	struct pa_maps_range *loose; /* executable, without a file; by address, disjoint */
	size_t loose_count;
	size_t capacity; /* of both arrays */
	uintptr_t end;   /* end of the last line that counted */
};

/* 0 or -ENOMEM. */
PA_AGENT int pa_maps_scan(struct pa_maps_scan *scan, const char *text, size_t bytes);
PA_AGENT void pa_maps_scan_free(struct pa_maps_scan *scan);

#endif
