/*
 * Which file has a module's names: the mapped file itself, its separate debug file, the small
 * symbol table that may be packed into it. A file is used only when it is proven to belong to the
 * module: by build-id where there is one, else by device and inode, or by its checksum.
 *
 * Context: PA_AGENT, the render thread only. Nothing is ever fetched from the network.
 */
#ifndef PA_SYMBOLS_FILES_H
#define PA_SYMBOLS_FILES_H

#include "symbols_elf.h"

/* The file that is mapped. 0 or -errno: it is gone, or another one stands in its place. */
PA_AGENT int pa_symbols_files_module(const struct pa_module *module, struct pa_symbols_elf *elf);

/*
 * Its separate debug file, by build-id, then by the debug link in the file (NULL: that is gone).
 * 0 or -errno.
 */
PA_AGENT int pa_symbols_files_debug(const struct pa_module *module,
	const struct pa_symbols_elf *file, struct pa_symbols_elf *debug);

/* The debug file that several debug files share (.gnu_debugaltlink). 0 or -errno. */
PA_AGENT int pa_symbols_files_shared(const struct pa_symbols_elf *debug,
	struct pa_symbols_elf *shared);

/*
 * The symbol table that is packed into the file (.gnu_debugdata) as an ELF file: calls use with it.
 * False when there is none.
 */
PA_AGENT bool pa_symbols_files_packed(const struct pa_symbols_elf *file,
	void (*use)(void *arg, const struct pa_symbols_elf *packed), void *arg);

/* Where separate debug files are; "/usr/lib/debug" unless a test says otherwise. */
PA_AGENT void pa_symbols_files_set_directory(const char *directory);

#endif
