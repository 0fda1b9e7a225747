/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules: the mapped code, now and earlier.
 *
 * A module is one mapped ELF file (or the vdso, or anonymous executable memory) at one address.
 * Modules are never freed: a stack recorded in a library that was unloaded since keeps its module,
 * and a new library at the same address is another module.
 *
 * Context: PA_AGENT. The collector calls pa_maps_refresh and pa_maps_find under PA_LOCK_TABLES; the
 * fields of a module are constant after its publication, except those with a guard.
 * When full (65,536 modules, or no memory): code has no module.
 */
#ifndef PA_MAPS_H
#define PA_MAPS_H

#include "../base/atomic.h"
#include "../base/base.h"

#define PA_BUILD_ID_BYTES 32

/* One executable mapping of a module: one Mapping in the profile. */
struct pa_segment {
	uintptr_t start, limit; /* [start, limit) */
	uint64_t offset;        /* file offset of start */
};

#define PA_MODULE_SEGMENTS 4

struct pa_module {
	uint32_t id; /* 1, 2, ... in order of discovery; the main executable is 1 */
	bool is_main;
	PA_ATOMIC(bool) dead;   /* unloaded; written under PA_LOCK_TABLES, relaxed */
	uintptr_t start, limit; /* all of the file's mappings, [start, limit): wider than segments;
	                           start is the ELF header when is_elf */
	uint32_t segment_count; /* executable ones */
	struct pa_segment segments[PA_MODULE_SEGMENTS];
	uintptr_t bias; /* runtime address - ELF virtual address; 0 when not ELF */
	char *path;     /* without " (deleted)"; "[vdso]"; "[jit]" for anonymous code, which is
			 * grouped into few large modules: JITs create thousands of mappings */
	bool deleted;   /* /proc/PID/maps has " (deleted)" */
	bool is_elf;    /* has a readable ELF header in memory */
	uint64_t device, inode; /* of the file as mapped; 0 for none */
	int64_t file_time_ns;   /* its modification time if it has no build-id; 0: not known */
	uint8_t build_id[PA_BUILD_ID_BYTES];
	uint32_t build_id_bytes; /* 0: none */
	bool sampled;            /* a location is in it; written by the collector under
				     * PA_LOCK_TABLES */
	PA_ATOMIC(bool) over;    /* dead, and no more locations come; release / acquire */
	uint8_t naming;          /* of symbols_unloaded.c; guard: only the render thread uses it */
	uint32_t held;           /* of held_files.c; guard: PA_LOCK_FILES */
	struct pa_symbols *symbols; /* owned by symbols.c; guard: only the render thread uses it */
};

/*
 * Reads /proc/thread-self/maps again. Adds new modules; marks dead those that are no longer mapped,
 * or replaced by another file. 0 or -errno (then nothing changed).
 */
PA_AGENT int pa_maps_refresh(void);

/* The live module with an executable segment that contains pc, or NULL. No refresh. Binary
 * search. */
PA_AGENT struct pa_module *pa_maps_find(uintptr_t pc);

/* True for code that is in no file: made at run time. */
PA_INLINE bool pa_maps_is_loose(const struct pa_module *module)
{
	return !module->is_elf && module->inode == 0;
}

/* Number of modules so far, and each by id 1..count. */
PA_APP uint32_t pa_maps_count(void);
PA_APP struct pa_module *pa_maps_get(uint32_t id);

/* In a forked child: discards incomplete state; without the tables' lock at the fork, all state. */
PA_BOOT void pa_maps_reset(void);

/* As pa_maps_refresh, for a text in the format of /proc/PID/maps. Used by it and by tests. */
PA_AGENT int pa_maps_refresh_from(const char *text, size_t bytes);

/*
 * Opens a regular file for reading, close-on-exec, without blocking. A descriptor or -errno;
 * -EINVAL for other types (devices, FIFOs). See maps_jail.h.
 */
PA_API int pa_maps_open(const char *path);

/*
 * Copies memory of this process that may be unmapped at any moment (a library being unloaded). True
 * when all bytes were read.
 */
PA_AGENT bool pa_maps_read_memory(void *to, uintptr_t from, size_t bytes);

/*
 * The same through a small cache of pages, for many small reads of constant memory (unwind tables).
 * pa_maps_forget_pages empties it: call it after a module was unloaded.
 */
PA_AGENT bool pa_maps_read_cached(void *to, uintptr_t from, size_t bytes);
PA_APP void pa_maps_forget_pages(void);

#endif
