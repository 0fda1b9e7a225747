/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds the way of a request behind the parser: gate, guard, routes, what answers them, the body of
 * symbol. The input is such a request: a byte of settings and a method, a line with the target,
 * lines with headers, an empty line, the body.
 *
 * May not happen: no answer or two; a status that is not among those that are served; a header of
 * the answer with a control character in it; a page for a foreign Host, a foreign site or without
 * the token, when these are asked for.
 */
#include "fuzz.h"

#include <ctype.h>
#include <strings.h>

#include "agent/serve/request_head.h"
#include "agent/serve/routes.h"
#include "agent/serve/token_guesses.h"
#include "test/lib/c/fake_http.h"
#include "test/lib/c/fake_profiles.h"

#define TOKEN "s3cret"
/* A client that asked for an hour leaves sooner. */
#define WAITS_MAX 50

enum { LOOPBACK = 1, WITH_TOKEN = 2, WITH_LISTS = 4, CROWDED = 8 };

static struct pa_http http;
static unsigned waits;

static void on_wait(void)
{
	http.client_left = ++waits > WAITS_MAX;
}

/* Cuts a line off *text. */
static char *take_line(char **text)
{
	char *line = *text, *end = strchr(line, '\n');

	*text = end ? end + 1 : line + strlen(line);
	if (end)
		*end = '\0';
	return line;
}

static void take_headers(struct pa_request *request, char **text)
{
	while (**text && request->header_count < PA_REQUEST_HEADERS) {
		char *line = take_line(text), *colon = strchr(line, ':');

		if (!*line)
			return;
		if (!colon)
			continue;
		*colon = '\0';
		request->headers[request->header_count++] =
			(struct pa_request_header){ line, colon + 1 + strspn(colon + 1, " ") };
	}
}

static void check_plain(const char *text)
{
	for (; text && *text; text++)
		must(!iscntrl((unsigned char)*text));
}

static void check_answer(void)
{
	static const int known[] = { 200, 301, 400, 401, 403, 404, 405, 408, 413, 500, 503 };
	bool found = false;

	must(http.begun && (http.ended || http.client_left));
	for (size_t i = 0; i < PA_COUNT(known); i++)
		found |= http.head.status == known[i];
	must(found);
	check_plain(http.head.type);
	check_plain(http.disposition);
	check_plain(http.location);
	must((http.head.status == 301) == (http.location[0] == '/'));
}

static const char *header_of(const struct pa_request *request, const char *name, unsigned *times)
{
	const char *value = NULL;

	*times = 0;
	for (uint32_t i = 0; i < request->header_count; i++) {
		if (strcasecmp(request->headers[i].name, name) == 0) {
			value = request->headers[i].value;
			++*times;
		}
	}
	return value;
}

/* Written once more, simpler: all that may be let in. */
static bool may_pass(const struct pa_request *request, unsigned flags)
{
	static const char *const good[] = { "localhost", "127.0.0.1", "[::1]", "db7", "db8" };
	unsigned hosts, tokens;
	const char *host = header_of(request, "Host", &hosts);
	bool is_good = !(flags & LOOPBACK);

	for (size_t i = 0; !is_good && hosts == 1 && i < PA_COUNT(good); i++) {
		size_t length = strlen(good[i]);
		const char *port = host + length;

		if (i >= 3 && !(flags & WITH_LISTS))
			break;
		is_good = strncasecmp(host, good[i], length) == 0 &&
			(!*port ||
				(*port == ':' && port[1] &&
					!port[1 + strspn(port + 1, "0123456789")]));
	}
	header_of(request, "Authorization", &tokens);
	return is_good && (!(flags & WITH_TOKEN) || tokens || strstr(request->query, "token="));
}

static void check_head(const char *text, size_t count)
{
	enum pa_request_head_verdict verdict = PA_REQUEST_HEAD_MORE;

	/* What was whole is not made less by more of it. */
	for (size_t i = 0; i <= count; i++) {
		enum pa_request_head_verdict now = pa_request_head_judge(text, i);

		must(verdict == PA_REQUEST_HEAD_MORE || now != PA_REQUEST_HEAD_MORE);
		verdict = now;
	}
}

static void ask(unsigned flags, unsigned method, char *text)
{
	const struct pa_access guard = { .loopback = flags & LOOPBACK,
		.host = flags & WITH_LISTS ? "db7" : "localhost",
		.hosts = flags & WITH_LISTS ? "db8, db9:6053" : "",
		.token = flags & WITH_TOKEN ? TOKEN : "" };
	struct pa_request request = { .method = method % (PA_REQUEST_METHOD_OTHER + 1),
		.peer = "1.2.3.4" };
	char *target = take_line(&text), *query = strchr(target, '?');

	if (query)
		*query++ = '\0';
	request.path = target;
	request.query = query ? query : "";
	take_headers(&request, &text);
	http = http_new();
	http.on_wait = on_wait;
	http.crowded = flags & CROWDED;
	http.head_only = request.method == PA_REQUEST_METHOD_HEAD;
	http.body = text;
	http.body_length = (int64_t)strlen(text);
	waits = 0;
	pa_token_guesses_reset(); /* wrong tokens of inputs before are no reason to be refused */
	pa_routes_init(NULL, &guard);
	pa_routes_handlers.answer(&http, &request);
	check_answer();
	must(may_pass(&request, flags) || http.head.status == 401 || http.head.status == 403);
	http_free(&http);
	fake_settle();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	static bool started;
	struct input input = { bytes, count };

	if (!started) {
		must(fake_start(NULL) == 0);
		fake_add_custom("my own/profile", 3);
		started = true;
	}
	unsigned flags = (unsigned)input_number(&input, 1);
	unsigned method = (unsigned)input_number(&input, 1);
	if (input.left > 4 * PA_REQUEST_HEAD_BYTES)
		return 0;
	check_head((const char *)input.at, input.left < 512 ? input.left : 512);
	char *text = input_copy(input.at, strnlen((const char *)input.at, input.left));
	ask(flags, method, text);
	free(text);
	return 0;
}
