#include "env.h"

#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "launchers.h"
#include "say.h"
#include "value.h"

#define PREFIX "PPROFAGENT_"
#define LARGEST_HEAP_RATE ((uint64_t)1 << 40)

/*
 * One setting. parse: false when text is bad, with why filled or, when the row's rule says it all,
 * untouched. show: the value as resolved, PA_ENV_TEXT_BYTES of room. The members between are
 * for parsers that several rows share.
 */
struct row {
	const char *variable;
	const char *preset;  /* as one would write it */
	const char *rule;    /* what a good value is, for the line about a bad one */
	const char *instead; /* the end of that line; NULL: that the preset is used */
	const char *empty;   /* what it means when set to nothing; NULL: as if it was not set */
	bool secret;         /* not even a bad value is shown */

	size_t field;             /* offset in struct pa_settings */
	const char *const *words; /* NULL-terminated */
	unsigned lowest, highest;

	bool (*parse)(const struct row *row, struct pa_settings *settings, const char *text,
		char *why);
	void (*show)(const struct row *row, const struct pa_settings *settings, char *out);
};

/* ---------------------------------------------------------------- parsers that rows share */

static void *field_of(const struct row *row, struct pa_settings *settings)
{
	return (char *)settings + row->field;
}

static const void *value_of(const struct row *row, const struct pa_settings *settings)
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
		return pa_value_refuse(why, "longer than %d bytes", PA_ENV_TEXT_BYTES - 1);
	memcpy(to, text, length + 1);
	return true;
}

static bool parse_text(const struct row *row, struct pa_settings *settings, const char *text,
	char *why)
{
	return copy_text(field_of(row, settings), text, why);
}

static void show_text(const struct row *row, const struct pa_settings *settings, char *out)
{
	const char *text = value_of(row, settings);

	show_string(out, row->secret && *text ? "set" : text);
}

static bool parse_count(const struct row *row, struct pa_settings *settings, const char *text,
	char *why)
{
	uint64_t value;

	(void)why;
	if (!pa_value_number(text, row->lowest, row->highest, &value))
		return false;
	*(unsigned *)field_of(row, settings) = (unsigned)value;
	return true;
}

static void show_count(const struct row *row, const struct pa_settings *settings, char *out)
{
	snprintf(out, PA_ENV_TEXT_BYTES, "%u", *(const unsigned *)value_of(row, settings));
}

/* What is no whole number from the row's lowest up is 0, and so is the preset "off". */
static bool parse_whole(const struct row *row, struct pa_settings *settings, const char *text,
	char *why)
{
	uint64_t value;
	bool good = pa_value_number(text, row->lowest, INT64_MAX, &value);

	(void)why;
	*(uint64_t *)field_of(row, settings) = good ? value : 0;
	return good;
}

static void show_whole(const struct row *row, const struct pa_settings *settings, char *out)
{
	uint64_t value = *(const uint64_t *)value_of(row, settings);

	if (value < row->lowest)
		show_string(out, "off");
	else
		snprintf(out, PA_ENV_TEXT_BYTES, "%ju", (uintmax_t)value);
}

/* 0 where the row's preset says so: there is none then. */
static bool parse_size(const struct row *row, struct pa_settings *settings, const char *text,
	char *why)
{
	size_t *bytes = field_of(row, settings);

	(void)why;
	return pa_value_size(text, bytes) &&
		((*bytes >= row->lowest && *bytes <= row->highest) || !strcmp(text, row->preset));
}

static bool parse_power(const struct row *row, struct pa_settings *settings, const char *text,
	char *why)
{
	uint64_t bytes;

	if (pa_value_size(text, &bytes) && (bytes & (bytes - 1)) != 0)
		return false;
	return parse_size(row, settings, text, why);
}

static void show_size(const struct row *row, const struct pa_settings *settings, char *out)
{
	pa_value_show_size(*(const size_t *)value_of(row, settings), out, PA_ENV_TEXT_BYTES);
}

/* The place of text among the row's words, or -1. */
static int word_of(const struct row *row, const char *text)
{
	for (int i = 0; row->words[i]; i++)
		if (strcmp(text, row->words[i]) == 0)
			return i;
	return -1;
}

/* A bool whose words are no, yes, no, yes ... */
static bool parse_flag(const struct row *row, struct pa_settings *settings, const char *text,
	char *why)
{
	int which = word_of(row, text);

	(void)why;
	if (which < 0)
		return false;
	*(bool *)field_of(row, settings) = which % 2 != 0;
	return true;
}

