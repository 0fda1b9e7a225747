/*
 * Programs that are not to be profiled unless somebody names them: they only hand the agent on.
 *
 * Context: PA_BOOT; pure functions.
 */
#ifndef PA_LAUNCHERS_H
#define PA_LAUNCHERS_H

#include "base.h"

/* programs: globs of those to be profiled, launcher or not, as PPROFAGENT_PROGRAMS has them; "":
 * all but launchers. exe: name of the program. */
PA_BOOT bool pa_launchers_have(const char *programs, const char *exe);

/* It starts several programs at once, as a pipeline does. */
PA_BOOT bool pa_launchers_is_shell(const char *exe);

/* By its arguments, it makes sure that it has one thread and that its children have: whoever names
 * it, it must not have ours. */
PA_BOOT bool pa_launchers_one_thread(char *const *argv);

#endif
