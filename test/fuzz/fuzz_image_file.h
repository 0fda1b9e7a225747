/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ELF file with the sections that a target gives. Included by one file of a target.
 */
#ifndef FUZZ_IMAGE_FILE_H
#define FUZZ_IMAGE_FILE_H

#include <elf.h>

#define FILE_SECTIONS 16

/* Zeroed, then filled by file_add, then made. */
struct file {
	uint32_t count;
	const char *names[FILE_SECTIONS];
	struct input contents[FILE_SECTIONS];
	uint64_t flags[FILE_SECTIONS];
	uint8_t *bytes; /* to be freed */
	size_t size;
};

static inline void file_add(struct file *file, const char *name, struct input contents,
	uint64_t flags)
{
	must(file->count < FILE_SECTIONS);
	file->names[file->count] = name;
	file->contents[file->count] = contents;
	file->flags[file->count++] = flags;
}

static inline size_t file_put(struct file *file, const void *bytes, size_t count)
{
	size_t at = file->size;

	file->size += count;
	file->bytes = realloc(file->bytes, file->size + 1);
	must(file->bytes);
	if (count)
		memcpy(file->bytes + at, bytes, count);
	return at;
}

/* Header, contents, names, section headers: the first empty, the last the names'. */
static inline void file_make(struct file *file)
{
	Elf64_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = 1,
		.e_ehsize = sizeof(header),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = (uint16_t)(file->count + 2),
		.e_shstrndx = (uint16_t)(file->count + 1) };
	Elf64_Shdr table[FILE_SECTIONS + 2] = { 0 };
	size_t i, names_at;

	file_put(file, &header, sizeof(header));
	for (i = 0; i < file->count; i++)
		table[i + 1] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS,
			.sh_flags = file->flags[i],
			.sh_offset = file_put(file, file->contents[i].at, file->contents[i].left),
			.sh_size = file->contents[i].left,
			.sh_addralign = 1 };
	names_at = file_put(file, "", 1);
	for (i = 0; i < file->count; i++)
		table[i + 1].sh_name =
			(uint32_t)(file_put(file, file->names[i], strlen(file->names[i]) + 1) -
				names_at);
	table[i + 1] = (Elf64_Shdr){ .sh_type = SHT_STRTAB,
		.sh_offset = names_at,
		.sh_size = file->size - names_at,
		.sh_addralign = 1 };
	while (file->size % 8)
		file_put(file, "", 1);
	header.e_shoff = file_put(file, table, (file->count + 2) * sizeof(table[0]));
	memcpy(file->bytes, &header, sizeof(header));
}

#endif
