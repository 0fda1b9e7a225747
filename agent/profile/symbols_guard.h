/*
 * A way out of libdw. The library ends the process when memory runs out (its handler must not
 * return) and by asserts when debug information is damaged in ways it did not expect; the program
 * must survive both. Work on debug information runs inside pa_symbols_guard; whoever would end
 * the process calls pa_symbols_bail (symbols.h) first.
 *
 * What was being worked on is lost: its memory is leaked, and it must not be touched again.
 *
 * Context: PA_AGENT, the render thread only.
 */
#ifndef PA_SYMBOLS_GUARD_H
#define PA_SYMBOLS_GUARD_H

#include "../base/base.h"

/* Runs work(arg). False: it was left half done. Not nested. */
PA_AGENT bool pa_symbols_guard(void (*work)(void *arg), void *arg);

#endif
