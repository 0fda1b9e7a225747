/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows the perf map of this process while there are samples in code made at run time: where a
 * new line says that code was written over older code, later samples get locations of their own, so
 * that each keeps the name that was true when it was taken. A map that was written anew may have
 * changed everything.
 *
 * The map is looked at ten times a second at most, when there are events: samples taken shortly
 * before a change may get the name after it.
 *
 * Context: PA_AGENT, the collector only, without PA_LOCK_TABLES. Memory: one block during a look.
 */
#ifndef PA_JIT_CODE_H
#define PA_JIT_CODE_H

#include "../base/base.h"

PA_AGENT void pa_jit_code_look(void);

/* In a forked child, whose map is another one. */
PA_BOOT void pa_jit_code_atfork_child(void);

#endif
