/* SPDX-License-Identifier: Apache-2.0 */
#include "env_table.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "parse.h"

#define LARGEST_HEAP_RATE ((uint64_t)1 << 40)
#define UNIX_PREFIX "unix:"

/* ---------------------------------------------------------------- parsers that rows share */

static void *field_of(const struct pa_env_table_row *row, struct pa_settings *settings)
{
	return (char *)settings + row->field;
}

static const void *value_of(const struct pa_env_table_row *row, const struct pa_settings *settings)
{
	return (const char *)settings + row->field;
}

static void show_string(char *out, const char *text)
{
	snprintf(out, PA_ENV_TEXT_BYTES, "%s", text);
}

static bool copy_text(char *to, const char *text, char *why)
{
	size_t length = strlen(text);

	if (length >= PA_ENV_TEXT_BYTES)
		return pa_parse_refuse(why, "longer than %d bytes", PA_ENV_TEXT_BYTES - 1);
	memcpy(to, text, length + 1);
	return true;
}

static PA_BOOT bool parse_text(const struct pa_env_table_row *row, struct pa_settings *settings,
	const char *text, char *why)
{
	return copy_text(field_of(row, settings), text, why);
}

static PA_AGENT void show_text(const struct pa_env_table_row *row,
	const struct pa_settings *settings, char *out)
{
	const char *text = value_of(row, settings);

	show_string(out, row->secret && *text ? "set" : text);
}

static PA_BOOT bool parse_count(const struct pa_env_table_row *row, struct pa_settings *settings,
	const char *text, char *why)
{
	uint64_t value;

	(void)why;
	if (!pa_parse_number(text, row->lowest, row->highest, &value))
		return false;
	*(unsigned *)field_of(row, settings) = (unsigned)value;
	return true;
}

static PA_AGENT void show_count(const struct pa_env_table_row *row,
	const struct pa_settings *settings, char *out)
{
	snprintf(out, PA_ENV_TEXT_BYTES, "%u", *(const unsigned *)value_of(row, settings));
}

/* A value that is not an integer >= the row's lowest is stored as 0, and so is the preset "off". */
static PA_BOOT bool parse_whole(const struct pa_env_table_row *row, struct pa_settings *settings,
	const char *text, char *why)
{
	uint64_t value;
	bool good = pa_parse_number(text, row->lowest, INT64_MAX, &value);

	(void)why;
	*(uint64_t *)field_of(row, settings) = good ? value : 0;
	return good;
}

static PA_AGENT void show_whole(const struct pa_env_table_row *row,
	const struct pa_settings *settings, char *out)
{
	uint64_t value = *(const uint64_t *)value_of(row, settings);

	if (value < row->lowest)
		show_string(out, "off");
	else
		snprintf(out, PA_ENV_TEXT_BYTES, "%ju", (uintmax_t)value);
}

/* The row's preset may be 0 (off) although it is below lowest. */
static PA_BOOT bool parse_size(const struct pa_env_table_row *row, struct pa_settings *settings,
	const char *text, char *why)
{
	size_t *bytes = field_of(row, settings);

	(void)why;
	return pa_parse_size(text, bytes) &&
		((*bytes >= row->lowest && *bytes <= row->highest) || !strcmp(text, row->preset));
}

static PA_BOOT bool parse_power(const struct pa_env_table_row *row, struct pa_settings *settings,
	const char *text, char *why)
{
	uint64_t bytes;

	if (pa_parse_size(text, &bytes) && (bytes & (bytes - 1)) != 0)
		return false;
	return parse_size(row, settings, text, why);
}

static PA_AGENT void show_size(const struct pa_env_table_row *row,
	const struct pa_settings *settings, char *out)
{
	pa_parse_show_size(*(const size_t *)value_of(row, settings), out, PA_ENV_TEXT_BYTES);
}

/* Index of text in the row's words, or -1. */
static int word_of(const struct pa_env_table_row *row, const char *text)
{
	for (int i = 0; row->words[i]; i++)
		if (strcmp(text, row->words[i]) == 0)
			return i;
	return -1;
}

/* A bool whose words alternate no, yes, no, yes ... */
static PA_BOOT bool parse_flag(const struct pa_env_table_row *row, struct pa_settings *settings,
	const char *text, char *why)
{
	int which = word_of(row, text);

	(void)why;
	if (which < 0)
		return false;
	*(bool *)field_of(row, settings) = which % 2 != 0;
	return true;
}

