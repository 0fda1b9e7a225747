/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery from fatal errors in libdw. The library ends the process when memory runs out (its
 * handler must not return) and by asserts on damaged debug information; the program must survive
 * both. Work on debug information runs inside pa_symbols_guard; the replacements of abort() and its
 * like (libc_denied.c) call pa_symbols_bail (symbols.h) first.
 *
 * Data of interrupted work is lost: its memory leaks, and it must not be used again.
 *
 * Context: PA_AGENT, the render thread only. No lock.
 */
#ifndef PA_SYMBOLS_GUARD_H
#define PA_SYMBOLS_GUARD_H

#include "../base/base.h"

/* Runs work(arg). False: it was interrupted. Not nested. */
PA_AGENT bool pa_symbols_guard(void (*work)(void *arg), void *arg);

#endif
