/* SPDX-License-Identifier: Apache-2.0 */
#include "env.h"

#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "env_table.h"
#include "launchers.h"
#include "log.h"
#include "parse.h"

struct reading {
	struct pa_settings *settings;
	const char *values[PA_ENV_TABLE_MAX]; /* into environ; NULL: not set */
	const char *marker;                   /* the value of PA_ENV_MARKER */
	bool report;                          /* report invalid values */
	bool invalid;                         /* there is an invalid value */
	bool port_closed;                     /* an invalid value keeps the port closed */
};

/* The value in an entry of environ; NULL when the entry is another variable. */
static const char *value_in(const char *entry, const char *variable)
{
	size_t length = strlen(variable);

	if (strncmp(entry, variable, length) != 0 || entry[length] != '=')
		return NULL;
	return entry + length + 1;
}

PA_BOOT const char *pa_env_value(char **environ_now, const char *variable)
{
	const char *value = NULL;

	for (char **entry = environ_now; entry && *entry && !value; entry++)
		value = value_in(*entry, variable);
	return value;
}

/* As getenv(3), the first of equal names wins. */
static void keep_first(const char **slot, const char *value)
{
	if (value && !*slot)
		*slot = value;
}

static bool is_our_variable(const char *entry)
{
	return strncmp(entry, PA_ENV_TABLE_PREFIX, strlen(PA_ENV_TABLE_PREFIX)) == 0;
}

static void collect_values(struct reading *reading, char **environ_now)
{
	for (char **entry = environ_now; entry && *entry; entry++) {
		if (pa_likely(!is_our_variable(*entry)))
			continue;
		keep_first(&reading->marker, value_in(*entry, PA_ENV_MARKER));
		for (size_t i = 0; i < pa_env_table_rows; i++)
			keep_first(&reading->values[i], value_in(*entry, pa_env_table[i].variable));
	}
}

static void complain_of_value(const struct pa_env_table_row *row, const char *value,
	const char *why)
{
	char quoted[PA_LOG_QUOTED_BYTES], shown[PA_LOG_QUOTED_BYTES + 4] = "";
	const char *reason = *why ? why : row->rule;
	const char *preset = *row->preset ? row->preset : "the default";

	if (!row->secret)
		snprintf(shown, sizeof(shown), "=\"%s\"",
			pa_log_quote(quoted, sizeof(quoted), value));
	pa_log("%s%s: %s; %s%s", row->variable, shown, reason,
		row->instead ? row->instead : "using ", row->instead ? "" : preset);
}

static void read_row(struct reading *reading, size_t i)
{
	const struct pa_env_table_row *row = &pa_env_table[i];
	const char *value = reading->values[i];
	char why[PA_PARSE_WHY_BYTES], unused[PA_PARSE_WHY_BYTES];

	why[0] = '\0';
	if (value && !*value)
		value = row->empty;
	if (value && row->parse(row, reading->settings, value, why))
		return;
	row->parse(row, reading->settings, row->preset, unused);
	if (!value)
		return;
	reading->invalid = true;
	if (row->closes_port)
		reading->port_closed = true;
	if (reading->report)
		complain_of_value(row, value, why);
}

static void read_rows(struct reading *reading)
{
	for (size_t i = 0; i < pa_env_table_rows; i++)
		read_row(reading, i);
	if (reading->port_closed)
		reading->settings->serving = false;
	/* The default port answers only the user of the process, since no setting has opened it; so
	 * does a unix socket, as the mode of its file says. */
	const char *address = reading->values[0]; /* the table's first row */
	bool is_opened = address && *address && !reading->settings->socket_path[0];
	if (reading->settings->peers == PA_ENV_PEERS_DEFAULT)
		reading->settings->peers = is_opened ? PA_ENV_PEERS_ALL : PA_ENV_PEERS_USER;
}

