/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/symbols/symbols_files.h"
#include "agent/symbols/symbols_load.h"
#include "test/lib/c/symbols_fixture.h"

static struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];
static char debug_directory[PATH_MAX];

#define NO_BUILD_ID "-O2 -g -shared -fPIC -Wl,--build-id=none"

/* More than a few bytes may need. */
#define LIAR_KILOBYTES (100 << 10)

/* Everything is known: the static function, its file and line. */
static void assert_fully_known(void *library)
{
	assert_int_equal(look_up(quiet_in(library), frames), 1);
	assert_string_equal(frames[0].function->name, "quiet");
	assert_int_equal(frames[0].function->start_line, 18);
	assert_int_equal(look_up(symbol_in(library, "in_innermost"), frames), 3);
}

static void assert_only_exports_known(void *library)
{
	assert_int_equal(look_up(symbol_in(library, "exported"), frames), 1);
	assert_string_equal(frames[0].function->name, "exported");
	assert_string_equal(frames[0].function->file, "");
	assert_int_equal(look_up(quiet_in(library), frames), 0);
}

/* name.so without, name.debug with debug information. */
static void split(const char *name)
{
	assert_int_equal(run_command("objcopy --only-keep-debug %s.so %s.debug && strip -s %s.so",
				 name, name, name),
		0);
}

/* Puts name.debug where its build-id says; name.so is read for that. */
static void move_by_build_id(const char *name)
{
	assert_int_equal(run_command("id=$(readelf -n %s.so | sed -n 's/.*Build ID: //p') && "
				     "dir=%s/.build-id/$(echo $id | cut -c1-2) && mkdir -p $dir && "
				     "mv %s.debug $dir/$(echo $id | cut -c3-).debug",
				 name, debug_directory, name),
		0);
}

static void a_stripped_library_without_debug_file_has_its_exports(void **unused)
{
	(void)unused;
	build_library("bare", library_source, library_flags);
	split("bare");
	assert_int_equal(run_command("rm bare.debug"), 0);
	assert_only_exports_known(open_library("bare"));
}

static void the_debug_file_is_found_by_build_id(void **unused)
{
	(void)unused;
	build_library("by_id", library_source, library_flags);
	split("by_id");
	move_by_build_id("by_id");
	assert_fully_known(open_library("by_id"));
}

/* Its names are used, its lines would cost too much. */
static void the_debug_file_of_a_system_library_gives_names_alone(void **unused)
{
	struct pa_symbols symbols = { 0 };
	struct pa_symbols_match match;

	(void)unused;
	build_library("of_system", library_source, library_flags);
	split("of_system");
	move_by_build_id("of_system");
	void *(*address_of_quiet)(void) =
		(void *(*)(void))symbol_in(open_library("of_system"), "address_of_quiet");
	uintptr_t quiet = (uintptr_t)address_of_quiet();
	struct pa_module copy = *pa_maps_find(quiet);
	copy.path = (char *)"/usr/lib/of_system.so";
	pa_symbols_load_table(&copy, &symbols);
	assert_true(pa_symbols_table_find(&symbols.table, quiet - symbols.bias, &match));
	assert_string_equal(match.name, "quiet");
	assert_false(pa_symbols_load_debug(&copy, &symbols));
	assert_int_equal(symbols.debug, PA_SYMBOLS_DEBUG_NONE);
	pa_symbols_load_drop_table(&symbols);
}

static void a_debug_file_of_another_build_is_refused(void **unused)
{
	(void)unused;
	build_library("right", library_source, library_flags);
	build_library("wrong", "int wrong(void) { return 1; }", library_flags);
	split("right");
	assert_int_equal(run_command("cp wrong.so right.debug"), 0);
	move_by_build_id("right");
	assert_only_exports_known(open_library("right"));
}

static void check_link(const char *name, const char *place)
{
	build_library(name, library_source, NO_BUILD_ID);
	split(name);
	assert_int_equal(
		run_command(
			"objcopy --add-gnu-debuglink=%s.debug %s.so && "
			"mkdir -p '%s' && mv %s.debug '%s/.moved' && mv '%s/.moved' '%s/%s.debug'",
			name, name, place, name, place, place, place, name),
		0);
	assert_fully_known(open_library(name));
}

static void the_debug_file_is_found_by_link_in_all_places(void **unused)
{
	char place[2 * PATH_MAX];

	(void)unused;
	check_link("beside", ".");
	check_link("dotted", ".debug");
	snprintf(place, sizeof(place), "%s%s", debug_directory, directory);
	check_link("central", place);
}

