/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of env.c share: a read of settings with stderr caught.
 */
#ifndef TEST_READ_ENV_H
#define TEST_READ_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/env.h"

#define ENVIRON(...) ((char *[]){ __VA_ARGS__, NULL })

static struct {
	struct pa_settings settings;
	char lines[8192]; /* what the last read said */
} got;

static void read_as(const char *exe, char **environ_now)
{
	int ends[2], kept = dup(STDERR_FILENO);
	ssize_t length;

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	memset(&got.settings, 0xa5, sizeof(got.settings));
	pa_env_read(&got.settings, environ_now, exe);
	dup2(kept, STDERR_FILENO);
	length = read(ends[0], got.lines, sizeof(got.lines) - 1);
	got.lines[length < 0 ? 0 : length] = '\0';
	close(kept);
	close(ends[0]);
	close(ends[1]);
}

static inline void assert_silent(char *entry)
{
	read_as("prog", ENVIRON(entry));
	assert_string_equal(got.lines, "");
}

#endif
