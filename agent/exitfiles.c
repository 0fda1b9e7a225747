#include "exitfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"
#include "base/clock.h"
#include "base/say.h"
#include "record/thread.h"

#define PATH_BYTES 4096
#define SUFFIX ".pprofagent"
#define BESIDE_BYTES (PATH_BYTES + sizeof(SUFFIX))

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

static int open_beside(char beside[BESIDE_BYTES], const char *path)
{
	snprintf(beside, BESIDE_BYTES, "%s%s", path, SUFFIX);
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	return fd < 0 ? -errno : fd;
}

/* Now, when there is still somebody to tell. */
static bool can_be_written(const char *pattern, const char *title)
{
	char path[PATH_BYTES], beside[BESIDE_BYTES];
	int fd = expand(path, pattern) ? open_beside(beside, path) : -ENAMETOOLONG;
	if (fd >= 0) {
		close(fd);
		unlink(beside);
		return true;
	}
	const char *why = strerrordesc_np(-fd);
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

static bool write_to(void *fd, const void *bytes, size_t count)
{
	const char *from = bytes;
	while (count) {
		ssize_t done = write(*(int *)fd, from, count);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		from += done;
		count -= (size_t)done;
	}
	return true;
}

static void write_one(const struct pa_bridge *bridge, enum pa_exit_file which)
{
	char path[PATH_BYTES], beside[BESIDE_BYTES];
	if (!expand(path, state.settings->exit_files[which]))
		return;
	int fd = open_beside(beside, path);
	if (fd < 0)
		return;
	int error = which == PA_EXIT_CPU
		? bridge->api.cpu_stop(write_to, &fd)
		: bridge->api.write(files[which].name, 0, write_to, &fd);
	if (close(fd) != 0 || error || rename(beside, path) != 0)
		unlink(beside);
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
		if (state.wanted[i])
			write_one(bridge, (enum pa_exit_file)i);
	pa_thread_self.depth--;
	errno = saved_errno;
}

void pa_exitfiles_atfork_child(void)
{
	pa_store_relaxed(&state.written, 0);
	for (int i = 0; i < PA_EXIT_FILES; i++)
		state.wanted[i] = state.wanted[i] &&
			strstr(state.settings->exit_files[i], "%p") != NULL;
}
