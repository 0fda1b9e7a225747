#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../profile/core.h"
#include "../profile/snapshot.h"
#include "clients.h"

#define HOOKS_MAX 512
#define READ_BYTES 4096

/* ---- index ---- */

/* Go's url.URL.String for a path of one segment: what is no plain character is percent-encoded. */
static void add_url(struct pa_buffer *out, const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.~$&+,/:;=@";

	for (; *name; name++) {
		if (strchr(plain, *name))
			pa_buffer_add(out, name, 1);
		else
			pa_buffer_format(out, "%%%02X", (unsigned char)*name);
	}
}

static void add_row(struct pa_buffer *out, const struct pa_pages_row *row)
{
	struct pa_buffer url = { 0 };

	add_url(&url, row->name);
	pa_buffer_format(out, "<tr><td>%zu</td><td><a href='", row->count);
	pa_buffer_html(out, url.bytes ? url.bytes : "");
	pa_buffer_text(out, "?debug=1'>");
	pa_buffer_html(out, row->name);
	pa_buffer_text(out, "</a></td></tr>\n");
	pa_buffer_free(&url);
}

static void add_description(struct pa_buffer *out, const struct pa_pages_row *row)
{
	pa_buffer_text(out, "<li><div class=profile-name>");
	pa_buffer_html(out, row->name);
	pa_buffer_text(out, ": </div> ");
	pa_buffer_html(out, row->description);
	pa_buffer_text(out, "</li>\n");
}

void pa_pages_index(struct pa_buffer *out, const struct pa_pages_row *rows, size_t count)
{
	pa_buffer_text(out,
		"<!DOCTYPE html>\n<html>\n<head>\n"
		"<title>/debug/pprof/</title>\n"
		"<style>.profile-name { display: inline-block; width: 6rem; }</style>\n"
		"</head>\n<body>\n"
		"/debug/pprof/\n"
		"<p>Set debug=1 as a query parameter to export in legacy text format</p>\n"
		"Types of profiles available:\n"
		"<table>\n<thead><td>Count</td><td>Profile</td></thead>\n");
	for (size_t i = 0; i < count; i++)
		add_row(out, &rows[i]);
	pa_buffer_text(out,
		"</table>\n"
		"<a href=\"goroutine?debug=2\">full goroutine stack dump</a>\n<br>\n"
		"<a href=\"agent\">state of the agent</a>\n"
		"<p>\nProfile Descriptions:\n<ul>\n");
	for (size_t i = 0; i < count; i++)
		add_description(out, &rows[i]);
	pa_buffer_text(out, "</ul>\n</p>\n</body>\n</html>\n");
}

/* ---- cmdline ---- */

