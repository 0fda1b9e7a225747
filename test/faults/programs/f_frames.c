/* SPDX-License-Identifier: Apache-2.0 */
/*
 * f_frames LIBRARY...  loads the libraries, which this program is not linked with, one after the
 * other, each in a scope of its own; unloads them in the same order; and all of it once more.
 */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	void *handles[16];

	for (int round = 0; round < 2; round++) {
		for (int i = 1; i < argc && i < 16; i++) {
			handles[i] = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
			if (!handles[i]) {
				printf("%s\n", dlerror());
				return 1;
			}
		}
		for (int i = 1; i < argc && i < 16; i++)
			dlclose(handles[i]);
	}
	printf("end\n");
	return 0;
}
