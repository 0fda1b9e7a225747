/* SPDX-License-Identifier: Apache-2.0 */
#include "process_forms.h"

#include <stdio.h>

#include "../base/clock.h"

#define ADDRESS_BYTES PA_ADDRESS_TEXT_BYTES
#define INDENT 2
#define NS_PER_TICK (PA_NS_PER_S / PA_PROC_PROCESS_TICKS_PER_S)

#define CUT "not all processes were looked at: there are too many, or it took too long"

static const char *const state_names[] = {
	[PA_PROC_PROCESS_NONE] = "inert",
	[PA_PROC_PROCESS_INERT] = "inert",
	[PA_PROC_PROCESS_STARTING] = "starting",
	[PA_PROC_PROCESS_SERVING] = "serving",
};

static bool is_serving_here(const struct pa_process_tree_entry *entry)
{
	return entry->agent.state == PA_PROC_PROCESS_SERVING && !entry->other_network;
}

/* Where it can be reached; "" if it cannot be. */
static void format_address(const struct pa_process_tree_entry *entry, char address[ADDRESS_BYTES])
{
	const struct pa_address *bound = &entry->agent.address;

	address[0] = '\0';
	if (!is_serving_here(entry))
		return;
	if (!bound->family || pa_address_is_any(bound))
		snprintf(address, ADDRESS_BYTES, "127.0.0.1:%u", entry->agent.port);
	else
		pa_address_text(bound, address);
}

static void add_started(struct pa_buffer *out, const struct pa_process_tree_entry *entry)
{
	uint64_t now = pa_proc_process_now_ticks(), start = entry->process.start_ticks;
	uint64_t age = now > start ? now - start : 0;

	pa_buffer_time(out, pa_clock_wall_ns() - (int64_t)age * NS_PER_TICK);
}

static void add_cpu(struct pa_buffer *out, const struct pa_process_tree_entry *entry)
{
	uint64_t ticks = entry->process.cpu_ticks;

	pa_buffer_format(out, "%llu.%02llu",
		(unsigned long long)(ticks / PA_PROC_PROCESS_TICKS_PER_S),
		(unsigned long long)(ticks % PA_PROC_PROCESS_TICKS_PER_S));
}

/* ---- text ---- */

static void add_padded(struct pa_buffer *out, struct pa_buffer *cell, int width)
{
	pa_buffer_format(out, "  %*s", width, cell->bytes ? cell->bytes : "");
	pa_buffer_free(cell);
}

static void add_text_line(struct pa_buffer *out, const struct pa_process_tree *tree,
	const struct pa_process_tree_entry *entry)
{
	char address[ADDRESS_BYTES];
	struct pa_buffer cpu = { 0 }, started = { 0 }, place = { 0 };
	const struct pa_proc_process *process = &entry->process;

	format_address(entry, address);
	if (entry->other_network)
		snprintf(address, sizeof(address), "other net:%u", entry->agent.port);
	pa_buffer_line(&place, address[0] ? address : "-");
	pa_buffer_format(out, "%7d %7d  %-8s", process->pid, process->ppid,
		state_names[entry->agent.state]);
	add_padded(out, &place, -21);
	pa_buffer_format(out, " %7llu", (unsigned long long)process->threads);
	add_cpu(&cpu, entry);
	add_padded(out, &cpu, 9);
	pa_buffer_format(out, "  %9llu", (unsigned long long)(process->rss_bytes >> 10));
	add_started(&started, entry);
	add_padded(out, &started, 20);
	pa_buffer_format(out, "  %*s", (int)entry->depth * INDENT, "");
	pa_buffer_line(out, process->program);
	pa_buffer_text(out, "  ");
	pa_buffer_line(out, tree->texts + entry->exe);
	pa_buffer_text(out, "  ");
	pa_buffer_line(out, tree->texts + entry->cmdline);
	pa_buffer_text(out, "\n");
}

void pa_process_forms_text(struct pa_buffer *out, const struct pa_process_tree *tree)
{
	pa_buffer_format(out, "%7s %7s  %-8s  %-21s %7s  %9s  %9s  %-20s  %s\n", "PID", "PPID",
		"STATE", "ADDRESS", "THREADS", "CPU s", "RSS KiB", "STARTED",
		"PROGRAM  FILE  COMMAND LINE");
	for (size_t i = 0; i < tree->count; i++)
		add_text_line(out, tree, &tree->entries[i]);
	if (tree->cut)
		pa_buffer_text(out, CUT "\n");
}

/* ---- JSON ---- */

static void add_json_process(struct pa_buffer *out, const struct pa_process_tree *tree,
	const struct pa_process_tree_entry *entry)
{
	char address[ADDRESS_BYTES];
	const struct pa_proc_process *process = &entry->process;

	format_address(entry, address);
	pa_buffer_format(out, "{\"pid\":%d,\"ppid\":%d,\"depth\":%u,\"program\":", process->pid,
		process->ppid, entry->depth);
	pa_buffer_json(out, process->program);
	pa_buffer_text(out, ",\"cmdline\":");
	pa_buffer_json(out, tree->texts + entry->cmdline);
	pa_buffer_text(out, ",\"exe\":");
	pa_buffer_json(out, tree->texts + entry->exe);
	pa_buffer_format(out,
		",\"state\":\"%s\",\"port\":%u,\"address\":", state_names[entry->agent.state],
		entry->agent.port);
	pa_buffer_json(out, address);
	pa_buffer_format(out, ",\"other_network\":%s,\"start_ticks\":%llu,\"started\":\"",
		entry->other_network ? "true" : "false", (unsigned long long)process->start_ticks);
	add_started(out, entry);
	pa_buffer_text(out, "\",\"cpu_seconds\":");
	add_cpu(out, entry);
	pa_buffer_format(out, ",\"rss_bytes\":%llu,\"threads\":%llu}",
		(unsigned long long)process->rss_bytes, (unsigned long long)process->threads);
}

