/*
 * A descriptor table and a current directory that only the agent's threads have.
 *
 * Context: PA_AGENT, the agent's first thread, before it opens anything or creates a thread.
 */
#ifndef PA_APART_H
#define PA_APART_H

#include "base/base.h"

/*
 * Nothing of the program stays in the table but stderr (start-up messages; closed soon): a copy of
 * a pipe's end would keep its reader waiting. False: the table is the program's.
 */
PA_AGENT bool pa_apart_leave(void);

/* Root and current directory are not the program's. */
PA_AGENT bool pa_apart_has_root(void);

#endif
