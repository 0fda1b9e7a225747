/* SPDX-License-Identifier: Apache-2.0 */
#include "copy_size.h"

#include "../base/assert.h"

#include "../base/banned.h"

/* Stacks in a row that half the size was enough for, before it is halved. */
#define SMALLER_STACKS 256

static uint32_t least_bytes(bool own)
{
	return own ? PA_COPY_SIZE_OWN_BYTES : PA_COPY_SIZE_FOREIGN_BYTES;
}

uint32_t pa_copy_size_bytes(const struct pa_copy_size_pair *sizes, bool own)
{
	const struct pa_copy_size *size = own ? &sizes->own : &sizes->foreign;
	uint32_t bytes = least_bytes(own) + pa_load_relaxed(&size->more_bytes);
	PA_ASSERT(bytes <= PA_COPY_SIZE_MAX_BYTES);
	return bytes;
}

void pa_copy_size_learn(struct pa_copy_size_pair *sizes, bool own, uint64_t needed_bytes)
{
	struct pa_copy_size *size = own ? &sizes->own : &sizes->foreign;
	uint32_t bytes = pa_copy_size_bytes(sizes, own), least = least_bytes(own);
	size->smaller = needed_bytes <= bytes / 2 ? size->smaller + 1 : 0;
	/* What is missing begins there; more may be needed behind it. Ends: doubles up to the
	 * limit. */
	while (needed_bytes > bytes && bytes < PA_COPY_SIZE_MAX_BYTES)
		bytes *= 2;
	if (size->smaller >= SMALLER_STACKS && bytes > least) {
		bytes /= 2;
		size->smaller = 0;
	}
	PA_ASSERT(bytes >= least && bytes <= PA_COPY_SIZE_MAX_BYTES);
	pa_store_relaxed(&size->more_bytes, bytes - least);
}
