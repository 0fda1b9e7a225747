#include "symbols_room.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "maps.h"

/* What one allocation may take of the room. */
#define ROOM_PART 4
/* Nobody's limit is so close that this matters. */
#define SMALL_BYTES ((uint64_t)256 << 10)
#define TEXT_BYTES 8192
#define PATH_BYTES 1024

/* The two generations of control groups. */
static const struct layout {
	const char *line; /* how its line in /proc/self/cgroup is marked */
	const char *mount, *limit, *usage, *cache;
} layouts[] = {
	{ "0::/", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file " },
	{ ":memory:/", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
		"total_inactive_file " },
};

/* The start of a file as text. */
static bool read_text(const char *path, char *text, size_t size)
{
	int fd = pa_maps_open(path);
	size_t length = 0;
	ssize_t got = -1;

	if (fd < 0)
		return false;
	while (length + 1 < size) {
		got = read(fd, text + length, size - 1 - length);
		if (got <= 0 && !(got < 0 && errno == EINTR))
			break;
		length += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	text[length] = '\0';
	return length > 0;
}

/* The number at text; none: "max" and the like. Saturates. */
static uint64_t number_at(const char *text, uint64_t none)
{
	uint64_t number = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		if (number > (UINT64_MAX - 9) / 10)
			return UINT64_MAX;
		number = number * 10 + (uint64_t)(*at - '0');
	}
	return at == text ? none : number;
}

/* The number behind a word that starts a line. */
static uint64_t number_behind(const char *text, const char *word)
{
	const char *at = text;

	for (; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, word, strlen(word)) == 0) {
			at += strlen(word);
			return number_at(at + strspn(at, " \t"), 0);
		}
	}
	return 0;
}

static uint64_t group_room(const char *limit_text, const char *usage_text, uint64_t cache)
{
	uint64_t limit = number_at(limit_text, UINT64_MAX), usage = number_at(usage_text, 0);

	if (limit == UINT64_MAX)
		return UINT64_MAX;
	/* File pages that nobody uses are given back before anyone is killed. */
	usage -= cache < usage ? cache : usage;
	return usage < limit ? limit - usage : 0;
}

PA_AGENT uint64_t pa_symbols_room_of_group(const char *limit, const char *usage, const char *stat)
{
	uint64_t cache = number_behind(stat, layouts[0].cache);

	return group_room(limit, usage, cache ? cache : number_behind(stat, layouts[1].cache));
}

static uint64_t directory_room(const struct layout *layout, const char *group)
{
	char path[PATH_BYTES], limit[64], usage[64], stat[TEXT_BYTES] = "";

	snprintf(path, sizeof(path), "%s%s/%s", layout->mount, group, layout->limit);
	if (!read_text(path, limit, sizeof(limit)))
		return UINT64_MAX;
	snprintf(path, sizeof(path), "%s%s/%s", layout->mount, group, layout->usage);
	if (!read_text(path, usage, sizeof(usage)))
		return UINT64_MAX;
	snprintf(path, sizeof(path), "%s%s/memory.stat", layout->mount, group);
	read_text(path, stat, sizeof(stat));
	return group_room(limit, usage, number_behind(stat, layout->cache));
}

/* The tightest of the group and all those above it. */
static uint64_t layout_room(const struct layout *layout, const char *groups)
{
	const char *line = strstr(groups, layout->line);
	char group[PATH_BYTES / 2];
	uint64_t room = UINT64_MAX;

	if (!line)
		return room;
	line += strlen(layout->line) - 1;
	snprintf(group, sizeof(group), "%.*s", (int)strcspn(line, "\n"), line);
	for (;;) {
		char *slash = strrchr(group, '/');
		uint64_t here = directory_room(layout, strcmp(group, "/") ? group : "");

		room = here < room ? here : room;
		if (!slash)
			return room;
		*slash = '\0';
	}
}

static uint64_t groups_room(void)
{
	char text[TEXT_BYTES];
	uint64_t room = UINT64_MAX;

	if (!read_text("/proc/thread-self/cgroup", text, sizeof(text)))
		return room;
	for (size_t i = 0; i < PA_COUNT(layouts); i++) {
		uint64_t here = layout_room(&layouts[i], text);

		room = here < room ? here : room;
	}
	return room;
}

/* What a resource limit leaves of pages used. */
static uint64_t limit_room(int resource, uint64_t pages)
{
	uint64_t used = pages * PA_PAGE_BYTES;
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return used < limit.rlim_cur ? limit.rlim_cur - used : 0;
}

static uint64_t limits_room(void)
{
	char text[TEXT_BYTES];
	const char *at = text;
	uint64_t all, data;

	if (!read_text("/proc/thread-self/statm", text, sizeof(text)))
		return 0;
	/* size resident shared text lib data */
	for (int field = 1; field < 6 && *at; field++) {
		at += strcspn(at, " ");
		at += *at == ' ';
	}
	all = limit_room(RLIMIT_AS, number_at(text, 0));
	data = limit_room(RLIMIT_DATA, number_at(at, 0));
	return all < data ? all : data;
}

PA_AGENT uint64_t pa_symbols_room_bytes(void)
{
	char text[TEXT_BYTES];
	uint64_t groups = groups_room(), limits = limits_room(), machine = 0;

	if (read_text("/proc/meminfo", text, sizeof(text)))
		machine = number_behind(text, "MemAvailable:") * 1024;
	if (groups < machine)
		machine = groups;
	return limits < machine ? limits : machine;
}

PA_AGENT bool pa_symbols_room_for(uint64_t bytes)
{
	return bytes <= SMALL_BYTES || bytes <= pa_symbols_room_bytes() / ROOM_PART;
}
