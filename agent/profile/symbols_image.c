#include "symbols_image.h"

#include <errno.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "symbols_room.h"

/* Debug information above this is not looked at. */
#define MAX_BYTES ((uint64_t)1 << 30)
#define MAX_SECTIONS 16
#define ALIGNMENT 16
/* The deadline is looked at after each piece that is read. */
#define PIECE_BYTES ((uint64_t)1 << 20)

static const char *const wanted[] = {
	"info", "abbrev", "str", "line", "line_str", "ranges", "rnglists", "addr", "str_offsets",
	"types",
};

/* The sections to be copied. */
struct list {
	const struct pa_symbols_elf *file;
	const Elf64_Shdr *sections[MAX_SECTIONS];
	uint32_t count;
	uint64_t bytes, names_bytes, unpacked;
};

static bool is_wanted(const char *name)
{
	static const char plain[] = ".debug_", compressed[] = ".zdebug_";
	const char *rest = NULL;

	if (strncmp(name, plain, sizeof(plain) - 1) == 0)
		rest = name + sizeof(plain) - 1;
	else if (strncmp(name, compressed, sizeof(compressed) - 1) == 0)
		rest = name + sizeof(compressed) - 1;
	for (size_t i = 0; rest && i < PA_COUNT(wanted); i++) {
		if (strcmp(rest, wanted[i]) == 0)
			return true;
	}
	return false;
}

/* What a compressed section says it will be; anything when that is damaged. */
static uint64_t unpacked_bytes(const struct pa_symbols_elf *file, const Elf64_Shdr *section)
{
	uint8_t old[12]; /* "ZLIB" and the size, highest byte first */
	Elf64_Chdr header;
	uint64_t size = 0;

	if (section->sh_flags & SHF_COMPRESSED) {
		if (pa_symbols_elf_read(file, &header, section->sh_offset, sizeof(header)))
			size = header.ch_size;
	} else if (pa_symbols_elf_name(file, section)[1] == 'z' &&
			pa_symbols_elf_read(file, old, section->sh_offset, sizeof(old))) {
		for (size_t i = 4; i < sizeof(old); i++)
			size = size << 8 | old[i];
	}
	return size;
}

static bool list_sections(struct list *list, const struct pa_symbols_elf *file)
{
	memset(list, 0, sizeof(*list));
	list->file = file;
	for (uint32_t i = 0; i < file->section_count && list->count < MAX_SECTIONS; i++) {
		const Elf64_Shdr *section = &file->sections[i];
		const char *name = pa_symbols_elf_name(file, section);

		if (!is_wanted(name) || section->sh_type == SHT_NOBITS || section->sh_size == 0)
			continue;
		uint64_t unpacked = unpacked_bytes(file, section);
		if (section->sh_offset > file->bytes || unpacked > MAX_BYTES ||
				section->sh_size > file->bytes - section->sh_offset)
			return false;
		list->sections[list->count++] = section;
		list->names_bytes += strlen(name) + 1;
		list->bytes += PA_ALIGN_UP(section->sh_size, ALIGNMENT);
		list->unpacked += unpacked;
	}
	return true;
}

static int read_section(const struct pa_symbols_elf *file, const Elf64_Shdr *section, char *to,
	int64_t deadline_ns)
{
	for (uint64_t at = 0; at < section->sh_size; at += PIECE_BYTES) {
		uint64_t part = section->sh_size - at < PIECE_BYTES ? section->sh_size - at :
			PIECE_BYTES;

		if (!pa_symbols_elf_read(file, to + at, section->sh_offset + at, part))
			return -EIO;
		if (pa_clock_mono_ns() > deadline_ns)
			return -ETIME;
	}
	return 0;
}

/* Layout: header, sections, their names, section headers: the first empty, the last the names'. */
static int fill(struct pa_symbols_image *image, const struct list *list, int64_t deadline_ns)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)image->at;
	uint64_t at = sizeof(*header), names_at = at + list->bytes;
	uint64_t table_at = PA_ALIGN_UP(names_at + 1 + list->names_bytes + sizeof(".shstrtab"),
		ALIGNMENT);
	Elf64_Shdr *table = (Elf64_Shdr *)(image->at + table_at);
	char *names = image->at + names_at;
	uint32_t name = 1, i = 0;

	*header = list->file->header;
	header->e_type = ET_EXEC;
	header->e_phoff = 0;
	header->e_phnum = 0;
	header->e_shoff = table_at;
	header->e_shentsize = sizeof(*table);
	header->e_shnum = (uint16_t)(list->count + 2);
	header->e_shstrndx = (uint16_t)(list->count + 1);
	for (; i < list->count; i++) {
		const Elf64_Shdr *section = list->sections[i];
		int error = read_section(list->file, section, image->at + at, deadline_ns);

		if (error)
			return error;
		table[i + 1] = (Elf64_Shdr){ .sh_name = name, .sh_type = SHT_PROGBITS,
			.sh_flags = section->sh_flags & SHF_COMPRESSED, .sh_offset = at,
			.sh_size = section->sh_size, .sh_addralign = section->sh_addralign };
		strcpy(names + name, pa_symbols_elf_name(list->file, section));
		name += (uint32_t)strlen(names + name) + 1;
		at += PA_ALIGN_UP(section->sh_size, ALIGNMENT);
	}
	strcpy(names + name, ".shstrtab");
	table[i + 1] = (Elf64_Shdr){ .sh_name = name, .sh_type = SHT_STRTAB, .sh_offset = names_at,
		.sh_size = name + sizeof(".shstrtab"), .sh_addralign = 1 };
	return 0;
}

PA_AGENT int pa_symbols_image_make(struct pa_symbols_image *image,
	const struct pa_symbols_elf *file, int64_t deadline_ns)
{
	struct list list;

	memset(image, 0, sizeof(*image));
	if (!list_sections(&list, file))
		return -EIO;
	if (list.count == 0)
		return -ENODATA;
	if (list.bytes + list.unpacked > MAX_BYTES ||
			!pa_symbols_room_for(list.bytes + list.unpacked))
		return -EFBIG;
	image->bytes = sizeof(Elf64_Ehdr) + list.bytes + list.names_bytes + 2 * ALIGNMENT +
		sizeof(".shstrtab") + (list.count + 2) * sizeof(Elf64_Shdr);
	image->unpacked = list.unpacked;
	image->at = pa_map(image->bytes);
	if (!image->at)
		return -ENOMEM;
	int error = fill(image, &list, deadline_ns);
	if (error)
		pa_symbols_image_free(image);
	return error;
}

PA_AGENT void pa_symbols_image_free(struct pa_symbols_image *image)
{
	if (image->at)
		pa_unmap(image->at, image->bytes);
	memset(image, 0, sizeof(*image));
}
