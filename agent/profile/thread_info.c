/* SPDX-License-Identifier: Apache-2.0 */
#include "thread_info.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "../base/small_file.h"
#include "../record/tasks.h"
#include "thread_names.h"

/* Only the beginning of stat is needed; the other files are shorter. */
#define TEXT_BYTES 512

/* Reads the beginning of a file and adds a NUL. Returns its length, or -errno. */
static ssize_t read_task_file(int32_t tid, const char *file, char text[TEXT_BYTES])
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", pa_tasks_shown(tid), file);
	return pa_small_file_text(pa_maps_open(path), text, TEXT_BYTES);
}

static bool read_comm(int32_t tid, struct pa_thread_info *info)
{
	char text[TEXT_BYTES], name[PA_EVENT_NAME_BYTES] = { 0 };
	ssize_t length = read_task_file(tid, "comm", text);
	if (length == -ENOENT || length == -ESRCH)
		return false;
	/* The last byte is a newline; a name may contain others. */
	for (ssize_t i = 0; i < length - 1 && i < PA_EVENT_NAME_BYTES; i++)
		name[i] = text[i];
	pa_thread_names_clean(info->name, sizeof(info->name), name);
	return true;
}

/* "TID (name) S ...": the name may contain parentheses, the rest contains none. */
static void read_state(int32_t tid, struct pa_thread_info *info)
{
	char text[TEXT_BYTES];
	if (read_task_file(tid, "stat", text) <= 0)
		return;
	const char *after = strrchr(text, ')');
	if (after && after[1] == ' ')
		info->state = after[2];
}

/* "running", "-1 SP PC" outside of system calls, or "NUMBER 0xARGUMENT ...". */
static void read_syscall(int32_t tid, struct pa_thread_info *info)
{
	static const char running[] = "running";
	char text[TEXT_BYTES];
	if (read_task_file(tid, "syscall", text) <= 0)
		return;
	if (strncmp(text, running, sizeof(running) - 1) == 0) {
		info->state = 'R';
		return;
	}
	char *rest;
	long number = strtol(text, &rest, 10);
	if (rest == text || number < 0)
		return;
	info->syscall = (int32_t)number;
	info->argument = strtoull(rest, NULL, 16);
}

static void read_words(struct pa_thread_info *info)
{
	if (info->syscall != SYS_futex)
		return;
	if (!pa_maps_read_memory(info->words, info->argument, sizeof(info->words)))
		memset(info->words, 0, sizeof(info->words));
}

bool pa_thread_info_read(int32_t tid, struct pa_thread_info *info)
{
	*info = (struct pa_thread_info){ .syscall = -1 };
	if (!read_comm(tid, info))
		return false;
	read_state(tid, info);
	read_syscall(tid, info);
	read_words(info);
	return true;
}
