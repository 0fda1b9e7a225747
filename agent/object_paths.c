/* SPDX-License-Identifier: Apache-2.0 */
#include "object_paths.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

const char *pa_object_paths_program(char *path, size_t size)
{
	static const char mark[] = " (deleted)";
	const ssize_t mark_length = sizeof(mark) - 1;
	ssize_t length = readlink("/proc/self/exe", path, size - 1);
	if (length > mark_length && !memcmp(path + length - mark_length, mark, mark_length))
		length -= mark_length;
	path[length > 0 ? length : 0] = '\0';
	char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

bool pa_object_paths_core(char *path, const char *name)
{
	Dl_info self;
	if (!dladdr((void *)pa_object_paths_core, &self) || !self.dli_fname)
		return false;
	size_t at = 0;
	if (self.dli_fname[0] != '/') {
		if (!getcwd(path, PA_OBJECT_PATHS_BYTES / 2))
			return false;
		at = strlen(path);
		path[at++] = '/';
	}
	const char *slash = strrchr(self.dli_fname, '/');
	size_t directory = slash ? (size_t)(slash - self.dli_fname) + 1 : 0;
	if (at + directory + strlen(name) + 1 > PA_OBJECT_PATHS_BYTES)
		return false;
	memcpy(path + at, self.dli_fname, directory);
	memcpy(path + at + directory, name, strlen(name) + 1);
	return true;
}
