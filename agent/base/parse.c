/* SPDX-License-Identifier: Apache-2.0 */
#include "parse.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "newer_libc.h"

#define MISSING_PORT "missing port in address (want host:port, :port or off)"
#define DIGITS "0123456789"
#define HOST_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS ".-_"
#define LONGEST_NAME 40
#define GLOB_BYTES 256
/* PID_MAX_LIMIT is 4194304 (include/linux/threads.h). */
#define PID_DIGITS 7

PA_BOOT bool pa_parse_refuse(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, PA_PARSE_WHY_BYTES, format, args);
	va_end(args);
	return false;
}

/* ---------------------------------------------------------------- numbers */

/* The first letter of text that is in the set, or is not. Not strcspn and strspn, whose code and
 * tables are pages that no other part of the start reads. */
static const char *first_letter(const char *text, const char *set, bool in_set)
{
	while (*text && (strchr(set, *text) != NULL) != in_set)
		text++;
	return text;
}

static bool has_only(const char *text, const char *letters)
{
	return !*first_letter(text, letters, false);
}

/* The number at the start of text, *rest behind it. Not strtoull, which accepts signs and spaces
 * and depends on the locale. */
static bool leading_number(const char *text, const char **rest, uint64_t *out)
{
	uint64_t value = 0;

	for (*rest = text; **rest >= '0' && **rest <= '9'; ++*rest)
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(**rest - '0'), &value))
			return false;
	*out = value;
	return *rest > text;
}

PA_BOOT bool pa_parse_number(const char *text, uint64_t lowest, uint64_t highest, uint64_t *out)
{
	const char *rest;

	return leading_number(text, &rest, out) && !*rest && *out >= lowest && *out <= highest;
}

PA_BOOT bool pa_parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "kKmMgG";
	const char *rest, *unit;

	if (!leading_number(text, &rest, out))
		return false;
	if (!*rest)
		return true;
	unit = strchr(units, *rest);
	return unit && !rest[1] &&
		!__builtin_mul_overflow(*out, (uint64_t)1024 << (unit - units) / 2 * 10, out);
}

PA_APP void pa_parse_show_size(uint64_t bytes, char *out, size_t size)
{
	static const char *const units[] = { "", "k", "M", "G" };
	size_t unit = 0;

	for (; bytes && bytes % 1024 == 0 && unit + 1 < PA_COUNT(units); bytes /= 1024)
		unit++;
	snprintf(out, size, "%ju%s", (uintmax_t)bytes, units[unit]);
}

/* ---------------------------------------------------------------- signals */

/* "RTMIN+3", "RTMAX-3", "RTMAX"; 0 for others. */
static int realtime_signal(const char *name)
{
	const char *offset = name + strlen("RTMxx");
	uint64_t steps = 0;
	int base;

	if (strncmp(name, "RTMIN", strlen("RTMIN")) == 0)
		base = SIGRTMIN;
	else if (strncmp(name, "RTMAX", strlen("RTMAX")) == 0)
		base = SIGRTMAX;
	else
		return 0;
	if (!*offset)
		return base;
	if (!strchr("+-", *offset) || !pa_parse_number(offset + 1, 0, (uint64_t)SIGRTMAX, &steps))
		return 0;
	return *offset == '+' ? base + (int)steps : base - (int)steps;
}

static int named_signal(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} aliases[] = { { "IO", SIGIO }, { "IOT", SIGIOT }, { "CLD", SIGCLD } };

	for (size_t i = 0; i < PA_COUNT(aliases); i++)
		if (strcmp(name, aliases[i].name) == 0)
			return aliases[i].number;
	for (int i = 1; i < __SIGRTMIN; i++) {
		const char *known = pa_newer_libc_signal(i);

		if (known && strcmp(name, known) == 0)
			return i;
	}
	return realtime_signal(name);
}

static bool is_ours_to_catch(int signal_number)
{
	switch (signal_number) {
	case SIGKILL:
	case SIGSTOP:
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGTRAP: return false;
	}
	/* glibc reserves the signals from __SIGRTMIN to SIGRTMIN - 1: nptl(7). */
	return (signal_number > 0 && signal_number < __SIGRTMIN) ||
		(signal_number >= SIGRTMIN && signal_number <= SIGRTMAX);
}

PA_BOOT int pa_parse_signal(const char *text)
{
	bool prefixed = strncmp(text, "SIG", strlen("SIG")) == 0;
	uint64_t value;
	int found;

	if (pa_parse_number(text, 1, (uint64_t)SIGRTMAX, &value))
		found = (int)value;
	else
		found = named_signal(prefixed ? text + strlen("SIG") : text);
	return is_ours_to_catch(found) ? found : 0;
}

