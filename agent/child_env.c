/* SPDX-License-Identifier: Apache-2.0 */
#include "child_env.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/env.h"
#include "record/switches.h"

#define AGENT_NAME "libpprofagent.so"

/* Part of the environment, so never freed. */
static char marker[sizeof(PA_ENV_MARKER) + 16];

/* putenv() of libc: the program may define one itself, which works from its main on (ksh93). */
static void put_into_environment(char *entry)
{
	int (*put)(char *) = NULL;
	*(void **)&put = dlsym(RTLD_NEXT, "putenv");
	if (put)
		put(entry);
}

/* Not by snprintf, whose pages no other part of the start reads. */
static void set_marker(bool shell, int pid)
{
	static const char start[] = PA_ENV_MARKER "=";
	char digits[PA_DECIMAL_DIGITS + 1] = "";
	const char *digit = pa_decimal_before(digits + PA_DECIMAL_DIGITS, (uint64_t)pid);
	char *at = marker + sizeof(start) - 1;
	memcpy(marker, start, sizeof(start) - 1);
	if (shell)
		*at++ = '-';
	memcpy(at, digit, strlen(digit) + 1);
	put_into_environment(marker);
}

void pa_child_env_mark(bool shell)
{
	/* Without a system call where the id is known: each start does this. */
	set_marker(shell, pa_record.pid ? pa_record.pid : getpid());
}

void pa_child_env_told(void)
{
	set_marker(false, INT32_MAX);
}

static bool is_separator(char c)
{
	return c == ':' || c == ' ';
}

void pa_child_env_leave_preload(void)
{
	char *from = (char *)pa_env_value(environ, "LD_PRELOAD");
	if (!from)
		return;
	char *to = from;
	const size_t name_length = sizeof(AGENT_NAME) - 1;
	while (*from) {
		size_t length = 0;
		while (from[length] && !is_separator(from[length]))
			length++;
		bool ours = length >= name_length &&
			!memcmp(from + length - name_length, AGENT_NAME, name_length);
		size_t entry = length + (from[length] != '\0');
		if (!ours) {
			memmove(to, from, entry);
			to += entry;
		}
		from += entry;
	}
	*to = '\0';
}
