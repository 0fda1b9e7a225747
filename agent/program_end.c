/* SPDX-License-Identifier: Apache-2.0 */
#include "program_end.h"

#include <pthread.h>
#include <unistd.h>

#include "arch/arch.h"
#include "core_handle.h"
#include "exit_files.h"
#include "record/process.h"
#include "record/sandbox.h"
#include "record/switches.h"
#include "record/trace_events.h"
#include "socket_file.h"

/* Longest delay of the program's end by the end of a trace. */
#define TRACE_END_NS (15 * PA_NS_PER_MS)

static struct {
	struct pa_bridge *bridge;
} state;

void pa_program_end_boot(struct pa_bridge *bridge)
{
	state.bridge = bridge;
}

PA_ENTRY void pa_program_end(void)
{
	bool tracing = pa_trace_events_is_on() && pa_core_handle_is_ready();
	bool writes = (tracing || pa_exit_files_wanted()) &&
		pa_sandbox_may(&pa_thread_self, PA_CALLS_FILES | PA_CALLS_WAKE | PA_CALLS_MAP);
	bool removes = pa_socket_file_is_kept() && pa_sandbox_may(&pa_thread_self, PA_CALLS_SOCKET);
	if ((!writes && !removes) || !pa_load_acquire(&pa_switches->booted) ||
		getpid() != pa_record.pid)
		return;
	PA_CALM_FLAGS();
	PA_FRESH_FPU();
	/* _exit() is no cancellation point, opening and closing files is: pthreads(7). */
	int cancel_state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	if (writes && tracing)
		state.bridge->api.trace_finish(TRACE_END_NS);
	if (writes && pa_exit_files_wanted())
		pa_exit_files_write();
	if (removes)
		pa_socket_file_remove();
	pthread_setcancelstate(cancel_state, NULL);
}
