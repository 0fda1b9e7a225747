/*
 * The set of modules as the event being read saw it, while maps.h only knows what is mapped now.
 *
 * The ring is read later than it is written: a stack may lie in a library that is gone by now, and
 * another may be mapped at its place. A module that a refresh finds dead is kept as "dying", and
 * found before any live one, until the reader has come to
 *  - a PA_EVENT_MODULES, if a live module overlaps it: what follows means the new one;
 *  - an event that was recorded after that refresh began: another one may be mapped there by then;
 *  - the end of what was recorded before the refresh, else: until then nobody else claims its pcs.
 * Then it is forgotten: its locations are interned anew when their pcs are seen again.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES.
 */
#ifndef PA_MODULES_H
#define PA_MODULES_H

#include "maps.h"

/* Reads the maps for the first time. When that fails, later batches try again. */
PA_AGENT void pa_modules_init(void);

/* The next event was recorded then: what follows is asked for its sake. */
PA_AGENT void pa_modules_event(int64_t time_ns);

/*
 * The module of a pc, or NULL. A pc that is in none makes the maps be read again, unless they were
 * since the event was recorded: at once, or with a later batch when such readings have taken more
 * than a twentieth of the time and 100 ms. The first one after a PA_EVENT_MODULES is free.
 */
PA_AGENT struct pa_module *pa_modules_find(uintptr_t pc);

/* A PA_EVENT_MODULES of that time was read. */
PA_AGENT void pa_modules_changed(int64_t time_ns);

/* A new batch of events begins. */
PA_AGENT void pa_modules_batch(void);

/* In a forked child whose tables may be half changed. */
PA_BOOT void pa_modules_abandon(void);

#endif
