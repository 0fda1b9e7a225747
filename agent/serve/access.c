/* SPDX-License-Identifier: Apache-2.0 */
#include "access.h"

#include <string.h>
#include <strings.h>

#include "../base/clock.h"
#include "headers.h"
#include "token_guesses.h"
#include "peer.h"
#include "query.h"

#define PORT_DIGITS 5
/* Bytes of an IPv6 address that name a network: RFC 4291, 2.5.1. */
#define NETWORK_BYTES 8

#define WHY_HOST "Host is not localhost, 127.0.0.1, [::1] or in PPROFAGENT_HOSTS"
#define WHY_ORIGIN "requests from other sites are not answered"
#define WHY_USER                                                                \
	"only the user that the program runs as, and root, are answered here: " \
	"PPROFAGENT_PEERS=all answers every user of this machine"
#define WHY_TOKEN "the token is missing or wrong"
#define WHY_GUESSES "too many wrong tokens came from here; try again later"

/* ---- Host ---- */

/* Returns the length of the host name in a Host header; 0 if what follows it is not a port. */
static size_t host_name_length(const char *host)
{
	size_t name = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");
	if (host[0] == '[' && host[name])
		name++;
	if (!host[name])
		return name;
	size_t digits = strspn(host + name + 1, "0123456789");
	bool is_port = host[name] == ':' && digits >= 1 && digits <= PORT_DIGITS &&
		host[name + 1 + digits] == '\0';
	return is_port ? name : 0;
}

static bool is_header_name(const char *name, size_t length, const char *wanted,
	size_t wanted_length)
{
	return length == wanted_length && strncasecmp(name, wanted, length) == 0;
}

/* An entry with a port matches that port only; an entry without one matches every port. */
static bool is_in_list(const char *host, size_t name_length, const char *list)
{
	size_t host_length = strlen(host);

	while (*list) {
		list += strspn(list, ", \t");
		size_t length = strcspn(list, ", \t");
		if (length &&
			(is_header_name(host, name_length, list, length) ||
				is_header_name(host, host_length, list, length)))
			return true;
		list += length;
	}
	return false;
}

/* A Host header has an IPv6 address in brackets; wanted has none. */
static bool is_ipv6_name(const char *name, size_t length, const char *wanted)
{
	return length > 2 && name[0] == '[' && name[length - 1] == ']' && strchr(wanted, ':') &&
		is_header_name(name + 1, length - 2, wanted, strlen(wanted));
}

static bool is_host_good(const struct pa_access *guard, const char *host)
{
	static const char *const always[] = { "localhost", "127.0.0.1", "[::1]" };

	size_t length = host ? host_name_length(host) : 0;
	if (!length)
		return false;
	for (size_t i = 0; i < PA_COUNT(always); i++) {
		if (is_header_name(host, length, always[i], strlen(always[i])))
			return true;
	}
	return is_header_name(host, length, guard->host, strlen(guard->host)) ||
		is_ipv6_name(host, length, guard->host) || is_in_list(host, length, guard->hosts);
}

/* ---- Origin, Sec-Fetch-Site ---- */

static const char *skip_prefix(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);
	return strncasecmp(text, prefix, length) == 0 ? text + length : NULL;
}

/* No Origin header, or the Origin of our own pages. */
static bool is_origin_good(const struct pa_request *request, const char *host)
{
	if (!pa_headers_has(request, "Origin"))
		return true;
	const char *origin = pa_headers_only(request, "Origin");
	if (!origin || !host)
		return false;
	const char *site = skip_prefix(origin, "http://");
	if (!site)
		site = skip_prefix(origin, "https://");
	return site && strcasecmp(site, host) == 0;
}

static bool is_cross_site(const struct pa_request *request)
{
	const char *site;
	uint32_t at = 0;

	while ((site = pa_headers_next(request, "Sec-Fetch-Site", &at))) {
		if (strcasecmp(site, "cross-site") == 0)
			return true;
	}
	return false;
}

/* ---- token ---- */

