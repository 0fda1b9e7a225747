#include "owner.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"

/* Beginning of the names of the agent's own threads: the second look goes only there. */
#define AGENT_THREAD "pprofagent"

#define PATH_BYTES 64
#define TABLE_BYTES ((size_t)2 << 20)
#define TCP_LISTEN 0x0a

/* proc(5): number, local address and port, remote ones, state, then the inode as the tenth. */
#define TABLE_LINE " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu"

struct search {
	int64_t end_ns;
	char link[32]; /* "socket:[12345]" */
	bool agents;   /* second look: descriptor tables of agents' threads */
	struct pa_owner *owner;
};

static bool is_over(const struct search *search)
{
	return pa_clock_mono_ns() >= search->end_ns;
}

/* Reads a file of /proc up to size - 1 bytes; adds a NUL. Number of bytes. */
static size_t read_file(const char *path, char *bytes, size_t size)
{
	size_t length = 0;
	ssize_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && (got = read(fd, bytes + length, size - 1 - length)) > 0)
		length += (size_t)got;
	if (fd >= 0)
		close(fd);
	bytes[length] = '\0';
	return length;
}

/* ---- the socket ---- */

/* Whether local, an address of /proc/net/tcp or tcp6 (words in host order), stands in our way. */
static bool is_in_way(const char *local, const struct sockaddr_in *address)
{
	unsigned long words[4] = { 0 };
	size_t length = strlen(local);
	char word[9];

	for (size_t i = 0; i < length / 8 && i < 4; i++) {
		memcpy(word, local + i * 8, 8);
		word[8] = '\0';
		words[i] = strtoul(word, NULL, 16);
	}
	uint32_t wanted = address->sin_addr.s_addr;
	uint32_t found = (uint32_t)(length == 8 ? words[0] : words[3]);
	bool mapped = length == 8 || (!words[0] && !words[1] && words[2] == htonl(0xffff));
	bool any = !words[0] && !words[1] && !words[2] && !words[3];
	return any || (mapped && (found == wanted || !wanted || !found));
}

/* The inode of the socket that listens there, out of one table; 0 when there is none. */
static unsigned long find_inode(char *table, const struct sockaddr_in *address)
{
	char *next, *line = table;

	for (; line && *line; line = next) {
		char local[33];
		unsigned port, status;
		unsigned long inode;
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (sscanf(line, TABLE_LINE, local, &port, &status, &inode) != 4)
			continue;
		if (status == TCP_LISTEN && port == ntohs(address->sin_port) &&
			is_in_way(local, address))
			return inode;
	}
	return 0;
}

static unsigned long listening_inode(const struct sockaddr_in *address)
{
	static const char *const tables[] = { "/proc/thread-self/net/tcp",
		"/proc/thread-self/net/tcp6" };
	unsigned long inode = 0;
	char *table = malloc(TABLE_BYTES);

	for (size_t i = 0; table && !inode && i < PA_COUNT(tables); i++) {
		read_file(tables[i], table, TABLE_BYTES);
		inode = find_inode(table, address);
	}
	free(table);
	return inode;
}

/* ---- its process ---- */

static bool is_number(const char *name)
{
	return name[0] && name[strspn(name, "0123456789")] == '\0';
}

typedef bool visit_fn(struct search *search, const char *directory, const char *name);

/* Calls visit for the entries of a directory of /proc until it says true. */
static bool any_entry(struct search *search, const char *directory, visit_fn *visit)
{
	bool found = false;
	struct dirent *entry;
	DIR *dir = opendir(directory);

	while (dir && !found && !is_over(search) && (entry = readdir(dir))) {
		if (is_number(entry->d_name))
			found = visit(search, directory, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool is_descriptor(struct search *search, const char *directory, const char *name)
{
	char path[2 * PATH_BYTES], link[sizeof(search->link) + 1];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	ssize_t length = readlink(path, link, sizeof(link) - 1);
	if (length < 0)
		return false;
	link[length] = '\0';
	return strcmp(link, search->link) == 0;
}

static bool is_thread(struct search *search, const char *directory, const char *name)
{
	char path[PATH_BYTES], comm[PA_OWNER_NAME_BYTES + 1];

	snprintf(path, sizeof(path), "%s/%s/comm", directory, name);
	read_file(path, comm, sizeof(comm));
	if (strncmp(comm, AGENT_THREAD, strlen(AGENT_THREAD)) != 0)
		return false;
	snprintf(path, sizeof(path), "%s/%s/fd", directory, name);
	return any_entry(search, path, is_descriptor);
}

static bool is_process(struct search *search, const char *directory, const char *name)
{
	char path[PATH_BYTES], comm[PA_OWNER_NAME_BYTES + 1];

	snprintf(path, sizeof(path), "%s/%s/%s", directory, name, search->agents ? "task" : "fd");
	if (!any_entry(search, path, search->agents ? is_thread : is_descriptor))
		return false;
	snprintf(path, sizeof(path), "%s/%s/comm", directory, name);
	read_file(path, comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = '\0';
	search->owner->pid = atoi(name);
	snprintf(search->owner->name, sizeof(search->owner->name), "%.15s", comm);
	return true;
}

bool pa_owner_find(const struct sockaddr_in *address, int64_t budget_ns, struct pa_owner *owner)
{
	struct search search = { .end_ns = pa_clock_mono_ns() + budget_ns, .owner = owner };
	unsigned long inode = listening_inode(address);

	if (!inode)
		return false;
	snprintf(search.link, sizeof(search.link), "socket:[%lu]", inode);
	if (any_entry(&search, "/proc", is_process))
		return true;
	search.agents = true;
	return any_entry(&search, "/proc", is_process);
}
