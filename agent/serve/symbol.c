#include "symbol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../profile/symbols.h"
#include "query.h"
#include "reply.h"

/* Always 1: clients only ask whether it is 0. */
#define HEADER "num_symbols: 1\n"
#define TOO_LONG "reading request: bufio: buffer full\n"

struct words {
	const char *at;
	size_t left;
	bool over; /* the word given last was the last */
	bool full; /* and it was too long */
};

/* Go's bufio.Reader.ReadSlice('+'): what it has when the buffer is full, or at the end. */
static bool next_word(struct words *words, const char **word, size_t *length)
{
	size_t window = words->left < PA_SYMBOL_WORD_BYTES ? words->left : PA_SYMBOL_WORD_BYTES;

	if (words->over)
		return false;
	const char *plus = window ? memchr(words->at, '+', window) : NULL;
	words->over = !plus;
	words->full = !plus && window == PA_SYMBOL_WORD_BYTES;
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

int pa_symbol_write(const char *text, size_t count, const struct pa_sink *sink)
{
	struct words words = { .at = text, .left = count };
	bool good = write_text(sink, HEADER);
	const char *word;
	size_t length;

	while (good && next_word(&words, &word, &length)) {
		uint64_t address = pa_query_uint(word, length);
		if (address)
			good = write_name(sink, address);
	}
	if (good && words.full)
		good = write_text(sink, TOO_LONG);
	return good ? 0 : -ECANCELED;
}

/* ---- the request ---- */

struct task {
	size_t count;
	char words[];
};

static int run(void *arg, const struct pa_sink *sink)
{
	const struct task *task = arg;
	int error = pa_symbol_write(task->words, task->count, sink);

	pa_symbols_rest();
	return error;
}

static const char *explain(int error)
{
	return error == -ETIMEDOUT ? "looking up names takes too long" : "failed to look up names";
}

/* Takes the task. */
static void answer(struct pa_http *http, struct task *task)
{
	const struct pa_job_work work = { .run = run, .drop = free, .arg = task };
	const struct pa_http_head head = { .status = 200, .type = PA_REPLY_TEXT };
	struct pa_job *job;

	int error = pa_collect_submit(&work, 0, &job);
	if (error)
		pa_reply_no_job(http, error);
	else
		pa_reply_job(http, job, &head, explain);
}

/* 0, or the status to answer with. */
static int read_body(struct pa_http *http, struct task *task)
{
	char more;
	int got = 1;

	while (got > 0 && task->count < PA_SYMBOL_BODY_BYTES) {
		got = pa_http_read(http, task->words + task->count,
			PA_SYMBOL_BODY_BYTES - task->count);
		task->count += got > 0 ? (size_t)got : 0;
	}
	if (got > 0 && pa_http_read(http, &more, 1) > 0)
		return 413;
	return got < 0 ? 408 : 0;
}

static void answer_post(struct pa_http *http)
{
	struct task *task = NULL;
	int status = 413;

	if (pa_http_body_length(http) <= (int64_t)PA_SYMBOL_BODY_BYTES) {
		task = malloc(sizeof(*task) + PA_SYMBOL_BODY_BYTES);
		if (!task) {
			pa_reply_no_job(http, -ENOMEM);
			return;
		}
		task->count = 0;
		status = read_body(http, task);
	}
	if (status == 0) {
		answer(http, task);
		return;
	}
	free(task);
	pa_reply_error(http, status,
		status == 413 ? "the body is longer than 1 MiB"
			      : "the body did not arrive in time");
}

static void answer_get(struct pa_http *http, const char *query)
{
	size_t count = strlen(query);
	struct task *task;

	if (!count) { /* no names wanted: pprof asks only whether there are any */
		pa_reply_page(http, PA_REPLY_TEXT, HEADER, strlen(HEADER));
		return;
	}
	task = malloc(sizeof(*task) + count);
	if (!task) {
		pa_reply_no_job(http, -ENOMEM);
		return;
	}
	task->count = count;
	memcpy(task->words, query, count);
	answer(http, task);
}

void pa_symbol_answer(struct pa_http *http, const struct pa_request *request)
{
	const struct pa_http_head head = { .status = 200, .type = PA_REPLY_TEXT, .length = -1 };

	if (!pa_http_claim(http))
		pa_reply_crowded(http);
	else if (request->method == PA_REQUEST_POST)
		answer_post(http);
	else if (request->method == PA_REQUEST_GET)
		answer_get(http, request->query);
	else if (pa_http_begin(http, &head))
		pa_http_end(http);
}
