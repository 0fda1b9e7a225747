/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A made-up program for the tests of proto/: what maps.h, stack_table.h and symbols.h would tell of
 * it, and a kernel whose memory can run out.
 */
#ifndef FAKE_PROGRAM_H
#define FAKE_PROGRAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/arena.h"
#include "test/lib/c/fake_symbols.h"

/* The kernel: fails at call number fail_at. */
struct kernel_state {
	size_t calls, fail_at, open;
};
extern struct kernel_state kernel;

/* An executable, a library that is unloaded, one that is unloaded but in use, one loaded. */
extern struct pa_module modules[4];

extern struct pa_function fn_main, fn_in, fn_used, fn_two, fn_lost, fn_no_answer;

/* Locations by id. */
enum {
	LOC_MAIN,
	LOC_INLINED,
	LOC_USED,
	LOC_TWO,
	LOC_NAMELESS,
	LOC_LOST,
	LOC_NOWHERE,
	LOC_GAP,
	LOC_NO_ANSWER
};

/* Nameless ones that a test fills: ids from LOC_EXTRA. */
enum { LOC_EXTRA = 1000, LOC_EXTRA_COUNT = 256 };
extern struct pa_loc extra_locs[LOC_EXTRA_COUNT];

extern size_t look_ups;

#endif