PA_APP void pa_parse_show_signal(int signal_number, char *out, size_t size)
{
	if (signal_number < SIGRTMIN)
		snprintf(out, size, "SIG%s", pa_newer_libc_signal(signal_number));
	else if (signal_number < (SIGRTMIN + SIGRTMAX) / 2)
		snprintf(out, size, "SIGRTMIN+%d", signal_number - SIGRTMIN);
	else
		snprintf(out, size, "SIGRTMAX-%d", SIGRTMAX - signal_number);
}

/* ---------------------------------------------------------------- addresses */

/* Two non-empty parts with a separator between them. */
static bool has_two(const char *text)
{
	const char *gap = first_letter(text, ", \t", true);
	const char *second = first_letter(gap, ", \t", false);

	return gap > text && second > gap && *second;
}

/* Without brackets the port of an IPv6 address is not to be told from its last group. */
static bool refuse_colons(const char *text, char *why)
{
	bool is_ipv6 = has_only(text, DIGITS "abcdefABCDEF:.");

	return pa_parse_refuse(why, "too many colons in address%s",
		is_ipv6 ? " (want [host]:port for IPv6)" : "");
}

static bool refuse_portless(const char *text, char *why)
{
	uint64_t port;
	char shown[64];

	if (pa_parse_number(text, 0, UINT16_MAX, &port))
		return pa_parse_refuse(why, "missing port in address (did you mean \":%ju\"?)",
			(uintmax_t)port);
	if (text[0] == '/')
		return pa_parse_refuse(why, "missing port in address (did you mean \"unix:%s\"?)",
			pa_log_quote(shown, sizeof(shown), text));
	return pa_parse_refuse(why, MISSING_PORT);
}

static bool parse_port(const char *text, uint16_t *port, char *why)
{
	const char *digits = text + (*text == '-');
	uint64_t value;
	char shown[32];

	if (pa_parse_number(text, 0, UINT16_MAX, &value)) {
		*port = (uint16_t)value;
		return true;
	}
	pa_log_quote(shown, sizeof(shown), text);
	if (*digits && has_only(digits, DIGITS))
		return pa_parse_refuse(why, "port %s out of range 0-65535", shown);
	return pa_parse_refuse(why, "port \"%s\" is not a number", shown);
}

/* Strict: a comma, a plus or a trailing letter has a meaning of its own for the server. */
static bool parse_host(const char *host, char *why)
{
	char shown[64];

	if (has_only(host, HOST_LETTERS))
		return true;
	return pa_parse_refuse(why, "\"%s\" is not a host name or IPv4 address",
		pa_log_quote(shown, sizeof(shown), host));
}

/* "::1", "fe80::1%eth0" */
static bool parse_ipv6(const char *host, char *why)
{
	char ip[INET6_ADDRSTRLEN], shown[64];
	size_t length = strcspn(host, "%");
	const char *scope = host[length] ? host + length + 1 : "-";
	struct in6_addr unused;

	if (length < sizeof(ip)) {
		memcpy(ip, host, length);
		ip[length] = '\0';
		if (inet_pton(AF_INET6, ip, &unused) == 1 && *scope &&
			has_only(scope, HOST_LETTERS))
			return true;
	}
	return pa_parse_refuse(why, "\"%s\" is not an IPv6 address",
		pa_log_quote(shown, sizeof(shown), host));
}

/* "[host]:port" */
static bool parse_bracketed(const char *text, char *host, uint16_t *port, char *why)
{
	const char *end = strchr(text, ']');

	if (!end)
		return pa_parse_refuse(why, "missing ']' in address");
	if (end[1] != ':' || !end[2])
		return refuse_portless(text, why);
	memcpy(host, text + 1, (size_t)(end - text - 1));
	host[end - text - 1] = '\0';
	return parse_ipv6(host, why) && parse_port(end + 2, port, why);
}

PA_BOOT bool pa_parse_address(const char *text, char *host, uint16_t *port, char *why)
{
	const char *colon = strrchr(text, ':');

	if (has_two(text))
		return pa_parse_refuse(why, "too many addresses");
	if (strstr(text, "://"))
		return pa_parse_refuse(why, "give an address, not a URL");
	if (text[0] == '[')
		return parse_bracketed(text, host, port, why);
	if (!colon || (!colon[1] && colon == strchr(text, ':')) || text[0] == '/')
		return refuse_portless(text, why);
	if (strchr(text, ':') != colon)
		return refuse_colons(text, why);
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	return parse_host(host, why) && parse_port(colon + 1, port, why);
}