static PA_AGENT void show_flag(const struct pa_env_table_row *row,
	const struct pa_settings *settings, char *out)
{
	show_string(out, row->words[*(const bool *)value_of(row, settings)]);
}

/* An enum whose values are the indices of its words. */
static PA_BOOT bool parse_word(const struct pa_env_table_row *row, struct pa_settings *settings,
	const char *text, char *why)
{
	int which = word_of(row, text);

	(void)why;
	if (which < 0)
		return false;
	*(unsigned *)field_of(row, settings) = (unsigned)which;
	return true;
}

static PA_AGENT void show_word(const struct pa_env_table_row *row,
	const struct pa_settings *settings, char *out)
{
	show_string(out, row->words[*(const unsigned *)value_of(row, settings)]);
}

_Static_assert(sizeof(enum pa_env_hooks) == sizeof(unsigned), "as parse_word writes it");
_Static_assert(sizeof(enum pa_env_log) == sizeof(unsigned), "as parse_word writes it");
_Static_assert(sizeof(enum pa_env_peers) == sizeof(unsigned), "as parse_word writes it");
_Static_assert(sizeof(enum pa_env_symbols) == sizeof(unsigned), "as parse_word writes it");
_Static_assert(sizeof(enum pa_env_thread_label) == sizeof(unsigned), "as parse_word writes it");
_Static_assert(sizeof(enum pa_env_unnamed) == sizeof(unsigned), "as parse_word writes it");

/* ---------------------------------------------------------------- parsers of one row */

static PA_BOOT bool parse_listen_address(const struct pa_env_table_row *row,
	struct pa_settings *settings, const char *text, char *why)
{
	(void)row;
	settings->host[0] = settings->socket_path[0] = '\0';
	settings->port = 0;
	if (!copy_text(settings->address, text, why))
		return false;
	settings->serving = strcmp(text, "off") != 0;
	if (!settings->serving)
		return true;
	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) != 0)
		return pa_parse_address(text, settings->host, &settings->port, why);
	text += strlen(UNIX_PREFIX);
	if (!pa_parse_socket_path(text, sizeof(((struct sockaddr_un *)0)->sun_path), why))
		return false;
	return copy_text(settings->socket_path, text, why);
}

static PA_AGENT void show_address(const struct pa_env_table_row *row,
	const struct pa_settings *settings, char *out)
{
	(void)row;
	show_string(out, settings->serving ? settings->address : "off");
}

static PA_BOOT bool parse_heap_rate(const struct pa_env_table_row *row,
	struct pa_settings *settings, const char *text, char *why)
{
	(void)row;
	if (!pa_parse_size(text, &settings->heap_rate_bytes))
		return false;
	/* Sample intervals are drawn as multiples of the rate and must fit a signed word. */
	if (settings->heap_rate_bytes > LARGEST_HEAP_RATE)
		return pa_parse_refuse(why, "must be at most 1024G");
	return true;
}

static PA_BOOT bool parse_signal(const struct pa_env_table_row *row, struct pa_settings *settings,
	const char *text, char *why)
{
	(void)row;
	(void)why;
	settings->signal = pa_parse_signal(text);
	return settings->signal != 0;
}

static PA_AGENT void show_signal(const struct pa_env_table_row *row,
	const struct pa_settings *settings, char *out)
{
	(void)row;
	pa_parse_show_signal(settings->signal, out, PA_ENV_TEXT_BYTES);
}

/* ---------------------------------------------------------------- the table */

#define FIELD(name) .field = offsetof(struct pa_settings, name)
#define MEMORY .lowest = 64 << 10, .highest = 1 << 30
#define WORDS(...)                     \
	.words = (const char *const[]) \
	{                              \
		__VA_ARGS__, NULL      \
	}

#define TEXT .parse = parse_text, .show = show_text
#define WHOLE .parse = parse_whole, .show = show_whole
#define COUNT .parse = parse_count, .show = show_count
#define WORD .parse = parse_word, .show = show_word
#define ON_OFF \
	.rule = "must be on or off", WORDS("off", "on"), .parse = parse_flag, .show = show_flag

#define CLOSES_PORT .instead = "not serving", .closes_port = true

