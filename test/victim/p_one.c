/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin of v_plugin: plugin_keep() calls one_keep(), which allocates and keeps 4 MiB. */
#include <stdlib.h>
#include <string.h>

void *one_kept[4096];

__attribute__((noinline)) void one_keep(void)
{
	for (int i = 0; i < 4096; i++) {
		one_kept[i] = malloc(1024);
		memset(one_kept[i], 1, 1024);
	}
}

void plugin_keep(void)
{
	one_keep();
}
