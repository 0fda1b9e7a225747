/* SPDX-License-Identifier: Apache-2.0 */
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/newer_libc.h"
#include "../base/version.h"
#include "../core/core.h"
#include "../modules/maps.h"
#include "../profile/allocator_notes.h"
#include "../profile/recording.h"
#include "../profile/snapshot.h"
#include "../profile/snapshot_take.h"
#include "../symbols/symbols.h"
#include "client_budget.h"
#include "delta_clients.h"
#include "proc_process.h"

#define HOOKS_MAX 512
#define READ_BYTES 4096

/* ---- index ---- */

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~/"
/* Those and what Go's url.URL.String does not encode in a path of one segment. */
#define PLAIN_IN_PATH PLAIN "$&+,:;=@"

/* Percent-encodes all bytes but those of plain. */
static void add_url(struct pa_buffer *out, const char *name, const char *plain)
{
	for (; *name; name++) {
		if (strchr(plain, *name))
			pa_buffer_add(out, name, 1);
		else
			pa_buffer_format(out, "%%%02X", (unsigned char)*name);
	}
}

static void add_index_row(struct pa_buffer *out, const struct pa_pages_row *row)
{
	struct pa_buffer url = { 0 };

	add_url(&url, row->name, PLAIN_IN_PATH);
	pa_buffer_format(out, "<tr><td>%zu</td><td><a href='", row->count);
	pa_buffer_html(out, url.bytes ? url.bytes : "");
	pa_buffer_text(out, "?debug=1'>");
	pa_buffer_html(out, row->name);
	pa_buffer_text(out, "</a></td></tr>\n");
	pa_buffer_free(&url);
}

/* Go's rows stay as they are, so the links are in a table of their own. It is shown to the right of
 * Go's, so that its rows are on the same lines. */
static void add_graph_row(struct pa_buffer *out, const struct pa_pages_row *row)
{
	struct pa_buffer url = { 0 };

	add_url(&url, row->name, PLAIN);
	pa_buffer_text(out, "<tr><td><a href='ui#profile=");
	pa_buffer_html(out, url.bytes ? url.bytes : "");
	pa_buffer_text(out, "' aria-label='graph of ");
	pa_buffer_html(out, row->name);
	pa_buffer_text(out, "'>graph</a></td></tr>\n");
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

static void add_index_note(void *out, const char *text)
{
	pa_buffer_text(out, "<p>\nNote: ");
	pa_buffer_html(out, text);
	pa_buffer_text(out, "\n</p>\n");
}

void pa_pages_index(struct pa_buffer *out, const struct pa_pages_row *rows, size_t count)
{
	pa_buffer_text(out,
		"<!DOCTYPE html>\n<html>\n<head>\n"
		"<title>/debug/pprof/</title>\n"
		"<style>.profile-name { display: inline-block; width: 6rem; }\n"
		".rows { display: flex; }</style>\n"
		"</head>\n<body>\n"
		"/debug/pprof/\n"
		"<p>Set debug=1 as a query parameter to export in legacy text format</p>\n"
		"Types of profiles available:\n"
		"<div class=rows>\n<table>\n<thead><td>Count</td><td>Profile</td></thead>\n");
	for (size_t i = 0; i < count; i++)
		add_index_row(out, &rows[i]);
	pa_buffer_text(out, "</table>\n<table>\n<thead><td><br></td></thead>\n");
	for (size_t i = 0; i < count; i++)
		add_graph_row(out, &rows[i]);
	pa_buffer_text(out,
		"</table>\n</div>\n"
		"<a href=\"goroutine?debug=2\">full goroutine stack dump</a>\n<br>\n"
		"<a href=\"agent\">state of the agent</a>\n");
	pa_allocator_notes(add_index_note, out);
	pa_buffer_text(out, "<p>\nProfile Descriptions:\n<ul>\n");
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
	/* Each argument in /proc/PID/cmdline ends with a NUL; the last one is removed (Go joins
	 * with NUL). */
	if (out->length && out->bytes[out->length - 1] == '\0')
		out->length--;
	return 0;
}

/* ---- the agent ---- */

/* Writes the same facts as text or as JSON. */
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

/* Begins a row; the value follows. text: the key in the text form. */
static void add_key_row(struct sheet *sheet, const char *key, const char *text)
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
	add_key_row(sheet, key, text);
	pa_buffer_format(sheet->out, "%llu", (unsigned long long)value);
	end_row(sheet);
}

