#include "exitfiles.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"
#include "base/clock.h"
#include "base/say.h"
#include "outfile.h"
#include "record/on.h"
#include "record/sandbox.h"

#define PATH_BYTES PA_OUTFILE_PATH_BYTES

static const struct {
	const char *name;  /* of the profile */
	const char *title; /* in messages */
} files[PA_EXIT_FILES] = {
	[PA_EXIT_CPU] = { "profile", "CPU" },
	[PA_EXIT_HEAP] = { "heap", "memory" },
	[PA_EXIT_ALLOCS] = { "allocs", "allocs" },
	[PA_EXIT_BLOCK] = { "block", "block" },
	[PA_EXIT_MUTEX] = { "mutex", "mutex" },
};

static struct {
	const struct pa_settings *settings;
	char directory[PATH_BYTES]; /* where the program was started */
	char exe[64];
	int64_t start_s;
	bool wanted[PA_EXIT_FILES];
	PA_ATOMIC(uint32_t) written; /* acq_rel: several threads may end the process at once */
} state;

/* What a letter behind a percent sign stands for; NULL: nothing. */
static const char *meaning(char letter, char number[24])
{
	switch (letter) {
	case 'p':
		snprintf(number, 24, "%d", (int)getpid());
		return number;
	case 't':
		snprintf(number, 24, "%lld", (long long)state.start_s);
		return number;
	case 'e':
		return state.exe;
	case '%':
		return "%";
	default:
		return NULL;
	}
}

/* False: too long. */
static bool expand(char path[PATH_BYTES], const char *pattern)
{
	const size_t most = PATH_BYTES - 1;
	size_t at = 0;
	if (pattern[0] != '/')
		at = (size_t)snprintf(path, most, "%s/", state.directory);
	for (; *pattern && at < most; pattern++) {
		char number[24];
		const char *text = *pattern == '%' ? meaning(pattern[1], number) : NULL;
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

/* Said at the start, while messages are allowed. */
static bool can_be_written(const char *pattern, const char *title)
{
	char path[PATH_BYTES];
	int error = expand(path, pattern) ? pa_outfile_check(path) : -ENAMETOOLONG;
	if (!error)
		return true;
	const char *why = strerrordesc_np(-error);
	if (state.settings->log != PA_LOG_OFF)
		pa_say("could not create %s profile: open %s: %s", title, pattern,
			why ? why : "unknown error");
	return false;
}

void pa_exitfiles_boot(const struct pa_settings *settings, const char *exe)
{
	state.settings = settings;
	state.start_s = pa_clock_wall_ns() / PA_NS_PER_S;
	snprintf(state.exe, sizeof(state.exe), "%s", exe);
	if (!getcwd(state.directory, sizeof(state.directory)))
		state.directory[0] = '\0';
	for (int i = 0; i < PA_EXIT_FILES; i++) {
		const char *pattern = settings->exit_files[i];
		/* A child would write over what its parent writes. */
		bool own = !settings->child || strstr(pattern, "%p");
		own = own && pa_sandbox_may(&pa_thread_self, PA_CALLS_FILES);
		state.wanted[i] = *pattern && own && can_be_written(pattern, files[i].title);
	}
}

bool pa_exitfiles_wanted(void)
{
	for (int i = 0; i < PA_EXIT_FILES; i++)
		if (state.wanted[i])
			return true;
	return false;
}

bool pa_exitfiles_want_cpu(void)
{
	return state.wanted[PA_EXIT_CPU];
}

static int write_one(const struct pa_bridge *bridge, enum pa_exit_file which)
{
	/* Not on a stack that may be small; one thread comes here: state.written. */
	static char path[PATH_BYTES];
	static struct pa_outfile file;
	int error = expand(path, state.settings->exit_files[which]) ? 0 : -ENAMETOOLONG;
	if (!error)
		error = pa_outfile_open(&file, path);
	if (error)
		return error;
	error = which == PA_EXIT_CPU
		? bridge->api.cpu_stop(pa_outfile_write, &file)
		: bridge->api.write(files[which].name, 0, pa_outfile_write, &file);
	return pa_outfile_close(&file, error == 0);
}

void pa_exitfiles_write(void)
{
	uint32_t not_yet = 0;
	if (!pa_exitfiles_wanted() || !pa_cas_acq_rel(&state.written, &not_yet, 1))
		return;
	int saved_errno = errno;
	const struct pa_bridge *bridge = pa_agent_core(PA_AGENT_PATIENCE_NS);
	pa_thread_self.depth++;
	for (int i = 0; bridge && i < PA_EXIT_FILES; i++)
		if (state.wanted[i] && write_one(bridge, (enum pa_exit_file)i) != 0)
			PA_COUNT_EVENT(exit_files_failed);
	pa_thread_self.depth--;
	errno = saved_errno;
}

void pa_exitfiles_atfork_child(void)
{
	pa_reset(&state.written, 0);
	for (int i = 0; i < PA_EXIT_FILES; i++)
		if (state.wanted[i] && !strstr(state.settings->exit_files[i], "%p"))
			state.wanted[i] = false;
}