static void show_flag(const struct row *row, const struct pa_settings *settings, char *out)
{
	show_string(out, row->words[*(const bool *)value_of(row, settings)]);
}

/* An enum whose values are the places of its words. */
static bool parse_word(const struct row *row, struct pa_settings *settings, const char *text,
	char *why)
{
	int which = word_of(row, text);

	(void)why;
	if (which < 0)
		return false;
	*(unsigned *)field_of(row, settings) = (unsigned)which;
	return true;
}

static void show_word(const struct row *row, const struct pa_settings *settings, char *out)
{
	show_string(out, row->words[*(const unsigned *)value_of(row, settings)]);
}

_Static_assert(sizeof(enum pa_log_level) == sizeof(unsigned), "as parse_word writes it");
_Static_assert(sizeof(enum pa_peers) == sizeof(unsigned), "as parse_word writes it");
_Static_assert(sizeof(enum pa_symbols_mode) == sizeof(unsigned), "as parse_word writes it");

/* ---------------------------------------------------------------- parsers of one row */

static bool parse_address(const struct row *row, struct pa_settings *settings, const char *text,
	char *why)
{
	(void)row;
	if (!copy_text(settings->address, text, why))
		return false;
	settings->serving = strcmp(text, "off") != 0;
	return !settings->serving ||
		pa_value_address(text, settings->host, &settings->port, why);
}

static void show_address(const struct row *row, const struct pa_settings *settings, char *out)
{
	(void)row;
	show_string(out, settings->serving ? settings->address : "off");
}

static bool parse_heap_rate(const struct row *row, struct pa_settings *settings, const char *text,
	char *why)
{
	(void)row;
	if (!pa_value_size(text, &settings->heap_rate_bytes))
		return false;
	/* Intervals are drawn as multiples of the rate and must fit a signed word. */
	if (settings->heap_rate_bytes > LARGEST_HEAP_RATE)
		return pa_value_refuse(why, "must be at most 1024G");
	return true;
}

static bool parse_signal(const struct row *row, struct pa_settings *settings, const char *text,
	char *why)
{
	(void)row;
	(void)why;
	settings->signal = pa_value_signal(text);
	return settings->signal != 0;
}

static void show_signal(const struct row *row, const struct pa_settings *settings, char *out)
{
	(void)row;
	pa_value_show_signal(settings->signal, out, PA_ENV_TEXT_BYTES);
}

/* ---------------------------------------------------------------- the table */

#define FIELD(name) .field = offsetof(struct pa_settings, name)
#define MEMORY .lowest = 64 << 10, .highest = 1 << 30
#define WORDS(...) .words = (const char *const[]){ __VA_ARGS__, NULL }

/* Compared by address: a bad value in a row that ends so keeps the port closed. */
static const char not_serving[] = "not serving";