const struct pa_env_table_row pa_env_table[] = {
	{ "PPROFAGENT_ADDRESS", "localhost:6053", CLOSES_PORT, .parse = parse_listen_address,
		.show = show_address },
	/* CoreDNS: "block" without a rate is rate 1. */
	{ "PPROFAGENT_BLOCK_RATE", "off", "rate must be a positive integer", FIELD(block_rate_ns),
		.instead = "block profiling off", .empty = "1", .lowest = 1, WHOLE },
	{ "PPROFAGENT_MUTEX_FRACTION", "0", "must be an integer >= 0", FIELD(mutex_fraction),
		WHOLE },
	{ "PPROFAGENT_HEAP_RATE", "524288", "must be a size >= 0 bytes", FIELD(heap_rate_bytes),
		.parse = parse_heap_rate, .show = show_whole },
	{ "PPROFAGENT_ALLOCATOR_HOOKS", "seconds", "must be off, seconds or on",
		FIELD(allocator_hooks), WORDS("off", "seconds", "on"), WORD },
	{ "PPROFAGENT_CPU_HZ", "100", "must be 1-1000", FIELD(cpu_hz), .lowest = 1, .highest = 1000,
		COUNT },
	{ "PPROFAGENT_CPU_SHARED", "off", ON_OFF, FIELD(cpu_shared) },
	{ "PPROFAGENT_STACK_DEPTH", "128", "must be 1-512", FIELD(stack_depth), .lowest = 1,
		.highest = 512, COUNT },
	{ "PPROFAGENT_BUFFER", "4M", "must be a power of two, 64k-1G", FIELD(buffer_bytes), MEMORY,
		.parse = parse_power, .show = show_size },
	{ "PPROFAGENT_FLIGHT", "0", "must be 0, or a size, 64k-1G", FIELD(flight_bytes), MEMORY,
		.parse = parse_size, .show = show_size },
	{ "PPROFAGENT_SIGNAL", "SIGRTMAX-3", "must be a catchable signal", .parse = parse_signal,
		.show = show_signal },
	{ "PPROFAGENT_SYMBOLS", "lines", "must be lines, names or none", FIELD(symbols),
		WORDS("lines", "names", "none"), WORD },
	{ "PPROFAGENT_UNNAMED", "function", "must be function or none", FIELD(unnamed),
		WORDS("function", "none"), WORD },
	{ "PPROFAGENT_THREAD_LABEL", "name", "must be name, pool or off", FIELD(thread_label),
		WORDS("name", "pool", "off"), WORD },
	{ "PPROFAGENT_PROGRAMS", "", FIELD(programs), TEXT },
	{ "PPROFAGENT_CHILDREN", "on", ON_OFF, FIELD(children) },
	{ "PPROFAGENT_HOSTS", "", FIELD(hosts), TEXT },
	{ "PPROFAGENT_PEERS", "", "must be user or all", FIELD(peers), WORDS("", "user", "all"),
		WORD },
	{ "PPROFAGENT_LOG", "error", "must be off, error or info", FIELD(log),
		WORDS("off", "error", "info"), WORD },
	{ "PPROFAGENT_ENABLED", "true", "must be 0, 1, true or false", FIELD(enabled),
		WORDS("false", "true", "0", "1"), .parse = parse_flag, .show = show_flag },
	{ "PPROFAGENT_CPUPROFILE", "", FIELD(exit_files[PA_ENV_EXIT_CPU]), TEXT },
	{ "PPROFAGENT_HEAPPROFILE", "", FIELD(exit_files[PA_ENV_EXIT_HEAP]), TEXT },
	{ "PPROFAGENT_ALLOCSPROFILE", "", FIELD(exit_files[PA_ENV_EXIT_ALLOCS]), TEXT },
	{ "PPROFAGENT_BLOCKPROFILE", "", FIELD(exit_files[PA_ENV_EXIT_BLOCK]), TEXT },
	{ "PPROFAGENT_MUTEXPROFILE", "", FIELD(exit_files[PA_ENV_EXIT_MUTEX]), TEXT },
	/* A token that is set but invalid must not leave the port open without one. */
	{ "PPROFAGENT_TOKEN", "", FIELD(token), CLOSES_PORT, .secret = true, TEXT },
};

const size_t pa_env_table_rows = PA_COUNT(pa_env_table);
_Static_assert(PA_COUNT(pa_env_table) <= PA_ENV_TABLE_MAX, "values of all rows have room");
