/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "agent/symbols/symbols_image.h"
#include "agent/symbols/symbols_inflate.h"
#include "test/lib/c/symbols_fixture.h"

static struct pa_symbols_elf elf;
static struct pa_symbols_image image;

/* An object whose .debug_info has 400,000 numbers, and .debug_str two texts. */
static int open_numbers(const char *flags)
{
	struct pa_symbols_source sources[PA_SYMBOLS_PART_COUNT];
	char path[PATH_MAX];

	write_text("n.s",
		".section .debug_info\n.set i, 0\n.rept 400000\n.long i\n.set i, i + 1\n"
		".endr\n.section .debug_str\n.skip 100000, 'a'\n.byte 0\n"
		".ascii \"no end\"\n");
	assert_int_equal(run_command("gcc -c %s -o n.o n.s", flags), 0);
	assert_int_equal(pa_symbols_elf_open(&elf, open(path_in(path, "n.o"), O_RDONLY), path), 0);
	assert_true(pa_symbols_image_list(&elf, "", sources));
	return pa_symbols_image_make(&image, sources);
}

static void close_numbers(void)
{
	pa_symbols_image_free(&image);
	pa_symbols_elf_close(&elf);
}

static uint32_t number(uint32_t i)
{
	uint32_t value;

	memcpy(&value, image.at + image.parts[PA_SYMBOLS_PART_INFO].at + i * sizeof(value),
		sizeof(value));
	return value;
}

static bool load(uint32_t i)
{
	return pa_symbols_image_load(&image, PA_SYMBOLS_PART_INFO, i * sizeof(i), sizeof(i));
}

static const char *const forms[] = { "", "-Wa,--compress-debug-sections=zlib",
	"-Wa,--compress-debug-sections=zlib-gnu" };

static void what_is_asked_for_is_loaded_and_little_else(void **unused)
{
	(void)unused;
	for (size_t form = 0; form < PA_COUNT(forms); form++) {
		assert_int_equal(open_numbers(forms[form]), 0);
		assert_int_equal(pa_symbols_image_bytes(&image, PA_SYMBOLS_PART_INFO), 1600000);
		for (uint32_t i = 399999; i > 0; i /= 3) { /* backwards */
			assert_true(load(i));
			assert_int_equal(number(i), i);
		}
		assert_int_equal(number(200000), 0);
		assert_true(image.used < 300000);
		assert_true(load(200000));
		assert_int_equal(number(200000), 200000);
		assert_false(load(400000));
		assert_false(pa_symbols_image_load(&image, PA_SYMBOLS_PART_INFO, 1599999, 2));
		assert_false(pa_symbols_image_load(&image, PA_SYMBOLS_PART_RANGES, 0, 1));
		assert_true(pa_symbols_image_load_all(&image, PA_SYMBOLS_PART_RANGES));
		close_numbers();
	}
}

static void what_was_given_back_is_read_again(void **unused)
{
	(void)unused;
	for (size_t form = 0; form < PA_COUNT(forms); form++) {
		assert_int_equal(open_numbers(forms[form]), 0);
		assert_true(pa_symbols_image_load_all(&image, PA_SYMBOLS_PART_INFO));
		assert_int_equal(image.used, 1600000);
		pa_symbols_image_evict(&image);
		assert_int_equal(image.used, 0);
		assert_int_equal(number(300000), 0);
		assert_true(load(300000));
		assert_int_equal(number(300000), 300000);
		close_numbers();
	}
}

static void texts_are_loaded_to_their_end(void **unused)
{
	(void)unused;
	for (size_t form = 0; form < PA_COUNT(forms); form++) {
		assert_int_equal(open_numbers(forms[form]), 0);
		const char *text = image.at + image.parts[PA_SYMBOLS_PART_STR].at;

		assert_true(pa_symbols_image_load_text(&image, text + 60000));
		assert_int_equal(strlen(text + 60000), 40000);
		assert_true(pa_symbols_image_load_text(&image, text + 100001));
		assert_string_equal(text + 100001, "no end");
		assert_false(pa_symbols_image_load_text(&image, text)); /* too long */
		assert_false(pa_symbols_image_load_text(&image, forms[0]));
		close_numbers();
	}
}

static void files_without_debug_information_make_no_image(void **unused)
{
	struct pa_symbols_source sources[PA_SYMBOLS_PART_COUNT];
	char path[PATH_MAX];

	(void)unused;
	build_library("bare", library_source, "-shared -fPIC");
	assert_int_equal(pa_symbols_elf_open(&elf, open(path_in(path, "bare.so"), O_RDONLY), path),
		0);
	assert_true(pa_symbols_image_list(&elf, "", sources));
	assert_int_equal(pa_symbols_image_make(&image, sources), -ENODATA);
	close_numbers();
}

/* What is unpacked before the time is over is not unpacked again. */
static void out_of_time_unpacking_goes_on_later(void **unused)
{
	size_t used;

	(void)unused;
	assert_int_equal(open_numbers(forms[1]), 0);
	image.deadline_ns = 0;
	assert_false(pa_symbols_image_load_all(&image, PA_SYMBOLS_PART_INFO));
	used = image.used;
	assert_true(used > 500000 && used < 1600000);
	assert_false(load(399999));
	image.deadline_ns = INT64_MAX;
	assert_true(load(399999));
	assert_true(image.used < used + 100000);
	assert_int_equal(number(399999), 399999);
	close_numbers();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked_for_is_loaded_and_little_else),
		cmocka_unit_test(what_was_given_back_is_read_again),
		cmocka_unit_test(texts_are_loaded_to_their_end),
		cmocka_unit_test(files_without_debug_information_make_no_image),
		cmocka_unit_test(out_of_time_unpacking_goes_on_later),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
