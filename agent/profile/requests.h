/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Execution of mailbox requests on the collector.
 *
 * Context: PA_AGENT, the collector only. Lock: PA_LOCK_TABLES where it changes tables.
 */
#ifndef PA_REQUESTS_H
#define PA_REQUESTS_H

#include "mailbox.h"

/* A pa_mailbox_perform_fn. Returns 0 or -ENOMEM. */
PA_AGENT int pa_requests_perform(const struct pa_mailbox_request *request,
	PA_ATOMIC(struct pa_snapshot *) *snapshot);

#endif
