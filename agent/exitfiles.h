/*
 * Profiles that are written to files when the program ends: PPROFAGENT_CPUPROFILE and its kin.
 *
 * Context: boot PA_BOOT; write on the program's thread that ends the process, whichever way.
 * How a file is written: outfile.h. One that could not be is counted.
 */
#ifndef PA_EXITFILES_H
#define PA_EXITFILES_H

#include "base/env.h"

/* Makes the paths absolute and says what cannot be created. exe: as pa_env_read has it. */
PA_BOOT void pa_exitfiles_boot(const struct pa_settings *settings, const char *exe);

/* A CPU profile is to be taken from the start on. */
PA_BOOT bool pa_exitfiles_want_cpu(void);

/* Some file is to be written: the core will be needed even by a program that is soon over. */
PA_BOOT bool pa_exitfiles_wanted(void);

/* Writes them, once in the life of the process. errno kept. */
PA_APP void pa_exitfiles_write(void);

/* In a forked child: only names with %p in them are written, under its own pid. */
PA_BOOT void pa_exitfiles_atfork_child(void);

#endif
