#include "away.h"

#include "drain.h"
#include "requests.h"
#include "snapshot.h"
#include "threads.h"
#include "tracer.h"

/* The collector was between two batches. */
void pa_away_settle(void)
{
	pa_drain_lock();
	pa_requests_forget_agents();
	pa_snapshot_aside();
	pa_threads_roll_end();
	pa_drain_unlock();
	pa_tracer_aside();
}
