/* SPDX-License-Identifier: Apache-2.0 */
#include "text_forms.h"

#include <inttypes.h>

#include "sample_values.h"

/* Some versions of pprof treat a header with equal halves as one with the first half only. */
#define HEADER_NUDGE 1

enum { ALLOC_OBJECTS, ALLOC_BYTES, INUSE_OBJECTS, INUSE_BYTES };

static void put_heap_record(struct pa_text *text, const struct pa_sample *sample)
{
	pa_text_writer_format(&text->writer,
		"%" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "] @",
		sample->values[INUSE_OBJECTS], sample->values[INUSE_BYTES],
		sample->values[ALLOC_OBJECTS], sample->values[ALLOC_BYTES]);
	pa_text_stack_put(&text->stacks, sample->stack);
}

/* Most bytes in use first; equal ones in the order of the snapshot, so that the order is
 * deterministic. */
static int compare_heap(const void *a, const void *b, void *arg)
{
	const struct pa_sample *samples = arg;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	int64_t x = samples[i].values[INUSE_BYTES], y = samples[j].values[INUSE_BYTES];

	if (x != y)
		return x > y ? -1 : 1;
	return i < j ? -1 : i > j;
}

static void put_heap_header(struct pa_text *text)
{
	const struct pa_snapshot *snapshot = text->snapshot;
	int64_t total[PA_PROFILE_OPS_VALUES] = { 0 };
	size_t i, j;

	for (i = 0; i < snapshot->sample_count; i++)
		for (j = 0; j < PA_PROFILE_OPS_VALUES; j++)
			total[j] += snapshot->samples[i].values[j];
	if (total[ALLOC_BYTES] == total[INUSE_BYTES])
		total[ALLOC_BYTES] += HEADER_NUDGE;
	/* The first C++ heap profilers wrote twice the rate, and readers halve it. */
	pa_text_writer_format(&text->writer,
		"heap profile: %" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "] @ heap/%" PRId64
		"\n",
		total[INUSE_OBJECTS], total[INUSE_BYTES], total[ALLOC_OBJECTS], total[ALLOC_BYTES],
		snapshot->period * 2);
}

/* ---------------------------------------------------------------- tail */

static void put_stat(struct pa_text *text, const char *name, uint64_t value)
{
	pa_text_writer_format(&text->writer, "# %s = %" PRIu64 "\n", name, value);
}

static int64_t add_up(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Scaled sum of the samples: no totals are counted elsewhere. */
static void estimate_total(const struct pa_snapshot *snapshot, int64_t *total)
{
	size_t i;

	for (i = 0; i < snapshot->sample_count; i++) {
		int64_t scaled[PA_PROFILE_OPS_VALUES];
		size_t j;

		pa_sample_values_of(snapshot, &snapshot->samples[i], scaled);
		for (j = 0; j < PA_PROFILE_OPS_VALUES; j++)
			total[j] = add_up(total[j], scaled[j]);
	}
}

/* Go's names in Go's order, as far as they apply. HeapReleased is 0: glibc subtracts released
 * memory from its own count, so none of heap_sys is known to be released. */
static void put_memstats(struct pa_text *text, const struct pa_memstats *stats)
{
	int64_t total[PA_PROFILE_OPS_VALUES] = { 0 };
	uint64_t in_use, other = stats->heap_sys + stats->profiler;

	estimate_total(text->snapshot, total);
	in_use = stats->heap_known ? stats->heap_sys - stats->heap_idle :
				     (uint64_t)total[INUSE_BYTES];
	pa_text_writer_format(&text->writer, "\n# runtime.MemStats\n");
	put_stat(text, "Alloc", in_use);
	put_stat(text, "TotalAlloc", (uint64_t)total[ALLOC_BYTES]);
	put_stat(text, "Sys", stats->sys);
	put_stat(text, "Mallocs", (uint64_t)total[ALLOC_OBJECTS]);
	put_stat(text, "Frees", (uint64_t)(total[ALLOC_OBJECTS] - total[INUSE_OBJECTS]));
	put_stat(text, "HeapAlloc", in_use);
	if (stats->heap_known) {
		put_stat(text, "HeapSys", stats->heap_sys);
		put_stat(text, "HeapIdle", stats->heap_idle);
		put_stat(text, "HeapInuse", in_use);
		put_stat(text, "HeapReleased", 0);
	}
	put_stat(text, "HeapObjects", (uint64_t)total[INUSE_OBJECTS]);
	put_stat(text, "BuckHashSys", stats->profiler);
	put_stat(text, "OtherSys", stats->sys > other ? stats->sys - other : 0);
	/* There is no garbage collector. */
	put_stat(text, "NumGC", 0);
	put_stat(text, "NumForcedGC", 0);
	put_stat(text, "GCCPUFraction", 0);
	pa_text_writer_format(&text->writer, "# DebugGC = false\n");
	put_stat(text, "RSS", stats->rss);
	put_stat(text, "MaxRSS", stats->max_rss);
}

PA_AGENT void pa_text_heap(struct pa_text *text)
{
	const uint32_t *order = pa_text_order(text, compare_heap);
	size_t i;

	if (!order)
		return;
	put_heap_header(text);
	for (i = 0; i < text->snapshot->sample_count && !text->writer.error; i++)
		put_heap_record(text, &text->snapshot->samples[order[i]]);
	pa_text_comments(text);
	put_memstats(text, &text->snapshot->memory);
}
