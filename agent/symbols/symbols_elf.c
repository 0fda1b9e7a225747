/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_elf.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../modules/maps_image.h"

#define MAX_SECTIONS 100000
#define MAX_NAMES_BYTES (16 << 20)
#define MAX_NOTES_BYTES 4096

PA_AGENT bool pa_symbols_elf_read(const struct pa_symbols_elf *elf, void *to, uint64_t offset,
	size_t bytes)
{
	size_t done = 0;

	if (offset > elf->bytes || bytes > elf->bytes - offset)
		return false;
	if (elf->fd < 0) {
		memcpy(to, elf->image + offset, bytes);
		return true;
	}
	while (done < bytes) {
		ssize_t got =
			pread(elf->fd, (char *)to + done, bytes - done, (off_t)(offset + done));

		if (got == 0 || (got < 0 && errno != EINTR))
			return false;
		done += got > 0 ? (size_t)got : 0;
	}
	return true;
}

/* Counts that do not fit into the header are in the first section header (elf(5)). */
static bool count_sections(struct pa_symbols_elf *elf, uint32_t *names_index)
{
	const Elf64_Ehdr *header = &elf->header;
	Elf64_Shdr first;

	if (header->e_shoff == 0 || header->e_shentsize != sizeof(first) ||
		!pa_symbols_elf_read(elf, &first, header->e_shoff, sizeof(first)))
		return false;
	uint64_t count = header->e_shnum ? header->e_shnum : first.sh_size;
	*names_index = header->e_shstrndx == SHN_XINDEX ? first.sh_link : header->e_shstrndx;
	if (count > MAX_SECTIONS)
		return false;
	elf->section_count = (uint32_t)count;
	return count > 0;
}

/* A file without sections is accepted: it has no symbols. */
static void read_sections(struct pa_symbols_elf *elf)
{
	uint32_t names_index;
	size_t bytes;

	if (!count_sections(elf, &names_index)) {
		elf->section_count = 0;
		return;
	}
	bytes = elf->section_count * sizeof(*elf->sections);
	elf->sections = pa_map(bytes);
	if (!elf->sections ||
		!pa_symbols_elf_read(elf, elf->sections, elf->header.e_shoff, bytes)) {
		if (elf->sections)
			pa_unmap(elf->sections, bytes);
		elf->sections = NULL;
		elf->section_count = 0;
		return;
	}
	if (names_index >= elf->section_count)
		return;
	elf->names = pa_symbols_elf_load(elf, &elf->sections[names_index], MAX_NAMES_BYTES);
	elf->names_bytes = elf->names ? elf->sections[names_index].sh_size + 1 : 0;
}

static int read_header(struct pa_symbols_elf *elf)
{
	if (!pa_symbols_elf_read(elf, &elf->header, 0, sizeof(elf->header)) ||
		!pa_maps_image_is_elf(&elf->header))
		return -ENOEXEC;
	read_sections(elf);
	return 0;
}

PA_AGENT int pa_symbols_elf_open(struct pa_symbols_elf *elf, int fd, const char *path)
{
	struct stat st;
	int error = 0;

	memset(elf, 0, sizeof(*elf));
	elf->fd = fd;
	if (strlen(path) < sizeof(elf->path))
		strcpy(elf->path, path);
	if (fstat(fd, &st) < 0)
		error = -errno;
	else if (!S_ISREG(st.st_mode))
		error = -ENOEXEC;
	if (!error) {
		elf->bytes = (uint64_t)st.st_size;
		elf->device = st.st_dev;
		elf->inode = st.st_ino;
		elf->time_ns = st.st_mtim.tv_sec * PA_NS_PER_S + st.st_mtim.tv_nsec;
		error = read_header(elf);
	}
	if (error)
		pa_symbols_elf_close(elf);
	return error;
}

PA_AGENT int pa_symbols_elf_open_image(struct pa_symbols_elf *elf, const void *image,
	uint64_t bytes)
{
	memset(elf, 0, sizeof(*elf));
	elf->fd = -1;
	elf->image = image;
	elf->bytes = bytes;
	return read_header(elf);
}

