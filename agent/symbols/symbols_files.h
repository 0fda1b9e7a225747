/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the files with a module's symbols: the mapped file itself, its separate debug file, and the
 * symbol table compressed into it. A file is used only if it is proven to belong to the module: by
 * build-id if there is one, otherwise by device and inode, or by checksum.
 *
 * Context: PA_AGENT, any thread. No lock. The caller closes the files. Nothing is
 * fetched from the network.
 */
#ifndef PA_SYMBOLS_FILES_H
#define PA_SYMBOLS_FILES_H

#include "symbols_elf.h"

/* Opens the mapped file, also of an unloaded module. Returns 0 or -errno: it was deleted, or
 * replaced by another one, and is not held (held_files.h). */
PA_AGENT int pa_symbols_files_module(const struct pa_module *module, struct pa_symbols_elf *elf);

/*
 * Opens its separate debug file: by build-id, then by the debug link in file (NULL: not available).
 * Returns 0 or -errno. section: NULL, or one that it must have; it is then read for its checksum
 * only with that section, and if it is small.
 */
PA_AGENT int pa_symbols_files_debug(const struct pa_module *module,
	const struct pa_symbols_elf *file, const char *section, struct pa_symbols_elf *debug);

/* Opens the file shared by several debug files (.gnu_debugaltlink, .debug_sup). 0 or -errno. */
PA_AGENT int pa_symbols_files_shared(const struct pa_symbols_elf *debug,
	struct pa_symbols_elf *shared);

/* Calls use with the symbol table compressed into the file (.gnu_debugdata), as an ELF file. False:
 * there is none. */
PA_AGENT bool pa_symbols_files_packed(const struct pa_symbols_elf *file,
	void (*use)(void *arg, const struct pa_symbols_elf *packed), void *arg);

/* Directory of separate debug files, by default "/usr/lib/debug". For tests. */
PA_AGENT void pa_symbols_files_set_directory(const char *directory);

#endif
