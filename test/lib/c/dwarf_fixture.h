/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of symbols_dwarf.c: libraries that are compiled while the test runs, and what is found
 * of addresses in their debug information. Included by one file of a test.
 */
#ifndef DWARF_FIXTURE_H
#define DWARF_FIXTURE_H

#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/base/clock.h"
#include "agent/symbols/symbols_dwarf.h"
#include "agent/symbols/symbols_table.h"
#include "symbols_fixture.h"

/* libdw's asserts end here, as they do in the agent. */
void __assert_fail(const char *assertion, const char *file, unsigned int line, const char *function)
{
	pa_symbols_bail();
	fprintf(stderr, "%s:%u: %s: %s\n", file, line, function, assertion);
	_exit(99);
}

/* A file in memory. */
struct copy {
	char *bytes;
	size_t size;
};

static struct pa_symbols_scope scopes[PA_SYMBOLS_INLINE_MAX];
static struct pa_symbols_known known;
static bool late;

static inline int64_t soon(void)
{
	return pa_clock_thread_cpu_ns() + 60 * PA_NS_PER_S;
}

/* Of a file in memory that stays; nothing is known of it. */
static inline struct pa_symbols_dwarf *open_copy(const void *bytes, size_t size)
{
	struct pa_symbols_elf elf;
	int error;

	pa_symbols_units_free(&known.own);
	pa_symbols_units_free(&known.shared);
	if (pa_symbols_elf_open_image(&elf, bytes, size) != 0)
		return NULL;
	return pa_symbols_dwarf_open(&elf, NULL, &known, &error);
}

static inline uint32_t find(struct pa_symbols_dwarf *dwarf, uint64_t address, uint32_t max)
{
	pa_symbols_dwarf_list(dwarf, soon(), &late);
	return pa_symbols_dwarf_find(dwarf, address, scopes, max, soon(), &late);
}

static inline struct copy read_file(const char *name)
{
	char path[PATH_MAX];
	int fd = open(path_in(path, name), O_RDONLY);
	struct stat st;
	struct copy copy;

	assert_int_equal(fstat(fd, &st), 0);
	copy.size = (size_t)st.st_size;
	copy.bytes = malloc(copy.size);
	assert_int_equal(read(fd, copy.bytes, copy.size), (ssize_t)copy.size);
	close(fd);
	return copy;
}

static inline struct pa_symbols_dwarf *open_file(const char *name)
{
	struct pa_symbols_elf elf;
	char path[PATH_MAX];
	int error;

	pa_symbols_units_free(&known.own);
	assert_int_equal(pa_symbols_elf_open(&elf, open(path_in(path, name), O_RDONLY), path), 0);
	return pa_symbols_dwarf_open(&elf, NULL, &known, &error);
}

static inline uint64_t address_of(const struct pa_symbols_elf *elf, const char *name)
{
	struct pa_symbols_table table = { 0 };
	struct pa_symbols_match match;
	const Elf64_Shdr *text = pa_symbols_elf_find(elf, ".text");
	uint64_t found = 0;

	pa_symbols_table_add(&table, elf, pa_symbols_elf_find_type(elf, SHT_SYMTAB));
	pa_symbols_table_finish(&table);
	for (uint64_t at = 0; at < text->sh_size && !found; at++) {
		if (pa_symbols_table_find(&table, text->sh_addr + at, &match) &&
			strcmp(match.name, name) == 0)
			found = match.start;
	}
	pa_symbols_table_free(&table);
	return found;
}

/* Compiles the library with flags and opens its debug information. */
static inline struct pa_symbols_dwarf *open_built(const char *compiler, const char *flags,
	uint64_t *outer)
{
	struct pa_symbols_dwarf *dwarf;
	struct pa_symbols_elf elf;
	struct copy copy;

	write_text("d.c", library_source);
	if (run_command("%s %s -O2 -shared -fPIC -o d.so d.c", compiler, flags) != 0)
		return NULL;
	copy = read_file("d.so");
	assert_int_equal(pa_symbols_elf_open_image(&elf, copy.bytes, copy.size), 0);
	*outer = address_of(&elf, "outer");
	assert_true(*outer != 0);
	assert_true(pa_symbols_dwarf_present(&elf));
	pa_symbols_elf_close(&elf);
	free(copy.bytes);
	dwarf = open_file("d.so");
	assert_non_null(dwarf);
	return dwarf;
}

/* Looks through outer for the place where three functions are on top of each other. */
static inline uint32_t deepest(struct pa_symbols_dwarf *dwarf, uint64_t outer)
{
	for (uint64_t at = outer; at < outer + 64; at++) {
		if (find(dwarf, at, PA_SYMBOLS_INLINE_MAX) == 3)
			return 3;
	}
	return 0;
}

#endif
