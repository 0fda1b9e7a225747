/* SPDX-License-Identifier: Apache-2.0 */
#include "child_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"

#define AGENT_NAME "libpprofagent.so"

/* Part of the environment, so never freed. */
static char marker[sizeof(PA_ENV_MARKER) + 16];

void pa_child_env_mark(bool shell)
{
	snprintf(marker, sizeof(marker), PA_ENV_MARKER "=%s%d", shell ? "-" : "", getpid());
	putenv(marker);
}

void pa_child_env_told(void)
{
	snprintf(marker, sizeof(marker), PA_ENV_MARKER "=%d", INT32_MAX);
	putenv(marker);
}

static bool is_separator(char c)
{
	return c == ':' || c == ' ';
}

void pa_child_env_leave_preload(void)
{
	char *from = getenv("LD_PRELOAD");
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
