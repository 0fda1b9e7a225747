#include "symbols_guard.h"

#include <setjmp.h>
#include <unistd.h>

#include "../base/atomic.h"
#include "symbols.h"

static struct {
	jmp_buf out;
	PA_ATOMIC(pid_t) thread; /* relaxed: whose work it is, read by any other only to differ */
} state;

PA_AGENT bool pa_symbols_guard(void (*work)(void *arg), void *arg)
{
	if (_setjmp(state.out)) {
		pa_store_relaxed(&state.thread, 0);
		return false;
	}
	pa_store_relaxed(&state.thread, gettid());
	work(arg);
	pa_store_relaxed(&state.thread, 0);
	return true;
}

PA_AGENT void pa_symbols_bail(void)
{
	/* In a forked child the number is that of a thread of its parent, never its own. */
	if (pa_load_relaxed(&state.thread) == gettid())
		_longjmp(state.out, 1);
}