static void add_number(struct sheet *sheet, const char *key, uint64_t value)
{
	add_counter(sheet, key, key, value);
}

static void add_text(struct sheet *sheet, const char *key, const char *value)
{
	add_key_row(sheet, key, key);
	if (sheet->json)
		pa_buffer_json(sheet->out, value);
	else
		pa_buffer_text(sheet->out, value);
	end_row(sheet);
}

static void add_flag(struct sheet *sheet, const char *key, bool value)
{
	add_key_row(sheet, key, key);
	pa_buffer_text(sheet->out, sheet->json ? value ? "true" : "false" : value ? "yes" : "no");
	end_row(sheet);
}

/* By this and the pid another agent confirms that it asks the right process; 0: unknown. */
static uint64_t own_start_ticks(void)
{
	struct pa_proc_process self;

	return pa_proc_process_read(pa_proc_process_self(), &self) ? self.start_ticks : 0;
}

static void add_life(struct sheet *sheet, const struct pa_listen *listener)
{
	const struct pa_bridge *bridge = pa_core_bridge;
	struct pa_buffer started = { 0 };

	pa_buffer_time(&started, bridge->start_wall_ns);
	begin_section(sheet, "agent");
	add_text(sheet, "version", PA_VERSION);
	add_number(sheet, "pid", (uint64_t)getpid());
	add_number(sheet, "process_start_ticks", own_start_ticks());
	add_text(sheet, "url", listener ? listener->url : "");
	add_flag(sheet, "address_was_in_use", listener && listener->fallback);
	add_text(sheet, "started", started.bytes ? started.bytes : "");
	pa_buffer_free(&started);
	add_number(sheet, "uptime_seconds",
		(uint64_t)((pa_clock_mono_ns() - bridge->start_mono_ns) / PA_NS_PER_S));
	add_flag(sheet, "forked", bridge->forked);
	add_flag(sheet, "descriptors_private", bridge->files_private);
	end_section(sheet);
}

