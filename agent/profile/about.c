#include "about.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../record/tasks.h"
#include "names.h"

/* Of stat we need no more than the beginning; the others are shorter. */
#define TEXT_BYTES 512

/* The file's beginning with a NUL. Its length, or -errno. */
static ssize_t read_file(int32_t tid, const char *file, char text[TEXT_BYTES])
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", pa_tasks_shown(tid), file);
	int fd = pa_maps_open(path);
	if (fd < 0)
		return fd;
	ssize_t got = read(fd, text, TEXT_BYTES - 1);
	if (got < 0)
		got = -errno;
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return got;
}

static bool read_name(int32_t tid, struct pa_about *about)
{
	char text[TEXT_BYTES], name[PA_THREAD_NAME_BYTES] = { 0 };
	ssize_t length = read_file(tid, "comm", text);
	if (length == -ENOENT || length == -ESRCH)
		return false;
	/* The last byte is a newline; a name may have others. */
	for (ssize_t i = 0; i < length - 1 && i < PA_THREAD_NAME_BYTES; i++)
		name[i] = text[i];
	pa_names_clean(about->name, sizeof(about->name), name);
	return true;
}

/* "TID (name) S ...", where the name may have parentheses and all that follows has none. */
static void read_state(int32_t tid, struct pa_about *about)
{
	char text[TEXT_BYTES];
	if (read_file(tid, "stat", text) <= 0)
		return;
	const char *after = strrchr(text, ')');
	if (after && after[1] == ' ')
		about->state = after[2];
}

/* "running", "-1 SP PC" when it is blocked in no system call, or "NUMBER 0xARGUMENT ...". */
static void read_syscall(int32_t tid, struct pa_about *about)
{
	static const char running[] = "running";
	char text[TEXT_BYTES];
	if (read_file(tid, "syscall", text) <= 0)
		return;
	if (strncmp(text, running, sizeof(running) - 1) == 0) {
		about->state = 'R';
		return;
	}
	char *rest;
	long number = strtol(text, &rest, 10);
	if (rest == text || number < 0)
		return;
	about->syscall = (int32_t)number;
	about->argument = strtoull(rest, NULL, 16);
}

static void read_words(struct pa_about *about)
{
	if (about->syscall != SYS_futex)
		return;
	if (!pa_maps_read_memory(about->words, about->argument, sizeof(about->words)))
		memset(about->words, 0, sizeof(about->words));
}

bool pa_about_read(int32_t tid, struct pa_about *about)
{
	*about = (struct pa_about){ .syscall = -1 };
	if (!read_name(tid, about))
		return false;
	read_state(tid, about);
	read_syscall(tid, about);
	read_words(about);
	return true;
}
