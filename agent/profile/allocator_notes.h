/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What users are told about the allocators of the program: the agent page of all, the index and the
 * heap profiles of those that the heap profile lacks.
 *
 * Context: PA_AGENT, any agent thread. No lock, no memory. What pa_allocators_look has not looked
 * at is not known.
 */
#ifndef PA_ALLOCATOR_NOTES_H
#define PA_ALLOCATOR_NOTES_H

#include "allocator_hooks.h"

/* Calls note(arg, text) with a sentence for each allocator whose memory is not seen, not always, or
 * not from the program's start. */
PA_AGENT void pa_allocator_notes(void (*note)(void *arg, const char *text), void *arg);

#define PA_ALLOCATOR_NOTES_BYTES 320

/* All known allocators by index: its module's path, and how it is seen. False: there are no more.
 * */
PA_AGENT bool pa_allocator_notes_get(uint32_t index, const char **path,
	char text[PA_ALLOCATOR_NOTES_BYTES]);

#endif
