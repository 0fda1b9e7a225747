/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol_endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/atomic.h"
#include "../base/clock.h"
#include "../symbols/symbols.h"
#include "query.h"
#include "queue_clock.h"
#include "reply.h"

/* Always 1: clients only test for 0. */
#define HEADER "num_symbols: 1\n"
#define TOO_LONG "reading request: bufio: buffer full\n"

/* Longest run of one job, so that profiles run in between. */
#define SLICE_NS (100 * PA_NS_PER_MS)
/* Interval at which a request tries to become the one that looks up names. */
#define RETRY_NS (20 * PA_NS_PER_MS)

static struct {
	PA_ATOMIC(uint32_t) busy;   /* a request is looking up names; acq_rel by CAS */
	PA_ATOMIC(uint32_t) bodies; /* complete bodies held; acq_rel */
} state;

void pa_symbol_endpoint_reset(void)
{
	pa_store_release(&state.busy, 0);
	pa_store_release(&state.bodies, 0);
}

struct words {
	const char *at;
	size_t left;
	bool over; /* the word returned last was the last one */
	bool full; /* it was too long */
};

/* Go's bufio.Reader.ReadSlice('+'): also returns at a full buffer and at the end. */
static bool next_word(struct words *words, const char **word, size_t *length)
{
	size_t window = words->left < PA_SYMBOL_ENDPOINT_WORD_BYTES ? words->left :
								      PA_SYMBOL_ENDPOINT_WORD_BYTES;

	if (words->over)
		return false;
	const char *plus = window ? memchr(words->at, '+', window) : NULL;
	words->over = !plus;
	words->full = !plus && window == PA_SYMBOL_ENDPOINT_WORD_BYTES;
	*word = words->at;
	*length = plus ? (size_t)(plus - words->at) : window;
	words->at += *length + (plus != NULL);
	words->left -= *length + (plus != NULL);
	return true;
}

static bool write_text(const struct pa_sink *sink, const char *text)
{
	return sink->write(sink->arg, text, strlen(text));
}

static bool write_name(const struct pa_sink *sink, uint64_t address)
{
	char digits[32];
	const struct pa_function *function = pa_symbols_at(address);

	if (!function)
		return true;
	snprintf(digits, sizeof(digits), "%#llx ", (unsigned long long)address);
	return write_text(sink, digits) && write_text(sink, function->name) &&
		write_text(sink, "\n");
}

/* Handles words until until_ns or the end. False: the sink failed. */
static bool write_slice(struct words *words, const struct pa_sink *sink, int64_t until_ns)
{
	bool good = true;
	const char *word;
	size_t length;

	while (good && pa_clock_mono_ns() < until_ns && next_word(words, &word, &length)) {
		uint64_t address = pa_query_uint(word, length);
		if (address)
			good = write_name(sink, address);
	}
	if (good && words->full)
		good = write_text(sink, TOO_LONG);
	return good;
}

int pa_symbol_endpoint_write(const char *text, size_t count, const struct pa_sink *sink)
{
	struct words words = { .at = text, .left = count };
	bool good = write_text(sink, HEADER) && write_slice(&words, sink, INT64_MAX);

	return good ? 0 : -ECANCELED;
}

/* ---- on the render thread ---- */

struct task {
	PA_ATOMIC(uint32_t) owners; /* the request and a job; acq_rel */
	struct pa_body *body;       /* holds the words; NULL: they are in query */
	bool counted;               /* in state.bodies */
	int64_t until_ns;           /* queue timeout */
	bool begun;                 /* render thread: HEADER is written */
	bool more;                  /* written by a job, read when it is done */
	struct words words;
	char query[];
};

static void drop_symbols(void *arg)
{
	struct task *task = arg;

	if (pa_sub_acq_rel(&task->owners, 1) != 1)
		return;
	if (task->counted)
		pa_sub_acq_rel(&state.bodies, 1);
	pa_body_free(task->body);
	free(task);
}

static int run_symbols(void *arg, const struct pa_sink *sink)
{
	struct task *task = arg;
	bool good = (task->begun || write_text(sink, HEADER)) &&
		write_slice(&task->words, sink, pa_clock_mono_ns() + SLICE_NS);

	task->begun = true;
	task->more = good && !task->words.over;
	if (!task->more)
		pa_symbols_end_request();
	return good ? 0 : -ECANCELED;
}

/* ---- on the worker ---- */

static const char *explain_symbols(int error)
{
	return error == -ETIMEDOUT ? "looking up names takes too long" : "failed to look up names";
}

