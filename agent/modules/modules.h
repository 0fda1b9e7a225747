/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modules at the time of the current event; maps.h only has those mapped now.
 *
 * The ring is read later than it is written: a stack may be in a library that was unloaded since,
 * with another one mapped at its address. A module that a refresh finds dead becomes "dying", with
 * precedence over live ones, until the reader reaches
 * - a PA_EVENT_MODULES, if a live module overlaps it: later events mean the new one;
 * - an event recorded after that refresh began: another module may be mapped by then;
 * - otherwise the end of the records before the refresh: until then no other module has its pcs.
 * Then it is forgotten: its locations are interned anew when their pcs occur again.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES.
 */
#ifndef PA_MODULES_H
#define PA_MODULES_H

#include "maps.h"

/* Callbacks for tables that depend on modules, called within the functions below. */
struct pa_modules_listener {
	/* A module is forgotten: its pcs belong to none, or to another one. */
	void (*forgotten)(const struct pa_module *module);
	/* There are new modules: pcs that were in none may be in one of them. */
	void (*added)(void);
};

/* Reads the maps for the first time. When that fails, later batches retry. listener: constant. */
PA_AGENT void pa_modules_init(const struct pa_modules_listener *listener);

/* Sets the timestamp of the current event, for the functions below. */
PA_AGENT void pa_modules_event(int64_t time_ns);

/*
 * The module of a pc, or NULL. A pc without one triggers a refresh, unless one began after the
 * event was recorded: at once, or with a later batch when such refreshes are over budget (a
 * twentieth of the time, at most 100 ms). The first one after a PA_EVENT_MODULES is free.
 */
PA_AGENT struct pa_module *pa_modules_find(uintptr_t pc);

/* A location is in the module: its names will be wanted. */
PA_AGENT void pa_modules_sampled(struct pa_module *module);

/* Number of modules with locations that are over, so far. Any of the agent's threads, no lock. */
PA_AGENT uint32_t pa_modules_unloads(void);

/* Processes a PA_EVENT_MODULES with that timestamp. */
PA_AGENT void pa_modules_changed(int64_t time_ns);

/* At the start of each batch of events, and when the ring is empty. */
PA_AGENT void pa_modules_batch(void);

/* In a forked child whose tables may be inconsistent. */
PA_BOOT void pa_modules_abandon(void);

#endif
