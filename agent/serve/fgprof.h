/*
 * /debug/fgprof: the wall-clock profile of the next seconds, with the parameters of fgprof's.
 *
 * Context: PA_AGENT, the worker of the request, which calls the rolls; rendering in a job.
 */
#ifndef PA_FGPROF_H
#define PA_FGPROF_H

#include "http.h"

/* ?seconds=N, 30; ?format=pprof, or folded: text for flame graphs. */
PA_AGENT void pa_fgprof_answer(struct pa_http *http, const struct pa_request *request);

#endif
