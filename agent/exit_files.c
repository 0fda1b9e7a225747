/* SPDX-License-Identifier: Apache-2.0 */
#include "exit_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/newer_libc.h"
#include "core_handle.h"
#include "output_file.h"
#include "record/switches.h"
#include "record/sandbox.h"

#define PATH_BYTES PA_OUTPUT_FILE_PATH_BYTES

static const struct {
	const char *name;  /* of the profile */
	const char *title; /* in messages */
} files[PA_ENV_EXIT_COUNT] = {
	[PA_ENV_EXIT_CPU] = { "profile", "CPU" },
	[PA_ENV_EXIT_HEAP] = { "heap", "memory" },
	[PA_ENV_EXIT_ALLOCS] = { "allocs", "allocs" },
	[PA_ENV_EXIT_BLOCK] = { "block", "block" },
	[PA_ENV_EXIT_MUTEX] = { "mutex", "mutex" },
};

static PA_LARGE char
	start_directory[PATH_BYTES]; /* current directory at the start of the program */

static struct {
	const struct pa_settings *settings;
	char exe[64];
	int64_t start_s;
	bool wanted[PA_ENV_EXIT_COUNT];
	PA_ATOMIC(uint32_t) written; /* acq_rel: several threads may end the process at the same
				      * time */
} state;

/* The value of %letter in a file name; NULL: none. */
static const char *meaning_of_letter(char letter, char number[24])
{
	switch (letter) {
	case 'p': snprintf(number, 24, "%d", (int)getpid()); return number;
	case 't': snprintf(number, 24, "%lld", (long long)state.start_s); return number;
	case 'e': return state.exe;
	case '%': return "%";
	default: return NULL;
	}
}

/* False: too long. */
static bool expand_pattern(char path[PATH_BYTES], const char *pattern)
{
	const size_t most = PATH_BYTES - 1;
	size_t at = 0;
	if (pattern[0] != '/')
		at = (size_t)snprintf(path, most, "%s/", start_directory);
	for (; *pattern && at < most; pattern++) {
		char number[24];
		const char *text = *pattern == '%' ? meaning_of_letter(pattern[1], number) : NULL;
		if (text) {
			at += (size_t)snprintf(path + at, most - at, "%s", text);
			pattern++;
		} else {
			path[at++] = *pattern;
		}
	}
	path[at < most ? at : most] = '\0';
	return at < most;
}

/* Reported at the start, while messages are allowed. */
static bool can_be_written(const char *pattern, const char *title)
{
	char path[PATH_BYTES];
	int error = expand_pattern(path, pattern) ? pa_output_file_check(path) : -ENAMETOOLONG;
	if (!error)
		return true;
	if (state.settings->log != PA_ENV_LOG_OFF)
		pa_log("could not create %s profile: open %s: %s", title, pattern,
			pa_newer_libc_error(-error));
	return false;
}

static bool has_patterns(const struct pa_settings *settings)
{
	for (int i = 0; i < PA_ENV_EXIT_COUNT; i++)
		if (settings->exit_files[i][0])
			return true;
	return false;
}

void pa_exit_files_boot(const struct pa_settings *settings, const char *exe)
{
	state.settings = settings;
	if (!has_patterns(settings))
		return;
	state.start_s = pa_clock_wall_ns() / PA_NS_PER_S;
	snprintf(state.exe, sizeof(state.exe), "%s", exe);
	if (!getcwd(start_directory, sizeof(start_directory)))
		start_directory[0] = '\0';
	for (int i = 0; i < PA_ENV_EXIT_COUNT; i++) {
		const char *pattern = settings->exit_files[i];
		/* A child would overwrite its parent's file. */
		bool own = !settings->child || strstr(pattern, "%p");
		own = own && pa_sandbox_may(&pa_thread_self, PA_CALLS_FILES);
		state.wanted[i] = *pattern && own && can_be_written(pattern, files[i].title);
	}
}

bool pa_exit_files_wanted(void)
{
	for (int i = 0; i < PA_ENV_EXIT_COUNT; i++)
		if (state.wanted[i])
			return true;
	return false;
}

void pa_exit_files_forget(void)
{
	memset(state.wanted, 0, sizeof(state.wanted));
}

bool pa_exit_files_want_cpu(void)
{
	return state.wanted[PA_ENV_EXIT_CPU];
}

static int write_one(const struct pa_bridge *bridge, enum pa_env_exit_file which)
{
	/* Static, since the stack may be small; one thread gets here: state.written. */
	static PA_LARGE char path[PATH_BYTES];
	static PA_LARGE struct pa_output_file file;
	int error = expand_pattern(path, state.settings->exit_files[which]) ? 0 : -ENAMETOOLONG;
	if (!error)
		error = pa_output_file_open(&file, path);
	if (error)
		return error;
	error = which == PA_ENV_EXIT_CPU ?
		bridge->api.cpu_stop(pa_output_file_write, &file) :
		bridge->api.write(files[which].name, 0, pa_output_file_write, &file);
	return pa_output_file_close(&file, error == 0);
}

void pa_exit_files_write(void)
{
	uint32_t not_yet = 0;
	if (!pa_exit_files_wanted() || !pa_cas_acq_rel(&state.written, &not_yet, 1))
		return;
	int saved_errno = errno;
	const struct pa_bridge *bridge = pa_core_handle_await(PA_CORE_HANDLE_TIMEOUT_NS);
	pa_thread_self.depth++;
	for (int i = 0; bridge && i < PA_ENV_EXIT_COUNT; i++)
		if (state.wanted[i] && write_one(bridge, (enum pa_env_exit_file)i) != 0)
			PA_COUNT_EVENT(exit_files_failed);
	pa_thread_self.depth--;
	errno = saved_errno;
}

void pa_exit_files_atfork_child(void)
{
	pa_reset(&state.written, 0);
	for (int i = 0; i < PA_ENV_EXIT_COUNT; i++)
		if (state.wanted[i] && !strstr(state.settings->exit_files[i], "%p"))
			state.wanted[i] = false;
}
