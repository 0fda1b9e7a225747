/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of call frame information: what a CIE and an FDE of .eh_frame or .debug_frame say (DWARF
 * 5, 6.4.1; Linux Standard Base, "Exception Frames").
 *
 * Context: PA_AGENT; no state, no memory. What is returned points to the reader's bytes.
 */
#ifndef PA_CFI_ENTRY_H
#define PA_CFI_ENTRY_H

#include "cfi_reader.h"

/* In the place of the distance or offset to the CIE, a CIE has one of these. */
#define PA_CFI_ENTRY_DEBUG_ID 0xffffffffu
#define PA_CFI_ENTRY_EH_ID 0u
#define PA_CFI_ENTRY_LENGTH_64 0xffffffffu /* 64-bit DWARF: not supported */

/* An entry with its CIE. The programs are call frame instructions, not validated. */
struct pa_cfi_entry {
	uintptr_t start, limit; /* the pcs that it covers, [start, limit) */
	uint64_t code_align;
	int64_t data_align;
	uint64_t return_column;
	bool signal_frame;
	const uint8_t *common, *own; /* programs of the CIE and of the FDE */
	size_t common_bytes, own_bytes;
};

/* Fields of a CIE. */
struct pa_cfi_entry_cie {
	uint64_t code_align, return_column;
	int64_t data_align;
	uint8_t pointers; /* encoding */
	bool sized, signal_frame;
	const uint8_t *program;
	size_t program_bytes;
};

/* reader: behind the length field of the entry, and ends with it. False: not a CIE, malformed, or
 * its FDEs have addresses that are neither absolute nor relative to their place. */
PA_AGENT bool pa_cfi_entry_read_cie(struct pa_cfi_reader *reader, bool is_debug,
	struct pa_cfi_entry_cie *cie);

/* reader: behind the field that leads to the CIE; then at the FDE's program. False: malformed, or
 * it covers nothing. */
PA_AGENT bool pa_cfi_entry_read_range(struct pa_cfi_reader *reader,
	const struct pa_cfi_entry_cie *cie, uint64_t *start, uint64_t *limit);

/* reader: at the FDE's program. */
PA_AGENT struct pa_cfi_entry pa_cfi_entry_make(const struct pa_cfi_entry_cie *cie, uintptr_t start,
	uintptr_t limit, const struct pa_cfi_reader *reader);

#endif
