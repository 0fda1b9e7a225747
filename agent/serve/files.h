/*
 * Profiles for the program itself: pprofagent.h, and files that are written at exit.
 *
 * Context: PA_APP, called through the bridge on threads of the program; the work is done by the
 * collector and the render thread, which is started when there is none yet.
 */
#ifndef PA_FILES_H
#define PA_FILES_H

#include "../base/base.h"

/* The render thread: the calling one, after pa_collect_claim said so. */
PA_AGENT void pa_files_render(void) __attribute__((noreturn));

/* Fills pa_core_bridge->api. */
PA_AGENT void pa_files_init(void);

#endif
