/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of ELF files. Files are read with pread(), never mapped: access to a mapped file that is
 * truncated meanwhile raises SIGBUS in the program (mmap(2)). All bounds are checked here; results
 * are copies.
 *
 * Context: PA_AGENT; an open file is used by one thread. No lock. It owns its descriptor and memory
 * until pa_symbols_elf_close.
 */
#ifndef PA_SYMBOLS_ELF_H
#define PA_SYMBOLS_ELF_H

#include <elf.h>
#include <limits.h>

#include "../modules/maps.h"

struct pa_symbols_elf {
	int fd;               /* -1: read from image */
	const uint8_t *image; /* owned by the caller */
	uint64_t bytes;
	uint64_t device, inode;
	int64_t time_ns; /* of its last modification */
	Elf64_Ehdr header;
	Elf64_Shdr *sections; /* section_count headers; NULL: none */
	uint32_t section_count;
	char *names; /* of sections; ends with NUL */
	size_t names_bytes;
	char path[PATH_MAX]; /* "" for an image */
};

/* Takes ownership of fd, also on failure. Returns 0 or -errno; -ENOEXEC: not a 64-bit little-endian
 * ELF file. */
PA_AGENT int pa_symbols_elf_open(struct pa_symbols_elf *elf, int fd, const char *path);
PA_AGENT int pa_symbols_elf_open_image(struct pa_symbols_elf *elf, const void *image,
	uint64_t bytes);
PA_AGENT void pa_symbols_elf_close(struct pa_symbols_elf *elf);

/* True if all bytes at offset were read. */
PA_AGENT bool pa_symbols_elf_read(const struct pa_symbols_elf *elf, void *to, uint64_t offset,
	size_t bytes);

/* Name of the section; "" if it has none. */
PA_AGENT const char *pa_symbols_elf_name(const struct pa_symbols_elf *elf,
	const Elf64_Shdr *section);

/* First section of that name with contents in the file, or NULL. */
PA_AGENT const Elf64_Shdr *pa_symbols_elf_find(const struct pa_symbols_elf *elf, const char *name);

/* First section of that type (SHT_...) with contents in the file, or NULL. */
PA_AGENT const Elf64_Shdr *pa_symbols_elf_find_type(const struct pa_symbols_elf *elf,
	uint32_t type);

/* Loads the contents of a section, at most max bytes, into memory of pa_map with a NUL behind it;
 * the caller unmaps section->sh_size + 1 bytes. NULL: too large, not in the file, or no memory. */
PA_AGENT void *pa_symbols_elf_load(const struct pa_symbols_elf *elf, const Elf64_Shdr *section,
	uint64_t max);

/* GNU build-id of the file. Returns its length in bytes; 0: none. */
PA_AGENT uint32_t pa_symbols_elf_build_id(const struct pa_symbols_elf *elf,
	uint8_t out[PA_BUILD_ID_BYTES]);

/* Reads program header i of the file. False: there is none. */
PA_AGENT bool pa_symbols_elf_phdr(const struct pa_symbols_elf *elf, uint32_t i, Elf64_Phdr *phdr);

#endif
