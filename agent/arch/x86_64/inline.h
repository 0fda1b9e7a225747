/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64: the inline functions of arch.h.
 *
 * Context: as in arch.h.
 */
#ifndef PA_ARCH_X86_64_INLINE_H
#define PA_ARCH_X86_64_INLINE_H

#include "atomics.h"
#include "flags.h"
#include "signal_frame.h"
#include "system_call.h"

#endif
