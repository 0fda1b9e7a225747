/*
 * Stands in for agent/serve/http.c in unit tests: an answer is kept in memory, a request's body
 * comes from there. Included by one file of a test program.
 */
#ifndef FAKE_HTTP_H
#define FAKE_HTTP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/serve/http.h"

struct pa_http {
	bool head_only;
	bool crowded;        /* no claim is granted */
	bool client_left;    /* found out by waiting */
	int64_t waited_ns;   /* asked for; nothing is waited for really */
	void (*on_wait)(void); /* what happens meanwhile, or NULL */
	void (*on_begin)(void); /* what the client does once it has the head, or NULL */
	int accept_writes;   /* the client is gone after so many; 0: never */
	const char *body;    /* of the request */
	int64_t body_length; /* as announced */
	size_t body_read;
	/* the answer */
	bool begun, ended, claimed;
	struct pa_http_head head;
	char disposition[128], location[256];
	int writes;
	char *bytes;
	size_t count;
};

static struct pa_http http_new(void)
{
	return (struct pa_http){ .body = "", .bytes = calloc(1, 1) };
}

static void http_free(struct pa_http *http)
{
	free(http->bytes);
}

const char *pa_http_reason(int status)
{
	return status == 400 ? "Bad Request" : status == 405 ? "Method Not Allowed" : "Reason";
}

bool pa_http_claim(struct pa_http *http)
{
	http->claimed = !http->crowded;
	return http->claimed;
}

bool pa_http_begin(struct pa_http *http, const struct pa_http_head *head)
{
	if (http->begun)
		abort();
	http->begun = true;
	http->head = *head;
	snprintf(http->disposition, sizeof(http->disposition), "%s",
		head->disposition ? head->disposition : "");
	snprintf(http->location, sizeof(http->location), "%s",
		head->location ? head->location : "");
	if (http->on_begin)
		http->on_begin();
	return true;
}

bool pa_http_write(struct pa_http *http, const void *bytes, size_t count)
{
	if (!http->begun || http->ended)
		abort();
	if (http->accept_writes && ++http->writes > http->accept_writes)
		return false;
	if (http->head_only)
		return true;
	http->bytes = realloc(http->bytes, http->count + count + 1);
	memcpy(http->bytes + http->count, bytes, count);
	http->count += count;
	http->bytes[http->count] = '\0';
	return true;
}

bool pa_http_end(struct pa_http *http)
{
	if (!http->begun || http->ended)
		abort();
	http->ended = true;
	return true;
}

int64_t pa_http_body_length(const struct pa_http *http)
{
	return http->body_length;
}

int pa_http_read(struct pa_http *http, void *bytes, size_t count)
{
	size_t left = strlen(http->body) - http->body_read;
	if (http->body_length > (int64_t)strlen(http->body) && !left)
		return -1;
	size_t part = left < count ? left : count;
	memcpy(bytes, http->body + http->body_read, part);
	http->body_read += part;
	return (int)part;
}

bool pa_http_wait(struct pa_http *http, int64_t ns)
{
	http->waited_ns = ns;
	if (http->on_wait)
		http->on_wait();
	return !http->client_left;
}

#endif
