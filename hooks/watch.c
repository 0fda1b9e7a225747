/*
 * The switch of the wait hooks.
 */
#include "watch.h"

#include "../agent/base/atomic.h"
#include "../agent/record/process.h"

#include "../agent/base/banned.h"

struct pa_wait_targets pa_wait_targets = {
#define WATCHED(name, ...) .name = pa_watched_##name,
	PA_WAIT_HOOKS(WATCHED)
#undef WATCHED
};

void pa_hooks_watch(bool on)
{
#define TURN(name, ...)                                                                           \
	pa_reset(&pa_wait_targets.name,                                                           \
		on || !pa_real.name ? pa_watched_##name : pa_real.name);
	PA_WAIT_HOOKS(TURN)
#undef TURN
}
