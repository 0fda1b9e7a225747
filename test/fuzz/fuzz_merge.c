/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds proto/merge.c: what another process answers as its profile, decompressed. May not happen:
 * a merge that fails after a part was accepted, or that is not a whole profile itself.
 */
#include "fuzz.h"

#include <errno.h>
#include <zlib.h>

#include "proto/gzip.h"
#include "proto/merge.h"

#define OUT_BYTES ((size_t)1 << 22)

struct output {
	size_t count;
	unsigned char bytes[OUT_BYTES];
};
static struct output zipped, once, twice;

static bool write_output(void *arg, const void *bytes, size_t count)
{
	struct output *output = arg;

	must(count <= OUT_BYTES - output->count);
	memcpy(output->bytes + output->count, bytes, count);
	output->count += count;
	return true;
}

/* Merges the file with itself. */
static int merge_twice(const struct output *from, struct output *to)
{
	const struct pa_sink sink = { .write = write_output, .arg = to };
	struct pa_merge *merge = pa_merge_open(&sink);

	must(merge);
	to->count = 0;
	int error = pa_merge_add(merge, 1, "one", from->bytes, from->count);
	must(error == 0 || error == -EBADMSG);
	int other = pa_merge_add(merge, 2, "two", from->bytes, from->count);
	must(other == error);
	must(pa_merge_close(merge) == (error ? -ENODATA : 0));
	must(!error == !!to->count);
	return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	const struct pa_sink sink = { .write = write_output, .arg = &zipped };
	struct pa_gzip *gzip = pa_gzip_open(&sink);

	must(gzip);
	zipped.count = 0;
	must(pa_gzip_write(gzip, bytes, count) && pa_gzip_close(gzip) == 0);
	/* The result is again one that can be merged, unless its samples have too many labels. */
	if (merge_twice(&zipped, &once) == 0)
		merge_twice(&once, &twice);
	return 0;
}
