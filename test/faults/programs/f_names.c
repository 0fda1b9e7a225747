/* SPDX-License-Identifier: Apache-2.0 */
/*
 * f_names: what a program sees of the loader. Prints "ready", then answers lines of stdin: "loaded"
 * with the libraries that it has in their order, "is NAME" with whether a library of that name is
 * open, "open PATH" with the result of its plugin_run, or "failed".
 */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

static int print_name(struct dl_phdr_info *info, size_t bytes, void *unused)
{
	(void)bytes;
	(void)unused;
	if (info->dlpi_name[0])
		printf(" %s", info->dlpi_name);
	return 0;
}

static void open_plugin(const char *path)
{
	void *plugin = dlopen(path, RTLD_NOW);
	int (*run)(void) = plugin ? (int (*)(void))dlsym(plugin, "plugin_run") : NULL;
	if (run)
		printf("opened %d\n", run());
	else
		printf("failed %s\n", dlerror());
}

int main(void)
{
	char line[4096];
	puts("ready");
	while (fflush(stdout) == 0 && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, "loaded") == 0) {
			printf("loaded");
			dl_iterate_phdr(print_name, NULL);
			puts("");
		} else if (strncmp(line, "is ", 3) == 0) {
			puts(dlopen(line + 3, RTLD_NOW | RTLD_NOLOAD) ? "open" : "absent");
		} else if (strncmp(line, "open ", 5) == 0) {
			open_plugin(line + 5);
		}
	}
	return 0;
}