static const struct row table[] = {
	{ "PPROFAGENT_ADDRESS", "localhost:6053", .instead = not_serving,
		.parse = parse_address, .show = show_address },
	/* CoreDNS: "block" without a rate is rate 1. */
	{ "PPROFAGENT_BLOCK_RATE", "off", "rate must be a positive integer",
		FIELD(block_rate_ns), .instead = "block profiling off", .empty = "1",
		.lowest = 1, .parse = parse_whole, .show = show_whole },
	{ "PPROFAGENT_MUTEX_FRACTION", "0", "must be an integer >= 0", FIELD(mutex_fraction),
		.parse = parse_whole, .show = show_whole },
	{ "PPROFAGENT_HEAP_RATE", "524288", "must be a size >= 0 bytes",
		FIELD(heap_rate_bytes), .parse = parse_heap_rate, .show = show_whole },
	{ "PPROFAGENT_CPU_HZ", "100", "must be 1-1000", FIELD(cpu_hz),
		.lowest = 1, .highest = 1000, .parse = parse_count, .show = show_count },
	{ "PPROFAGENT_STACK_DEPTH", "128", "must be 1-512", FIELD(stack_depth),
		.lowest = 1, .highest = 512, .parse = parse_count, .show = show_count },
	{ "PPROFAGENT_BUFFER", "4M", "must be a power of two, 64k-1G", FIELD(buffer_bytes),
		MEMORY, .parse = parse_power, .show = show_size },
	{ "PPROFAGENT_FLIGHT", "0", "must be 0, or a size, 64k-1G", FIELD(flight_bytes),
		MEMORY, .parse = parse_size, .show = show_size },
	{ "PPROFAGENT_SIGNAL", "SIGRTMAX-3", "must be a catchable signal",
		.parse = parse_signal, .show = show_signal },
	{ "PPROFAGENT_SYMBOLS", "lines", "must be lines, names or none", FIELD(symbols),
		WORDS("lines", "names", "none"), .parse = parse_word, .show = show_word },
	{ "PPROFAGENT_PROGRAMS", "", FIELD(programs), .parse = parse_text, .show = show_text },
	{ "PPROFAGENT_CHILDREN", "on", "must be on or off", FIELD(children),
		WORDS("off", "on"), .parse = parse_flag, .show = show_flag },
	{ "PPROFAGENT_HOSTS", "", FIELD(hosts), .parse = parse_text, .show = show_text },
	{ "PPROFAGENT_PEERS", "", "must be user or all", FIELD(peers),
		WORDS("", "user", "all"), .parse = parse_word, .show = show_word },
	{ "PPROFAGENT_LOG", "error", "must be off, error or info", FIELD(log),
		WORDS("off", "error", "info"), .parse = parse_word, .show = show_word },
	{ "PPROFAGENT_ENABLED", "true", "must be 0, 1, true or false", FIELD(enabled),
		WORDS("false", "true", "0", "1"), .parse = parse_flag, .show = show_flag },
	{ "PPROFAGENT_CPUPROFILE", "", FIELD(exit_files[PA_EXIT_CPU]), .parse = parse_text,
		.show = show_text },
	{ "PPROFAGENT_HEAPPROFILE", "", FIELD(exit_files[PA_EXIT_HEAP]), .parse = parse_text,
		.show = show_text },
	{ "PPROFAGENT_ALLOCSPROFILE", "", FIELD(exit_files[PA_EXIT_ALLOCS]),
		.parse = parse_text, .show = show_text },
	{ "PPROFAGENT_BLOCKPROFILE", "", FIELD(exit_files[PA_EXIT_BLOCK]), .parse = parse_text,
		.show = show_text },
	{ "PPROFAGENT_MUTEXPROFILE", "", FIELD(exit_files[PA_EXIT_MUTEX]), .parse = parse_text,
		.show = show_text },
	/* Whoever sets a token does not want the port open without it. */
	{ "PPROFAGENT_TOKEN", "", FIELD(token), .instead = not_serving, .secret = true,
		.parse = parse_text, .show = show_text },
};

/* ---------------------------------------------------------------- reading */

struct reading {
	struct pa_settings *settings;
	const char *values[PA_COUNT(table)]; /* into environ; NULL: not there */
	const char *marker;                  /* the same of PA_ENV_MARKER */
	bool loud;                           /* say what is wrong */
	bool shut;                           /* something bad keeps the port closed */
};

/* The value in an entry of environ, NULL when it is another variable. */
static const char *value_in(const char *entry, const char *variable)
{
	size_t length = strlen(variable);

	if (strncmp(entry, variable, length) != 0 || entry[length] != '=')
		return NULL;
	return entry + length + 1;
}

/* As getenv(3) does, the first of equal names counts. */
static void keep_first(const char **slot, const char *value)
{
	if (value && !*slot)
		*slot = value;
}

static bool is_ours(const char *entry)
{
	return strncmp(entry, PREFIX, strlen(PREFIX)) == 0;
}

static void collect(struct reading *reading, char **environ_now)
{
	for (char **entry = environ_now; entry && *entry; entry++) {
		if (pa_likely(!is_ours(*entry)))
			continue;
		keep_first(&reading->marker, value_in(*entry, PA_ENV_MARKER));
		for (size_t i = 0; i < PA_COUNT(table); i++)
			keep_first(&reading->values[i], value_in(*entry, table[i].variable));
	}
}

static void complain(const struct row *row, const char *value, const char *why)
{
	char quoted[PA_SAY_QUOTED_BYTES], shown[PA_SAY_QUOTED_BYTES + 4] = "";
	const char *reason = *why ? why : row->rule;
	const char *preset = *row->preset ? row->preset : "the default";

	if (!row->secret)
		snprintf(shown, sizeof(shown), "=\"%s\"",
			pa_say_quote(quoted, sizeof(quoted), value));
	pa_say("%s%s: %s; %s%s", row->variable, shown, reason,
		row->instead ? row->instead : "using ", row->instead ? "" : preset);
}

