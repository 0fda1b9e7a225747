/* SPDX-License-Identifier: Apache-2.0 */
#include "text_forms.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tags.h"

/* Samples with equal stacks and labels (equal pointers). */
struct group {
	const struct pa_stack *stack;
	const struct pa_labels *labels;
	int64_t count;
	uint32_t first; /* index of its first sample */
};

/* Groups equal stacks and labels, in the order of their first samples. */
static int compare_samples(const void *a, const void *b, void *arg)
{
	const struct pa_sample *samples = arg;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	uintptr_t x = (uintptr_t)samples[i].stack, y = (uintptr_t)samples[j].stack;

	if (x != y)
		return x < y ? -1 : 1;
	x = (uintptr_t)samples[i].labels;
	y = (uintptr_t)samples[j].labels;
	if (x != y)
		return x < y ? -1 : 1;
	return i < j ? -1 : i > j;
}

/* Order of two numbers as hexadecimal text: 0x1, 0x10, 0x2. */
static int compare_hex(uintptr_t x, uintptr_t y)
{
	int zeros_x = __builtin_clzll(x | 1) / 4 * 4, zeros_y = __builtin_clzll(y | 1) / 4 * 4;
	uintptr_t left_x = x << zeros_x, left_y = y << zeros_y;

	if (left_x != left_y)
		return left_x < left_y ? -1 : 1;
	return zeros_x > zeros_y ? -1 : zeros_x < zeros_y;
}

/* As strcmp() of the two "@" lists, which is Go's order: there the label line is part of the list,
 * and its line feed sorts before the blank of a further address. */
static int compare_lists(const struct pa_stack *a, const struct pa_stack *b)
{
	uint32_t i, both = a->depth < b->depth ? a->depth : b->depth;

	for (i = 0; i < both; i++) {
		int result = compare_hex(pa_stack_table_loc(a->locs[i])->raw_pc,
			pa_stack_table_loc(b->locs[i])->raw_pc);

		if (result)
			return result;
	}
	return a->depth < b->depth ? -1 : a->depth > b->depth;
}

static int compare_groups(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	int result;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	result = compare_lists(x->stack, y->stack);
	if (!result)
		result = pa_tags_compare(x->labels, y->labels);
	/* Two loads of a library at the same address: different stacks with the same addresses. */
	return result ? result : x->first < y->first ? -1 : x->first > y->first;
}

/* Returns the number of groups, in text->groups. */
static size_t make_groups(struct pa_text *text, const uint32_t *order)
{
	const struct pa_sample *samples = text->snapshot->samples;
	struct group *groups = text->groups.at;
	size_t i, count = 0;

	for (i = 0; i < text->snapshot->sample_count; i++) {
		const struct pa_sample *sample = &samples[order[i]];

		if (!count || groups[count - 1].stack != sample->stack ||
			groups[count - 1].labels != sample->labels)
			groups[count++] = (struct group){
				.stack = sample->stack, .labels = sample->labels, .first = order[i]
			};
		groups[count - 1].count += sample->values[0];
	}
	if (count)
		qsort(groups, count, sizeof(*groups), compare_groups);
	return count;
}

static void put_count_header(struct pa_text *text)
{
	const struct pa_snapshot *snapshot = text->snapshot;
	int64_t total = 0;
	size_t i;

	for (i = 0; i < snapshot->sample_count; i++)
		total += snapshot->samples[i].values[0];
	pa_text_writer_format(&text->writer, "%s profile: total %" PRId64 "\n",
		snapshot->kind->name, total);
}

static void put_group(struct pa_text *text, const struct group *group)
{
	pa_text_writer_format(&text->writer, "%" PRId64 " @", group->count);
	pa_text_stack_list(&text->stacks, group->stack);
	if (group->labels) {
		pa_text_writer_format(&text->writer, "# labels: ");
		pa_tags_put(&text->writer, group->labels);
		pa_text_writer_put(&text->writer, "\n", 1);
	}
	pa_text_stack_names(&text->stacks, group->stack);
}

PA_AGENT void pa_text_count(struct pa_text *text)
{
	const uint32_t *order = pa_text_order(text, compare_samples);
	const struct group *groups;
	size_t i, count;

	if (!order)
		return;
	if (!pa_scratch(&text->groups, text->snapshot->sample_count * sizeof(*groups))) {
		pa_text_writer_fail(&text->writer, -ENOMEM);
		return;
	}
	count = make_groups(text, order);
	groups = text->groups.at;
	put_count_header(text);
	for (i = 0; i < count && !text->writer.error; i++)
		put_group(text, &groups[i]);
	pa_text_comments(text);
}
