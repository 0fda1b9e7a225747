/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of symbols*.c: libraries that are compiled while the test runs, in a directory that
 * goes away, and what pa_symbols_lookup says of addresses in them.
 */
#ifndef SYMBOLS_FIXTURE_H
#define SYMBOLS_FIXTURE_H

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/symbols/symbols.h"

static char directory[] = "/tmp/test_symbols.XXXXXX";

/* The line numbers below are those of this text. */
static const char library_source[] =
	"#include <stdio.h>\n"
	"volatile int sink;\n"
	"static inline __attribute__((always_inline)) void innermost(int x)\n"
	"{\n"
	"	sink += x;\n"
	"	__asm__ volatile(\".globl in_innermost\\nin_innermost: nop\"); /* line 6 */\n"
	"}\n"
	"static inline __attribute__((always_inline)) void middle(int x)\n"
	"{\n"
	"	innermost(x + 1); /* line 10 */\n"
	"}\n"
	"void outer(int x)\n"
	"{\n"
	"	sink = x;\n"
	"	middle(x); /* line 15 */\n"
	"	sink = 0;\n"
	"}\n"
	"static __attribute__((noinline)) void quiet(void)\n"
	"{\n"
	"	sink = 20;\n"
	"}\n"
	"void *address_of_quiet(void) { quiet(); return (void *)quiet; }\n"
	"void exported(void) { sink = 23; puts(\"\"); }\n";

static const char library_flags[] = "-O2 -g -shared -fPIC -Wl,--build-id=sha1 -Wl,-z,lazy";

static inline int run_command(const char *format, ...) PA_PRINTF(1, 2);

/* Runs a command in the directory. Its exit status. */
static inline int run_command(const char *format, ...)
{
	char command[4 * PATH_MAX];
	va_list arguments;
	int length = snprintf(command, sizeof(command), "cd '%s' && exec 2>/dev/null; ", directory);

	va_start(arguments, format);
	vsnprintf(command + length, sizeof(command) - (size_t)length, format, arguments);
	va_end(arguments);
	return system(command);
}

static inline char *path_in(char out[PATH_MAX], const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", directory, name);
	return out;
}

static inline void write_text(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file = fopen(path_in(path, name), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* Compiles name.c (written from source) to name.so. */
static inline void build_library(const char *name, const char *source, const char *flags)
{
	char file[NAME_MAX];

	snprintf(file, sizeof(file), "%s.c", name);
	write_text(file, source);
	assert_int_equal(run_command("gcc %s -o %s.so %s.c", flags, name, name), 0);
}

/* Opens name.so; its module is known then. */
static inline void *open_library(const char *name)
{
	char path[PATH_MAX], file[NAME_MAX];

	snprintf(file, sizeof(file), "%s.so", name);
	void *library = dlopen(path_in(path, file), RTLD_NOW);
	assert_non_null(library);
	assert_int_equal(pa_maps_refresh(), 0);
	return library;
}

static inline struct pa_loc location(const void *pc)
{
	return (struct pa_loc){
		.pc = (uintptr_t)pc, .raw_pc = (uintptr_t)pc, .module = pa_maps_find((uintptr_t)pc)
	};
}

static inline uint32_t look_up(const void *pc, struct pa_frame *frames)
{
	struct pa_loc loc = location(pc);

	return pa_symbols_lookup(&loc, frames, PA_SYMBOLS_INLINE_MAX);
}

/* The name of the function that has the code at pc; "" when it has none. */
static inline const char *name_at(const void *pc)
{
	struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];
	uint32_t count = look_up(pc, frames);

	return count ? frames[count - 1].function->name : "";
}

static inline void *symbol_in(void *library, const char *name)
{
	void *symbol = dlsym(library, name);

	assert_non_null(symbol);
	return symbol;
}

static inline void *quiet_in(void *library)
{
	void *(*address_of_quiet)(void);

	*(void **)&address_of_quiet = symbol_in(library, "address_of_quiet");
	return address_of_quiet();
}

static inline int make_directory(void **unused)
{
	(void)unused;
	return mkdtemp(directory) ? 0 : -1;
}

static inline int remove_directory(void **unused)
{
	(void)unused;
	pa_symbols_end_request(); /* what is open still would count as leaked */
	return run_command("rm -rf '%s'", directory);
}

#endif
