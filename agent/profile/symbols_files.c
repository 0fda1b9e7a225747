#include "symbols_files.h"

#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <string.h>

#include "../base/arena.h"
#include "maps_image.h"
#include "symbols_room.h"

#define MAX_LINK_BYTES 4096
#define MAX_PACKED_BYTES ((uint64_t)32 << 20)
#define MAX_UNPACKED_BYTES ((uint64_t)256 << 20)
/* For unpacking, besides what comes out: a dictionary, of 64 MiB at "xz -9". */
#define MAX_UNPACKER_BYTES ((uint64_t)96 << 20)
#define CRC_BLOCK 65536
/* To read more for its checksum takes too long, and a file with holes may have any size. */
#define MAX_CRC_BYTES ((uint64_t)1 << 30)

static struct {
	const char *directory;
	uint32_t crc_table[256]; /* [1] = 0: not computed yet */
} state = { .directory = "/usr/lib/debug" };

PA_AGENT void pa_symbols_files_set_directory(const char *directory)
{
	state.directory = directory;
}

static int open_path(struct pa_symbols_elf *elf, const char *path)
{
	int fd = pa_maps_open(path);

	return fd < 0 ? fd : pa_symbols_elf_open(elf, fd, path);
}

static bool has_build_id(const struct pa_symbols_elf *elf, const uint8_t *build_id, uint32_t bytes)
{
	uint8_t own[PA_BUILD_ID_BYTES];

	return pa_symbols_elf_build_id(elf, own) == bytes && memcmp(own, build_id, bytes) == 0;
}

/* ---------------------------------------------------------------- the mapped file */

/* The file's headers are those in memory: on overlay file systems maps shows another device. */
static bool same_headers(const struct pa_symbols_elf *elf, const struct pa_module *module)
{
	struct pa_maps_image image;
	Elf64_Ehdr header;
	Elf64_Phdr phdr;

	if (!module->is_elf || pa_load_relaxed(&module->dead) ||
			!pa_maps_read_memory(&header, module->start, sizeof(header)) ||
			memcmp(&header, &elf->header, sizeof(header)) != 0 ||
			!pa_maps_image_read(&image, module->start))
		return false;
	for (uint32_t i = 0; i < image.phdr_count; i++) {
		if (!pa_symbols_elf_phdr(elf, i, &phdr) ||
				memcmp(&phdr, &image.phdrs[i], sizeof(phdr)) != 0)
			return false;
	}
	return true;
}

static bool is_module(const struct pa_symbols_elf *elf, const struct pa_module *module)
{
	if (module->build_id_bytes)
		return has_build_id(elf, module->build_id, module->build_id_bytes);
	if (elf->inode != module->inode)
		return false;
	return elf->device == module->device || same_headers(elf, module);
}

static int open_module(struct pa_symbols_elf *elf, const char *path,
	const struct pa_module *module)
{
	int error = open_path(elf, path);

	if (!error && !is_module(elf, module)) {
		pa_symbols_elf_close(elf);
		error = -ESTALE;
	}
	return error;
}

PA_AGENT int pa_symbols_files_module(const struct pa_module *module, struct pa_symbols_elf *elf)
{
	char path[64];
	int error = open_module(elf, module->path, module);

	/* The kernel's own links lead to files without a name, too. */
	if (error && module->is_main)
		error = open_module(elf, "/proc/thread-self/exe", module);
	for (uint32_t i = 0; error && i < module->segment_count && module->inode; i++) {
		snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx",
			(unsigned long)module->segments[i].start,
			(unsigned long)module->segments[i].limit);
		error = open_module(elf, path, module);
	}
	return error;
}

/* ---------------------------------------------------------------- separate debug files */

/* Opens <directory>/.build-id/xx/yyyy.debug. */
static int open_by_build_id(struct pa_symbols_elf *elf, const uint8_t *build_id, uint32_t bytes)
{
	char path[PATH_MAX], hex[2 * PA_BUILD_ID_BYTES + 1] = "";

	if (bytes < 2)
		return -ENOENT;
	for (uint32_t i = 0; i < bytes; i++)
		snprintf(hex + 2 * i, 3, "%02x", build_id[i]);
	int length = snprintf(path, sizeof(path), "%s/.build-id/%.2s/%s.debug", state.directory,
		hex, hex + 2);
	if (length >= (int)sizeof(path))
		return -ENAMETOOLONG;
	int error = open_path(elf, path);
	if (!error && !has_build_id(elf, build_id, bytes)) {
		pa_symbols_elf_close(elf);
		error = -ESTALE;
	}
	return error;
}

