/*
 * Modules: what code is mapped where, now and earlier.
 *
 * A module is one mapped ELF file (or the vdso, or anonymous executable memory) at one place.
 * Modules are never freed: a stack recorded in a library that was unloaded since keeps pointing to
 * it, and a new library at the same address is another module.
 *
 * Context: PA_AGENT. pa_maps_refresh and pa_maps_find are called under PA_LOCK_TABLES (the
 * collector); the fields of a module are constant after it was published, but for those that name
 * their guard.
 */
#ifndef PA_MAPS_H
#define PA_MAPS_H

#include "../base/atomic.h"
#include "../base/base.h"

#define PA_BUILD_ID_BYTES 32

/* One executable mapping of a module: one Mapping of the profile. */
struct pa_segment {
	uintptr_t start, limit; /* [start, limit) */
	uint64_t offset;        /* file offset of start */
};

#define PA_MODULE_SEGMENTS 4

struct pa_module {
	uint32_t id;          /* 1, 2, ... in order of discovery; the main executable is 1 */
	bool is_main;
	PA_ATOMIC(bool) dead; /* was unloaded; written under PA_LOCK_TABLES, relaxed */
	uintptr_t start, limit; /* all of the file's mappings, [start, limit): wider than segments;
	                           start is the ELF header when is_elf */
	uint32_t segment_count; /* executable ones */
	struct pa_segment segments[PA_MODULE_SEGMENTS];
	uintptr_t bias;       /* runtime address - ELF virtual address; 0 when not ELF */
	char *path;           /* without " (deleted)"; "[vdso]"; "[anon]" for anonymous code, which
	                         is cut into few large modules: JITs map thousands of pieces */
	bool deleted;         /* maps said " (deleted)" */
	bool is_elf;          /* has a readable ELF header in memory */
	uint64_t device, inode; /* of the file as mapped; 0 for none */
	uint8_t build_id[PA_BUILD_ID_BYTES];
	uint32_t build_id_bytes; /* 0: none */
	struct pa_symbols *symbols; /* owned by symbols.c; guard: the render thread alone */
};

/*
 * Reads /proc/thread-self/maps again. New modules are added; those that are no longer mapped, or
 * whose place has another file, are marked dead. 0 or -errno (then nothing changed).
 */
PA_AGENT int pa_maps_refresh(void);

/* The live module that has pc in an executable segment, or NULL. No refresh. Binary search. */
PA_AGENT struct pa_module *pa_maps_find(uintptr_t pc);

/* Number of modules ever, and each by id 1..count. */
PA_AGENT uint32_t pa_maps_count(void);
PA_AGENT struct pa_module *pa_maps_get(uint32_t id);

/* In a forked child: nothing to do but forget what is half done. Tables not held: drop all. */
PA_BOOT void pa_maps_reset(void);

/* As pa_maps_refresh, from a text in the form of /proc/PID/maps. For it and for tests. */
PA_AGENT int pa_maps_refresh_from(const char *text, size_t bytes);

/*
 * Opens a regular file for reading, close-on-exec, never blocking. A descriptor or -errno; -EINVAL
 * for what is no such file (devices, FIFOs). See maps_jail.h.
 */
PA_AGENT int pa_maps_open(const char *path);

/*
 * Copies memory of this process that may vanish at any moment (a library being unloaded).
 * True when all bytes were read.
 */
PA_AGENT bool pa_maps_read_memory(void *to, uintptr_t from, size_t bytes);

/*
 * The same through a small cache of pages, for many small reads of constant memory (unwind tables).
 * pa_maps_forget_pages empties it: call it when a module went.
 */
PA_AGENT bool pa_maps_read_cached(void *to, uintptr_t from, size_t bytes);
PA_AGENT void pa_maps_forget_pages(void);

#endif