static void answer_symbols(struct pa_http *http, struct task *task)
{
	/* single: many symbol requests must not delay profiles. */
	const struct pa_job_work work = {
		.run = run_symbols, .drop = drop_symbols, .arg = task, .single = true
	};
	const struct pa_http_head head = { .status = 200, .type = PA_REPLY_TEXT };
	struct pa_job *job;
	bool first = true, good;

	do {
		pa_add_acq_rel(&task->owners, 1);
		int error = pa_render_thread_submit(&work, PA_RENDER_THREAD_QUEUE_TIMEOUT_NS, &job);
		if (error && first)
			pa_reply_no_job(http, error);
		good = !error &&
			pa_reply_part(http, job, first ? &head : NULL, &task->more,
				explain_symbols);
		first = false;
	} while (good && task->more);
	if (good)
		pa_http_end(http);
}

/* Frees the task. */
static void refuse_symbols(struct pa_http *http, struct task *task, int status, const char *why)
{
	drop_symbols(task);
	pa_reply_error(http, status, why);
}

static void resume_look_up(struct pa_http *http, bool there, void *arg);

/* Frees the task or lets it wait. One request at a time looks up names on a worker; the others
 * wait. */
static void look_up_or_wait(struct pa_http *http, struct task *task)
{
	const struct pa_http_continuation later = { resume_look_up, drop_symbols, task };
	uint32_t idle = 0;
	bool first = pa_cas_acq_rel(&state.busy, &idle, 1), claimed = first && pa_http_claim(http);

	if (claimed)
		answer_symbols(http, task);
	if (first)
		pa_store_release(&state.busy, 0);
	bool late = pa_queue_clock_ns() >= task->until_ns;
	if (!claimed && !late && pa_http_suspend(http, RETRY_NS, &later))
		return;
	if (!claimed)
		pa_reply_overloaded(http);
	drop_symbols(task);
}

static void resume_look_up(struct pa_http *http, bool there, void *arg)
{
	if (there)
		look_up_or_wait(http, arg);
	else
		refuse_symbols(http, arg, 500, "context canceled");
}

static struct task *new_symbol_task(size_t query_bytes)
{
	struct task *task = calloc(1, sizeof(*task) + query_bytes);

	if (!task)
		return NULL;
	pa_store_relaxed(&task->owners, 1);
	task->until_ns = pa_queue_clock_ns() + PA_RENDER_THREAD_QUEUE_TIMEOUT_NS;
	return task;
}

/* ---- bodies ---- */

static void look_up_body(struct pa_http *http, struct task *task)
{
	task->counted = true;
	task->words = (struct words){ .at = task->body->bytes, .left = task->body->count };
	if (pa_add_acq_rel(&state.bodies, 1) < PA_SYMBOL_ENDPOINT_BODIES)
		look_up_or_wait(http, task);
	else
		refuse_symbols(http, task, 503,
			"names for other requests are being looked up; try again");
}

static void go_on_with_body(struct pa_http *http, struct task *task)
{
	if (task->body->state == PA_BODY_WHOLE) {
		look_up_body(http, task);
		return;
	}
	pa_reply_no_body(http, task->body->state);
	drop_symbols(task);
}

static void resume_body(struct pa_http *http, bool there, void *arg)
{
	(void)there; /* a client that has sent its whole body may shut down its sending side */
	go_on_with_body(http, arg);
}

static void answer_post(struct pa_http *http)
{
	struct task *task = new_symbol_task(0);
	const struct pa_http_continuation later = { resume_body, drop_symbols, task };

	if (task)
		task->body = pa_body_new(pa_http_body_length(http), PA_SYMBOL_ENDPOINT_BODY_BYTES);
	if (!task || !task->body) {
		if (task)
			drop_symbols(task);
		pa_reply_no_job(http, -ENOMEM);
		return;
	}
	switch (pa_http_await(http, task->body, &later)) {
	case PA_HTTP_BODY_HERE: go_on_with_body(http, task); break;
	case PA_HTTP_BODY_FULL:
		drop_symbols(task);
		pa_reply_overloaded(http);
		break;
	case PA_HTTP_BODY_SUSPENDED: break;
	}
}

static void answer_get(struct pa_http *http, const char *query)
{
	size_t count = strlen(query);
	struct task *task;

	task = new_symbol_task(count);
	if (!task) {
		pa_reply_no_job(http, -ENOMEM);
		return;
	}
	memcpy(task->query, query, count);
	task->words = (struct words){ .at = task->query, .left = count };
	look_up_or_wait(http, task);
}

void pa_symbol_endpoint_answer(struct pa_http *http, const struct pa_request *request)
{
	const struct pa_http_head head = { .status = 200, .type = PA_REPLY_TEXT, .length = -1 };

	if (request->method == PA_REQUEST_METHOD_HEAD) {
		if (pa_http_begin(http, &head))
			pa_http_end(http);
	} else if (request->method == PA_REQUEST_METHOD_GET && !request->query[0]) {
		/* pprof only asks whether symbols are available. */
		pa_reply_page(http, PA_REPLY_TEXT, HEADER, strlen(HEADER));
	} else if (request->method == PA_REQUEST_METHOD_POST) {
		answer_post(http);
	} else {
		answer_get(http, request->query);
	}
}
