/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the allocator in a module by its symbols, and what the agent needs of it: its control
 * functions, and the range of its code, whose frames are removed from the stacks of allocations.
 *
 * Reads .symtab and .dynsym of the mapped file: a program that links an allocator statically often
 * has its names in .symtab only. A file that is stripped shows it by texts among its constants.
 *
 * Context: PA_AGENT, any agent thread but the collector: a large file takes tens of ms. No lock, no
 * state. A file that cannot be opened (deleted, replaced, no room for its names) has none.
 */
#ifndef PA_ALLOCATOR_SCAN_H
#define PA_ALLOCATOR_SCAN_H

#include "../modules/maps.h"

enum pa_allocator_kind {
	PA_ALLOCATOR_NONE,
	PA_ALLOCATOR_JEMALLOC,
	PA_ALLOCATOR_GPERFTOOLS,
	PA_ALLOCATOR_TCMALLOC, /* github.com/google/tcmalloc */
	PA_ALLOCATOR_MIMALLOC,
	PA_ALLOCATOR_SNMALLOC,
	PA_ALLOCATOR_RPMALLOC,
	PA_ALLOCATOR_TBB,
	PA_ALLOCATOR_KINDS
};

/* Functions of an allocator that the agent may call. */
enum pa_allocator_entry {
	PA_ALLOCATOR_CONTROL,    /* jemalloc: mallctl */
	PA_ALLOCATOR_DESTRUCTOR, /* jemalloc: tsd_cleanup, for ends of threads; never called */
	PA_ALLOCATOR_ADD_NEW,    /* gperftools: MallocHook_AddNewHook, and so on */
	PA_ALLOCATOR_REMOVE_NEW,
	PA_ALLOCATOR_ADD_DELETE,
	PA_ALLOCATOR_REMOVE_DELETE,
	PA_ALLOCATOR_PROPERTY, /* gperftools: MallocExtension_GetNumericProperty */
	PA_ALLOCATOR_ENTRIES
};

#define PA_ALLOCATOR_VERSION_BYTES 24
#define PA_ALLOCATOR_RANGES 32

struct pa_allocator_range {
	uintptr_t start, limit;
};

struct pa_allocator_scan {
	enum pa_allocator_kind kind;
	bool stripped;    /* found by its texts: nothing below but the version is known */
	bool has_malloc;  /* it exports malloc */
	bool has_new;     /* and operator new */
	bool has_pvalloc; /* jemalloc: numbers of its hooks' types depend on it */
	char version[PA_ALLOCATOR_VERSION_BYTES]; /* "5.3.0"; "" if unknown */
	uintptr_t entries[PA_ALLOCATOR_ENTRIES];  /* runtime addresses; 0: there is none */
	uint32_t range_count;
	struct pa_allocator_range ranges[PA_ALLOCATOR_RANGES]; /* its code, by address */
};

/* Fills in *scan. False: the module has no allocator that is known, or could not be read. */
PA_AGENT bool pa_allocator_scan(const struct pa_module *module, struct pa_allocator_scan *scan);

/* "jemalloc", as its users call it. */
PA_AGENT const char *pa_allocator_scan_name(enum pa_allocator_kind kind);

/* True when the module refers to an operator new that another module defines. */
PA_AGENT bool pa_allocator_scan_imports_new(const struct pa_module *module);

#endif
