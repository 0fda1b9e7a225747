/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text files of the kernel about this process and the machine: /proc and control groups.
 *
 * Context: PA_AGENT, any of our threads. No lock. Opens one file at a time; nothing is cached.
 */
#ifndef PA_PROC_FILES_H
#define PA_PROC_FILES_H

#include "../base/base.h"

#define PA_PROC_FILES_PATH_BYTES 1024

/* Reads the beginning of a file as text, with one read: see pa_small_file_record. False: unreadable
 * or empty (text is ""). */
PA_API bool pa_proc_files_text(const char *path, char *text, size_t size);

/* As above, for bytes that may contain NULs: adds a NUL, returns the number of bytes before it. */
PA_API size_t pa_proc_files_bytes(const char *path, char *bytes, size_t size);

/* Target of a symbolic link, cut at size - 1. False: unreadable (text is ""). */
PA_AGENT bool pa_proc_files_link(const char *path, char *text, size_t size);

/* True if the file contains word (at most 63 bytes). */
PA_AGENT bool pa_proc_files_contains(const char *path, const char *word);

/* Decimal number at text; none: not a digit ("max"). Saturates at UINT64_MAX. */
PA_API uint64_t pa_proc_files_number(const char *text, uint64_t none);

/* Number behind a word at the start of a line, after spaces; 0: no such line. */
PA_API uint64_t pa_proc_files_number_behind(const char *text, const char *word);

/* One control group of this process. */
struct pa_proc_files_group {
	const char *folder; /* "/sys/fs/cgroup/a/b" */
	bool unified;       /* version 2, cgroups(7) */
};

/* Minimum of room() over the control groups of this process and their ancestors, as far as they are
 * mounted here. controller: "memory", "pids"; UINT64_MAX: no group. */
PA_API uint64_t pa_proc_files_groups(const char *controller,
	uint64_t (*room)(const struct pa_proc_files_group *group));

/* Number in a file of a group; none: "max", or no such file. */
PA_AGENT uint64_t pa_proc_files_group_number(const struct pa_proc_files_group *group,
	const char *file, uint64_t none);

/* An entry of a folder that is a number: a process, thread or descriptor. */
struct pa_proc_files_entry {
	int folder; /* open meanwhile */
	uint64_t number;
};

/* Calls visit with each until it returns false. */
PA_AGENT void pa_proc_files_entries(const char *folder,
	bool (*visit)(void *arg, const struct pa_proc_files_entry *entry), void *arg);

/* As pa_proc_files_text, of a file below an entry: a short way for the kernel. */
PA_AGENT bool pa_proc_files_text_below(const struct pa_proc_files_entry *entry, const char *file,
	char *text, size_t size);

/* Prepends this folder to all paths; "": none. For tests. */
PA_AGENT void pa_proc_files_root(const char *folder);

#endif
