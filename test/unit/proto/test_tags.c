/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/tags.h"

static const struct pa_profile_ops cpu_kind = { .name = "profile" };
static const struct pa_profile_ops heap_kind = { .scaled = true, .name = "heap" };

struct set {
	struct pa_labels head;
	struct pa_label labels[PA_LABELS_MAX];
};
#define SET(n, ...) (&(struct set){ { .id = 1, .count = (n) }, { __VA_ARGS__ } }.head)

static struct {
	size_t bytes;
	char text[4096];
} out;

static bool write_out(void *arg, const void *bytes, size_t count)
{
	(void)arg;
	assert_true(out.bytes + count < sizeof(out.text));
	memcpy(out.text + out.bytes, bytes, count);
	out.bytes += count;
	out.text[out.bytes] = '\0';
	return true;
}

static const struct pa_sink sink = { .write = write_out };

static const char *put(const struct pa_labels *labels)
{
	struct pa_text_writer writer = { .sink = &sink };
	out.bytes = 0;
	out.text[0] = '\0';
	pa_tags_put(&writer, labels);
	pa_text_writer_flush(&writer);
	return out.text;
}

static const char *put_thread(const char *name, const struct pa_labels *labels)
{
	struct pa_text_writer writer = { .sink = &sink };
	out.bytes = 0;
	out.text[0] = '\0';
	pa_tags_put_thread(&writer, name, labels);
	pa_text_writer_flush(&writer);
	return out.text;
}

/* ---------------------------------------------------------------- tests */

static void labels_come_behind_ours(void **unused)
{
	const struct pa_sample sample = {
		.tid = 7, .thread = "w", .labels = SET(2, { "k", "v" }, { "z", "" })
	};
	struct pa_tag tags[PA_TAGS_MAX];
	(void)unused;
	assert_int_equal(pa_tags_of(&cpu_kind, &sample, tags), 4);
	assert_string_equal(tags[0].key, "thread");
	assert_string_equal(tags[0].text, "w");
	assert_string_equal(tags[1].key, "tid");
	assert_null(tags[1].text);
	assert_int_equal(tags[1].number, 7);
	assert_string_equal(tags[2].key, "k");
	assert_string_equal(tags[2].text, "v");
	assert_string_equal(tags[3].key, "z");
	assert_string_equal(tags[3].text, "");
}

static void label_of_the_program_takes_the_place_of_ours(void **unused)
{
	struct pa_sample sample = {
		.tid = 7, .thread = "w", .labels = SET(2, { "thread", "mine" }, { "tid", "none" })
	};
	struct pa_tag tags[PA_TAGS_MAX];
	(void)unused;
	assert_int_equal(pa_tags_of(&cpu_kind, &sample, tags), 2);
	assert_string_equal(tags[0].text, "mine");
	assert_string_equal(tags[1].text, "none");
	sample.labels = SET(1, { "threads", "many" });
	assert_int_equal(pa_tags_of(&cpu_kind, &sample, tags), 3);
}

static void label_without_a_key_is_left_out(void **unused)
{
	const struct pa_sample sample = { .labels = SET(2, { "", "v" }, { "k", "v" }) };
	struct pa_tag tags[PA_TAGS_MAX];
	(void)unused;
	assert_int_equal(pa_tags_of(&cpu_kind, &sample, tags), 1);
	assert_string_equal(tags[0].key, "k");
}

static void all_labels_of_a_full_set_fit(void **unused)
{
	static char keys[PA_LABELS_MAX][2];
	struct set full = { .head.count = PA_LABELS_MAX };
	const struct pa_sample sample = { .tid = 7, .thread = "w", .labels = &full.head };
	struct pa_tag tags[PA_TAGS_MAX];
	(void)unused;
	for (int i = 0; i < PA_LABELS_MAX; i++) {
		keys[i][0] = (char)('0' + i);
		full.labels[i] = (struct pa_label){ keys[i], "v" };
	}
	assert_int_equal(pa_tags_of(&cpu_kind, &sample, tags), PA_TAGS_MAX);
	assert_string_equal(tags[PA_TAGS_MAX - 1].key, keys[PA_LABELS_MAX - 1]);
}

