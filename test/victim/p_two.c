/* SPDX-License-Identifier: Apache-2.0 */
/* The other plugin of v_plugin: the same code and size as p_one, under another name. */
#include <stdlib.h>
#include <string.h>

void *two_kept[4096];

__attribute__((noinline)) void two_keep(void)
{
	for (int i = 0; i < 4096; i++) {
		two_kept[i] = malloc(1024);
		memset(two_kept[i], 1, 1024);
	}
}

void plugin_keep(void)
{
	two_keep();
}