bool pa_access_equal(const char *secret, const char *given)
{
	char left[PA_ENV_TEXT_BYTES] = "", right[PA_ENV_TEXT_BYTES] = "";
	unsigned difference = strlen(given) >= sizeof(right);

	memcpy(left, secret, strnlen(secret, sizeof(left) - 1));
	memcpy(right, given, strnlen(given, sizeof(right) - 1));
	for (size_t i = 0; i < sizeof(left); i++)
		difference |= (unsigned char)(left[i] ^ right[i]);
	return difference == 0;
}

/* The request contains a value to compare with the token. */
static bool brings_token(const struct pa_request *request)
{
	char given[PA_ENV_TEXT_BYTES];

	return pa_headers_has(request, "Authorization") ||
		pa_query_get(request->query, "token", given, sizeof(given));
}

static bool has_token(const struct pa_request *request, const char *token)
{
	char given[PA_ENV_TEXT_BYTES];
	const char *value;
	uint32_t at = 0;

	while ((value = pa_headers_next(request, "Authorization", &at))) {
		const char *bearer = skip_prefix(value, "Bearer ");
		if (bearer && pa_access_equal(token, bearer + strspn(bearer, " ")))
			return true;
	}
	return pa_query_get(request->query, "token", given, sizeof(given)) &&
		pa_access_equal(token, given);
}

/* Of an IPv6 address its network: a machine has as many addresses in it as it likes. */
static struct in6_addr address_of_guesser(const struct pa_address *client)
{
	struct in6_addr address = in6addr_any;

	if (client->family == AF_INET || pa_address_is_local(client))
		return client->family == AF_UNIX ? in6addr_loopback : client->ip;
	memcpy(&address, &client->ip, NETWORK_BYTES);
	return address;
}

/* The uid is looked up only after a wrong token, because the look-up reads the table of all TCP
 * sockets. */
static struct pa_token_guesser guesser_of(const struct pa_request *request, bool loopback)
{
	return (struct pa_token_guesser){
		.address = address_of_guesser(&request->client),
		.uid = loopback ? pa_peer_uid(request) : PA_PEER_UNKNOWN,
	};
}

static int check_token(const struct pa_access *guard, const struct pa_request *request,
	bool loopback, const char **why)
{
	int64_t now_ns = pa_clock_mono_ns();

	if (brings_token(request) && !pa_token_guesses_are_none(now_ns)) {
		struct pa_token_guesser guesser = guesser_of(request, loopback);
		*why = WHY_GUESSES;
		if (!pa_token_guesses_may_try(&guesser, now_ns))
			return 429;
	}
	if (has_token(request, guard->token))
		return 0;
	if (brings_token(request)) {
		struct pa_token_guesser guesser = guesser_of(request, loopback);
		pa_token_guesses_was_wrong(&guesser, now_ns);
	}
	*why = WHY_TOKEN;
	return 401;
}

/* Address that the client connected to; if unknown, the address that the listener is bound to. */
static bool is_to_loopback(const struct pa_access *guard, const struct pa_request *request)
{
	return request->server.family ? pa_address_is_local(&request->server) : guard->loopback;
}

int pa_access_check_open(const struct pa_access *guard, const struct pa_request *request,
	const char **why)
{
	const char *host = pa_headers_only(request, "Host");
	bool loopback = is_to_loopback(guard, request);

	*why = WHY_HOST;
	if (loopback && !is_host_good(guard, host))
		return 403;
	*why = WHY_ORIGIN;
	if (is_cross_site(request) || !is_origin_good(request, host))
		return 403;
	*why = WHY_USER;
	if (loopback && guard->user_only && !pa_peer_is_of_program(pa_peer_uid(request)))
		return 403;
	*why = NULL;
	return 0;
}

int pa_access_check(const struct pa_access *guard, const struct pa_request *request,
	const char **why)
{
	int refused = pa_access_check_open(guard, request, why);

	if (!refused && guard->token[0])
		refused = check_token(guard, request, is_to_loopback(guard, request), why);
	if (!refused)
		*why = NULL;
	return refused;
}
