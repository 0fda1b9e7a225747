/*
 * Our threads step aside, and come back.
 *
 * All of them end, so that the kernel sees what it would see without us, and a new one starts what
 * they did: it is a child of the calling thread, and has what that thread has by then (namespaces,
 * root, capabilities, filters). Tables, heap data and the port are kept; requests that were being
 * answered are not, nor are CPU profiles and traces that were being taken for one.
 *
 * pa_process_step_aside and pa_process_come_back are in record/process.h, for the hooks.
 */
#ifndef PA_ASIDE_H
#define PA_ASIDE_H

#include "base/seat.h"
#include "record/bridge.h"

/* run: the agent's first thread, as pa_spawn wants it. */
PA_BOOT void pa_aside_boot(struct pa_bridge *bridge, void *(*run)(void *));

/*
 * On the agent's first thread, before it does anything: waits until those of earlier turns are
 * gone, and puts away what they were at.
 */
PA_AGENT void pa_aside_arrive(void);

/* On the agent's first thread, once it has a descriptor table: a bell for the others. */
PA_AGENT void pa_aside_have_bell(bool files_private);

/* The turn in which the calling thread was created, and a seat in it for a new thread of ours. */
PA_APP uint32_t pa_aside_turn(void);
PA_APP uint32_t pa_aside_followed(void);
PA_AGENT struct pa_seat *pa_aside_sit(uint32_t turn, uint32_t followed);
/* The thread ends: the seat is kept until the kernel knows it no more, or another needs it. */
PA_AGENT void pa_aside_rise(void);

/* Those of ours who sleep on a futex look up. */
PA_APP void pa_aside_wake_all(void);

/* In a forked child: all seats are free. */
PA_BOOT void pa_aside_atfork_child(void);

#endif
