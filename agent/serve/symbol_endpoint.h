/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /debug/pprof/symbol: names of addresses, in the line protocol of pprof's clients.
 *
 * Context: PA_AGENT. pa_symbol_endpoint_answer on the worker of the request. A body is awaited
 * without a worker, PA_SYMBOL_ENDPOINT_BODIES complete ones are held (then 503), and one request at
 * a time looks up names, in short jobs, so that profiles run in between. No lock.
 */
#ifndef PA_SYMBOL_ENDPOINT_H
#define PA_SYMBOL_ENDPOINT_H

#include "../../proto/encode.h"
#include "http.h"

/* Largest body of a POST. */
#define PA_SYMBOL_ENDPOINT_BODY_BYTES ((size_t)1 << 20)
#define PA_SYMBOL_ENDPOINT_BODIES 4

/*
 * GET: addresses are the raw query; POST: the body, read completely before the first byte is sent.
 */
PA_AGENT void pa_symbol_endpoint_answer(struct pa_http *http, const struct pa_request *request);

/*
 * Writes the lines for words, addresses separated by '+': each known address with its function. As
 * in Go, a word of PA_SYMBOL_ENDPOINT_WORD_BYTES or more ends the output with an error line; other
 * words that are not numbers are skipped. Returns 0 or -ECANCELED. On the render thread.
 */
#define PA_SYMBOL_ENDPOINT_WORD_BYTES 4096
PA_AGENT int pa_symbol_endpoint_write(const char *words, size_t count, const struct pa_sink *sink);

/* Forgets all requests: after a fork, or after the agent's threads were suspended. */
PA_BOOT void pa_symbol_endpoint_reset(void);

#endif
