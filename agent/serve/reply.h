/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Complete responses: errors as Go's net/http/pprof sends them, redirects, pages, and the output of
 * jobs.
 *
 * Context: PA_AGENT, the worker of the request. No lock of its own. Each function ends the response
 * unless it says otherwise.
 */
#ifndef PA_REPLY_H
#define PA_REPLY_H

#include "body.h"
#include "http.h"
#include "render_thread.h"

#define PA_REPLY_TEXT "text/plain; charset=utf-8"
#define PA_REPLY_HTML "text/html; charset=utf-8"
#define PA_REPLY_JSON "application/json; charset=utf-8"
#define PA_REPLY_BINARY "application/octet-stream"

/* text and a newline, with X-Go-Pprof, so that go tool pprof shows it. */
PA_AGENT void pa_reply_error(struct pa_http *http, int status, const char *text);

/* 503: too many long requests. */
PA_AGENT void pa_reply_overloaded(struct pa_http *http);

/* 413, 408 or 400, as the state of a body that is not PA_BODY_WHOLE demands. */
PA_AGENT void pa_reply_no_body(struct pa_http *http, enum pa_body_state state);

/* 405; post: the path takes POST as well. */
PA_AGENT void pa_reply_method(struct pa_http *http, bool post);

/* 301. location: made of constants and numbers, never of the request's bytes. */
PA_AGENT void pa_reply_moved(struct pa_http *http, const char *location);

/* 200 with a body of known length. */
PA_AGENT void pa_reply_page(struct pa_http *http, const char *type, const char *bytes,
	size_t count);

/*
 * 200 with the output of the job and the header head (its length is set if it is known before the
 * first byte). A job that fails before its first bytes gets 500 and explain(error). Leaves the job.
 */
PA_AGENT void pa_reply_job(struct pa_http *http, struct pa_job *job,
	const struct pa_http_head *head, const char *(*explain)(int error));

/*
 * As pa_reply_job, for one of several jobs of a response: head for the first, otherwise NULL.
 * *more: set by the job if others follow. Does not end the response. False: nothing more to send;
 * an error was answered.
 */
PA_AGENT bool pa_reply_part(struct pa_http *http, struct pa_job *job,
	const struct pa_http_head *head, const bool *more, const char *(*explain)(int error));

/* 200 with the output of work, which waits queue_ns at most in the render queue: as a file of that
 * name (at most 127 bytes), as text if file is NULL. Frees work in every case. */
PA_AGENT void pa_reply_work(struct pa_http *http, const struct pa_job_work *work, int64_t queue_ns,
	const char *file, const char *(*explain)(int error));

/* Begins a 200 with a file of that name and unknown length. False: the client has disconnected. */
PA_AGENT bool pa_reply_begin(struct pa_http *http, const char *file);

/* Sends the output of work as the rest of a response that has begun, and ends it; without the end
 * the client sees a truncated response. Frees work in every case. */
PA_AGENT void pa_reply_rest(struct pa_http *http, const struct pa_job_work *work, int64_t queue_ns);

/* To HEAD: the header that pa_reply_work would send, without running the work. */
PA_AGENT void pa_reply_no_work(struct pa_http *http, const char *file);

/* Answers an error of pa_render_thread_submit: 503 or 500. */
PA_AGENT void pa_reply_no_job(struct pa_http *http, int error);

/*
 * For requests that take memory before their job is submitted: true, or answers 503 as
 * pa_reply_no_job.
 */
PA_AGENT bool pa_reply_has_room(struct pa_http *http);

#endif