static void heap_has_sizes_and_nothing_else(void **unused)
{
	struct pa_sample sample = {
		.tid = 7, .thread = "w", .bytes_label = 64, .labels = SET(1, { "k", "v" })
	};
	struct pa_tag tags[PA_TAGS_MAX];
	(void)unused;
	assert_int_equal(pa_tags_of(&heap_kind, &sample, tags), 1);
	assert_string_equal(tags[0].key, "bytes");
	assert_int_equal(tags[0].number, 64);
	sample.bytes_label = 0;
	assert_int_equal(pa_tags_of(&heap_kind, &sample, tags), 0);
}

static void counted_text_is_as_gos(void **unused)
{
	(void)unused;
	assert_string_equal(put(SET(2, { "k", "inner" }, { "z", "1" })),
		"{\"k\":\"inner\", \"z\":\"1\"}");
	assert_string_equal(put(SET(1, { "a \"b\"", "x\ny\xff" })),
		"{\"a \\\"b\\\"\":\"x\\ny\\xff\"}");
}

static void order_is_that_of_the_texts(void **unused)
{
	const struct pa_labels *const sets[] = {
		NULL,
		SET(1, { "a ", "1" }),              /* {"a ": */
		SET(2, { "a", "1" }, { "b", "1" }), /* {"a":"1", */
		SET(1, { "a", "1" }),               /* {"a":"1"} */
		SET(1, { "a", "12" }),
		SET(1, { "a", "2" }),
		SET(1, { "ab", "1" }),
		SET(1, { "\xc3\xa4", "1" }),
	};
	char before[sizeof(out.text)];
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(sets); i++)
		for (size_t j = 0; j < PA_COUNT(sets); j++)
			assert_int_equal(pa_tags_compare(sets[i], sets[j]), i < j ? -1 : i > j);
	for (size_t i = 2; i < PA_COUNT(sets); i++) {
		strcpy(before, put(sets[i - 1]));
		assert_true(strcmp(before, put(sets[i])) < 0);
	}
	assert_int_equal(pa_tags_compare(SET(1, { "a", "1" }), SET(1, { "a", "1" })), 0);
}

static void thread_has_its_name_before_its_labels(void **unused)
{
	(void)unused;
	assert_string_equal(put_thread("w 1", SET(2, { "k", "v" }, { "z", "1" })),
		" {thread: \"w 1\", k: \"v\", z: \"1\"}");
	assert_string_equal(put_thread("w", NULL), " {thread: \"w\"}");
	assert_string_equal(put_thread("", SET(1, { "k", "v" })), " {k: \"v\"}");
	assert_string_equal(put_thread("", NULL), "");
	assert_string_equal(put_thread("w", SET(1, { "thread", "v" })), " {thread: \"v\"}");
}

static void key_that_is_no_word_is_quoted(void **unused)
{
	(void)unused;
	assert_string_equal(put_thread("", SET(2, { "", "e" }, { "a}: b", "v" })),
		" {\"\": \"e\", \"a}: b\": \"v\"}");
	assert_string_equal(put_thread("", SET(1, { "example.com/a-b_C9", "\n" })),
		" {example.com/a-b_C9: \"\\n\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_come_behind_ours),
		cmocka_unit_test(label_of_the_program_takes_the_place_of_ours),
		cmocka_unit_test(label_without_a_key_is_left_out),
		cmocka_unit_test(all_labels_of_a_full_set_fit),
		cmocka_unit_test(heap_has_sizes_and_nothing_else),
		cmocka_unit_test(counted_text_is_as_gos),
		cmocka_unit_test(order_is_that_of_the_texts),
		cmocka_unit_test(thread_has_its_name_before_its_labels),
		cmocka_unit_test(key_that_is_no_word_is_quoted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
