/* SPDX-License-Identifier: Apache-2.0 */
/* A folder that stands for / where the agent looks for files of the kernel. */
#ifndef PA_TEST_HOST_FIXTURE_H
#define PA_TEST_HOST_FIXTURE_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/profile/proc_files.h"

static char host_root[64];

static int host_set_up(void **unused)
{
	(void)unused;
	strcpy(host_root, "/tmp/pa_proc_files.XXXXXX");
	if (!mkdtemp(host_root))
		return -1;
	pa_proc_files_root(host_root);
	return 0;
}

static int host_remove(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

static int host_tear_down(void **unused)
{
	(void)unused;
	pa_proc_files_root("");
	return nftw(host_root, host_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file, and makes the folders that it is in. */
static void host_file(const char *path, const char *text)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "%s%s", host_root, path);
	for (char *at = whole + strlen(host_root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(whole, 0700);
		*at = '/';
	}
	FILE *file = fopen(whole, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

#endif