/* The marker survives exec without fork: its pid is then this process. */
static bool is_marked_child(const char *marker)
{
	uint64_t pid;

	return marker && pa_parse_number(marker, 1, INT32_MAX, &pid) && (pid_t)pid != getpid();
}

/* An inert shell sets its pid negated. */
static bool is_of_shell(const char *marker)
{
	return marker && *marker == '-' && is_marked_child(marker + 1);
}

static const char *nearest_variable(const char *name)
{
	const char *found = NULL;
	size_t fewest = SIZE_MAX;

	for (size_t i = 0; i < pa_env_table_rows; i++) {
		size_t distance = pa_parse_distance(name,
			pa_env_table[i].variable + strlen(PA_ENV_TABLE_PREFIX));

		if (distance < fewest) {
			fewest = distance;
			found = pa_env_table[i].variable;
		}
	}
	return found;
}

static bool is_known_variable(const char *entry)
{
	if (value_in(entry, PA_ENV_MARKER))
		return true;
	for (size_t i = 0; i < pa_env_table_rows; i++)
		if (value_in(entry, pa_env_table[i].variable))
			return true;
	return false;
}

/* The value is not shown: it may be a token under a misspelt name. */
static void complain_unknown(const char *entry, size_t length)
{
	char name[64 + 2], shown[PA_LOG_QUOTED_BYTES];
	const char *meant;

	snprintf(name, sizeof(name), "%.*s", (int)length, entry);
	meant = nearest_variable(name + strlen(PA_ENV_TABLE_PREFIX));
	pa_log_quote(shown, sizeof(shown), name);
	if (meant)
		pa_log("%s: unknown setting (did you mean %s?); ignored", shown, meant);
	else
		pa_log("%s: unknown setting; ignored", shown);
}

static void name_unknown(char **environ_now)
{
	for (char **entry = environ_now; entry && *entry; entry++) {
		if (!is_our_variable(*entry) || is_known_variable(*entry))
			continue;
		size_t length = strcspn(*entry, "=");

		if ((*entry)[length] && (*entry)[length + 1])
			complain_unknown(*entry, length);
	}
}

/* Raised by setuid, setgid or file capabilities (AT_SECURE, getauxval(3)): the environment comes
 * from a less privileged user and is ignored. */
static bool is_secure(void)
{
	return getauxval(AT_SECURE) || getuid() != geteuid() || getgid() != getegid();
}

/* One process reports invalid settings; shells and children on the way do not. */
static bool may_speak(const struct pa_settings *settings)
{
	return settings->enabled && !settings->launcher && settings->log != PA_ENV_LOG_OFF &&
		(!settings->child || settings->log == PA_ENV_LOG_INFO);
}

PA_BOOT void pa_env_read(struct pa_settings *settings, char **environ_now, const char *exe)
{
	struct reading reading = { .settings = settings };
	bool secure = is_secure();

	memset(settings, 0, sizeof(*settings));
	if (!secure)
		collect_values(&reading, environ_now);
	read_rows(&reading);
	if (secure) {
		settings->enabled = false;
		return;
	}
	settings->child = is_marked_child(reading.marker);
	settings->of_shell = is_of_shell(reading.marker);
	settings->launcher = pa_launchers_have(settings->programs, exe ? exe : "");
	settings->shell = settings->launcher && pa_launchers_is_shell(exe);
	if (!may_speak(settings))
		return;
	/* may_speak depends on settings, so messages take a second pass. */
	reading.report = true;
	if (reading.invalid)
		read_rows(&reading);
	name_unknown(environ_now);
}

PA_AGENT void pa_env_list(const struct pa_settings *settings,
	void (*emit)(void *arg, const char *variable, const char *value, const char *preset),
	void *arg)
{
	for (size_t i = 0; i < pa_env_table_rows; i++) {
		char value[PA_ENV_TEXT_BYTES];

		pa_env_table[i].show(&pa_env_table[i], settings, value);
		emit(arg, pa_env_table[i].variable, value, pa_env_table[i].preset);
	}
}
