/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin of f_foreign, opened with RTLD_DEEPBIND: its malloc and free are libc's own. */
#include <stdlib.h>
#include <string.h>

void *foreign_make(size_t bytes)
{
	return memset(malloc(bytes), 1, bytes);
}

void foreign_free(void *pointer)
{
	free(pointer);
}

void *foreign_resize(void *pointer, size_t bytes)
{
	return realloc(pointer, bytes);
}
