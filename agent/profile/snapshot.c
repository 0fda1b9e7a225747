/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot.h"

#include "../base/assert.h"
#include "../base/kept_pages.h"
#include "../stacks/passing_holders.h"

struct pa_snapshot *pa_snapshot_new(size_t bytes)
{
	struct pa_snapshot *snapshot = pa_kept_pages_map(bytes);

	PA_ASSERT(bytes >= sizeof(*snapshot));
	if (snapshot)
		snapshot->bytes = bytes;
	return snapshot;
}

void pa_snapshot_free(struct pa_snapshot *snapshot)
{
	PA_ASSERT(!snapshot || snapshot->bytes);
	if (!snapshot)
		return;
	if (snapshot->holds_passing)
		pa_passing_holders_release();
	pa_kept_pages_unmap(snapshot, snapshot->bytes);
}
