/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /debug/fgprof: wall-clock profile of the next seconds, with the parameters of
 * github.com/felixge/fgprof.
 *
 * Context: PA_AGENT, the worker of the request, which takes a thread dump every PA_WALL_PERIOD_NS;
 * the encoding is a render job. One profile at a time; a second request gets 500.
 */
#ifndef PA_FGPROF_H
#define PA_FGPROF_H

#include "http.h"

/* ?seconds=N (30), and the parameters of profile_form.h. */
PA_AGENT void pa_fgprof_answer(struct pa_http *http, const struct pa_request *request);

#endif
