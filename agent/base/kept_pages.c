/* SPDX-License-Identifier: Apache-2.0 */
#include "kept_pages.h"

#include <string.h>

#include "../arch/arch.h"
#include "arena.h"

#define SMALL_BYTES ((size_t)16 << 10)
#define LARGE_BYTES PA_KEPT_PAGES_LARGEST_BYTES
/* As many as a request has at once: its job, its snapshot, symbols, tables of an encoder. */
#define SMALL_KEPT 12
#define LARGE_KEPT 2

/* Zeroed regions, or NULL; acq_rel by swap and CAS. */
static PA_ATOMIC(void *) small[SMALL_KEPT], large[LARGE_KEPT];

struct pool {
	PA_ATOMIC(void *) *kept;
	size_t count, bytes;
};

/* Of regions with room for so much; none are kept of larger ones. */
static struct pool pool_for(size_t bytes)
{
	if (bytes <= SMALL_BYTES)
		return (struct pool){ small, SMALL_KEPT, SMALL_BYTES };
	if (bytes <= LARGE_BYTES)
		return (struct pool){ large, LARGE_KEPT, LARGE_BYTES };
	return (struct pool){ NULL, 0, bytes };
}

PA_APP void *pa_kept_pages_map(size_t bytes)
{
	const struct pool pool = pool_for(bytes);
	void *region = NULL;

	if (!bytes)
		return NULL;
	for (size_t i = 0; i < pool.count && !region; i++) {
		if (pa_load_relaxed(&pool.kept[i]))
			region = pa_swap_acq_rel(&pool.kept[i], NULL);
	}
	return region ? region : pa_map(pool.bytes);
}

/* Pages that were not written to stay without memory. */
static void zero_written(char *region, size_t bytes)
{
	for (char *page = region; page < region + bytes; page += PA_PAGE_BYTES) {
		if (page[0] || memcmp(page, page + 1, PA_PAGE_BYTES - 1) != 0)
			memset(page, 0, PA_PAGE_BYTES);
	}
}

PA_APP void pa_kept_pages_unmap(void *memory, size_t bytes)
{
	const struct pool pool = pool_for(bytes);

	if (!memory)
		return;
	if (pool.count)
		zero_written(memory, bytes);
	for (size_t i = 0; i < pool.count; i++) {
		void *none = NULL;
		if (pa_cas_acq_rel(&pool.kept[i], &none, memory))
			return;
	}
	pa_unmap(memory, pool.bytes);
}

PA_AGENT void pa_kept_pages_trim(void)
{
	for (size_t i = 0; i < SMALL_KEPT; i++)
		pa_unmap(pa_swap_acq_rel(&small[i], NULL), SMALL_BYTES);
	for (size_t i = 0; i < LARGE_KEPT; i++)
		pa_unmap(pa_swap_acq_rel(&large[i], NULL), LARGE_BYTES);
}
