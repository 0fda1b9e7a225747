/*
 * Source files, lines and inlined functions of one module, out of its DWARF. The file behind it is
 * the only one that knows libdw's DWARF half.
 *
 * libdw gets an ELF image made in memory that has just the sections needed here: so it never opens
 * or maps a file, never looks for another one, and the memory is ours to bound and to give back.
 * Units are indexed by address when opened, the functions of a unit when it is first asked for.
 *
 * Context: PA_AGENT, the render thread only. Strings handed out live until pa_symbols_dwarf_close.
 */
#ifndef PA_SYMBOLS_DWARF_H
#define PA_SYMBOLS_DWARF_H

#include "symbols_elf.h"

struct pa_symbols_dwarf;

/* One function at an address: inlined into the next one, or the one that has the code. */
struct pa_symbols_scope {
	const char *linkage; /* mangled name, or NULL */
	const char *name;    /* in the source, or NULL */
	const char *declared_in; /* file, or NULL */
	const char *declared_dir; /* what declared_in is relative to, or NULL */
	uint32_t declared_at;    /* line, or 0 */
	const char *file;    /* where the address is within this function, or NULL */
	const char *dir;     /* what file is relative to, or NULL */
	uint32_t line;       /* or 0 */
	uint64_t start;      /* ELF virtual address of the code; 0 when inlined */
};

/* The file has debug information. */
PA_AGENT bool pa_symbols_dwarf_present(const struct pa_symbols_elf *file);

/*
 * Opens it; shared (may be NULL) is what pa_symbols_files_shared found. The files may be closed
 * afterwards. NULL: none, damaged, too large for the memory there is, or not done at deadline_ns
 * (CLOCK_MONOTONIC).
 */
PA_AGENT struct pa_symbols_dwarf *pa_symbols_dwarf_open(const struct pa_symbols_elf *file,
	const struct pa_symbols_elf *shared, int64_t deadline_ns);

/*
 * The functions at an ELF virtual address, innermost first, at most max (>= 2) of them: in the
 * middle some are left out. 0: nothing is known, or not found out before the deadline.
 */
PA_AGENT uint32_t pa_symbols_dwarf_find(struct pa_symbols_dwarf *dwarf, uint64_t address,
	struct pa_symbols_scope *scopes, uint32_t max, int64_t deadline_ns);

PA_AGENT void pa_symbols_dwarf_close(struct pa_symbols_dwarf *dwarf);

#endif
