/* SPDX-License-Identifier: Apache-2.0 */
#include "reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../symbols/mem_headroom.h"
#include "buffer.h"

/* Bytes written per call, so that the buffer has room again soon. */
#define PIECE_BYTES ((size_t)64 << 10)

/* Interval at which a request in the render queue checks its client. */
#define CLIENT_CHECK_NS (500 * PA_NS_PER_MS)

#define DISPOSITION_BYTES 192

static void reply_text(struct pa_http *http, const struct pa_http_head *given, const char *text)
{
	struct pa_http_head head = *given;

	head.type = PA_REPLY_TEXT;
	head.pprof_error = true;
	head.length = (int64_t)strlen(text) + 1;
	if (pa_http_begin(http, &head) && pa_http_write(http, text, strlen(text)) &&
		pa_http_write(http, "\n", 1))
		pa_http_end(http);
}

void pa_reply_error(struct pa_http *http, int status, const char *text)
{
	reply_text(http, &(struct pa_http_head){ .status = status }, text);
}

void pa_reply_overloaded(struct pa_http *http)
{
	pa_reply_error(http, 503, "too many profiles are being taken; try again");
}

void pa_reply_no_body(struct pa_http *http, enum pa_body_state state)
{
	PA_ASSERT(state != PA_BODY_WHOLE);
	if (state == PA_BODY_TOO_LONG)
		pa_reply_error(http, 413, "the body is longer than 1 MiB");
	else if (state == PA_BODY_MORE)
		pa_reply_error(http, 408, "the body did not arrive in time");
	else
		pa_reply_error(http, 400, "the body ended early, or is not in chunks");
}

void pa_reply_method(struct pa_http *http, bool post)
{
	const struct pa_http_head head = {
		.status = 405,
		.allow = post ? "GET, HEAD, POST" : "GET, HEAD",
	};
	reply_text(http, &head, pa_http_reason(405));
}

void pa_reply_moved(struct pa_http *http, const char *location)
{
	struct pa_buffer body = { 0 };

	pa_buffer_text(&body, "<a href=\"");
	pa_buffer_html(&body, location);
	pa_buffer_text(&body, "\">Moved Permanently</a>.\n\n");
	const struct pa_http_head head = {
		.status = 301,
		.type = PA_REPLY_HTML,
		.location = location,
		.length = (int64_t)body.length,
	};
	if (pa_http_begin(http, &head) && pa_http_write(http, body.bytes, body.length))
		pa_http_end(http);
	pa_buffer_free(&body);
}

void pa_reply_page(struct pa_http *http, const char *type, const char *bytes, size_t count)
{
	const struct pa_http_head head = {
		.status = 200,
		.type = type,
		.length = (int64_t)count,
	};
	if (pa_http_begin(http, &head) && pa_http_write(http, bytes, count))
		pa_http_end(http);
}

static bool pass_piece(struct pa_http *http, struct pa_job *job, const char *bytes, size_t count)
{
	return pa_http_write(http, bytes, count) && pa_render_thread_consume(job, count);
}

/* Sends the output of a job, beginning with bytes. False: incomplete. Leaves the job. */
static bool pass_on_bytes(struct pa_http *http, struct pa_job *job, bool good, const char *bytes,
	int64_t count)
{
	while (good && count > 0) {
		good = pass_piece(http, job, bytes,
			(size_t)count < PIECE_BYTES ? (size_t)count : PIECE_BYTES);
		count = pa_render_thread_read(job, 1, &bytes);
	}
	pa_render_thread_leave(job);
	return good && count == 0;
}

/* False: the client disconnected before the job began. */
static bool wait_for_job(struct pa_http *http, struct pa_job *job)
{
	while (!pa_render_thread_has_begun(job, CLIENT_CHECK_NS)) {
		if (!pa_http_wait(http, 1))
			return false;
	}
	return true;
}

static void reply_failed(struct pa_http *http, int error, const char *(*explain)(int error))
{
	if (error == -EBUSY)
		pa_reply_no_job(http, error);
	else
		pa_reply_error(http, 500, explain(error));
}