/* Bytes of the longest path, with the pid in place of %p, or ".pid" added. 0: another letter. */
static size_t longest_socket_path(const char *path)
{
	size_t bytes = strlen(path);
	bool has_pid = false;

	for (const char *at = path; (at = strchr(at, '%')); at += 2) {
		if (at[1] != 'p' && at[1] != '%')
			return 0;
		bytes += at[1] == 'p' ? PID_DIGITS - 2 : 0;
		has_pid |= at[1] == 'p';
	}
	return has_pid ? bytes : bytes + PID_DIGITS + 1;
}

PA_BOOT bool pa_parse_socket_path(const char *path, size_t room, char *why)
{
	size_t longest = longest_socket_path(path);

	if (path[0] != '/')
		return pa_parse_refuse(why, "the path of a socket must be absolute");
	if (!longest)
		return pa_parse_refuse(why,
			"only %%p, the pid, is replaced in the path of a socket");
	if (longest >= room)
		return pa_parse_refuse(why,
			"with the pid the path of the socket has %zu bytes, "
			"and may have %zu",
			longest, room - 1);
	return true;
}

/* ---------------------------------------------------------------- lists of globs */

static bool is_special(char letter)
{
	return letter == '*' || letter == '?' || letter == '[' || letter == '\\';
}

/* NULL: text is a plain name. */
static char *first_special(char *text)
{
	while (*text && !is_special(*text))
		text++;
	return *text ? text : NULL;
}

/* What a single * matches, without fnmatch, whose code is pages that a start does not read. */
static bool has_ends(const char *name, const char *start, const char *end)
{
	size_t length = strlen(name), before = strlen(start), behind = strlen(end);

	return length >= before + behind && memcmp(name, start, before) == 0 &&
		memcmp(name + length - behind, end, behind) == 0;
}

static bool matches_glob(const char *glob, size_t length, const char *name)
{
	char pattern[GLOB_BYTES];

	while (length && *glob == ' ')
		glob++, length--;
	while (length && glob[length - 1] == ' ')
		length--;
	if (length == 0 || length >= sizeof(pattern))
		return false;
	memcpy(pattern, glob, length);
	pattern[length] = '\0';
	char *special = first_special(pattern);
	if (!special)
		return strcmp(pattern, name) == 0;
	if (*special == '*' && !first_special(special + 1)) {
		*special = '\0';
		return has_ends(name, pattern, special + 1);
	}
	/* glibc's fnmatch allocates only for long names, in locales that the program chose. */
	return fnmatch(pattern, name, 0) == 0;
}

/* Each program start goes through the list of launchers, about a hundred plain names: most of them
 * differ in the first letter. */
static bool may_match(char first, const char *name)
{
	return first == *name || first == ' ' || is_special(first);
}

PA_BOOT bool pa_parse_listed(const char *globs, const char *name)
{
	for (;;) {
		const char *end = strchrnul(globs, ',');

		if (may_match(*globs, name) && matches_glob(globs, (size_t)(end - globs), name))
			return true;
		if (!*end)
			return false;
		globs = end + 1;
	}
}

/* ---------------------------------------------------------------- misspelt names */

static char upper_letter(char letter)
{
	return letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
}

static size_t smaller_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein distance, case ignored; name has at most LONGEST_NAME letters. */
static size_t edit_distance(const char *name, const char *known)
{
	size_t costs[LONGEST_NAME + 1], columns = strlen(name);

	for (size_t i = 0; i <= columns; i++)
		costs[i] = i;
	for (; *known; known++) {
		size_t diagonal = costs[0]++;

		for (size_t i = 0; i < columns; i++) {
			size_t replaced =
				diagonal + (upper_letter(name[i]) != upper_letter(*known));

			diagonal = costs[i + 1];
			costs[i + 1] = smaller_of(replaced, smaller_of(diagonal, costs[i]) + 1);
		}
	}
	return costs[columns];
}

static bool contains_text(const char *text, const char *part)
{
	size_t length = strlen(part);

	for (; length > 2 && strlen(text) >= length; text++) {
		size_t same = 0;

		while (same < length && upper_letter(text[same]) == upper_letter(part[same]))
			same++;
		if (same == length)
			return true;
	}
	return false;
}

PA_BOOT size_t pa_parse_distance(const char *name, const char *known)
{
	size_t distance;

	if (strlen(name) > LONGEST_NAME)
		return SIZE_MAX;
	distance = edit_distance(name, known);
	if (distance <= (strlen(known) + 1) / 3 || contains_text(known, name) ||
		contains_text(name, known))
		return distance;
	return SIZE_MAX;
}
