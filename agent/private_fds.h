/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives the agent's threads a descriptor table and a current directory of their own.
 *
 * Context: PA_AGENT, the agent's first thread, before it opens anything or creates a thread.
 * No lock.
 */
#ifndef PA_PRIVATE_FDS_H
#define PA_PRIVATE_FDS_H

#include "base/base.h"

/*
 * Unshares the table and closes all but stderr (start-up messages; closed soon): a copy of a pipe's
 * end would keep the reader from seeing end of file. The numbers of the standard streams are then
 * in use. False: the table is the program's.
 */
PA_AGENT bool pa_private_fds_leave(void);

/* True when root and current directory are not shared with the program. */
PA_AGENT bool pa_private_fds_has_root(void);

#endif
