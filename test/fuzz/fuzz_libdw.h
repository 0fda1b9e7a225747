/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where libdw would end the process (serve/libc_denied.c has the same in the agent): the lookup is
 * left. Included by one file of a target.
 */
#ifndef FUZZ_LIBDW_H
#define FUZZ_LIBDW_H

#include <assert.h>

#include "agent/symbols/symbols.h"

/* What a lookup that was left held is lost, and no finding. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:allocator_may_return_null=1";
}

void abort(void)
{
	pa_symbols_bail();
	__builtin_trap();
}

void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
	pa_symbols_bail();
	printf("%s:%u: %s: %s\n", file, line, function, assertion);
	fflush(stdout);
	__builtin_trap();
}

#endif
