/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call frame information of one pc: found in its module's .eh_frame, or elsewhere (cfi_file.h,
 * registered.h), copied and validated.
 *
 * libunwind evaluates the copy (unwind.c), which can neither disappear nor change when a library is
 * unloaded, and contains nothing harmful. libunwind trusts CFI in ways that would crash the
 * process: register numbers of DW_CFA_register and the return address column index arrays
 * unchecked, DW_OP_div traps on INT64_MIN / -1, DW_OP_bra may loop without end, the operands of
 * DW_CFA_val_offset are read as opcodes, and a frame without a CFA rule fails an assertion in
 * builds with assertions.
 *
 * Context: PA_AGENT, the collector thread only, under PA_LOCK_TABLES (calls pa_maps_*). The caller
 * owns the memory; nothing is allocated.
 */
#ifndef PA_CFI_H
#define PA_CFI_H

#include "../base/base.h"

/* The largest in distributions are 0.1 and 24 KiB; larger ones count as broken. */
#define PA_CFI_CIE_BYTES 1024
#define PA_CFI_FDE_BYTES (64 * 1024)

/* A copied entry, in whole words of 8 bytes: [from, limit). */
struct pa_cfi_part {
	uintptr_t from, limit;
	uint64_t *words;
};

struct pa_cfi {
	uintptr_t start, limit; /* the pcs that the FDE covers, [start, limit) */
	uintptr_t header;       /* address of .eh_frame_hdr */
	uint64_t row;           /* of its search table: two int32 from header, first pc and FDE */
	bool signal_frame;      /* augmentation 'S' */
	struct pa_cfi_part cie, fde;
	uint64_t cie_words[PA_CFI_CIE_BYTES / 8];
	uint64_t fde_words[PA_CFI_FDE_BYTES / 8];
};

/*
 * Looks up _dl_find_object of glibc >= 2.35, which finds modules lock-free and always up to date.
 * Without it, and for modules that it does not have, pa_maps_find is used.
 */
PA_AGENT void pa_cfi_init(void);

/*
 * Fills cfi for the instruction at ip. 0; -ENOENT: no unwind information (not in a module, no
 * table, no entry); -EBADMSG: it is unreadable, too large, malformed, or harmful to libunwind;
 * -ESTALE: see registered.h. cfi is empty then.
 */
PA_AGENT int pa_cfi_find(struct pa_cfi *cfi, uintptr_t ip);

/* Reads the word at an address (multiple of 8) in the copies; false elsewhere. */
PA_AGENT bool pa_cfi_word(const struct pa_cfi *cfi, uintptr_t at, uint64_t *word);

#endif
