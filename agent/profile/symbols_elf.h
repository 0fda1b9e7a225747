/*
 * ELF files, read with pread and never mapped: a file that is truncated while we look at it must
 * not kill the program with SIGBUS. All bounds are checked here; what is handed out is our memory.
 *
 * Context: PA_AGENT, the render thread only. An open file owns its descriptor and memory until
 * pa_symbols_elf_close.
 */
#ifndef PA_SYMBOLS_ELF_H
#define PA_SYMBOLS_ELF_H

#include <elf.h>
#include <limits.h>

#include "maps.h"

struct pa_symbols_elf {
	int fd;               /* -1: the file is image */
	const uint8_t *image; /* the caller's */
	uint64_t bytes;
	uint64_t device, inode;
	Elf64_Ehdr header;
	Elf64_Shdr *sections; /* section_count of them; NULL when there are none */
	uint32_t section_count;
	char *names;          /* of sections; ends with NUL */
	size_t names_bytes;
	char path[PATH_MAX];  /* "" for an image */
};

/* Takes over fd (also on failure). 0 or -errno; -ENOEXEC: not an ELF file that we can read. */
PA_AGENT int pa_symbols_elf_open(struct pa_symbols_elf *elf, int fd, const char *path);
PA_AGENT int pa_symbols_elf_open_image(struct pa_symbols_elf *elf, const void *image,
	uint64_t bytes);
PA_AGENT void pa_symbols_elf_close(struct pa_symbols_elf *elf);

/* True when all bytes at offset were read. */
PA_AGENT bool pa_symbols_elf_read(const struct pa_symbols_elf *elf, void *to, uint64_t offset,
	size_t bytes);

/* The section's name; "" when it has none. */
PA_AGENT const char *pa_symbols_elf_name(const struct pa_symbols_elf *elf,
	const Elf64_Shdr *section);

/* The first section of that name with contents in the file, or NULL. */
PA_AGENT const Elf64_Shdr *pa_symbols_elf_find(const struct pa_symbols_elf *elf, const char *name);

/* The first section of that type (SHT_...) with contents in the file, or NULL. */
PA_AGENT const Elf64_Shdr *pa_symbols_elf_find_type(const struct pa_symbols_elf *elf,
	uint32_t type);

/*
 * The contents of a section, at most max bytes, in memory of pa_map with one NUL behind them; unmap
 * section->sh_size + 1 bytes. NULL: too large, not in the file, or no memory.
 */
PA_AGENT void *pa_symbols_elf_load(const struct pa_symbols_elf *elf, const Elf64_Shdr *section,
	uint64_t max);

/* GNU build-id of the file; the number of bytes, 0 when it has none. */
PA_AGENT uint32_t pa_symbols_elf_build_id(const struct pa_symbols_elf *elf,
	uint8_t out[PA_BUILD_ID_BYTES]);

/* Program header i of the file. */
PA_AGENT bool pa_symbols_elf_phdr(const struct pa_symbols_elf *elf, uint32_t i, Elf64_Phdr *phdr);

#endif
