/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names the recorded code of libraries soon after the program has unloaded them, without a request:
 * their files are still there, or held (modules/held_files.h), and are closed then.
 *
 * The work is done in slices, as the idle work of the render thread, and takes a twentieth of the
 * time at most; what a slice does not finish stays for the next one or for a request. A file that
 * takes too many slices is closed without all of its lines.
 *
 * Context: PA_AGENT, as marked. No lock.
 */
#ifndef PA_SYMBOLS_UNLOADED_H
#define PA_SYMBOLS_UNLOADED_H

#include "../base/base.h"

/* Slices that a file is kept open for. */
#define PA_SYMBOLS_UNLOADED_TRIES 8

/* start: makes a render thread do its idle work soon; called by pa_symbols_unloaded_look. Before
 * any other call, and in a forked child. */
PA_AGENT void pa_symbols_unloaded_begin(void (*start)(void));

/* Calls start if there is work to do and it is time for it. The collector only, without locks. */
PA_AGENT void pa_symbols_unloaded_look(void);

/*
 * Does one slice if there is work and it is time for it. go_on as in pa_symbols_prepare: false ends
 * the slice. Returns ns until the next call; -1: nothing is left. The render thread only.
 */
PA_AGENT int64_t pa_symbols_unloaded_name(bool (*go_on)(void *arg));

#endif
