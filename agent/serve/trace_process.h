/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This process, as execution traces name it.
 *
 * Context: PA_AGENT, the thread that writes the trace.
 */
#ifndef PA_TRACE_PROCESS_H
#define PA_TRACE_PROCESS_H

#include "../../proto/gotrace.h"

PA_AGENT struct pa_gotrace_process pa_trace_process(void);

#endif
