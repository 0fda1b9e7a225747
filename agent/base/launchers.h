/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are not profiled unless PPROFAGENT_PROGRAMS names them: they only pass the agent
 * on.
 *
 * Context: PA_BOOT; pure functions.
 */
#ifndef PA_LAUNCHERS_H
#define PA_LAUNCHERS_H

#include "base.h"

/* True when the program is not to be profiled. programs: globs of the programs to profile, launcher
 * or not, as in PPROFAGENT_PROGRAMS; "": all but launchers. exe: name of the program. */
PA_BOOT bool pa_launchers_have(const char *programs, const char *exe);

/* True for a shell: it starts several programs at once, for a pipeline. */
PA_BOOT bool pa_launchers_is_shell(const char *exe);

/* True when the arguments name a process that requires one thread in itself and its children: the
 * agent starts no thread there, whatever PPROFAGENT_PROGRAMS says. */
PA_BOOT bool pa_launchers_one_thread(char *const *argv);

#endif
