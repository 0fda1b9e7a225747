/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "agent/base/clock.h"
#include "agent/modules/held_files.h"
#include "test/lib/c/maps_fixture.h"

static PA_ATOMIC(uint32_t) counted;
static int next_fd; /* above which the tests leave nothing open */

static int lowest_free(void)
{
	int fd = fcntl(STDIN_FILENO, F_DUPFD, 256);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

static int fresh(void **unused)
{
	(void)unused;
	pa_held_files_reset();
	pa_held_files_begin(&counted);
	next_fd = lowest_free();
	return 0;
}

static int nothing_is_open(void **unused)
{
	(void)unused;
	assert_int_equal(pa_held_files_count(), 0);
	assert_int_equal(pa_load_relaxed(&counted), 0);
	assert_int_equal(lowest_free(), next_fd);
	return munmap(LOW_PLACE, 2 * PAGE);
}

/* The module of a new file of that name, mapped at a place. */
static struct pa_module *map_library(const char *name, char *at)
{
	char path[PATH_MAX];

	write_file(path_in(path, name), "x", 1, 1);
	map_file(at, path, 1, PROT_READ | PROT_EXEC, 0);
	refresh();
	return find(at);
}

static void remove_file(const char *name)
{
	char path[PATH_MAX];

	assert_int_equal(unlink(path_in(path, name)), 0);
}

static void assert_is_file_of(int fd, const struct pa_module *module)
{
	struct stat st;

	assert_true(fd >= 0 && fd < 256);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_ino, module->inode);
	close(fd);
}

static void a_held_file_can_be_read_after_it_was_deleted(void **unused)
{
	struct pa_module *module = map_library("held", LOW_PLACE);

	(void)unused;
	assert_int_equal(pa_held_files_open(module), -ENOENT);
	pa_held_files_hold(module, false);
	pa_held_files_hold(module, false);
	remove_file("held");
	assert_int_equal(pa_held_files_count(), 1);
	assert_int_equal(pa_load_relaxed(&counted), 1);
	assert_is_file_of(pa_held_files_open(module), module);
	pa_held_files_release(module);
	assert_int_equal(pa_held_files_open(module), -ENOENT);
	pa_held_files_release(module);
}

static void a_file_that_took_the_place_is_not_held(void **unused)
{
	struct pa_module *module = map_library("old", LOW_PLACE);
	struct pa_module copy = *module;

	(void)unused;
	copy.inode++; /* of what the path led to, which is no link of root's either */
	pa_held_files_hold(&copy, false);
	assert_int_equal(pa_held_files_count(), 0);
}

static void modules_of_one_file_share_a_descriptor(void **unused)
{
	struct pa_module *module = map_library("shared", LOW_PLACE);
	struct pa_module again = *module;

	(void)unused;
	pa_held_files_hold(module, false);
	pa_held_files_hold(&again, false);
	assert_int_equal(pa_held_files_count(), 1);
	pa_held_files_release(module);
	assert_is_file_of(pa_held_files_open(&again), module);
	pa_held_files_release(&again);
}

static void the_number_of_files_is_limited(void **unused)
{
	static struct pa_module modules[PA_HELD_FILES_MAX + 1];
	struct pa_module *module = map_library("many", LOW_PLACE);

	(void)unused;
	for (uint32_t i = 0; i < PA_COUNT(modules); i++) {
		modules[i] = *module;
		modules[i].file_time_ns = i + 1; /* another file */
	}
	for (uint32_t i = 0; i < PA_COUNT(modules); i++)
		pa_held_files_hold(&modules[i], true);
	assert_int_equal(pa_held_files_count(), PA_HELD_FILES_MAX / 2);
	assert_int_equal(pa_load_relaxed(&counted), 0);
	for (uint32_t i = 0; i < PA_COUNT(modules); i++)
		pa_held_files_hold(&modules[i], false);
	assert_int_equal(pa_held_files_count(), PA_HELD_FILES_MAX);
	assert_int_equal(pa_load_relaxed(&counted), PA_HELD_FILES_MAX / 2);
	for (uint32_t i = 0; i < PA_COUNT(modules); i++)
		pa_held_files_release(&modules[i]);
}

static void an_announced_file_is_found_after_it_was_deleted(void **unused)
{
	char path[PATH_MAX];
	struct pa_module *module = map_library("early", LOW_PLACE);

	(void)unused;
	for (int i = 0; i < 20; i++)
		pa_held_files_announce(path_in(path, "early"), PA_NS_PER_S);
	remove_file("early");
	assert_false(pa_held_files_expire(PA_NS_PER_S, false));
	assert_true(pa_held_files_expire(3 * PA_NS_PER_S, false));
	assert_false(pa_held_files_expire(3 * PA_NS_PER_S, true));
	assert_is_file_of(pa_held_files_open(module), module);
	pa_held_files_release(module);
}

static void announced_files_are_closed_after_a_while(void **unused)
{
	char path[PATH_MAX], name[32];

	(void)unused;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "announced%d", i);
		write_file(path_in(path, name), "x", 1, 1);
		pa_held_files_announce(path, PA_NS_PER_S);
	}
	pa_held_files_announce("/no/such/file", PA_NS_PER_S);
	assert_true(lowest_free() >= next_fd);
	assert_false(pa_held_files_expire(3 * PA_NS_PER_S, false));
}

static void nothing_is_held_until_it_begins(void **unused)
{
	char path[PATH_MAX];
	struct pa_module *module = map_library("off", LOW_PLACE);

	(void)unused;
	pa_held_files_reset();
	pa_held_files_hold(module, false);
	pa_held_files_announce(path_in(path, "off"), PA_NS_PER_S);
	assert_int_equal(pa_held_files_open(module), -ENOENT);
}

/* In a forked child the descriptors are gone; the numbers may be those of other files. */
static void files_with_locations_are_opened_anew(void **unused)
{
	struct pa_module *module = map_library("anew", LOW_PLACE);

	(void)unused;
	pa_held_files_hold(module, false);
	pa_held_files_release(module);
	module->sampled = true;
	pa_held_files_reset();
	pa_held_files_begin(&counted);
	assert_is_file_of(pa_held_files_open(module), module);
	pa_held_files_release(module);
	module->sampled = false;
}

#define HELD_TEST(test) cmocka_unit_test_setup_teardown(test, fresh, nothing_is_open)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HELD_TEST(a_held_file_can_be_read_after_it_was_deleted),
		HELD_TEST(a_file_that_took_the_place_is_not_held),
		HELD_TEST(modules_of_one_file_share_a_descriptor),
		HELD_TEST(the_number_of_files_is_limited),
		HELD_TEST(an_announced_file_is_found_after_it_was_deleted),
		HELD_TEST(announced_files_are_closed_after_a_while),
		HELD_TEST(nothing_is_held_until_it_begins),
		HELD_TEST(files_with_locations_are_opened_anew),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
