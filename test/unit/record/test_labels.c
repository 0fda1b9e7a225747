/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/record/labels.h"

#define PAIRS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const struct pa_labels *set_of(const struct pa_labels *base, const char *const *pairs)
{
	const struct pa_labels *out = NULL;
	assert_int_equal(pa_labels_add(base, pairs, &out), 0);
	return out;
}

/* "k=v k=v" */
static const char *words(const struct pa_labels *labels)
{
	static char text[4096];
	char *at = text;
	*at = '\0';
	for (uint32_t i = 0; labels && i < labels->count; i++)
		at += sprintf(at, "%s%s=%s", i ? " " : "", labels->labels[i].key,
			labels->labels[i].value);
	return text;
}

static void labels_are_sorted_by_key(void **unused)
{
	(void)unused;
	assert_string_equal(words(set_of(NULL, PAIRS("z", "1", "a", "2", "k", "3"))),
		"a=2 k=3 z=1");
	assert_string_equal(words(set_of(NULL, PAIRS("\xc3\xa4", "1", "z", "2", "", "3"))),
		"=3 z=2 \xc3\xa4=1");
}

static void equal_sets_are_one(void **unused)
{
	(void)unused;
	const struct pa_labels *one = set_of(NULL, PAIRS("a", "1", "b", "2"));
	assert_ptr_equal(set_of(NULL, PAIRS("b", "2", "a", "1")), one);
	assert_ptr_equal(set_of(set_of(NULL, PAIRS("b", "2")), PAIRS("a", "1")), one);
	assert_ptr_equal(set_of(one, PAIRS("a", "1")), one);
	assert_ptr_not_equal(set_of(NULL, PAIRS("a", "2", "b", "1")), one);
	assert_ptr_not_equal(set_of(NULL, PAIRS("a", "1")), one);
}

static void the_border_of_key_and_value_counts(void **unused)
{
	(void)unused;
	assert_ptr_not_equal(set_of(NULL, PAIRS("ab", "c")), set_of(NULL, PAIRS("a", "bc")));
	assert_ptr_not_equal(set_of(NULL, PAIRS("a", "", "b", "c")),
		set_of(NULL, PAIRS("a", "b", "c", "")));
}

static void an_inner_label_replaces_an_outer_one(void **unused)
{
	(void)unused;
	const struct pa_labels *outer = set_of(NULL, PAIRS("k", "outer", "z", "1"));
	const struct pa_labels *inner = set_of(outer, PAIRS("k", "inner"));
	assert_string_equal(words(inner), "k=inner z=1");
	assert_string_equal(words(outer), "k=outer z=1");
	assert_ptr_equal(set_of(inner, PAIRS("k", "outer")), outer);
}

static void of_equal_keys_the_last_counts(void **unused)
{
	(void)unused;
	assert_string_equal(words(set_of(NULL, PAIRS("a", "1", "b", "2", "a", "3"))), "a=3 b=2");
}

static void a_key_without_a_value_changes_nothing(void **unused)
{
	const struct pa_labels *before = (const struct pa_labels *)&unused, *out = before;
	(void)unused;
	assert_int_equal(pa_labels_add(NULL, PAIRS("a"), &out), -EINVAL);
	assert_int_equal(pa_labels_add(NULL, PAIRS("a", "1", "b"), &out), -EINVAL);
	assert_ptr_equal(out, before);
}

static void no_labels_are_no_set(void **unused)
{
	const char *const none[] = { NULL };
	(void)unused;
	assert_null(set_of(NULL, none));
	assert_null(set_of(NULL, NULL));
	const struct pa_labels *some = set_of(NULL, PAIRS("a", "1"));
	assert_ptr_equal(set_of(some, none), some);
}

