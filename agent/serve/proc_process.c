/* SPDX-License-Identifier: Apache-2.0 */
#include "proc_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../arch/arch.h"
#include "../profile/proc_files.h"
#include "port_name.h"
#include "unix_table.h"

#define PATH_BYTES 64
#define LINK_BYTES PA_PROC_PROCESS_LINK_BYTES
/* Fields of stat, and the name with each byte escaped. */
#define STAT_BYTES 1024
/* Up to NSpid, which is behind the ids. */
#define STATUS_BYTES 2048

/* Fields 4 to 24 of /proc/PID/stat. */
#define FIELDS                                                                             \
	" %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %lu %*d %lu " \
	"%*u %lu"

#define AGENT_FILE "/libpprofagent.so"

/* Of an agent: the listener comes first, then connections. */
#define SOCKETS_MAX 32

/* A child serves within this time, if it does. */
#define STARTING_TICKS (5 * PA_PROC_PROCESS_TICKS_PER_S)

static void path_of_process(char path[PATH_BYTES], pid_t pid, const char *file)
{
	snprintf(path, PATH_BYTES, "/proc/%d/%s", pid, file);
}

/* The kernel writes a newline as \n and a backslash as \\ (fs/proc/array.c, proc_task_name). */
static void unescape_name(char *out, const char *from, size_t count)
{
	size_t length = 0;

	for (size_t i = 0; i < count && length < PA_PROC_PROCESS_NAME_BYTES - 1; i++) {
		bool is_escape = from[i] == '\\' && i + 1 < count &&
			(from[i + 1] == 'n' || from[i + 1] == '\\');
		i += is_escape;
		out[length++] = is_escape && from[i] == 'n' ? '\n' : from[i];
	}
	out[length] = '\0';
}

bool pa_proc_process_parse(const char *stat, struct pa_proc_process *out)
{
	const char *name = strchr(stat, '('), *end = strrchr(stat, ')');
	unsigned long user, kernel, threads, start, pages;

	if (!name || !end || end < name ||
		sscanf(end + 1, FIELDS, &out->ppid, &user, &kernel, &threads, &start, &pages) != 6)
		return false;
	out->pid = atoi(stat);
	out->start_ticks = start;
	out->cpu_ticks = user + kernel;
	out->rss_bytes = (uint64_t)pages * PA_PAGE_BYTES;
	out->threads = threads;
	unescape_name(out->program, name + 1, (size_t)(end - name - 1));
	return true;
}

bool pa_proc_process_read(pid_t pid, struct pa_proc_process *out)
{
	char path[PATH_BYTES], stat[STAT_BYTES];

	path_of_process(path, pid, "stat");
	return pa_proc_files_text(path, stat, sizeof(stat)) && pa_proc_process_parse(stat, out);
}

pid_t pa_proc_process_self(void)
{
	char link[LINK_BYTES];

	return pa_proc_files_link("/proc/self", link, sizeof(link)) ? atoi(link) : 0;
}

/* Last number of the line "NSpid:\t4711\t1"; none: the line is missing (no pid namespaces). */
static pid_t innermost_pid(const char *status, pid_t none)
{
	const char *line = strstr(status, "\nNSpid:");
	if (!line)
		return none;
	line++;
	const char *end = line + strcspn(line, "\n");
	while (end > line && end[-1] >= '0' && end[-1] <= '9')
		end--;
	return atoi(end);
}

bool pa_proc_process_is_of_user(pid_t pid, pid_t *inner)
{
	char path[PATH_BYTES], status[STATUS_BYTES];
	unsigned real, effective;

	path_of_process(path, pid, "status");
	if (!pa_proc_files_text(path, status, sizeof(status)))
		return false;
	const char *line = strstr(status, "\nUid:");
	if (!line || sscanf(line, "\nUid: %u %u", &real, &effective) != 2)
		return false;
	if (inner)
		*inner = innermost_pid(status, pid);
	return real == getuid() && effective == geteuid();
}

struct pa_proc_process_network pa_proc_process_own_network(void)
{
	struct pa_proc_process_network network = { "" };

	pa_proc_files_link("/proc/thread-self/ns/net", network.link, sizeof(network.link));
	return network;
}

bool pa_proc_process_is_in_network(pid_t pid, const struct pa_proc_process_network *network)
{
	char path[PATH_BYTES], link[LINK_BYTES];

	path_of_process(path, pid, "ns/net");
	return pa_proc_files_link(path, link, sizeof(link)) && strcmp(link, network->link) == 0;
}

