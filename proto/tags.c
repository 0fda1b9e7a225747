/* SPDX-License-Identifier: Apache-2.0 */
#include "tags.h"

#include <string.h>

/* Some readers reject a sample with more. */
_Static_assert(PA_TAGS_MAX <= 100, "labels of a sample");

static bool has_label(const struct pa_labels *labels, const char *key)
{
	for (uint32_t i = 0; labels && i < labels->count; i++)
		if (strcmp(labels->labels[i].key, key) == 0)
			return true;
	return false;
}

static size_t tags_of_heap(const struct pa_sample *sample, struct pa_tag *tags)
{
	if (sample->bytes_label <= 0)
		return 0;
	tags[0] = (struct pa_tag){ .key = "bytes", .number = sample->bytes_label };
	return 1;
}

PA_AGENT size_t pa_tags_of(const struct pa_profile_ops *kind, const struct pa_sample *sample,
	struct pa_tag tags[PA_TAGS_MAX])
{
	const struct pa_labels *labels = sample->labels;
	size_t count = 0;

	if (kind->scaled)
		return tags_of_heap(sample, tags);
	/* Readers disagree about two values of one key. */
	if (sample->thread && *sample->thread && !has_label(labels, "thread"))
		tags[count++] = (struct pa_tag){ .key = "thread", .text = sample->thread };
	if (sample->tid && !has_label(labels, "tid"))
		tags[count++] = (struct pa_tag){ .key = "tid", .number = sample->tid };
	/* Some readers reject a profile with a label without a key. */
	for (uint32_t i = 0; labels && i < labels->count; i++)
		if (*labels->labels[i].key)
			tags[count++] = (struct pa_tag){ .key = labels->labels[i].key,
				.text = labels->labels[i].value };
	return count;
}

PA_AGENT void pa_tags_put(struct pa_text_writer *writer, const struct pa_labels *labels)
{
	pa_text_writer_put(writer, "{", 1);
	for (uint32_t i = 0; i < labels->count; i++) {
		if (i)
			pa_text_writer_put(writer, ", ", 2);
		pa_text_writer_quoted(writer, labels->labels[i].key);
		pa_text_writer_put(writer, ":", 1);
		pa_text_writer_quoted(writer, labels->labels[i].value);
	}
	pa_text_writer_put(writer, "}", 1);
}

/* A text ends with a quote. */
static int compare_texts(const char *a, const char *b)
{
	unsigned char x, y;

	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	x = *a ? (unsigned char)*a : '"';
	y = *b ? (unsigned char)*b : '"';
	return x < y || (x == y && !*a) ? -1 : 1;
}

PA_AGENT int pa_tags_compare(const struct pa_labels *a, const struct pa_labels *b)
{
	uint32_t i;
	int result;

	if (a == b || !a || !b)
		return a == b ? 0 : a ? 1 : -1;
	for (i = 0; i < a->count && i < b->count; i++) {
		result = compare_texts(a->labels[i].key, b->labels[i].key);
		if (!result)
			result = compare_texts(a->labels[i].value, b->labels[i].value);
		if (result)
			return result;
	}
	/* The closing brace of the shorter one sorts after the comma of the longer one. */
	return a->count > b->count ? -1 : a->count < b->count;
}

static bool is_plain(const char *key)
{
	size_t i;

	for (i = 0; key[i]; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/",
			    key[i]))
			return false;
	return i > 0;
}

/* Returns the separator before the next pair. */
static const char *put_pair(struct pa_text_writer *writer, const char *before, const char *key,
	const char *value)
{
	pa_text_writer_put(writer, before, strlen(before));
	if (is_plain(key))
		pa_text_writer_put(writer, key, strlen(key));
	else
		pa_text_writer_quoted(writer, key);
	pa_text_writer_put(writer, ": ", 2);
	pa_text_writer_quoted(writer, value);
	return ", ";
}

PA_AGENT void pa_tags_put_thread(struct pa_text_writer *writer, const char *name,
	const struct pa_labels *labels)
{
	static const char first[] = " {";
	const char *before = first;

	if (*name && !has_label(labels, "thread"))
		before = put_pair(writer, before, "thread", name);
	for (uint32_t i = 0; labels && i < labels->count; i++)
		before = put_pair(writer, before, labels->labels[i].key, labels->labels[i].value);
	if (before != first)
		pa_text_writer_put(writer, "}", 1);
}
