/*
 * From the text of /proc/PID/maps to a list of what a module is: which lines belong to one image,
 * which executable pieces belong to no file.
 *
 * Context: PA_AGENT, under PA_LOCK_TABLES. The scan owns its arrays until pa_maps_scan_free.
 */
#ifndef PA_MAPS_SCAN_H
#define PA_MAPS_SCAN_H

#include "maps.h"
#include "maps_text.h"

/* What a module will be, or is. */
struct pa_maps_draft {
	uintptr_t start, limit, bias;
	uint32_t segment_count;
	struct pa_segment segments[PA_MODULE_SEGMENTS];
	struct pa_maps_line line; /* the first one: device, inode, path */
	bool is_elf;
	uint8_t build_id[PA_BUILD_ID_BYTES];
	uint32_t build_id_bytes;
};

/*
 * path_bytes of the line = 0 is loose code, which lies in no file: such a draft has one segment,
 * from the first to the last piece of code, while [start, limit) is the space that a module for it
 * may take: free of files, and no more than one PA_MAPS_SCAN_UNIT. What a JIT maps next is in it.
 */
#define PA_MAPS_SCAN_UNIT ((uintptr_t)64 << 20)

struct pa_maps_range {
	uintptr_t start, limit;
};

struct pa_maps_scan {
	struct pa_maps_draft *drafts; /* disjoint: files by address, then loose code by address */
	size_t draft_count, file_count;
	struct pa_maps_range *loose;  /* executable, in no file; by address, disjoint */
	size_t loose_count;
	size_t capacity;              /* of both arrays */
	uintptr_t end;                /* of the last line that counted */
};

/* 0 or -ENOMEM. */
PA_AGENT int pa_maps_scan(struct pa_maps_scan *scan, const char *text, size_t bytes);
PA_AGENT void pa_maps_scan_free(struct pa_maps_scan *scan);

#endif
