/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_process.h"

#include <unistd.h>

struct pa_gotrace_process pa_trace_process(void)
{
	return (struct pa_gotrace_process){
		.pid = getpid(),
		.writer_tid = gettid(),
		.processors = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN),
	};
}
