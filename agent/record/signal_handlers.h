/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table for signal.h of the files that handle the agent's signal.
 *
 * Context: PA_SIGNAL, in the agent's handler; see signal.h.
 */
#ifndef PA_SIGNAL_HANDLERS_H
#define PA_SIGNAL_HANDLERS_H

#include "signal.h"

extern const struct pa_signal_callbacks pa_signal_handlers PA_HIDDEN;

#endif