PA_AGENT void pa_symbols_elf_close(struct pa_symbols_elf *elf)
{
	if (elf->sections)
		pa_unmap(elf->sections, elf->section_count * sizeof(*elf->sections));
	if (elf->names)
		pa_unmap(elf->names, elf->names_bytes);
	if (elf->fd >= 0)
		close(elf->fd);
	memset(elf, 0, sizeof(*elf));
	elf->fd = -1;
}

PA_AGENT const char *pa_symbols_elf_name(const struct pa_symbols_elf *elf,
	const Elf64_Shdr *section)
{
	return section->sh_name < elf->names_bytes ? elf->names + section->sh_name : "";
}

static bool has_contents(const Elf64_Shdr *section)
{
	return section->sh_type != SHT_NULL && section->sh_type != SHT_NOBITS &&
		section->sh_size > 0;
}

PA_AGENT const Elf64_Shdr *pa_symbols_elf_find(const struct pa_symbols_elf *elf, const char *name)
{
	for (uint32_t i = 0; i < elf->section_count; i++) {
		const Elf64_Shdr *section = &elf->sections[i];

		if (has_contents(section) && strcmp(pa_symbols_elf_name(elf, section), name) == 0)
			return section;
	}
	return NULL;
}

PA_AGENT const Elf64_Shdr *pa_symbols_elf_find_type(const struct pa_symbols_elf *elf, uint32_t type)
{
	for (uint32_t i = 0; i < elf->section_count; i++) {
		const Elf64_Shdr *section = &elf->sections[i];

		if (section->sh_type == type && has_contents(section))
			return section;
	}
	return NULL;
}

PA_AGENT void *pa_symbols_elf_load(const struct pa_symbols_elf *elf, const Elf64_Shdr *section,
	uint64_t max)
{
	void *contents;

	/* Checked before the allocation: a size in a damaged header can be anything. */
	if (!has_contents(section) || section->sh_size > max || section->sh_offset > elf->bytes ||
		section->sh_size > elf->bytes - section->sh_offset)
		return NULL;
	contents = pa_map(section->sh_size + 1);
	if (!contents)
		return NULL;
	if (pa_symbols_elf_read(elf, contents, section->sh_offset, section->sh_size))
		return contents;
	pa_unmap(contents, section->sh_size + 1);
	return NULL;
}

PA_AGENT bool pa_symbols_elf_phdr(const struct pa_symbols_elf *elf, uint32_t i, Elf64_Phdr *phdr)
{
	return i < elf->header.e_phnum && elf->header.e_phentsize == sizeof(*phdr) &&
		elf->header.e_phoff <= elf->bytes &&
		pa_symbols_elf_read(elf, phdr, elf->header.e_phoff + i * sizeof(*phdr),
			sizeof(*phdr));
}

static uint32_t note_at(const struct pa_symbols_elf *elf, uint64_t offset, uint64_t bytes,
	uint64_t align, uint8_t out[PA_BUILD_ID_BYTES])
{
	uint8_t notes[MAX_NOTES_BYTES];

	if (bytes > sizeof(notes))
		bytes = sizeof(notes);
	if (!pa_symbols_elf_read(elf, notes, offset, bytes))
		return 0;
	return pa_maps_image_note(notes, bytes, align, out);
}

PA_AGENT uint32_t pa_symbols_elf_build_id(const struct pa_symbols_elf *elf,
	uint8_t out[PA_BUILD_ID_BYTES])
{
	Elf64_Phdr phdr;
	uint32_t found = 0;

	/* Sections first: the program headers of a separate debug file point to no data. */
	for (uint32_t i = 0; i < elf->section_count && !found; i++) {
		const Elf64_Shdr *section = &elf->sections[i];

		if (section->sh_type == SHT_NOTE)
			found = note_at(elf, section->sh_offset, section->sh_size,
				section->sh_addralign, out);
	}
	for (uint32_t i = 0; !found && i < PA_MAPS_IMAGE_PHDRS; i++) {
		if (!pa_symbols_elf_phdr(elf, i, &phdr))
			break;
		if (phdr.p_type == PT_NOTE)
			found = note_at(elf, phdr.p_offset, phdr.p_filesz, phdr.p_align, out);
	}
	return found;
}
