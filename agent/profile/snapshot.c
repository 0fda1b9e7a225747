/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot.h"

#include "../base/assert.h"
#include "../base/arena.h"
#include "../stacks/passing_holders.h"

void pa_snapshot_free(struct pa_snapshot *snapshot)
{
	PA_ASSERT(!snapshot || snapshot->bytes);
	if (!snapshot)
		return;
	if (snapshot->holds_passing)
		pa_passing_holders_release();
	pa_unmap(snapshot, snapshot->bytes);
}
