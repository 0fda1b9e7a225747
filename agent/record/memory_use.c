/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_use.h"

#include "../base/arena.h"
#include "alloc.h"
#include "alloc_set.h"
#include "frame_cache.h"
#include "last_walk.h"
#include "switches.h"
#include "ring.h"

#include "../base/banned.h"

size_t pa_memory_use_bytes(void)
{
	return pa_ring_stats(pa_record.ring).size_bytes +
		(pa_record.frames ? PA_FRAME_CACHE_BYTES : 0) + pa_last_walk_bytes() +
		(pa_record.alloc_counts ? pa_alloc_counts_bytes() : 0) + PA_ALLOC_FILTER_BYTES +
		pa_alloc_set_bytes() + pa_map_bytes();
}