int pa_pages_cmdline(struct pa_buffer *out)
{
	char bytes[READ_BYTES];
	ssize_t got;
	int fd = open("/proc/thread-self/cmdline", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((got = read(fd, bytes, sizeof(bytes))) > 0)
		pa_buffer_add(out, bytes, (size_t)got);
	close(fd);
	/* Each argument ends in a NUL there; one of them is not between two. */
	if (out->length && out->bytes[out->length - 1] == '\0')
		out->length--;
	return 0;
}

/* ---- the agent ---- */

/* The same facts in two forms. */
struct sheet {
	struct pa_buffer *out;
	bool json;
	bool later_section, later_row;
};

static void begin_section(struct sheet *sheet, const char *name)
{
	if (sheet->json)
		pa_buffer_format(sheet->out, "%s\"%s\":{", sheet->later_section ? "," : "{", name);
	else
		pa_buffer_format(sheet->out, "%s%s:\n", sheet->later_section ? "\n" : "", name);
	sheet->later_section = true;
	sheet->later_row = false;
}

static void end_section(struct sheet *sheet)
{
	if (sheet->json)
		pa_buffer_text(sheet->out, "}");
}

/* The value follows. text: the key as a reader wants it. */
static void add_key(struct sheet *sheet, const char *key, const char *text)
{
	if (!sheet->json) {
		pa_buffer_format(sheet->out, "  %s: ", text);
		return;
	}
	if (sheet->later_row)
		pa_buffer_text(sheet->out, ",");
	pa_buffer_json(sheet->out, key);
	pa_buffer_text(sheet->out, ":");
	sheet->later_row = true;
}

static void end_row(struct sheet *sheet)
{
	if (!sheet->json)
		pa_buffer_text(sheet->out, "\n");
}

static void add_counter(struct sheet *sheet, const char *key, const char *text, uint64_t value)
{
	add_key(sheet, key, text);
	pa_buffer_format(sheet->out, "%llu", (unsigned long long)value);
	end_row(sheet);
}

static void add_number(struct sheet *sheet, const char *key, uint64_t value)
{
	add_counter(sheet, key, key, value);
}

static void add_text(struct sheet *sheet, const char *key, const char *value)
{
	add_key(sheet, key, key);
	if (sheet->json)
		pa_buffer_json(sheet->out, value);
	else
		pa_buffer_text(sheet->out, value);
	end_row(sheet);
}

static void add_flag(struct sheet *sheet, const char *key, bool value)
{
	add_key(sheet, key, key);
	pa_buffer_text(sheet->out, sheet->json ? value ? "true" : "false" : value ? "yes" : "no");
	end_row(sheet);
}

static void add_life(struct sheet *sheet, const struct pa_listen *listener)
{
	const struct pa_bridge *bridge = pa_core_bridge;
	time_t start = (time_t)(bridge->start_wall_ns / PA_NS_PER_S);
	char started[80];
	struct tm tm = { 0 };

	gmtime_r(&start, &tm);
	snprintf(started, sizeof(started), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	begin_section(sheet, "agent");
	add_text(sheet, "version", PA_VERSION);
	add_number(sheet, "pid", (uint64_t)getpid());
	add_text(sheet, "url", listener ? listener->url : "");
	add_flag(sheet, "address_was_in_use", listener && listener->fallback);
	add_text(sheet, "started", started);
	add_number(sheet, "uptime_seconds",
		(uint64_t)((pa_clock_mono_ns() - bridge->start_mono_ns) / PA_NS_PER_S));
	add_flag(sheet, "forked", bridge->forked);
	add_flag(sheet, "descriptors_private", bridge->files_private);
	end_section(sheet);
}

/* A setting shows its default only where it differs. */
static void emit_setting(void *arg, const char *variable, const char *value, const char *preset)
{
	struct sheet *sheet = arg;

	if (sheet->json || strcmp(value, preset) == 0) {
		add_text(sheet, variable, value);
		return;
	}
	add_key(sheet, variable, variable);
	pa_buffer_format(sheet->out, "%s (default %s)", value, preset[0] ? preset : "none");
	end_row(sheet);
}

static void add_settings(struct sheet *sheet)
{
	begin_section(sheet, "settings");
	pa_env_list(pa_core_bridge->settings, emit_setting, sheet);
	end_section(sheet);
}

/* Which section a counter belongs to. Events and nanoseconds do not add up, so each has its own. */
enum place { PLACE_EVENTS, PLACE_DROPS, PLACE_DROPPED_NS };

static enum place place_of(const char *counter)
{
	if (strncmp(counter, "ns_of_lost_", strlen("ns_of_lost_")) == 0)
		return PLACE_DROPPED_NS;
	return pa_counter_is_loss(counter) ? PLACE_DROPS : PLACE_EVENTS;
}

static void add_counters(struct sheet *sheet, enum place place)
{
	const struct pa_counters *counters = pa_core_bridge->counters;
#define X(name, text)                                                                             \
	if (place_of(#name) == place)                                                             \
		add_counter(sheet, #name, text, pa_load_relaxed(&counters->name));
	PA_COUNTERS(X)
#undef X
}

static void add_events(struct sheet *sheet, const struct pa_profile_stats *stats)
{
	begin_section(sheet, "events");
	add_counters(sheet, PLACE_EVENTS);
	add_counter(sheet, "events_read", "events read by the collector", stats->events_read);
	end_section(sheet);
}

static void add_drops(struct sheet *sheet, const struct pa_profile_stats *stats)
{
	begin_section(sheet, "drops");
	add_counters(sheet, PLACE_DROPS);
	add_counter(sheet, "ring_skipped", "events dropped: begun and never finished",
		pa_ring_stats(pa_core_bridge->ring).skipped);
	add_counter(sheet, "events_bad", "events dropped: damaged", stats->events_bad);
	add_counter(sheet, "allocs_dropped", "allocations dropped: bucket table full",
		stats->allocs_dropped);
	add_counter(sheet, "live_dropped", "allocations not seen in use: live-object table full",
		stats->live_dropped);
	add_counter(sheet, "frees_unknown", "frees without their allocation",
		stats->frees_unknown);
	add_counter(sheet, "frees_missed", "frees found when the address was used again",
		stats->frees_missed);
	add_counter(sheet, "revives_unknown", "objects taken for freed: realloc failed",
		stats->revives_unknown);
	add_counter(sheet, "ticks_dropped", "CPU ticks dropped: sample table full",
		stats->ticks_dropped);
	add_counter(sheet, "contentions_dropped",
		"waits and contended critical sections dropped: sample table full",
		stats->contentions_dropped);
	add_counter(sheet, "values_dropped", "stacks dropped: table of the program's profiles full",
		stats->values_dropped);
	add_counter(sheet, "creations_dropped", "creations of threads dropped: sample table full",
		stats->creations_dropped);
	add_counter(sheet, "stacks_dropped", "stacks dropped: stack table full",
		stats->sites.overflowed);
	end_section(sheet);
	begin_section(sheet, "dropped_ns");
	add_counters(sheet, PLACE_DROPPED_NS);
	end_section(sheet);
}

static void add_ring(struct sheet *sheet)
{
	struct pa_ring_stats ring = pa_ring_stats(pa_core_bridge->ring);

	begin_section(sheet, "ring");
	add_number(sheet, "size_bytes", ring.size_bytes);
	add_number(sheet, "used_bytes", ring.used_bytes);
	add_counter(sheet, "waits", "times that a writer waited for room", ring.waits);
	end_section(sheet);
}

static void add_tables(struct sheet *sheet, const struct pa_profile_stats *stats)
{
	begin_section(sheet, "tables");
	add_number(sheet, "live_objects", stats->live_objects);
	add_number(sheet, "live_bytes", stats->live_bytes);
	add_number(sheet, "heap_buckets", stats->heap_buckets);
	add_number(sheet, "block_records", stats->block_records);
	add_number(sheet, "mutex_records", stats->mutex_records);
	add_number(sheet, "create_records", stats->create_records);
	add_number(sheet, "values", stats->values);
	add_number(sheet, "delta_clients", pa_clients_stats().known);
	add_number(sheet, "stacks", stats->sites.stacks);
	add_number(sheet, "locations", stats->sites.locs);
	end_section(sheet);
}

static void add_memory(struct sheet *sheet, const struct pa_profile_stats *stats)
{
	begin_section(sheet, "memory");
	add_counter(sheet, "record_bytes", "recording side, bytes mapped",
		pa_core_bridge->memory_bytes());
	add_counter(sheet, "core_bytes", "collecting side, bytes mapped", pa_map_bytes());
	add_counter(sheet, "table_bytes", "tables among them, bytes",
		stats->table_bytes + pa_clients_stats().bytes);
	end_section(sheet);
}

static void add_hooks(struct sheet *sheet)
{
	struct pa_hook_status hooks[HOOKS_MAX];
	size_t count = pa_core_bridge->hook_status(hooks, HOOKS_MAX);
	size_t active = 0;

	for (size_t i = 0; i < count; i++)
		active += hooks[i].active;
	begin_section(sheet, "hooks");
	add_number(sheet, "active", active);
	add_number(sheet, "inactive", count - active);
	end_section(sheet);
	begin_section(sheet, "hooks_inactive");
	for (size_t i = 0; i < count; i++) {
		if (!hooks[i].active)
			add_text(sheet, hooks[i].name, hooks[i].why ? hooks[i].why : "");
	}
	end_section(sheet);
}

void pa_pages_agent(struct pa_buffer *out, const struct pa_listen *listener, bool json)
{
	struct pa_profile_stats stats = pa_profile_stats();
	struct sheet sheet = { .out = out, .json = json };

	add_life(&sheet, listener);
	add_settings(&sheet);
	add_events(&sheet, &stats);
	add_drops(&sheet, &stats);
	add_ring(&sheet);
	add_tables(&sheet, &stats);
	add_memory(&sheet, &stats);
	add_hooks(&sheet);
	pa_buffer_text(out, json ? "}\n" : "");
}
