/*
 * Whole answers: errors as Go's net/http/pprof sends them, redirects, pages, and what a job
 * produces.
 *
 * Context: PA_AGENT, the worker of the request. Each ends the answer.
 */
#ifndef PA_REPLY_H
#define PA_REPLY_H

#include "collect.h"
#include "http.h"

#define PA_REPLY_TEXT "text/plain; charset=utf-8"
#define PA_REPLY_HTML "text/html; charset=utf-8"
#define PA_REPLY_JSON "application/json; charset=utf-8"
#define PA_REPLY_BINARY "application/octet-stream"

/* text and a newline, with the header by which go tool pprof knows that it may show it. */
PA_AGENT void pa_reply_error(struct pa_http *http, int status, const char *text);

/* 503: too many requests that take long. */
PA_AGENT void pa_reply_crowded(struct pa_http *http);

/* 405; post: this path takes POST as well. */
PA_AGENT void pa_reply_method(struct pa_http *http, bool post);

/* 301. location: made of our own constants and numbers, never of the request's bytes. */
PA_AGENT void pa_reply_moved(struct pa_http *http, const char *location);

/* 200 with a body that is known in whole. */
PA_AGENT void pa_reply_page(struct pa_http *http, const char *type, const char *bytes,
	size_t count);

/*
 * 200 with what the job produces, under head (its length is filled in when it is known before the
 * first byte). A job that fails before its first bytes is answered with 500 and explain(error).
 * Leaves the job.
 */
PA_AGENT void pa_reply_job(struct pa_http *http, struct pa_job *job,
	const struct pa_http_head *head, const char *(*explain)(int error));

/*
 * 200 with what work produces, once it has waited turn_ns at most for a place: as a file of that
 * name (of at most 127 bytes), or as text when there is none. Takes care of work in every case.
 */
PA_AGENT void pa_reply_work(struct pa_http *http, const struct pa_job_work *work, int64_t turn_ns,
	const char *file, const char *(*explain)(int error));

/*
 * The end of an answer that has begun: what work produces, and then its end; without that the
 * client knows that something is missing. Takes care of work in every case.
 */
PA_AGENT void pa_reply_rest(struct pa_http *http, const struct pa_job_work *work, int64_t turn_ns);

/* To HEAD: what pa_reply_work would answer, without doing its work. */
PA_AGENT void pa_reply_no_work(struct pa_http *http, const char *file);

/* What became of pa_collect_submit when it gave no job: 503, or 500. */
PA_AGENT void pa_reply_no_job(struct pa_http *http, int error);

#endif
