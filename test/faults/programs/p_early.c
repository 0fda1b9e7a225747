/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library that begins to work as early as it can: in the resolver of an indirect function (the
 * loader calls it before it has dealt with the libraries that were preloaded), and in a
 * constructor. Prints how much of it went well in each place.
 */
#include "early_work.h"

static int in_resolver;

static int answer(void)
{
	return 42;
}

static int (*resolve(void))(void)
{
	in_resolver = early_work();
	return answer;
}

static int early_answer(void) __attribute__((ifunc("resolve")));

__attribute__((constructor)) static void begin(void)
{
	int in_constructor = early_work();

	printf("resolver %d constructor %d\n", in_resolver, in_constructor);
	printf("answer %d freed %d\n", early_answer(), early_rest());
	fflush(stdout);
}
