#include "last.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../record/tasks.h"
#include "core.h"

#define LOOK_NS PA_NS_PER_S

/* proc(5): the 3rd and the 52nd field of stat; the 2nd is in parentheses, which it may contain. */
enum { FIELD_STATE = 3, FIELD_EXIT_CODE = 52 };

static struct {
	int64_t next_ns;
	bool outlived;   /* main was gone before another one */
	int32_t witness; /* one of the program's other than main, there last time; or 0 */
} state;

static const char *field(const char *stat, int number)
{
	const char *at = strrchr(stat, ')');
	for (int i = FIELD_STATE - 1; at && i < number; i++) {
		at = strchr(at, ' ');
		at += at != NULL;
	}
	return at;
}

/* True when main has ended; *status: its own. */
static bool main_has_ended(int *status)
{
	char stat[1024];
	if (!pa_tasks_read(getpid(), "stat", stat, sizeof(stat)))
		return false;
	const char *main_state = field(stat, FIELD_STATE);
	const char *code = field(stat, FIELD_EXIT_CODE);
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

bool pa_last_is_gone(int *status)
{
	/* One of ours that was just being created is told from others a moment later. */
	if (state.witness && is_witness(state.witness) &&
	    syscall(SYS_tgkill, getpid(), state.witness, 0) == 0) {
		state.outlived = true;
		return false;
	}
	state.witness = 0;
	if (!main_has_ended(status) || pa_tasks_each(find_witness, NULL) != 0)
		return false;
	/* Since Linux 6.0 the process has the status of the thread that ended last, not main's. */
	if (state.outlived)
		*status = 0;
	return !state.witness;
}

void pa_last_look(void)
{
	int status;
	int64_t now_ns = pa_clock_mono_ns();
	if (now_ns < state.next_ns)
		return;
	state.next_ns = now_ns + LOOK_NS;
	if (pa_last_is_gone(&status))
		syscall(SYS_exit_group, status);
}
