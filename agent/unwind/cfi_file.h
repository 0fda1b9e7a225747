/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call frame information that is only in a module's file: .debug_frame (or in its separate debug
 * file), and .eh_frame of a file without .eh_frame_hdr (ld --no-eh-frame-hdr). The section is
 * loaded once, when a pc of the module has no entry in memory, and indexed by address.
 *
 * Context: PA_AGENT, the collector thread only, under PA_LOCK_TABLES. Sections and indexes take at
 * most PA_CFI_FILE_BYTES; further modules have none.
 */
#ifndef PA_CFI_FILE_H
#define PA_CFI_FILE_H

#include "../modules/maps.h"
#include "cfi_entry.h"

#define PA_CFI_FILE_BYTES ((size_t)16 << 20)

struct pa_cfi_section {
	uint8_t *bytes; /* from pa_map; the receiver unmaps size bytes */
	size_t size;
	uint64_t address; /* in the file's address space */
};

/* Loads a section of a module's file. False: there is none, or it cannot be loaded. */
typedef bool pa_cfi_load_fn(const struct pa_module *module, const char *name,
	struct pa_cfi_section *section);

/* Without a loader no module has such tables. */
PA_AGENT void pa_cfi_file_init(pa_cfi_load_fn *load);

/* In a forked child: forgets all modules. */
PA_BOOT void pa_cfi_file_reset(void);

/* 0, or -ENOENT: no entry for ip; -EBADMSG: malformed. has_search_table: the module has an
 * .eh_frame_hdr, so that its .eh_frame is not read. *entry points to memory of cfi_file.c, until
 * the next call. */
PA_AGENT int pa_cfi_file_find(uintptr_t ip, bool has_search_table, struct pa_cfi_entry *entry);

#endif
