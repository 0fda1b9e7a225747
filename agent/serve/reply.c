#include "reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"

/* What is waited for before the head goes out: a job that ends within it has a known length. */
#define FIRST_BYTES ((size_t)64 << 10)

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

void pa_reply_crowded(struct pa_http *http)
{
	pa_reply_error(http, 503, "too many profiles are being taken; try again");
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

/* What a job produces, from these bytes of it on, and the answer's end. Leaves the job. */
static void pass_on(struct pa_http *http, struct pa_job *job, bool good, const char *bytes,
	int64_t count)
{
	while (good && count > 0) {
		good = pa_http_write(http, bytes, (size_t)count);
		pa_collect_took(job, (size_t)count);
		count = pa_collect_read(job, 1, &bytes);
	}
	pa_collect_leave(job);
	/* A job that failed half way has no end: so the client knows that something is missing. */
	if (good && count == 0)
		pa_http_end(http);
}

void pa_reply_job(struct pa_http *http, struct pa_job *job, const struct pa_http_head *given,
	const char *(*explain)(int error))
{
	struct pa_http_head head = *given;
	const char *bytes;
	size_t whole;
	int64_t count = pa_collect_read(job, FIRST_BYTES, &bytes);

	if (count < 0) {
		pa_collect_leave(job);
		pa_reply_error(http, 500, explain((int)count));
		return;
	}
	head.length = pa_collect_is_whole(job, &whole) ? (int64_t)whole : -1;
	pass_on(http, job, pa_http_begin(http, &head), bytes, count);
}

void pa_reply_rest(struct pa_http *http, const struct pa_job_work *work, int64_t turn_ns)
{
	const char *bytes;
	struct pa_job *job;

	if (pa_collect_submit(work, turn_ns, &job) != 0)
		return;
	int64_t count = pa_collect_read(job, 1, &bytes);
	pass_on(http, job, true, bytes, count);
}

void pa_reply_no_job(struct pa_http *http, int error)
{
	if (error == -EBUSY)
		pa_reply_error(http, 503, "too many profiles are being written; try again");
	else
		pa_reply_error(http, 500, "out of memory");
}

static struct pa_http_head head_of(const char *file, char disposition[DISPOSITION_BYTES])
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

void pa_reply_work(struct pa_http *http, const struct pa_job_work *work, int64_t turn_ns,
	const char *file, const char *(*explain)(int error))
{
	char disposition[DISPOSITION_BYTES];
	const struct pa_http_head head = head_of(file, disposition);
	struct pa_job *job;
	int error = pa_collect_submit(work, turn_ns, &job);

	if (error)
		pa_reply_no_job(http, error);
	else
		pa_reply_job(http, job, &head, explain);
}

void pa_reply_no_work(struct pa_http *http, const char *file)
{
	char disposition[DISPOSITION_BYTES];
	const struct pa_http_head head = head_of(file, disposition);

	if (pa_http_begin(http, &head))
		pa_http_end(http);
}
