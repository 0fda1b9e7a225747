/* SPDX-License-Identifier: Apache-2.0 */
/* Switches the jump targets of the wait hooks. */
#include "wait_hooks.h"

#include "../agent/arch/arch.h"
#include "../agent/base/atomic.h"
#include "../agent/record/process.h"

#include "../agent/base/banned.h"

/* As pa_reset: a store copies a page that a forked child shares. */
#define turn(target, to)                                 \
	do {                                             \
		if (pa_load_plain(&(target)) != (to))    \
			pa_store_plain(&(target), (to)); \
	} while (0)

static PA_SLOW void turn_on(void)
{
#define TURN(name, ...) turn(TARGETS.name, pa_wait_hooks_##name);
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
}

_Static_assert(offsetof(struct pa_real, __register_frame) -
			offsetof(struct pa_real, pthread_mutex_lock) ==
		sizeof(pa_mutex_targets) + sizeof(pa_rwlock_targets) + sizeof(pa_cond_targets) +
			sizeof(pa_sem_targets) + sizeof(pa_call_targets),
	"turn_off goes through both in the same order");

/*
 * Each start does this: a loop, since 56 times the same code would be two more pages to read. The
 * real functions are in the order of the targets. Without one the recording half remains.
 */
static void *const *turn_off(void *targets, size_t count, void *const *real)
{
	void **target = targets;
	for (size_t i = 0; i < count; i++)
		if (real[i])
			turn(target[i], real[i]);
	return real + count;
}

void pa_hooks_watch(bool on)
{
	void *const *real = (void *const *)&pa_real.pthread_mutex_lock;
#define OFF(targets) real = turn_off(&(targets), sizeof(targets) / sizeof(void *), real)
	if (on) {
		turn_on();
	} else {
		OFF(pa_mutex_targets);
		OFF(pa_rwlock_targets);
		OFF(pa_cond_targets);
		OFF(pa_sem_targets);
		OFF(pa_call_targets);
	}
#undef OFF
	pa_hooks_watch_futexes(on);
}
