/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source files, lines and inlined functions of one module, from its DWARF.
 *
 * libdw gets an ELF image in memory that contains only the needed sections: so it opens and maps no
 * file, searches for none, and its memory can be bounded and freed. The index of units by address
 * is built once and kept by the caller; units are opened on demand.
 *
 * Context: PA_AGENT, the render thread only. No lock. Strings are valid until the next call.
 */
#ifndef PA_SYMBOLS_DWARF_H
#define PA_SYMBOLS_DWARF_H

#include "symbols_elf.h"
#include "symbols_units.h"

struct pa_symbols_dwarf;

/* One function at an address: inlined into the next one, or the function that contains the code. */
struct pa_symbols_scope {
	const char *linkage;      /* mangled name, or NULL */
	const char *name;         /* in the source, or NULL */
	const char *declared_in;  /* file, or NULL */
	const char *declared_dir; /* directory of a relative declared_in, or NULL */
	uint32_t declared_at;     /* line, or 0 */
	const char *file;         /* of the address within this function, or NULL */
	const char *dir;          /* directory of a relative file, or NULL */
	uint32_t line;            /* or 0 */
	uint64_t start;           /* ELF virtual address of the code; 0 if inlined */
};

/* Indexes of units: of the file, and of the file that it shares with others. */
struct pa_symbols_known {
	struct pa_symbols_units own, shared;
};

/* True if the file has debug information. */
PA_AGENT bool pa_symbols_dwarf_present(const struct pa_symbols_elf *file);

/*
 * Opens the debug information; shared (may be NULL) is the result of pa_symbols_files_shared. Takes
 * ownership of both files, also on failure. known is filled as units are indexed and stays the
 * caller's. NULL and *error: -ENODATA: none, or damaged; otherwise there is no memory for it now.
 */
PA_AGENT struct pa_symbols_dwarf *pa_symbols_dwarf_open(struct pa_symbols_elf *file,
	struct pa_symbols_elf *shared, struct pa_symbols_known *known, int *error);

/* Indexes units of the file, continuing where the last call stopped, until all are indexed or the
 * thread's CPU time reaches deadline_ns (*late). True: all are indexed. */
PA_AGENT bool pa_symbols_dwarf_list(struct pa_symbols_dwarf *dwarf, int64_t deadline_ns,
	bool *late);

/*
 * The same, but stops after each unit with code that wants wants, whose bytes have just been
 * decompressed: true, and pa_symbols_dwarf_find answers for its code until the next call. False:
 * all are indexed, or the deadline was reached.
 */
PA_AGENT bool pa_symbols_dwarf_list_to_wanted(struct pa_symbols_dwarf *dwarf,
	const struct pa_symbols_wants *wants, int64_t deadline_ns);

/* Number of the unit that contains an ELF virtual address, in file order; 0: none. */
PA_AGENT uint32_t pa_symbols_dwarf_unit(const struct pa_symbols_dwarf *dwarf, uint64_t address);

/*
 * Fills in the functions at an ELF virtual address, innermost first, at most max (>= 2); if there
 * are more, some before the last are left out. Returns their number; 0: nothing is known, or
 * (*late) not before the deadline, or not before all units are indexed.
 */
PA_AGENT uint32_t pa_symbols_dwarf_find(struct pa_symbols_dwarf *dwarf, uint64_t address,
	struct pa_symbols_scope *scopes, uint32_t max, int64_t deadline_ns, bool *late);

PA_AGENT void pa_symbols_dwarf_close(struct pa_symbols_dwarf *dwarf);

#endif
