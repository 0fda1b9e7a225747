/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a whole unit test from inside a malloc call: what record/ does on a program's thread, it
 * does there. The test's own main was compiled as pa_test_main.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

int pa_test_main(int argc, char **argv);

static struct {
	void *(*real)(size_t);
	bool armed;
	bool ran;
	int argc;
	char **argv;
	int result;
} state = { .result = -1 };

static void run_test(void)
{
	int saved = errno;
	state.armed = false;
	state.ran = true;
	state.result = pa_test_main(state.argc, state.argv);
	errno = saved;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	if (!state.real)
		state.real = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
	if (state.armed)
		run_test();
	return state.real(size);
}

int main(int argc, char **argv)
{
	/* volatile: the compiler may drop a block that is not used. */
	void *volatile block;

	state.argc = argc;
	state.argv = argv;
	state.armed = true;
	block = malloc(64);
	free(block);
	if (!state.ran) {
		fputs("inside_hook: malloc was not interposed\n", stderr);
		return 1;
	}
	printf("inside_hook: ran inside malloc\n");
	return state.result;
}
