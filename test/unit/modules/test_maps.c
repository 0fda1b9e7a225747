/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "test/lib/c/maps_fixture.h"

/* Runs first: it decides what module 1 is. */
static void module_one_is_the_executable_wherever_it_lies(void **unused)
{
	char path[PATH_MAX], self[PATH_MAX] = "";

	(void)unused;
	assert_int_equal(pa_maps_count(), 0);
	assert_null(pa_maps_get(0));
	assert_null(pa_maps_get(1));
	write_file(path_in(path, "below"), "x", 1, 1);
	map_file(LOW_PLACE, path, 1, PROT_READ | PROT_EXEC, 0);
	refresh();
	struct pa_module *module = find((void *)module_one_is_the_executable_wherever_it_lies);
	assert_non_null(module);
	assert_int_equal(module->id, 1);
	assert_true(module->is_main);
	assert_ptr_equal(pa_maps_get(1), module);
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	assert_string_equal(module->path, self);
	assert_non_null(find(LOW_PLACE));
	assert_false(find(LOW_PLACE)->is_main);
	munmap(LOW_PLACE, PAGE);
}

static bool has_note(const struct dl_phdr_info *info, const struct pa_module *module)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		const char *note = (const char *)info->dlpi_addr + phdr->p_vaddr;

		for (size_t n = 0; phdr->p_type == PT_NOTE && n < phdr->p_memsz; n++) {
			if (memcmp(note + n, "\3\0\0\0GNU", 8) == 0)
				return memcmp(note + n + 8, module->build_id,
					       module->build_id_bytes) == 0;
		}
	}
	return module->build_id_bytes == 0;
}

static int check_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct stat st;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];

		if (phdr->p_type != PT_LOAD || !(phdr->p_flags & PF_X))
			continue;
		struct pa_module *module = find((char *)info->dlpi_addr + phdr->p_vaddr);
		assert_non_null(module);
		assert_true(module->is_elf);
		assert_int_equal(module->bias, info->dlpi_addr);
		assert_true(has_note(info, module));
		assert_int_equal(module->segments[0].offset, phdr->p_offset & ~(PAGE - 1));
		if (module->path[0] == '/') {
			assert_int_equal(stat(module->path, &st), 0);
			assert_int_equal(module->device, st.st_dev);
			assert_int_equal(module->inode, st.st_ino);
		}
		++*(int *)arg;
	}
	return 0;
}

static void modules_are_what_the_loader_says(void **unused)
{
	int checked = 0;

	(void)unused;
	refresh();
	dl_iterate_phdr(check_object, &checked);
	assert_true(checked >= 4);
}

static void data_and_stack_are_in_no_module(void **unused)
{
	static int datum;
	int local;
	void *heap = malloc(1);

	(void)unused;
	assert_null(find(&datum));
	assert_null(find(&local));
	assert_null(find(heap));
	assert_null(find(NULL));
	assert_null(find((void *)UINTPTR_MAX));
	free(heap);
}

static void the_vdso_is_a_module(void **unused)
{
	struct pa_module *module = NULL;

	(void)unused;
	for (uint32_t id = 1; id <= pa_maps_count(); id++) {
		if (strcmp(pa_maps_get(id)->path, "[vdso]") == 0)
			module = pa_maps_get(id);
	}
	assert_non_null(module);
	assert_true(module->is_elf);
	assert_int_equal(module->start, getauxval(AT_SYSINFO_EHDR));
	assert_int_equal(module->inode, 0);
}

static void nothing_new_is_found_when_nothing_changed(void **unused)
{
	uint32_t count = pa_maps_count();

	(void)unused;
	refresh();
	assert_int_equal(pa_maps_count(), count);
	for (uint32_t id = 1; id <= count; id++)
		assert_ptr_equal(pa_maps_get(id)->dead ? NULL : pa_maps_get(id),
			find((void *)pa_maps_get(id)->segments[0].start));
}

static void an_unloaded_library_is_dead_and_loaded_again_a_new_module(void **unused)
{
	void *library = dlopen("libm.so.6", RTLD_NOW);

	(void)unused;
	assert_non_null(library);
	void *function = dlsym(library, "cbrt");
	refresh();
	struct pa_module *old = find(function);
	assert_non_null(old);
	dlclose(library);
	if (dlsym(RTLD_DEFAULT, "cbrt"))
		skip(); /* a sanitizer keeps it loaded */
	refresh();
	assert_true(old->dead);
	assert_null(find(function));
	library = dlopen("libm.so.6", RTLD_NOW);
	function = dlsym(library, "cbrt");
	refresh();
	assert_non_null(find(function));
	assert_ptr_not_equal(find(function), old);
	assert_true(old->dead);
	dlclose(library);
	refresh();
}

static void another_file_at_the_same_place_is_another_module(void **unused)
{
	char one[PATH_MAX], two[PATH_MAX];

	(void)unused;
	write_file(path_in(one, "one"), "1", 1, 2);
	write_file(path_in(two, "two"), "2", 1, 2);
	map_file(FILE_PLACE, one, 2, PROT_READ | PROT_EXEC, 0);
	refresh();
	struct pa_module *first = find(FILE_PLACE + PAGE);
	assert_string_equal(first->path, one);
	assert_false(first->is_elf);
	map_file(FILE_PLACE, two, 2, PROT_READ | PROT_EXEC, 0);
	refresh();
	assert_true(first->dead);
	assert_string_equal(first->path, one);
	assert_string_equal(find(FILE_PLACE)->path, two);
	munmap(FILE_PLACE, 2 * PAGE);
	refresh();
	assert_null(find(FILE_PLACE));
}

static void a_deleted_file_keeps_its_path(void **unused)
{
	char path[PATH_MAX];

	(void)unused;
	write_file(path_in(path, "a b\nc"), "1", 1, 1);
	map_file(FILE_PLACE, path, 1, PROT_READ | PROT_EXEC, 0);
	unlink(path);
	refresh();
	assert_string_equal(find(FILE_PLACE)->path, path);
	assert_true(find(FILE_PLACE)->deleted);
	munmap(FILE_PLACE, PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(module_one_is_the_executable_wherever_it_lies),
		cmocka_unit_test(modules_are_what_the_loader_says),
		cmocka_unit_test(data_and_stack_are_in_no_module),
		cmocka_unit_test(the_vdso_is_a_module),
		cmocka_unit_test(nothing_new_is_found_when_nothing_changed),
		cmocka_unit_test(an_unloaded_library_is_dead_and_loaded_again_a_new_module),
		cmocka_unit_test(another_file_at_the_same_place_is_another_module),
		cmocka_unit_test(a_deleted_file_keeps_its_path),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
