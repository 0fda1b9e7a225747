/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens p_one.so, lets it keep 4 MiB, closes it, and opens p_two.so, which comes to lie at the same
 * address and keeps 4 MiB as well.
 *
 *   v_plugin            prints "ready same" or "ready other" (address), lives until stdin ends
 *   v_plugin storm N    opens and closes both N times (0: until stdin ends) while two threads burn
 *                       CPU time and allocate; prints "ready", then "storm ok N"
 */
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[PATH_MAX];

static void *open_plugin(const char *name, void **keep)
{
	char path[2 * PATH_MAX];
	void *handle;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	*keep = dlsym(handle, "plugin_keep");
	return handle;
}

__attribute__((noinline)) static void call_plugin(void *keep)
{
	((void (*)(void))keep)();
}

static volatile unsigned long work;

static void *busy(void *arg)
{
	for (;;) {
		for (int i = 0; i < 10000; i++)
			work++;
		void *volatile p = malloc(1000);
		free(p);
	}
	return arg;
}

static int input_ended(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	char byte;

	return poll(&in, 1, 0) == 1 && read(0, &byte, 1) <= 0;
}

static int storm(int count)
{
	pthread_t thread;

	pthread_create(&thread, NULL, busy, NULL);
	pthread_create(&thread, NULL, busy, NULL);
	puts("ready");
	fflush(stdout);
	for (int i = 0; count ? i < count : !input_ended(); i++) {
		void *keep, *handle = open_plugin(i & 1 ? "p_two.so" : "p_one.so", &keep);

		dlclose(handle);
	}
	printf("storm ok %d\n", count);
	return 0;
}

int main(int argc, char **argv)
{
	char self[PATH_MAX] = "", byte;
	void *first, *second, *handle;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 1;
	snprintf(folder, sizeof(folder), "%s", dirname(self));
	if (argc > 2 && !strcmp(argv[1], "storm"))
		return storm(atoi(argv[2]));

	handle = open_plugin("p_one.so", &first);
	call_plugin(first);
	dlclose(handle);
	open_plugin("p_two.so", &second);
	call_plugin(second);
	puts(first == second ? "ready same" : "ready other");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