/* The checksum of debug links: CRC-32 as in zlib. */
static const uint32_t *crc_table(void)
{
	for (uint32_t i = 0; i < 256 && !state.crc_table[255]; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
		state.crc_table[i] = crc;
	}
	return state.crc_table;
}

static bool has_crc(const struct pa_symbols_elf *elf, uint32_t wanted)
{
	const uint32_t *table = crc_table();
	uint8_t *block = elf->bytes <= MAX_CRC_BYTES ? pa_map(CRC_BLOCK) : NULL;
	uint32_t crc = ~0u;
	uint64_t at = 0;

	while (block && at < elf->bytes) {
		size_t part = elf->bytes - at < CRC_BLOCK ? elf->bytes - at : CRC_BLOCK;

		if (!pa_symbols_elf_read(elf, block, at, part))
			break;
		for (size_t i = 0; i < part; i++)
			crc = table[(crc ^ block[i]) & 0xff] ^ crc >> 8;
		at += part;
	}
	if (block)
		pa_unmap(block, CRC_BLOCK);
	return block && at == elf->bytes && ~crc == wanted;
}

/* What a debug link says. */
struct link {
	char name[NAME_MAX + 1];
	uint32_t crc;
};

static bool read_link(const struct pa_symbols_elf *file, struct link *link)
{
	const Elf64_Shdr *section = pa_symbols_elf_find(file, ".gnu_debuglink");
	char *text = section ? pa_symbols_elf_load(file, section, MAX_LINK_BYTES) : NULL;
	bool good = false;

	if (!text)
		return false;
	size_t length = strlen(text), crc_at = PA_ALIGN_UP(length + 1, 4);
	if (length > 0 && length < sizeof(link->name) && !strchr(text, '/') &&
			crc_at + sizeof(link->crc) <= section->sh_size) {
		memcpy(link->name, text, length + 1);
		memcpy(&link->crc, text + crc_at, sizeof(link->crc));
		good = true;
	}
	pa_unmap(text, section->sh_size + 1);
	return good;
}

/* By build-id if both have one: reading all of a large file for its checksum takes long. */
static bool is_debug_of(const struct pa_symbols_elf *debug, const struct pa_module *module,
	const struct pa_symbols_elf *file, const struct link *link)
{
	uint8_t build_id[PA_BUILD_ID_BYTES];

	if (debug->device == file->device && debug->inode == file->inode)
		return false;
	if (module->build_id_bytes && pa_symbols_elf_build_id(debug, build_id))
		return has_build_id(debug, module->build_id, module->build_id_bytes);
	return has_crc(debug, link->crc);
}

static int open_by_link(struct pa_symbols_elf *debug, const struct pa_module *module,
	const struct pa_symbols_elf *file)
{
	const char *const before[] = { "", "", state.directory };
	const char *const behind[] = { "/", "/.debug/", "/" };
	const char *slash = strrchr(module->path, '/');
	char path[PATH_MAX];
	struct link link;

	if (!slash || !read_link(file, &link))
		return -ENOENT;
	for (size_t i = 0; i < PA_COUNT(before); i++) {
		int length = snprintf(path, sizeof(path), "%s%.*s%s%s", before[i],
			(int)(slash - module->path), module->path, behind[i], link.name);

		if (length >= (int)sizeof(path) || open_path(debug, path) != 0)
			continue;
		if (is_debug_of(debug, module, file, &link))
			return 0;
		pa_symbols_elf_close(debug);
	}
	return -ENOENT;
}

PA_AGENT int pa_symbols_files_debug(const struct pa_module *module,
	const struct pa_symbols_elf *file, struct pa_symbols_elf *debug)
{
	int error = open_by_build_id(debug, module->build_id, module->build_id_bytes);

	if (error && file)
		error = open_by_link(debug, module, file);
	return error;
}

static int open_shared(const struct pa_symbols_elf *debug, const char *name,
	struct pa_symbols_elf *shared)
{
	const char *slash = strrchr(debug->path, '/');
	char path[PATH_MAX];

	if (name[0] == '/')
		return open_path(shared, name);
	if (!slash)
		return -ENOENT;
	int length = snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - debug->path),
		debug->path, name);
	return length < (int)sizeof(path) ? open_path(shared, path) : -ENAMETOOLONG;
}

