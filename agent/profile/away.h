/*
 * After our threads were away: what they were at is put away, and all tables stay.
 */
#ifndef PA_AWAY_H
#define PA_AWAY_H

#include "../base/base.h"

/* See aside in struct pa_bridge. */
PA_AGENT void pa_away_settle(void);

#endif
