/* SPDX-License-Identifier: Apache-2.0 */
/* Switches the jump targets of the wait hooks. */
#include "wait_hooks.h"

#include "../agent/base/atomic.h"
#include "../agent/record/process.h"

#include "../agent/base/banned.h"

void pa_hooks_watch(bool on)
{
#define TURN(name, ...) \
	pa_reset(&TARGETS.name, on || !pa_real.name ? pa_wait_hooks_##name : pa_real.name);
#define TARGETS pa_mutex_targets
	PA_MUTEX_HOOKS(TURN)
#undef TARGETS
#define TARGETS pa_rwlock_targets
	PA_RWLOCK_HOOKS(TURN)
#undef TARGETS
#define TARGETS pa_cond_targets
	PA_COND_HOOKS(TURN)
#undef TARGETS
#define TARGETS pa_sem_targets
	PA_SEM_HOOKS(TURN)
#undef TARGETS
#define TARGETS pa_call_targets
	PA_CALL_HOOKS(TURN)
#undef TARGETS
#undef TURN
	pa_hooks_watch_futexes(on);
}
