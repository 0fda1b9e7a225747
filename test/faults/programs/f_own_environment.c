/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Defines the functions of the environment itself, which do not work before main, as those of
 * ksh93. Prints "ok".
 */
#include <stdio.h>
#include <stdlib.h>

static int begun;

static void must_have_begun(void)
{
	if (!begun)
		abort();
}

char *getenv(const char *name)
{
	(void)name;
	must_have_begun();
	return NULL;
}

int putenv(char *entry)
{
	(void)entry;
	must_have_begun();
	return 0;
}

int setenv(const char *name, const char *value, int replace)
{
	(void)name;
	(void)value;
	(void)replace;
	must_have_begun();
	return 0;
}

int unsetenv(const char *name)
{
	(void)name;
	must_have_begun();
	return 0;
}

int main(void)
{
	begun = 1;
	puts("ok");
	return 0;
}
