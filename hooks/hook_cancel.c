/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pthread_cancel of the calling thread.
 *
 * When a thread with asynchronous cancellation cancels itself, glibc 2.34 and later mark it
 * "canceling" and not "canceled" (nptl/pthread_cancel.c). The next cancellation point, in a cleanup
 * handler or in exit(), waits for the second mark, which never comes. A process with one thread
 * skips that wait, so with the agent's threads the program would hang where it otherwise does not.
 */
#include "../agent/arch/arch.h"
#include "signal_mask.h"
#include "real.h"

#include "../agent/base/banned.h"

/*
 * Cancelled with deferred type, the thread gets both marks and continues; when its type is
 * restored, it ends here if cancellation is enabled.
 */
PA_ENTRY int pthread_cancel(pthread_t thread)
{
	PA_CALM_FLAGS();
	int type;
	if (!pa_signal_mask_is_active() || !pthread_equal(thread, pthread_self()) ||
		pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type) != 0)
		return PA_REAL(pthread_cancel)(thread);
	int result = PA_REAL(pthread_cancel)(thread);
	pthread_setcanceltype(type, NULL);
	return result;
}