PA_AGENT int pa_symbols_files_shared(const struct pa_symbols_elf *debug,
	struct pa_symbols_elf *shared)
{
	const Elf64_Shdr *section = pa_symbols_elf_find(debug, ".gnu_debugaltlink");
	char *text = section ? pa_symbols_elf_load(debug, section, MAX_LINK_BYTES) : NULL;
	int error = -ENOENT;

	if (!text)
		return error;
	size_t name_bytes = strlen(text) + 1;
	const uint8_t *build_id = (const uint8_t *)text + name_bytes;
	if (name_bytes < section->sh_size && section->sh_size - name_bytes <= PA_BUILD_ID_BYTES) {
		uint32_t bytes = (uint32_t)(section->sh_size - name_bytes);

		error = open_by_build_id(shared, build_id, bytes);
		if (error)
			error = open_shared(debug, text, shared);
		if (!error && !has_build_id(shared, build_id, bytes)) {
			pa_symbols_elf_close(shared);
			error = -ESTALE;
		}
	}
	pa_unmap(text, section->sh_size + 1);
	return error;
}

/* ---------------------------------------------------------------- packed symbol table */

/* A number of an xz index: seven bits a byte, lowest first. False at the end of the text. */
static bool take_number(const uint8_t **at, const uint8_t *end, uint64_t *number)
{
	*number = 0;
	for (unsigned shift = 0; *at < end && shift < 63; shift += 7) {
		uint8_t byte = *(*at)++;

		*number |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/*
 * The size that an xz stream says it has when unpacked, out of the index at its end; UINT64_MAX
 * when that is damaged. Few bytes can claim to become any amount of memory.
 */
static uint64_t unpacked_bytes(const uint8_t *packed, uint64_t bytes)
{
	const uint64_t footer = 12;
	uint64_t records, unused, size, sum = 0;
	uint32_t back;

	if (bytes < 2 * footer || packed[bytes - 2] != 'Y' || packed[bytes - 1] != 'Z')
		return UINT64_MAX;
	memcpy(&back, packed + bytes - 8, sizeof(back));
	uint64_t index = ((uint64_t)back + 1) * 4;
	if (index > bytes - 2 * footer)
		return UINT64_MAX;
	const uint8_t *end = packed + bytes - footer, *at = end - index;
	if (*at++ != 0 || !take_number(&at, end, &records))
		return UINT64_MAX;
	for (; records; records--) {
		if (!take_number(&at, end, &unused) || !take_number(&at, end, &size) ||
				size > MAX_UNPACKED_BYTES || sum > MAX_UNPACKED_BYTES)
			return UINT64_MAX;
		sum += size;
	}
	return sum;
}

/*
 * True when the stream is good and becomes just what its index says. That is all the room there is,
 * so an index that lies gets no more.
 */
static bool unpack(const uint8_t *packed, size_t packed_count, uint8_t *out, size_t count)
{
	uint64_t memory = MAX_UNPACKER_BYTES;
	size_t packed_at = 0, at = 0;

	return lzma_stream_buffer_decode(&memory, 0, NULL, packed, &packed_at, packed_count, out,
		       &at, count) == LZMA_OK && at == count;
}

PA_AGENT bool pa_symbols_files_packed(const struct pa_symbols_elf *file,
	void (*use)(void *arg, const struct pa_symbols_elf *packed), void *arg)
{
	const Elf64_Shdr *section = pa_symbols_elf_find(file, ".gnu_debugdata");
	uint8_t *packed = section ? pa_symbols_elf_load(file, section, MAX_PACKED_BYTES) : NULL;
	struct pa_symbols_elf unpacked;

	if (!packed)
		return false;
	uint64_t bytes = unpacked_bytes(packed, section->sh_size);
	bool fits = bytes <= MAX_UNPACKED_BYTES && pa_symbols_room_for(bytes);
	uint8_t *image = fits ? pa_map(bytes) : NULL;
	bool good = image && unpack(packed, section->sh_size, image, bytes) &&
		pa_symbols_elf_open_image(&unpacked, image, bytes) == 0;
	if (good) {
		use(arg, &unpacked);
		pa_symbols_elf_close(&unpacked);
	}
	pa_unmap(image, bytes);
	pa_unmap(packed, section->sh_size + 1);
	return good;
}
