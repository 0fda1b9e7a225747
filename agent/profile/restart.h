/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cleans up after the agent's threads were suspended: drops work in progress, keeps all tables.
 *
 * Context: PA_AGENT, while no thread of the agent runs. Lock: PA_LOCK_TABLES.
 */
#ifndef PA_RESTART_H
#define PA_RESTART_H

#include "../base/base.h"

/* struct pa_bridge's settle. */
PA_AGENT void pa_restart_settle(void);

#endif