static void read_row(struct reading *reading, size_t i)
{
	const struct row *row = &table[i];
	const char *value = reading->values[i];
	char why[PA_VALUE_WHY_BYTES] = "", unused[PA_VALUE_WHY_BYTES];

	if (value && !*value)
		value = row->empty;
	if (value && row->parse(row, reading->settings, value, why))
		return;
	row->parse(row, reading->settings, row->preset, unused);
	if (!value)
		return;
	if (row->instead == not_serving)
		reading->shut = true;
	if (reading->loud)
		complain(row, value, why);
}

static void read_rows(struct reading *reading)
{
	for (size_t i = 0; i < PA_COUNT(table); i++)
		read_row(reading, i);
	if (reading->shut)
		reading->settings->serving = false;
	/* A port that no setting asked for is not open to the other users of the machine. */
	const char *address = reading->values[0]; /* the table's first row */
	if (reading->settings->peers == PA_PEERS_DEFAULT)
		reading->settings->peers = address && *address ? PA_PEERS_ALL : PA_PEERS_USER;
}

/* The marker survives exec without fork: then its pid is ours and nobody reported before. */
static bool is_child(const char *marker)
{
	uint64_t pid;

	return marker && pa_value_number(marker, 1, INT32_MAX, &pid) && (pid_t)pid != getpid();
}

/* Of a shell that is inert the pid is negative. */
static bool is_of_shell(const char *marker)
{
	return marker && *marker == '-' && is_child(marker + 1);
}

static const char *nearest(const char *name)
{
	const char *found = NULL;
	size_t fewest = SIZE_MAX;

	for (size_t i = 0; i < PA_COUNT(table); i++) {
		size_t slips = pa_value_slips(name, table[i].variable + strlen(PREFIX));

		if (slips < fewest) {
			fewest = slips;
			found = table[i].variable;
		}
	}
	return found;
}

static bool is_known(const char *entry)
{
	if (value_in(entry, PA_ENV_MARKER))
		return true;
	for (size_t i = 0; i < PA_COUNT(table); i++)
		if (value_in(entry, table[i].variable))
			return true;
	return false;
}

/* The value is not shown: it may be a token under a misspelt name. */
static void complain_unknown(const char *entry, size_t length)
{
	char name[64 + 2], shown[PA_SAY_QUOTED_BYTES];
	const char *meant;

	snprintf(name, sizeof(name), "%.*s", (int)length, entry);
	meant = nearest(name + strlen(PREFIX));
	pa_say_quote(shown, sizeof(shown), name);
	if (meant)
		pa_say("%s: unknown setting (did you mean %s?); ignored", shown, meant);
	else
		pa_say("%s: unknown setting; ignored", shown);
}

static void name_unknown(char **environ_now)
{
	for (char **entry = environ_now; entry && *entry; entry++) {
		size_t length = strcspn(*entry, "=");

		if (is_ours(*entry) && (*entry)[length] && (*entry)[length + 1] &&
			!is_known(*entry))
			complain_unknown(*entry, length);
	}
}

/* Raised by setuid, setgid or file capabilities: whoever set the environment must not steer us. */
static bool is_secure(void)
{
	return getauxval(AT_SECURE) || getuid() != geteuid() || getgid() != getegid();
}

/* One process reports, not each shell and child on the way. */
static bool may_speak(const struct pa_settings *settings)
{
	return settings->enabled && !settings->launcher && settings->log != PA_LOG_OFF &&
		(!settings->child || settings->log == PA_LOG_INFO);
}

PA_BOOT void pa_env_read(struct pa_settings *settings, char **environ_now, const char *exe)
{
	struct reading reading = { .settings = settings };
	bool secure = is_secure();

	memset(settings, 0, sizeof(*settings));
	if (!secure)
		collect(&reading, environ_now);
	read_rows(&reading);
	if (secure) {
		settings->enabled = false;
		return;
	}
	settings->child = is_child(reading.marker);
	settings->of_shell = is_of_shell(reading.marker);
	settings->launcher = pa_launchers_have(settings->programs, exe ? exe : "");
	settings->shell = settings->launcher && pa_launchers_is_shell(exe);
	if (!may_speak(settings))
		return;
	/* Who may speak is a setting itself, so it takes a second pass. */
	reading.loud = true;
	read_rows(&reading);
	name_unknown(environ_now);
}

PA_AGENT void pa_env_list(const struct pa_settings *settings,
	void (*emit)(void *arg, const char *variable, const char *value, const char *preset),
	void *arg)
{
	for (size_t i = 0; i < PA_COUNT(table); i++) {
		char value[PA_ENV_TEXT_BYTES];

		table[i].show(&table[i], settings, value);
		emit(arg, table[i].variable, value, table[i].preset);
	}
}
