/* SPDX-License-Identifier: Apache-2.0 */
#include "thread_headroom.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proc_files.h"

#define TEXT_BYTES 4096
#define SHARE 4

/* If RLIMIT_NPROC exceeds the machine's threads by this much, their owners are not counted. */
#define FAR 128

/* capabilities(7): either one exempts from RLIMIT_NPROC. */
#define CAP_SYS_ADMIN 21
#define CAP_SYS_RESOURCE 24

/* user_namespaces(7): the only extent of the initial namespace. */
#define ALL_IDS 4294967295u

static void tighten_room(struct pa_thread_headroom *room, uint64_t threads, const char *limit)
{
	if (threads >= room->threads)
		return;
	room->threads = threads;
	room->limit = limit;
}

static uint64_t left_of(uint64_t limit, uint64_t used)
{
	return used < limit ? limit - used : 0;
}

/* ---- control groups and the kernel ---- */

static uint64_t pids_group_room(const struct pa_proc_files_group *group)
{
	uint64_t limit = pa_proc_files_group_number(group, "pids.max", UINT64_MAX);

	return limit == UINT64_MAX ?
		limit :
		left_of(limit, pa_proc_files_group_number(group, "pids.current", 0));
}

/* Threads of the machine: behind the slash of "0.20 0.18 0.12 1/80 11206", proc(5). */
static uint64_t threads_of_machine(void)
{
	char text[128];
	const char *slash;

	pa_proc_files_text("/proc/loadavg", text, sizeof(text));
	slash = strchr(text, '/');
	return slash ? pa_proc_files_number(slash + 1, 0) : 0;
}

static uint64_t number_in(const char *path)
{
	char text[64];

	pa_proc_files_text(path, text, sizeof(text));
	return pa_proc_files_number(text, UINT64_MAX);
}

/* ---- the user ---- */

struct census {
	uint64_t uid, threads, limit;
};

static bool is_of_user(const char *status, uint64_t uid)
{
	return strstr(status, "\nUid:") && pa_proc_files_number_behind(status, "Uid:") == uid;
}

static bool count_process(void *arg, const struct pa_proc_files_entry *process)
{
	struct census *census = arg;
	char status[TEXT_BYTES];

	if (pa_proc_files_text_below(process, "status", status, sizeof(status)) &&
		is_of_user(status, census->uid))
		census->threads += pa_proc_files_number_behind(status, "Threads:");
	return census->threads < census->limit;
}

static uint64_t hexadecimal_behind(const char *text, const char *word)
{
	unsigned long long number = 0;
	const char *at = strstr(text, word);

	return at && sscanf(at + strlen(word), "%llx", &number) == 1 ? number : 0;
}

/* Only root and capabilities of the initial user namespace are exempt. */
static bool is_in_initial_namespace(void)
{
	unsigned inner = 1, outer = 1, count = 0;
	char text[256];

	if (!pa_proc_files_text("/proc/thread-self/uid_map", text, sizeof(text)))
		return true;
	return sscanf(text, "%u %u %u", &inner, &outer, &count) == 3 && !inner && !outer &&
		count == ALL_IDS;
}

static bool is_exempt(const char *status)
{
	const uint64_t past = (uint64_t)1 << CAP_SYS_ADMIN | (uint64_t)1 << CAP_SYS_RESOURCE;

	return (is_of_user(status, 0) || hexadecimal_behind(status, "\nCapEff:") & past) &&
		is_in_initial_namespace();
}

static uint64_t user_room(uint64_t of_machine)
{
	char status[TEXT_BYTES];
	struct rlimit limit;

	if (getrlimit(RLIMIT_NPROC, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	/* Without /proc (in a jail) only the uid is known. */
	if (!pa_proc_files_text("/proc/thread-self/status", status, sizeof(status)))
		return getuid() ? limit.rlim_cur : UINT64_MAX;
	if (is_exempt(status))
		return UINT64_MAX;
	if (of_machine && limit.rlim_cur >= of_machine + FAR)
		return limit.rlim_cur - of_machine;
	struct census census = {
		.uid = pa_proc_files_number_behind(status, "Uid:"),
		.limit = limit.rlim_cur,
	};
	pa_proc_files_entries("/proc", count_process, &census);
	return left_of(limit.rlim_cur, census.threads);
}

/* ---- all of them ---- */

struct pa_thread_headroom pa_thread_headroom(void)
{
	struct pa_thread_headroom room = { .threads = UINT64_MAX };
	uint64_t of_machine = threads_of_machine();

	tighten_room(&room, left_of(number_in("/proc/sys/kernel/threads-max"), of_machine),
		"kernel.threads-max");
	tighten_room(&room, left_of(number_in("/proc/sys/kernel/pid_max"), of_machine),
		"kernel.pid_max");
	tighten_room(&room, pa_proc_files_groups("pids", pids_group_room), "pids.max");
	tighten_room(&room, user_room(of_machine), "RLIMIT_NPROC");
	return room;
}

unsigned pa_thread_headroom_share(const struct pa_thread_headroom *room, unsigned wanted)
{
	uint64_t share = room->threads < PA_THREAD_HEADROOM_MIN ? 0 : room->threads / SHARE;

	return share < wanted ? (unsigned)share : wanted;
}
