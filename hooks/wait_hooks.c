/* SPDX-License-Identifier: Apache-2.0 */
/* Switches the jump targets of the wait hooks. */
#include "wait_hooks.h"

#include "../agent/base/atomic.h"
#include "../agent/record/process.h"

#include "../agent/base/banned.h"

/* As pa_reset: a store copies a page that a forked child shares. */
#define turn(target, to)                                 \
	do {                                             \
		if (pa_load_plain(&(target)) != (to))    \
			pa_store_plain(&(target), (to)); \
	} while (0)

void pa_hooks_watch(bool on)
{
#define TURN(name, ...) \
	turn(TARGETS.name, on || !pa_real.name ? pa_wait_hooks_##name : pa_real.name);
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
#undef turn
	pa_hooks_watch_futexes(on);
}
