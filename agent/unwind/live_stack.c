/* SPDX-License-Identifier: Apache-2.0 */
#include "live_stack.h"

#include <stdlib.h>
#include <string.h>

#include "../base/assert.h"
#include "../record/tasks.h"

#define STATUS_BYTES 8192 /* proc(5), status: 1.5 KiB; longer with many cpus */

/* The last two numbers of /proc/PID/task/TID/syscall (proc(5)): sp and pc. */
static bool is_blocked_at(const struct pa_live_stack *live)
{
	char text[256];
	PA_ASSERT(live->tid > 0);
	if (!pa_tasks_read(live->tid, "syscall", text, sizeof(text)))
		return false;
	char *pc = strrchr(text, ' ');
	if (!pc)
		return false;
	*pc = '\0';
	const char *sp = strrchr(text, ' ');
	return sp && strtoul(sp, NULL, 16) == live->sp && strtoul(pc + 1, NULL, 16) == live->pc;
}

/* The lines voluntary_ctxt_switches and nonvoluntary_ctxt_switches, which end the file. */
static bool read_switches(int32_t tid, char *switches, size_t size)
{
	char text[STATUS_BYTES];
	if (!pa_tasks_read(tid, "status", text, sizeof(text)))
		return false;
	const char *lines = strstr(text, "\nvoluntary_ctxt_switches:");
	if (!lines || strlen(lines) >= size)
		return false;
	memcpy(switches, lines, strlen(lines) + 1);
	return true;
}

bool pa_live_stack_begin(struct pa_live_stack *live, int32_t tid, uintptr_t sp, uintptr_t pc)
{
	*live = (struct pa_live_stack){ .tid = tid, .sp = sp, .pc = pc };
	return tid > 0 && read_switches(tid, live->switches, sizeof(live->switches)) &&
		is_blocked_at(live);
}

bool pa_live_stack_is_same(const struct pa_live_stack *live)
{
	char switches[sizeof(live->switches)];
	PA_ASSERT(live->switches[0]);
	return is_blocked_at(live) && read_switches(live->tid, switches, sizeof(switches)) &&
		strcmp(switches, live->switches) == 0;
}
