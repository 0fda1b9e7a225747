/* SPDX-License-Identifier: Apache-2.0 */
#include "last_thread.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../record/tasks.h"
#include "../core/core.h"

#define LOOK_NS PA_NS_PER_S

/* proc(5): fields 3 and 52 of stat; field 2 is in parentheses and may contain parentheses. */
enum { FIELD_STATE = 3, FIELD_EXIT_CODE = 52 };

static struct {
	int64_t next_ns;
	bool outlived;   /* another thread was seen after main had exited */
	int32_t witness; /* a thread of the program other than main, seen last time; or 0 */
} state;

static const char *stat_field(const char *stat, int number)
{
	const char *at = strrchr(stat, ')');
	for (int i = FIELD_STATE - 1; at && i < number; i++) {
		at = strchr(at, ' ');
		at += at != NULL;
	}
	return at;
}

/* False after main has ended, whose id is that of the process (process_vm_readv(2): ESRCH), or
 * where the call is denied. A tenth of the time of a file of /proc, once a second. */
static bool has_main_memory(void)
{
	char here = 0, copy;
	struct iovec from = { &here, sizeof(here) }, to = { &copy, sizeof(copy) };
	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == sizeof(copy);
}

/* True if main has exited; *status: its exit status. */
static bool main_has_ended(int *status)
{
	char stat[1024];
	if (has_main_memory() || !pa_tasks_read(getpid(), "stat", stat, sizeof(stat)))
		return false;
	const char *main_state = stat_field(stat, FIELD_STATE);
	const char *code = stat_field(stat, FIELD_EXIT_CODE);
	*status = code ? atoi(code) >> 8 & 0xff : 0;
	return main_state && *main_state == 'Z';
}

static bool is_witness(int32_t tid)
{
	return tid != getpid() && !pa_core_bridge->is_agent_thread(tid);
}

static void find_witness(void *unused, int32_t tid)
{
	(void)unused;
	if (is_witness(tid))
		state.witness = tid;
}

bool pa_last_thread_is_gone(int *status)
{
	/* A new thread of ours is recognised only a moment after its creation. */
	if (state.witness && is_witness(state.witness) &&
		syscall(SYS_tgkill, getpid(), state.witness, 0) == 0) {
		state.outlived = true;
		return false;
	}
	state.witness = 0;
	if (!main_has_ended(status) || pa_tasks_each(find_witness, NULL) != 0)
		return false;
	/*
	 * Since Linux 6.0 the process gets the status of the thread that exited last, not main's.
	 */
	if (state.outlived)
		*status = 0;
	return !state.witness;
}

void pa_last_thread_look(void)
{
	int status;
	int64_t now_ns = pa_clock_mono_ns();
	if (now_ns < state.next_ns)
		return;
	state.next_ns = now_ns + LOOK_NS;
	if (pa_last_thread_is_gone(&status))
		syscall(SYS_exit_group, status);
}
