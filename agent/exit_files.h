/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles written to files when the program ends: PPROFAGENT_CPUPROFILE etc.
 *
 * Context: boot PA_BOOT; write on the program's thread that ends the process, by any path. No lock.
 * output_file.h writes the files. A failure is counted.
 */
#ifndef PA_EXIT_FILES_H
#define PA_EXIT_FILES_H

#include "base/env.h"

/* Makes the paths absolute and reports files that cannot be created. exe: as in pa_env_read. */
PA_BOOT void pa_exit_files_boot(const struct pa_settings *settings, const char *exe);

/* True when a CPU profile is to be taken from the start. */
PA_BOOT bool pa_exit_files_want_cpu(void);

/* True when a file is to be written: even a short-lived program then needs the core. */
PA_APP bool pa_exit_files_wanted(void);

/* No file is written: the core cannot run. */
PA_BOOT void pa_exit_files_forget(void);

/* Writes the files, once in the life of the process. errno kept. */
PA_APP void pa_exit_files_write(void);

/* In a forked child: only names with %p are written, with its own pid. */
PA_BOOT void pa_exit_files_atfork_child(void);

#endif