static void a_linked_file_with_another_checksum_is_refused(void **unused)
{
	(void)unused;
	build_library("linked", library_source, NO_BUILD_ID);
	split("linked");
	assert_int_equal(run_command("objcopy --add-gnu-debuglink=linked.debug linked.so && "
				     "printf x >>linked.debug"),
		0);
	assert_only_exports_known(open_library("linked"));
}

/* All of it would be read for the checksum: 8 TiB of holes. */
static void a_linked_file_that_is_too_large_is_not_read(void **unused)
{
	(void)unused;
	build_library("holes", library_source, NO_BUILD_ID);
	split("holes");
	assert_int_equal(run_command("objcopy --add-gnu-debuglink=holes.debug holes.so"), 0);
	if (run_command("truncate -s 8T holes.debug") != 0)
		skip(); /* not on this file system */
	assert_only_exports_known(open_library("holes"));
}

/* As Fedora does: the names of static functions, packed into the stripped file. */
static void packed_symbols_are_unpacked(void **unused)
{
	(void)unused;
	build_library("packed", library_source, library_flags);
	if (run_command("objcopy -S --keep-symbol=quiet packed.so mini && "
			"xz mini && strip -s packed.so && "
			"objcopy --add-section .gnu_debugdata=mini.xz packed.so") != 0)
		skip(); /* no xz */
	void *library = open_library("packed");
	assert_int_equal(look_up(quiet_in(library), frames), 1);
	assert_string_equal(frames[0].function->name, "quiet");
	assert_string_equal(name_at(symbol_in(library, "exported")), "exported");
}

static void damaged_packed_symbols_are_none(void **unused)
{
	static const char *const damages[] = {
		"head -c 100 /dev/zero >mini.xz",
		"xz mini && truncate -s -20 mini.xz",
		("xz mini && printf '\\377\\377\\377\\377' | dd of=mini.xz bs=1 conv=notrunc "
		 "seek=$(($(stat -c %s mini.xz) - 8))"),
		"printf YZ >mini.xz",
	};

	(void)unused;
	if (run_command("xz --version >/dev/null") != 0)
		skip();
	for (size_t i = 0; i < PA_COUNT(damages); i++) {
		char name[32];

		snprintf(name, sizeof(name), "damaged%zu", i);
		build_library(name, library_source, library_flags);
		assert_int_equal(run_command("rm -f mini mini.xz; cp %s.so mini; strip -s %s.so",
					 name, name),
			0);
		assert_int_equal(run_command("%s", damages[i]), 0);
		assert_int_equal(run_command("objcopy --add-section .gnu_debugdata=mini.xz %s.so",
					 name),
			0);
		assert_only_exports_known(open_library(name));
	}
}

/* Where the index of an xz stream starts. */
static long index_at(const uint8_t *stream, long bytes)
{
	uint32_t back;

	memcpy(&back, stream + bytes - 8, sizeof(back));
	return bytes - 12 - ((long)back + 1) * 4;
}

static long read_stream(const char *name, uint8_t *to, size_t room)
{
	char path[PATH_MAX];
	FILE *file = fopen(path_in(path, name), "r");

	assert_non_null(file);
	long bytes = (long)fread(to, 1, room, file);
	fclose(file);
	return bytes;
}

/* liar.xz: the data of the one, the index of the other. */
static void make_liar(const char *data_of, const char *index_of)
{
	static uint8_t data[1 << 20], index[1 << 20];
	char path[PATH_MAX];
	long data_bytes = read_stream(data_of, data, sizeof(data));
	long index_bytes = read_stream(index_of, index, sizeof(index));
	FILE *file = fopen(path_in(path, "liar.xz"), "w");

	assert_non_null(file);
	fwrite(data, (size_t)index_at(data, data_bytes), 1, file);
	long from = index_at(index, index_bytes);
	fwrite(index + from, (size_t)(index_bytes - from), 1, file);
	fclose(file);
}

