/* SPDX-License-Identifier: Apache-2.0 */
#include "object_paths.h"

#include <dlfcn.h>
#include <link.h>
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

extern ElfW(Dyn) _DYNAMIC[] PA_HIDDEN; /* of this object: no look-up */

/* dladdr would search all symbols, too. */
const char *pa_object_paths_own(void)
{
	const struct link_map *map = _r_debug.r_map;
	while (map && map->l_ld != _DYNAMIC)
		map = map->l_next;
	Dl_info self; /* in another name space of the loader than the program: dlmopen(3) */
	if (!map && dladdr((void *)pa_object_paths_own, &self))
		return self.dli_fname;
	return map ? map->l_name : NULL;
}

bool pa_object_paths_beside(char *path, const char *own, const char *name)
{
	size_t at = 0;
	if (own[0] != '/') {
		if (!getcwd(path, PA_OBJECT_PATHS_BYTES / 2))
			return false;
		at = strlen(path);
		path[at++] = '/';
	}
	const char *slash = strrchr(own, '/');
	size_t directory = slash ? (size_t)(slash - own) + 1 : 0;
	if (at + directory + strlen(name) + 1 > PA_OBJECT_PATHS_BYTES)
		return false;
	memcpy(path + at, own, directory);
	memcpy(path + at + directory, name, strlen(name) + 1);
	return true;
}
