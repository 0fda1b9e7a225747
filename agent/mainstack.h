/*
 * Where the main thread has its stack. Context: PA_BOOT, any thread of the program.
 */
#ifndef PA_MAINSTACK_H
#define PA_MAINSTACK_H

#include "base/base.h"

/* Sets the bounds in pa_record. */
PA_BOOT void pa_mainstack_measure(void);

#endif