static void sets_are_found_by_id(void **unused)
{
	(void)unused;
	const struct pa_labels *a = set_of(NULL, PAIRS("by", "id"));
	const struct pa_labels *b = set_of(NULL, PAIRS("by", "another id"));
	assert_in_range(a->id, 1, PA_LABELS_SETS - 1);
	assert_int_not_equal(a->id, b->id);
	assert_ptr_equal(pa_labels_get(a->id), a);
	assert_ptr_equal(pa_labels_get(b->id), b);
	assert_null(pa_labels_get(0));
	assert_null(pa_labels_get(PA_LABELS_SETS - 1));
	assert_null(pa_labels_get(PA_LABELS_SETS));
	assert_null(pa_labels_get(UINT32_MAX));
}

static void only_sets_have_an_id(void **unused)
{
	const struct pa_labels *set = set_of(NULL, PAIRS("a", "1"));
	struct pa_labels like_it = { .id = set->id };
	(void)unused;
	assert_int_equal(pa_labels_id(set), set->id);
	assert_int_equal(pa_labels_id(NULL), 0);
	assert_int_equal(pa_labels_id(&like_it), 0);
	/* Inside of one, of what is not used yet, and of what is not mapped. */
	assert_int_equal(pa_labels_id((const void *)((uintptr_t)set + 8)), 0);
	assert_int_equal(pa_labels_id((const void *)((uintptr_t)set + 1)), 0);
	assert_int_equal(pa_labels_id((const void *)((uintptr_t)set + (1 << 20))), 0);
	assert_int_equal(pa_labels_id((const void *)(uintptr_t)0xdead0000), 0);
	assert_int_equal(pa_labels_id((const void *)(uintptr_t)8), 0);
}

static void texts_are_copied(void **unused)
{
	char key[] = "copied", value[] = "yes";
	(void)unused;
	const struct pa_labels *set = set_of(NULL, PAIRS(key, value));
	const struct pa_labels *more = set_of(set, PAIRS("more", "too"));
	key[0] = value[0] = 'X';
	assert_string_equal(words(set), "copied=yes");
	/* Once: a set that builds on another one has the same texts. */
	assert_ptr_equal(more->labels[0].key, set->labels[0].key);
	assert_ptr_equal(more->labels[0].value, set->labels[0].value);
}

static void values_are_found_by_key(void **unused)
{
	const struct pa_labels *set = set_of(NULL, PAIRS("a", "1", "ab", "2", "", "3"));
	(void)unused;
	assert_string_equal(pa_labels_value(set, "a"), "1");
	assert_string_equal(pa_labels_value(set, "ab"), "2");
	assert_string_equal(pa_labels_value(set, ""), "3");
	assert_null(pa_labels_value(set, "abc"));
	assert_null(pa_labels_value(NULL, "a"));
}

static void so_many_labels_and_no_more(void **unused)
{
	char texts[PA_LABELS_MAX + 1][8];
	const char *pairs[2 * (PA_LABELS_MAX + 1) + 1] = { NULL };
	const struct pa_labels *out = NULL;
	(void)unused;
	for (int i = 0; i <= PA_LABELS_MAX; i++) {
		sprintf(texts[i], "k%d", i);
		pairs[2 * i] = pairs[2 * i + 1] = texts[i];
	}
	assert_int_equal(pa_labels_add(NULL, pairs, &out), -ENOSPC);
	assert_null(out);
	pairs[2 * PA_LABELS_MAX] = NULL;
	const struct pa_labels *most = set_of(NULL, pairs);
	assert_int_equal(most->count, PA_LABELS_MAX);
	assert_int_equal(pa_labels_add(most, PAIRS("one", "more"), &out), -ENOSPC);
	assert_int_equal(set_of(most, PAIRS("k7", "another"))->count, PA_LABELS_MAX);
}

enum { THREADS = 4, TURNS = 200 };
static const struct pa_labels *found[THREADS][TURNS];
static pthread_barrier_t start;

static void *add_all(void *row)
{
	char value[16];
	pthread_barrier_wait(&start);
	for (int i = 0; i < TURNS; i++) {
		sprintf(value, "%d", i);
		((const struct pa_labels **)row)[i] = set_of(NULL, PAIRS("turn", value));
	}
	return NULL;
}

