/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/fake_http.h"

bool fake_suspend_full; /* of pa_http_may_suspend */

struct pa_http http_new(void)
{
	return (struct pa_http){ .body = "", .bytes = calloc(1, 1) };
}

void http_free(struct pa_http *http)
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
	if (http->on_end)
		http->on_end();
	http->ended = true;
	return true;
}

int64_t pa_http_body_length(const struct pa_http *http)
{
	return http->body_length;
}

/* No time passes: what it waits for goes on at once. */
bool pa_http_suspend(struct pa_http *http, int64_t ns, const struct pa_http_continuation *later)
{
	if (http->suspend_full)
		return false;
	http->waited_ns = ns;
	http->suspended++;
	if (http->on_wait)
		http->on_wait();
	if (http->forked)
		later->drop(later->arg);
	else
		later->resume(http, !http->client_left, later->arg);
	return true;
}

bool pa_http_queue(struct pa_http *http, const struct pa_http_continuation *later)
{
	return pa_http_suspend(http, PA_HTTP_QUEUE_NS, later);
}

/* What of the body comes at once, and then all that will. */
static void http_send(struct pa_http *http, struct pa_body *body, size_t count)
{
	char size[20];
	size_t left = strlen(http->body) - http->body_read;
	size_t part = count < left ? count : left;

	if (http->body_length < 0 && part) {
		pa_body_feed(body, size, (size_t)sprintf(size, "%zx\r\n", part));
		pa_body_feed(body, http->body + http->body_read, part);
		pa_body_feed(body, "\r\n", 2);
	} else {
		pa_body_feed(body, http->body + http->body_read, part);
	}
	http->body_read += part;
	if (http->body_length < 0 && part == left)
		pa_body_feed(body, "0\r\n\r\n", 5);
}

enum pa_http_body pa_http_await(struct pa_http *http, struct pa_body *body,
	const struct pa_http_continuation *later)
{
	http_send(http, body, http->body_at_once ? SIZE_MAX : 5);
	if (body->state != PA_BODY_MORE)
		return PA_HTTP_BODY_HERE;
	if (http->suspend_full)
		return PA_HTTP_BODY_FULL;
	http_send(http, body, SIZE_MAX);
	pa_http_suspend(http, 0, later);
	return PA_HTTP_BODY_SUSPENDED;
}

bool pa_http_may_suspend(void)
{
	return !fake_suspend_full;
}

bool pa_http_wait(struct pa_http *http, int64_t ns)
{
	http->waited_ns = ns;
	if (http->on_wait)
		http->on_wait();
	return !http->client_left;
}

enum pa_http_wait pa_http_wait_fd(struct pa_http *http, int fd, int64_t ns)
{
	(void)http;
	(void)fd;
	(void)ns;
	return PA_HTTP_WAIT_OVER;
}

bool pa_http_await_fd(struct pa_http *http, int fd, int64_t ns,
	const struct pa_http_continuation *later)
{
	(void)fd;
	return pa_http_suspend(http, ns, later);
}

bool pa_http_pass(struct pa_http *http, const void *bytes, size_t count)
{
	http->begun = true;
	return pa_http_write(http, bytes, count);
}

bool pa_http_is_one_one(const struct pa_http *http)
{
	(void)http;
	return true;
}
