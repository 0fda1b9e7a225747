/*
 * /debug/pprof/symbol: names of addresses, in the line protocol that pprof's clients speak.
 *
 * Context: PA_AGENT. pa_symbol_answer on the worker of the request; names are looked up in a job.
 */
#ifndef PA_SYMBOL_H
#define PA_SYMBOL_H

#include "../../proto/encode.h"
#include "http.h"

/* Largest body of a POST. */
#define PA_SYMBOL_BODY_BYTES ((size_t)1 << 20)

/* GET: addresses are the raw query; POST: the body, read in whole before the first byte is sent. */
PA_AGENT void pa_symbol_answer(struct pa_http *http, const struct pa_request *request);

/*
 * The lines for words, addresses separated by '+': each known one with its function. As in Go a
 * word of PA_SYMBOL_WORD_BYTES or more ends it with an error line; what is no number is passed
 * over. 0, -ECANCELED. The render thread.
 */
#define PA_SYMBOL_WORD_BYTES 4096
PA_AGENT int pa_symbol_write(const char *words, size_t count, const struct pa_sink *sink);

#endif