static void threads_that_add_at_the_same_time_share_sets(void **unused)
{
	pthread_t threads[THREADS];
	char expected[32];
	(void)unused;
	pthread_barrier_init(&start, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_all, found[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&start);
	for (int turn = 0; turn < TURNS; turn++) {
		sprintf(expected, "turn=%d", turn);
		assert_string_equal(words(found[0][turn]), expected);
		for (int i = 1; i < THREADS; i++)
			assert_ptr_equal(found[i][turn], found[0][turn]);
	}
}

/* In a child: the memory is gone afterwards. Its result is 0 when all was well. */
static void in_a_child(int (*run)(void))
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		pa_labels_atfork_child();
		_exit(run());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static const struct pa_labels *of_the_parent;

static int add_in_child(void)
{
	const struct pa_labels *out = NULL;
	if (pa_labels_get(of_the_parent->id) != of_the_parent)
		return 1;
	if (pa_labels_add(of_the_parent, PAIRS("child", "yes"), &out) != 0)
		return 2;
	return strcmp(words(out), "child=yes parent=yes") == 0 ? 0 : 3;
}

static void child_of_fork_keeps_the_sets_and_adds_to_them(void **unused)
{
	(void)unused;
	of_the_parent = set_of(NULL, PAIRS("parent", "yes"));
	in_a_child(add_in_child);
}

static int use_all_ids(void)
{
	char value[16];
	const struct pa_labels *out = NULL, *first = NULL;
	uint32_t count = 0;
	int error;
	do {
		sprintf(value, "%u", count);
		error = pa_labels_add(NULL, PAIRS("n", value), &out);
		if (!first)
			first = out;
	} while (!error && ++count < PA_LABELS_SETS);
	if (error != -ENOSPC || !pa_labels_get(PA_LABELS_SETS - 1))
		return 1;
	/* What is there is still found. */
	if (pa_labels_add(NULL, PAIRS("n", "0"), &out) != 0 || out != first)
		return 2;
	return 0;
}

static void full_table_keeps_what_it_has(void **unused)
{
	(void)unused;
	in_a_child(use_all_ids);
}

static int use_all_memory(void)
{
	static char value[128 << 10];
	const struct pa_labels *out = NULL;
	int error = 0, i;
	memset(value, 'x', sizeof(value) - 1);
	for (i = 0; i < 100 && !error; i++) {
		value[0] = (char)('0' + i);
		error = pa_labels_add(NULL, PAIRS("long", value), &out);
	}
	if (error != -ENOSPC || (size_t)i < PA_LABELS_BYTES / sizeof(value) - 2 ||
		(size_t)i > PA_LABELS_BYTES / sizeof(value) + 1)
		return 1;
	/* A short one has room. */
	return pa_labels_add(NULL, PAIRS("short", "one"), &out) == 0 ? 0 : 2;
}

static void long_texts_use_up_the_memory(void **unused)
{
	(void)unused;
	in_a_child(use_all_memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_are_sorted_by_key),
		cmocka_unit_test(equal_sets_are_one),
		cmocka_unit_test(the_border_of_key_and_value_counts),
		cmocka_unit_test(an_inner_label_replaces_an_outer_one),
		cmocka_unit_test(of_equal_keys_the_last_counts),
		cmocka_unit_test(a_key_without_a_value_changes_nothing),
		cmocka_unit_test(no_labels_are_no_set),
		cmocka_unit_test(sets_are_found_by_id),
		cmocka_unit_test(only_sets_have_an_id),
		cmocka_unit_test(texts_are_copied),
		cmocka_unit_test(values_are_found_by_key),
		cmocka_unit_test(so_many_labels_and_no_more),
		cmocka_unit_test(threads_that_add_at_the_same_time_share_sets),
		cmocka_unit_test(child_of_fork_keeps_the_sets_and_adds_to_them),
		cmocka_unit_test(full_table_keeps_what_it_has),
		cmocka_unit_test(long_texts_use_up_the_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
