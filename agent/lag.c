#include "lag.h"

#include "hold.h"

static struct {
	struct pa_bridge *bridge;
	struct pa_lock *loader;
} state;

void pa_lag_boot(struct pa_bridge *bridge, struct pa_lock *loader)
{
	state.bridge = bridge;
	state.loader = loader;
}

bool pa_lag_prepare(int64_t timeout_ns)
{
	const struct pa_bridge *bridge = state.bridge;
	return !pa_hold_is_stray() && bridge->atfork.prepare && !bridge->core_lags &&
		bridge->atfork.prepare(timeout_ns);
}

void pa_lag_atfork_child(bool loader_held, bool tables_held)
{
	struct pa_bridge *bridge = state.bridge;
	/* It may have been settling when it was forked itself: then nothing is known of tables. */
	if (!bridge->core_lags || !loader_held)
		bridge->core_held = tables_held;
	bridge->core_lags = bridge->atfork.child != NULL;
	bridge->aside = bridge->jailed = NULL;
	pa_counters_copy(&bridge->inherited, bridge->counters);
}

void pa_lag_settle(void)
{
	struct pa_bridge *bridge = state.bridge;
	pa_lock(state.loader);
	if (bridge->core_lags)
		bridge->atfork.child(bridge->core_held);
	bridge->core_lags = false;
	pa_unlock(state.loader);
}
