/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent does when the program ends: it ends a trace, writes files (exit_files.h), and
 * removes the file of its unix socket (socket_file.h).
 *
 * Context: PA_APP, on the thread that ends the program: in the destructor, in _exit, in
 * quick_exit. No lock of its own. Calls that filters deny the thread are not made.
 */
#ifndef PA_PROGRAM_END_H
#define PA_PROGRAM_END_H

#include "core/bridge.h"

PA_BOOT void pa_program_end_boot(struct pa_bridge *bridge);

/* Not in a child by vfork. errno kept. */
PA_APP void pa_program_end(void);

#endif
