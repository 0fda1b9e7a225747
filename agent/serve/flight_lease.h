/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lease on the flight recorder: one response at a time.
 *
 * A response that is read slowly keeps the lease as long as no other request needs it. Once another
 * request was refused, the lease lasts PA_FLIGHT_LEASE_MAX_NS in all.
 *
 * Context: PA_AGENT, any of our threads. No lock.
 */
#ifndef PA_FLIGHT_LEASE_H
#define PA_FLIGHT_LEASE_H

#include "../base/base.h"

#define PA_FLIGHT_LEASE_MAX_NS (10 * PA_NS_PER_S)

/* True: the caller has the lease until pa_flight_lease_release. False: another request has it, and
 * it is marked as contended. */
PA_AGENT bool pa_flight_lease_acquire(int64_t now_ns);

PA_APP void pa_flight_lease_release(void);

/* A request was refused since the lease was taken. */
PA_AGENT bool pa_flight_lease_is_contended(void);

/* The lease is contended and older than PA_FLIGHT_LEASE_MAX_NS. For its owner. */
PA_AGENT bool pa_flight_lease_is_expired(int64_t now_ns);

/* Releases the lease of an owner that no longer exists. */
PA_BOOT void pa_flight_lease_reset(void);

#endif