static void packed_symbols_that_are_more_than_they_say_are_none(void **unused)
{
	struct rusage before, after;

	(void)unused;
	if (run_command("head -c 400M /dev/zero | xz -0 >bomb.xz && echo x | xz -0 >small.xz") != 0)
		skip(); /* no xz */
	make_liar("bomb.xz", "small.xz");
	build_library("liar", library_source, library_flags);
	assert_int_equal(run_command("strip -s liar.so && "
				     "objcopy --add-section .gnu_debugdata=liar.xz liar.so"),
		0);
	void *library = open_library("liar");
	getrusage(RUSAGE_SELF, &before);
	assert_only_exports_known(library);
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss - before.ru_maxrss < LIAR_KILOBYTES);
}

/* Runs check(library) as a user who may do nothing special; root may open files without a name. */
static void as_nobody(void (*check)(void *library), void *library)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (getuid() == 0 && (chmod(directory, 0755) || setgid(65534) || setuid(65534)))
			_exit(1);
		check(library);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_deleted_library_has_its_exports_from_memory(void **unused)
{
	void *library;

	(void)unused;
	build_library("deleted", library_source, library_flags);
	library = open_library("deleted");
	assert_int_equal(run_command("rm deleted.so"), 0);
	as_nobody(assert_only_exports_known, library);
}

static void a_deleted_library_keeps_its_debug_file(void **unused)
{
	void *library;

	(void)unused;
	build_library("upgraded", library_source, library_flags);
	split("upgraded");
	library = open_library("upgraded");
	move_by_build_id("upgraded");
	assert_int_equal(run_command("chmod -R a+rX . '%s'; rm upgraded.so", debug_directory), 0);
	as_nobody(assert_fully_known, library);
}

static void root_reads_deleted_libraries(void **unused)
{
	void *library;

	(void)unused;
	if (getuid() != 0)
		skip();
	build_library("unnamed", library_source, library_flags);
	library = open_library("unnamed");
	assert_int_equal(run_command("rm unnamed.so"), 0);
	assert_fully_known(library);
}

static void names_of_the_file_that_took_the_place_are_not_used(void **unused)
{
	/* The same code under other names. */
	static const char *const flags[] = { library_flags, NO_BUILD_ID };
	char other[sizeof(library_source)];

	(void)unused;
	strcpy(other, library_source);
	for (char *at = other; (at = strstr(at, "exported")); at++)
		memcpy(at, "impostor", 8);
	for (size_t i = 0; i < PA_COUNT(flags); i++) {
		char name[32];

		snprintf(name, sizeof(name), "replaced%zu", i);
		build_library(name, library_source, flags[i]);
		void *library = open_library(name);
		assert_int_equal(run_command("mv %s.so old%zu.so", name, i), 0);
		build_library(name, other, flags[i]);
		assert_int_equal(run_command("rm old%zu.so", i), 0);
		as_nobody(assert_only_exports_known, library);
	}
}

/* On overlay file systems the device in maps is not the one that stat shows. */
static void a_file_of_another_device_is_known_by_its_headers(void **unused)
{
	struct pa_symbols_elf elf;
	struct pa_module copy;
	void *library;

	(void)unused;
	build_library("overlaid", library_source, NO_BUILD_ID);
	library = open_library("overlaid");
	copy = *pa_maps_find((uintptr_t)symbol_in(library, "outer"));
	assert_int_equal(copy.build_id_bytes, 0);
	copy.device++;
	assert_int_equal(pa_symbols_files_module(&copy, &elf), 0);
	assert_int_equal(elf.inode, copy.inode);
	pa_symbols_elf_close(&elf);
	copy.start += 4096;
	assert_true(pa_symbols_files_module(&copy, &elf) < 0);
	copy.start -= 4096;
	copy.inode++;
	assert_true(pa_symbols_files_module(&copy, &elf) < 0);
}

/* The file is written anew in place: the same inode. */
static void a_rebuilt_file_does_not_name_old_code(void **unused)
{
	(void)unused;
	build_library("rebuilt", library_source, NO_BUILD_ID);
	build_library("kept", library_source, NO_BUILD_ID);
	void *rebuilt = open_library("rebuilt"), *kept = open_library("kept");
	struct pa_loc old = location(symbol_in(rebuilt, "outer"));
	struct pa_loc loc = location(symbol_in(kept, "outer"));
	dlclose(rebuilt);
	dlclose(kept);
	assert_int_equal(pa_maps_refresh(), 0);
	assert_int_equal(run_command("cat kept.so >rebuilt.so &&"
				     " touch -d '1 hour' rebuilt.so"),
		0);
	assert_int_equal(pa_symbols_lookup(&old, frames, PA_SYMBOLS_INLINE_MAX), 0);
	assert_int_equal(pa_symbols_lookup(&loc, frames, PA_SYMBOLS_INLINE_MAX), 1);
	assert_string_equal(frames[0].function->name, "outer");
}