void pa_process_forms_json(struct pa_buffer *out, const struct pa_process_tree *tree)
{
	pa_buffer_text(out, "{\"processes\":[");
	for (size_t i = 0; i < tree->count; i++) {
		pa_buffer_text(out, i ? ",\n" : "\n");
		add_json_process(out, tree, &tree->entries[i]);
	}
	pa_buffer_format(out, "],\n\"cut\":%s}\n", tree->cut ? "true" : "false");
}

/* ---- HTML ---- */

static void add_html_line(struct pa_buffer *out, const char *text)
{
	struct pa_buffer line = { 0 };

	pa_buffer_line(&line, text);
	pa_buffer_html(out, line.bytes ? line.bytes : "");
	out->failed |= line.failed;
	pa_buffer_free(&line);
}

static void add_links(struct pa_buffer *out, const struct pa_process_tree_entry *entry)
{
	static const char *const pages[] = { "goroutine", "heap", "agent" };

	for (size_t i = 0; i < PA_COUNT(pages) && is_serving_here(entry); i++)
		pa_buffer_format(out, "<a href='%s?debug=1&amp;pid=%d'>%s</a> ", pages[i],
			entry->process.pid, pages[i]);
}

static void add_html_row(struct pa_buffer *out, const struct pa_process_tree *tree,
	const struct pa_process_tree_entry *entry)
{
	char address[ADDRESS_BYTES];
	const struct pa_proc_process *process = &entry->process;

	format_address(entry, address);
	pa_buffer_format(out, "<tr><td>%d</td><td>%d</td><td>%s</td><td>", process->pid,
		process->ppid, state_names[entry->agent.state]);
	add_html_line(out, address);
	if (entry->other_network)
		pa_buffer_format(out, "port %u of another network namespace", entry->agent.port);
	pa_buffer_format(out, "</td><td>%llu</td><td>", (unsigned long long)process->threads);
	add_cpu(out, entry);
	pa_buffer_format(out, "</td><td>%llu</td><td>",
		(unsigned long long)(process->rss_bytes >> 10));
	add_started(out, entry);
	pa_buffer_format(out, "</td><td style='padding-left: %uem'>", entry->depth + 1);
	add_html_line(out, process->program);
	pa_buffer_text(out, "</td><td>");
	add_html_line(out, tree->texts + entry->exe);
	pa_buffer_text(out, "</td><td>");
	add_html_line(out, tree->texts + entry->cmdline);
	pa_buffer_text(out, "</td><td>");
	add_links(out, entry);
	pa_buffer_text(out, "</td></tr>\n");
}

void pa_process_forms_html(struct pa_buffer *out, const struct pa_process_tree *tree)
{
	pa_buffer_text(out,
		"<!DOCTYPE html>\n<html>\n<head>\n"
		"<title>/debug/pprof/processes</title>\n"
		"<style>td, th { text-align: left; padding: 0 1em 0 0; white-space: nowrap; }"
		"</style>\n</head>\n<body>\n"
		"/debug/pprof/processes\n<p>This process and its descendants with an agent</p>\n"
		"<table>\n<tr><th>pid</th><th>ppid</th><th>state</th><th>address</th>"
		"<th>threads</th><th>CPU s</th><th>RSS KiB</th><th>started</th><th>program</th>"
		"<th>file</th><th>command line</th><th></th></tr>\n");
	for (size_t i = 0; i < tree->count; i++)
		add_html_row(out, tree, &tree->entries[i]);
	pa_buffer_text(out, "</table>\n");
	if (tree->cut)
		pa_buffer_text(out, "<p>" CUT "</p>\n");
	pa_buffer_text(out, "</body>\n</html>\n");
}

/* ---- targets ---- */

static void add_number_label(struct pa_buffer *out, const char *name, pid_t value)
{
	pa_buffer_format(out, ",\"%s\":\"%d\"", name, value);
}

static void add_text_label(struct pa_buffer *out, const char *name, const char *value)
{
	pa_buffer_format(out, ",\"%s\":", name);
	pa_buffer_json(out, value);
}

static void add_target(struct pa_buffer *out, const struct pa_process_tree *tree,
	const struct pa_process_tree_entry *entry, const char *host)
{
	const struct pa_proc_process *process = &entry->process;

	pa_buffer_text(out, "{\"targets\":[");
	pa_buffer_json(out, host);
	pa_buffer_text(out, "],\"labels\":{\"service_name\":");
	pa_buffer_json(out, process->program);
	add_number_label(out, "__param_pid", process->pid);
	add_number_label(out, "__process_pid__", process->pid);
	add_number_label(out, "__meta_pprofagent_pid", process->pid);
	add_number_label(out, "__meta_pprofagent_ppid", process->ppid);
	add_text_label(out, "__meta_pprofagent_program", process->program);
	add_text_label(out, "__meta_pprofagent_cmdline", tree->texts + entry->cmdline);
	pa_buffer_text(out, "}}");
}

void pa_process_forms_targets(struct pa_buffer *out, const struct pa_process_tree *tree,
	const char *host)
{
	const char *separator = "\n";

	pa_buffer_text(out, "[");
	for (size_t i = 0; i < tree->count; i++) {
		if (!is_serving_here(&tree->entries[i]))
			continue;
		pa_buffer_text(out, separator);
		add_target(out, tree, &tree->entries[i], host);
		separator = ",\n";
	}
	pa_buffer_text(out, "]\n");
}
