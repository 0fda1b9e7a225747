/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search table of .eh_frame_hdr: rows sorted by the start of their function (Linux Standard
 * Base, "Exception Frames").
 *
 * Context: PA_AGENT; no state, no memory. The caller gives the function that reads the process's
 * memory, which may be unmapped at any moment.
 */
#ifndef PA_EH_TABLE_H
#define PA_EH_TABLE_H

#include "../base/base.h"

typedef bool pa_eh_table_read_fn(void *to, uintptr_t from, size_t bytes);

/*
 * The last row with a start <= ip, of the table of the header at that address: *row has two int32
 * relative to the header, the start below and its FDE above. 0; -ENOENT: there is none, or the
 * format is not that of linkers; -EBADMSG: it cannot be read.
 */
PA_AGENT int pa_eh_table_find(uintptr_t header, uintptr_t ip, pa_eh_table_read_fn *read,
	uint64_t *row);

PA_INLINE uintptr_t pa_eh_table_start(uintptr_t header, uint64_t row)
{
	return header + (uintptr_t)(intptr_t)(int32_t)row;
}

PA_INLINE uintptr_t pa_eh_table_fde(uintptr_t header, uint64_t row)
{
	return header + (uintptr_t)((int64_t)row >> 32);
}

#endif