void pa_proc_process_cmdline(pid_t pid, char *text, size_t size)
{
	char path[PATH_BYTES];

	path_of_process(path, pid, "cmdline");
	size_t length = pa_proc_files_bytes(path, text, size);
	/* A title that a program wrote over its arguments is followed by NULs or spaces. */
	while (length && (text[length - 1] == '\0' || text[length - 1] == ' '))
		length--;
	text[length] = '\0';
	for (size_t i = 0; i < length; i++)
		text[i] = text[i] ? text[i] : ' ';
}

void pa_proc_process_exe(pid_t pid, char *text, size_t size)
{
	char path[PATH_BYTES];

	path_of_process(path, pid, "exe");
	if (!pa_proc_files_link(path, text, size))
		text[0] = '\0';
}

uint64_t pa_proc_process_now_ticks(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * PA_PROC_PROCESS_TICKS_PER_S +
		(uint64_t)now.tv_nsec * PA_PROC_PROCESS_TICKS_PER_S / PA_NS_PER_S;
}

/* ---- its agent ---- */

struct look {
	pid_t pid;
	uint32_t from, to; /* places among the threads that are looked at */
	uint32_t place;    /* of the next thread */
	bool any;          /* a thread of an agent */
	uint16_t port;
	pid_t tid;
};

/* False: the search is over. */
static bool look_at_task(void *arg, const struct pa_proc_files_entry *task)
{
	struct look *look = arg;
	const uint32_t place = look->place++;
	char name[PA_PROC_PROCESS_NAME_BYTES];

	if (place < look->from)
		return true;
	if (place >= look->to)
		return false;
	if (!pa_proc_files_text_below(task, "comm", name, sizeof(name)))
		return true;
	look->port = pa_port_name_parse(name);
	if (!look->port && strcmp(name, PA_PORT_NAME_NONE "\n") != 0)
		return true;
	look->any = true;
	look->tid = (pid_t)task->number;
	return !look->port;
}

/* ---- its unix socket ---- */

struct sockets {
	const struct look *look;
	size_t count;
	unsigned long inodes[SOCKETS_MAX];
};

/* A socket that is in the table of the main thread as well may be the program's own. False: the
 * search is over. */
static bool note_socket(void *arg, const struct pa_proc_files_entry *fd)
{
	struct sockets *sockets = arg;
	char path[PATH_BYTES], link[LINK_BYTES], of_main[LINK_BYTES];
	unsigned long inode;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/fd/%d", sockets->look->pid,
		sockets->look->tid, (int)fd->number);
	if (!pa_proc_files_link(path, link, sizeof(link)) ||
		sscanf(link, "socket:[%lu]", &inode) != 1)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", sockets->look->pid, (int)fd->number);
	pa_proc_files_link(path, of_main, sizeof(of_main));
	if (strcmp(link, of_main) != 0)
		sockets->inodes[sockets->count++] = inode;
	return sockets->count < SOCKETS_MAX;
}

static bool find_unix_socket(const struct look *look, struct pa_address *address)
{
	struct sockets sockets = { .look = look };
	struct pa_unix_table_entry found;
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/fd", look->pid, look->tid);
	pa_proc_files_entries(path, note_socket, &sockets);
	if (!sockets.count ||
		!pa_unix_table_of_inodes(look->pid, sockets.inodes, sockets.count, &found))
		return false;
	*address = found.address;
	return true;
}

static void look_at_tasks(struct look *look, uint32_t from, uint32_t to)
{
	char path[PATH_BYTES];

	look->from = from;
	look->to = to;
	look->place = 0;
	path_of_process(path, look->pid, "task");
	pa_proc_files_entries(path, look_at_task, look);
}

struct pa_proc_process_agent pa_proc_process_find_agent(pid_t pid, uint64_t age_ticks,
	uint32_t *place)
{
	char path[PATH_BYTES];
	struct look look = { .pid = pid };
	struct pa_proc_process_agent agent = { .state = PA_PROC_PROCESS_NONE };

	look_at_tasks(&look, *place, UINT32_MAX);
	if (!look.port && *place)
		look_at_tasks(&look, 0, *place);
	if (look.port)
		*place = look.place - 1;
	if (look.port || (look.any && find_unix_socket(&look, &agent.address))) {
		agent.state = PA_PROC_PROCESS_SERVING;
		agent.port = look.port;
		agent.server_tid = look.tid;
		return agent;
	}
	path_of_process(path, pid, "maps");
	if (look.any && age_ticks < STARTING_TICKS)
		agent.state = PA_PROC_PROCESS_STARTING;
	else if (look.any || pa_proc_files_contains(path, AGENT_FILE))
		agent.state = PA_PROC_PROCESS_INERT;
	return agent;
}