static bool are_mappings_shown(void)
{
	int fd = pa_maps_open("/proc/thread-self/maps");

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void add_environment(struct sheet *sheet)
{
	char missing[PA_NEWER_LIBC_MISSING_BYTES];
	struct utsname kernel;

	pa_newer_libc_missing(missing);
	begin_section(sheet, "environment");
	add_text(sheet, "glibc", gnu_get_libc_version());
	add_text(sheet, "missing_in_glibc", missing[0] ? missing : "nothing");
	add_flag(sheet, "proc_shows_mappings", are_mappings_shown());
	add_text(sheet, "kernel", uname(&kernel) == 0 ? kernel.release : "unknown");
	end_section(sheet);
}

/* In the text form the default is shown only if it differs. */
static void emit_setting(void *arg, const char *variable, const char *value, const char *preset)
{
	struct sheet *sheet = arg;

	if (sheet->json || strcmp(value, preset) == 0) {
		add_text(sheet, variable, value);
		return;
	}
	add_key_row(sheet, variable, variable);
	pa_buffer_format(sheet->out, "%s (default %s)", value, preset[0] ? preset : "none");
	end_row(sheet);
}

static void add_settings(struct sheet *sheet)
{
	begin_section(sheet, "settings");
	pa_env_list(pa_core_bridge->settings, emit_setting, sheet);
	end_section(sheet);
}

/*
 * Section of a counter. Events, bytes and nanoseconds must not be added up, so each has its own
 * section.
 */
enum place { PLACE_EVENTS, PLACE_DROPS, PLACE_DROPPED_BYTES, PLACE_DROPPED_NS };

static enum place place_of_counter(const char *counter)
{
	if (strncmp(counter, "ns_of_lost_", strlen("ns_of_lost_")) == 0)
		return PLACE_DROPPED_NS;
	if (strncmp(counter, "bytes_of_lost_", strlen("bytes_of_lost_")) == 0)
		return PLACE_DROPPED_BYTES;
	return pa_counters_is_loss(counter) ? PLACE_DROPS : PLACE_EVENTS;
}

/* JSON keys are an interface: a counter keeps the key under which it was first published. */
static const char *key_of_counter(const char *counter)
{
	static const struct {
		const char *counter, *key;
	} kept[] = {
		{ "deferred_stacks", "cold_stacks" },
		{ "dump_answers", "roll_answers" },
		{ "suspends_late", "asides_late" },
	};

	for (size_t i = 0; i < PA_COUNT(kept); i++)
		if (strcmp(counter, kept[i].counter) == 0)
			return kept[i].key;
	return counter;
}

static void add_counters(struct sheet *sheet, enum place place)
{
	const struct pa_counters *counters = pa_core_bridge->counters;
#define X(name, text)                         \
	if (place_of_counter(#name) == place) \
		add_counter(sheet, key_of_counter(#name), text, pa_load_relaxed(&counters->name));
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
	add_counter(sheet, "frees_unknown", "frees without their allocation", stats->frees_unknown);
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
		stats->stack_table.overflowed);
	end_section(sheet);
	begin_section(sheet, "dropped_bytes");
	add_counters(sheet, PLACE_DROPPED_BYTES);
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
	add_number(sheet, "delta_clients", pa_delta_clients_stats().known);
	add_number(sheet, "stacks", stats->stack_table.stacks);
	add_number(sheet, "locations", stats->stack_table.locs);
	add_counter(sheet, "lines_lacking", "locations whose lines were not read yet",
		pa_symbols_lacking());
	end_section(sheet);
}

static void add_memory(struct sheet *sheet, const struct pa_profile_stats *stats)
{
	begin_section(sheet, "memory");
	add_counter(sheet, "record_bytes", "recording side, bytes mapped",
		pa_core_bridge->memory_bytes());
	add_counter(sheet, "core_bytes", "collecting side, bytes mapped", pa_map_bytes());
	add_counter(sheet, "table_bytes", "tables among them, bytes", stats->table_bytes);
	end_section(sheet);
}

/* The effective rates: delta clients and ?seconds=N enable what the settings leave off. */
static void add_recording(struct sheet *sheet)
{
	begin_section(sheet, "recording");
	add_counter(sheet, "block_rate_ns", "ns of waiting an event, 0 = off",
		pa_recording_block_rate_ns());
	add_counter(sheet, "mutex_fraction", "critical sections an event, 0 = off",
		pa_recording_mutex_fraction());
	end_section(sheet);
}

static void add_budget(struct sheet *sheet)
{
	struct pa_client_budget_stats budget = pa_client_budget_stats();
	struct pa_delta_clients_stats clients = pa_delta_clients_stats();

	begin_section(sheet, "kept_for_clients");
	add_counter(sheet, "limit_bytes", "bytes, at most",
		PA_CLIENT_BUDGET_KEPT_BYTES + PA_CLIENT_BUDGET_JOBS_BYTES);
	add_counter(sheet, "peak_bytes", "bytes, the most so far", budget.peak);
	add_counter(sheet, "delta_bytes", "for delta clients, bytes",
		budget.used[PA_CLIENT_BUDGET_DELTAS]);
	add_counter(sheet, "waiting_bytes", "for deltas with seconds, bytes",
		budget.used[PA_CLIENT_BUDGET_WAITING]);
	add_counter(sheet, "flight_bytes", "for the flight recorder's answers, bytes",
		budget.used[PA_CLIENT_BUDGET_FLIGHT]);
	add_counter(sheet, "tree_bytes", "for profiles to be merged, bytes",
		budget.used[PA_CLIENT_BUDGET_TREES]);
	add_counter(sheet, "job_bytes", "for answers being written, bytes",
		budget.used[PA_CLIENT_BUDGET_JOBS]);
	add_counter(sheet, "deltas_dropped", "delta clients that had to begin anew",
		clients.dropped);
	add_counter(sheet, "refused", "times that there was no room", budget.refused);
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

static void add_allocators(struct sheet *sheet)
{
	char text[PA_ALLOCATOR_NOTES_BYTES];
	const char *path;

	begin_section(sheet, "allocators");
	for (uint32_t i = 0; pa_allocator_notes_get(i, &path, text); i++)
		add_text(sheet, path, text);
	end_section(sheet);
}

void pa_pages_agent(struct pa_buffer *out, const struct pa_listen *listener, bool json)
{
	struct pa_profile_stats stats = pa_profile_stats();
	struct sheet sheet = { .out = out, .json = json };

	add_life(&sheet, listener);
	add_environment(&sheet);
	add_settings(&sheet);
	add_events(&sheet, &stats);
	add_drops(&sheet, &stats);
	add_ring(&sheet);
	add_tables(&sheet, &stats);
	add_memory(&sheet, &stats);
	add_recording(&sheet);
	add_budget(&sheet);
	add_hooks(&sheet);
	add_allocators(&sheet);
	pa_buffer_text(out, json ? "}\n" : "");
}
