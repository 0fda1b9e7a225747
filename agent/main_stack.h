/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of the main thread's stack. Context: PA_BOOT, any thread of the program. */
#ifndef PA_MAIN_STACK_H
#define PA_MAIN_STACK_H

#include "base/base.h"

/* Sets the bounds in pa_record. */
PA_BOOT void pa_main_stack_measure(void);

#endif