bool pa_reply_part(struct pa_http *http, struct pa_job *job, const struct pa_http_head *given,
	const bool *more, const char *(*explain)(int error))
{
	const char *bytes;
	size_t whole;
	/* A job that ends within these bytes has a known length. */
	const size_t first = PA_RENDER_THREAD_FIRST_BYTES;
	bool there = wait_for_job(http, job);
	int64_t count = there ? pa_render_thread_read(job, first, &bytes) : -ECANCELED;

	if (!given)
		return pass_on_bytes(http, job, true, bytes, count);
	if (count < 0) {
		pa_render_thread_leave(job);
		reply_failed(http, (int)count, explain);
		return false;
	}
	struct pa_http_head head = *given;
	bool all = pa_render_thread_is_whole(job, &whole) && !*more;
	head.length = all ? (int64_t)whole : -1;
	return pass_on_bytes(http, job, pa_http_begin(http, &head), bytes, count);
}

void pa_reply_job(struct pa_http *http, struct pa_job *job, const struct pa_http_head *head,
	const char *(*explain)(int error))
{
	const bool more = false;

	/* A job that fails half way gets no end, so that the client sees a truncated response. */
	if (pa_reply_part(http, job, head, &more, explain))
		pa_http_end(http);
}

void pa_reply_rest(struct pa_http *http, const struct pa_job_work *work, int64_t queue_ns)
{
	const char *bytes = NULL;
	struct pa_job *job;

	if (pa_render_thread_submit(work, queue_ns, &job) != 0)
		return;
	bool there = wait_for_job(http, job);
	int64_t count = there ? pa_render_thread_read(job, 1, &bytes) : -ECANCELED;
	if (pass_on_bytes(http, job, there, bytes, count))
		pa_http_end(http);
}

/* lacking: NULL if there is room again. */
static void reply_no_room(struct pa_http *http, const char *lacking)
{
	char text[128];

	snprintf(text, sizeof(text), "no room for a profile: %s", lacking ? lacking : "memory");
	pa_reply_error(http, 503, text);
}

void pa_reply_no_job(struct pa_http *http, int error)
{
	if (error == -EBUSY)
		pa_reply_error(http, 503, "too many profiles are being written; try again");
	else if (error == -EDQUOT)
		reply_no_room(http, pa_mem_headroom_lacks(PA_RENDER_THREAD_ROOM_BYTES));
	else
		pa_reply_error(http, 500, "out of memory");
}

bool pa_reply_has_room(struct pa_http *http)
{
	const char *lacking = pa_mem_headroom_lacks(PA_RENDER_THREAD_ROOM_BYTES);

	if (lacking)
		reply_no_room(http, lacking);
	return !lacking;
}

static struct pa_http_head head_of_file(const char *file, char disposition[DISPOSITION_BYTES])
{
	if (file)
		snprintf(disposition, DISPOSITION_BYTES, "attachment; filename=\"%s\"", file);
	return (struct pa_http_head){
		.status = 200,
		.type = file ? PA_REPLY_BINARY : PA_REPLY_TEXT,
		.disposition = file ? disposition : NULL,
		.length = -1,
	};
}

void pa_reply_work(struct pa_http *http, const struct pa_job_work *work, int64_t queue_ns,
	const char *file, const char *(*explain)(int error))
{
	char disposition[DISPOSITION_BYTES];
	const struct pa_http_head head = head_of_file(file, disposition);
	struct pa_job *job;
	int error = pa_render_thread_submit(work, queue_ns, &job);

	if (error)
		pa_reply_no_job(http, error);
	else
		pa_reply_job(http, job, &head, explain);
}

bool pa_reply_begin(struct pa_http *http, const char *file)
{
	char disposition[DISPOSITION_BYTES];
	const struct pa_http_head head = head_of_file(file, disposition);

	return pa_http_begin(http, &head);
}

void pa_reply_no_work(struct pa_http *http, const char *file)
{
	if (pa_reply_begin(http, file))
		pa_http_end(http);
}
