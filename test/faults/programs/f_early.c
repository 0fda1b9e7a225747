/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work before everything else: in the resolver of an indirect function, in the preinit array, in a
 * constructor. Prints how much of it went well in each place.
 */
#include "early_work.h"

static int in_resolver, in_preinit, in_constructor;

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

static void before_all(void)
{
	in_preinit = early_work();
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = before_all;

__attribute__((constructor)) static void begin(void)
{
	in_constructor = early_work();
}

int main(void)
{
	printf("resolver %d preinit %d constructor %d main %d\n", in_resolver, in_preinit,
		in_constructor, early_work());
	printf("answer %d freed %d\n", early_answer(), early_rest());
	return 0;
}