/* ---------------------------------------------------------------- shared debug files */

static const char shared_header[] =
	"struct pair { int first, second; struct pair *next; };\n"
	"struct quad { struct pair one, two; long names[8]; double values[4]; };\n"
	"extern volatile int sink;\n"
	"static inline __attribute__((always_inline)) void shared_inner(struct pair *p)\n"
	"{\n"
	"	sink += p->first;\n"
	"	__asm__ volatile(\".globl in_inner\\nin_inner: nop\");\n"
	"}\n"
	"static inline __attribute__((always_inline)) void shared_outer(struct quad *q)\n"
	"{\n"
	"	shared_inner(&q->one); /* line 11 */\n"
	"}\n";

/* dwz moves what both libraries have to a file that they share. */
static void names_in_a_shared_debug_file_are_found(void **unused)
{
	static const char *const forms[] = { "", "-5" };

	(void)unused;
	if (run_command("dwz --version >/dev/null") != 0)
		skip();
	write_text("s.h", shared_header);
	for (size_t i = 0; i < PA_COUNT(forms); i++) {
		char name[16];

		for (char which = 'a'; which <= 'b'; which++)
			assert_int_equal(
				run_command(
					"printf '#include \"s.h\"\\nvolatile int sink;\\n"
					"void f%c(struct quad *q) { shared_outer(q);"
					" sink = %d; }\\n' >s%c.c &&"
					" gcc -O2 -g -gdwarf-5 -shared -fPIC -o s%c%zu.so s%c.c",
					which, which, which, which, i, which),
				0);
		assert_int_equal(run_command("dwz %s -m common%zu.debug sa%zu.so sb%zu.so",
					 forms[i], i, i, i),
			0);
		snprintf(name, sizeof(name), "sa%zu", i);
		assert_int_equal(look_up(symbol_in(open_library(name), "in_inner"), frames), 3);
		assert_string_equal(frames[0].function->name, "shared_inner");
		assert_int_equal(frames[0].line, 7);
		assert_int_equal(frames[0].function->start_line, 4);
		assert_string_equal(frames[1].function->name, "shared_outer");
		assert_int_equal(frames[1].line, 11);
		assert_string_equal(frames[2].function->name, "fa");
	}
}

static void files_are_closed_again(void **unused)
{
	int before, after;

	(void)unused;
	pa_symbols_end_request();
	before = dup(0);
	close(before);
	build_library("closing", library_source, library_flags);
	look_up(symbol_in(open_library("closing"), "in_innermost"), frames);
	pa_symbols_end_request();
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

static int prepare(void **unused)
{
	if (make_directory(unused) != 0)
		return -1;
	path_in(debug_directory, "debug");
	pa_symbols_files_set_directory(debug_directory);
	pa_symbols_init(PA_ENV_SYMBOLS_LINES);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stripped_library_without_debug_file_has_its_exports),
		cmocka_unit_test(the_debug_file_is_found_by_build_id),
		cmocka_unit_test(the_debug_file_of_a_system_library_gives_names_alone),
		cmocka_unit_test(a_debug_file_of_another_build_is_refused),
		cmocka_unit_test(the_debug_file_is_found_by_link_in_all_places),
		cmocka_unit_test(a_linked_file_with_another_checksum_is_refused),
		cmocka_unit_test(a_linked_file_that_is_too_large_is_not_read),
		cmocka_unit_test(packed_symbols_are_unpacked),
		cmocka_unit_test(packed_symbols_that_are_more_than_they_say_are_none),
		cmocka_unit_test(damaged_packed_symbols_are_none),
		cmocka_unit_test(a_deleted_library_has_its_exports_from_memory),
		cmocka_unit_test(a_deleted_library_keeps_its_debug_file),
		cmocka_unit_test(root_reads_deleted_libraries),
		cmocka_unit_test(names_of_the_file_that_took_the_place_are_not_used),
		cmocka_unit_test(a_file_of_another_device_is_known_by_its_headers),
		cmocka_unit_test(a_rebuilt_file_does_not_name_old_code),
		cmocka_unit_test(names_in_a_shared_debug_file_are_found),
		cmocka_unit_test(files_are_closed_again),
	};

	return cmocka_run_group_tests(tests, prepare, remove_directory);
}
