/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a shared object is complete. The loader maps the sizes in its headers, and access to a
 * truncated file (full disk, unfinished upgrade) raises SIGBUS (mmap(2)).
 *
 * Context: PA_APP, for boot and for the agent's threads. No state.
 */
#ifndef PA_ELF_COMPLETE_H
#define PA_ELF_COMPLETE_H

#include "base/base.h"

/* True when no part of the file is missing, or when dlopen will report the error. */
PA_APP bool pa_elf_complete_file(const char *path);

#endif
