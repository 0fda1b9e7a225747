/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_files.h"

#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "../base/arena.h"
#include "../modules/held_files.h"
#include "../modules/maps_image.h"
#include "mem_headroom.h"

#define MAX_LINK_BYTES 4096
#define MAX_PACKED_BYTES ((uint64_t)32 << 20)
#define MAX_UNPACKED_BYTES ((uint64_t)256 << 20)
/* Decoder memory besides the output: the dictionary, 64 MiB for "xz -9". */
#define MAX_UNPACKER_BYTES ((uint64_t)96 << 20)
#define CRC_BLOCK 65536
/* Larger files are not read for their checksum: it takes too long, and a sparse file can have any
 * size. */
#define MAX_CRC_BYTES ((uint64_t)1 << 30)
#define MAX_CRC_BYTES_FOR_SECTION ((uint64_t)64 << 20) /* under PA_LOCK_TABLES: 60 ms */

static struct {
	const char *directory;
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

/* Compares the file's headers with those in memory: on overlayfs /proc/PID/maps shows another
 * device number than fstat(). */
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
	if (elf->inode != module->inode ||
		(module->file_time_ns && elf->time_ns != module->file_time_ns))
		return false;
	return elf->device == module->device || same_headers(elf, module);
}

/* Takes ownership of fd, which may be an error. */
static int take_module(struct pa_symbols_elf *elf, int fd, const char *path,
	const struct pa_module *module)
{
	int error = fd < 0 ? fd : pa_symbols_elf_open(elf, fd, path);

	if (!error && !is_module(elf, module)) {
		pa_symbols_elf_close(elf);
		error = -ESTALE;
	}
	return error;
}

static int open_module(struct pa_symbols_elf *elf, const char *path, const struct pa_module *module)
{
	return take_module(elf, pa_maps_open(path), path, module);
}

PA_AGENT int pa_symbols_files_module(const struct pa_module *module, struct pa_symbols_elf *elf)
{
	char path[64];
	int error = take_module(elf, pa_held_files_open(module), module->path, module);

	if (error)
		error = open_module(elf, module->path, module);
	/* The kernel's own links also open files that have been deleted. */
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

static bool has_crc(const struct pa_symbols_elf *elf, uint32_t wanted, uint64_t max_bytes)
{
	uint8_t *block = elf->bytes <= max_bytes ? pa_map(CRC_BLOCK) : NULL;
	uLong crc = crc32(0, NULL, 0);
	uint64_t at = 0;

	while (block && at < elf->bytes) {
		size_t part = elf->bytes - at < CRC_BLOCK ? elf->bytes - at : CRC_BLOCK;

		if (!pa_symbols_elf_read(elf, block, at, part))
			break;
		crc = crc32(crc, block, (uInt)part);
		at += part;
	}
	if (block)
		pa_unmap(block, CRC_BLOCK);
	return block && at == elf->bytes && crc == wanted;
}

/* Contents of .gnu_debuglink. */
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

static bool has_section(const struct pa_symbols_elf *debug, const char *section)
{
	return !section || pa_symbols_elf_find(debug, section);
}

/* Compares build-ids if both files have one: reading a whole large file for its checksum takes
 * long. */
static bool is_debug_of(const struct pa_symbols_elf *debug, const struct pa_module *module,
	const struct pa_symbols_elf *file, const struct link *link, const char *section)
{
	uint8_t build_id[PA_BUILD_ID_BYTES];

	if ((debug->device == file->device && debug->inode == file->inode) ||
		!has_section(debug, section))
		return false;
	if (module->build_id_bytes && pa_symbols_elf_build_id(debug, build_id))
		return has_build_id(debug, module->build_id, module->build_id_bytes);
	return has_crc(debug, link->crc, section ? MAX_CRC_BYTES_FOR_SECTION : MAX_CRC_BYTES);
}

static int open_by_link(struct pa_symbols_elf *debug, const struct pa_module *module,
	const struct pa_symbols_elf *file, const char *section)
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
		if (is_debug_of(debug, module, file, &link, section))
			return 0;
		pa_symbols_elf_close(debug);
	}
	return -ENOENT;
}

PA_AGENT int pa_symbols_files_debug(const struct pa_module *module,
	const struct pa_symbols_elf *file, const char *section, struct pa_symbols_elf *debug)
{
	int error = open_by_build_id(debug, module->build_id, module->build_id_bytes);

	if (!error && !has_section(debug, section)) {
		pa_symbols_elf_close(debug);
		error = -ENOENT;
	}
	if (error && file)
		error = open_by_link(debug, module, file, section);
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

/* By .gnu_debugaltlink: a name and a build-id. */
static int open_by_altlink(const struct pa_symbols_elf *debug, const char *text, size_t bytes,
	struct pa_symbols_elf *shared)
{
	size_t name_bytes = strlen(text) + 1;
	const uint8_t *build_id = (const uint8_t *)text + name_bytes;

	if (name_bytes >= bytes || bytes - name_bytes > PA_BUILD_ID_BYTES)
		return -ENOENT;
	uint32_t id_bytes = (uint32_t)(bytes - name_bytes);
	int error = open_by_build_id(shared, build_id, id_bytes);
	if (error)
		error = open_shared(debug, text, shared);
	if (!error && !has_build_id(shared, build_id, id_bytes)) {
		pa_symbols_elf_close(shared);
		error = -ESTALE;
	}
	return error;
}

/* Contents of .debug_sup (DWARF 5, 7.3.6). */
struct supplement {
	bool is_shared; /* the file is the supplementary one */
	char name[NAME_MAX + 1];
	uint8_t checksum[PA_BUILD_ID_BYTES];
	uint32_t checksum_bytes;
};

static bool parse_supplement(const uint8_t *text, size_t bytes, struct supplement *out)
{
	const size_t name_at = 3; /* behind the version and is_shared */
	size_t length =
		bytes > name_at ? strnlen((const char *)text + name_at, bytes - name_at) : 0;
	size_t sum_at = name_at + length + 2;

	memset(out, 0, sizeof(*out));
	if (bytes <= sum_at || length >= sizeof(out->name) || text[0] != 5 || text[1] != 0)
		return false;
	out->is_shared = text[2];
	memcpy(out->name, text + name_at, length);
	/* A ULEB128 number; longer checksums do not exist. */
	out->checksum_bytes = text[sum_at - 1];
	if (out->checksum_bytes == 0 || out->checksum_bytes > sizeof(out->checksum) ||
		out->checksum_bytes > bytes - sum_at)
		return false;
	memcpy(out->checksum, text + sum_at, out->checksum_bytes);
	return true;
}

static bool read_supplement(const struct pa_symbols_elf *file, struct supplement *out)
{
	const Elf64_Shdr *section = pa_symbols_elf_find(file, ".debug_sup");
	uint8_t *text = section ? pa_symbols_elf_load(file, section, MAX_LINK_BYTES) : NULL;
	bool good = text && parse_supplement(text, section->sh_size, out);

	if (text)
		pa_unmap(text, section->sh_size + 1);
	return good;
}

/* By .debug_sup: a name and a checksum that the other file has in its own .debug_sup. */
static int open_by_supplement(const struct pa_symbols_elf *debug, struct pa_symbols_elf *shared)
{
	struct supplement wanted, found;
	int error;

	if (!read_supplement(debug, &wanted) || wanted.is_shared)
		return -ENOENT;
	error = open_shared(debug, wanted.name, shared);
	if (error)
		error = open_by_build_id(shared, wanted.checksum, wanted.checksum_bytes);
	if (error)
		return error;
	if (read_supplement(shared, &found) && found.is_shared &&
		found.checksum_bytes == wanted.checksum_bytes &&
		memcmp(found.checksum, wanted.checksum, wanted.checksum_bytes) == 0)
		return 0;
	pa_symbols_elf_close(shared);
	return -ESTALE;
}

PA_AGENT int pa_symbols_files_shared(const struct pa_symbols_elf *debug,
	struct pa_symbols_elf *shared)
{
	const Elf64_Shdr *section = pa_symbols_elf_find(debug, ".gnu_debugaltlink");
	char *text = section ? pa_symbols_elf_load(debug, section, MAX_LINK_BYTES) : NULL;
	int error;

	if (!text)
		return open_by_supplement(debug, shared);
	error = open_by_altlink(debug, text, section->sh_size, shared);
	pa_unmap(text, section->sh_size + 1);
	return error;
}

/* ---------------------------------------------------------------- compressed symbol table */

/*
 * Reads a number of an xz index: seven bits per byte, lowest first. False at the end of the text.
 */
static bool take_xz_number(const uint8_t **at, const uint8_t *end, uint64_t *number)
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

/* Uncompressed size of an xz stream according to the index at its end; UINT64_MAX: damaged. Checked
 * first, because a few bytes can decompress to any amount of memory. */
static uint64_t unpacked_xz_bytes(const uint8_t *packed, uint64_t bytes)
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
	if (*at++ != 0 || !take_xz_number(&at, end, &records))
		return UINT64_MAX;
	for (; records; records--) {
		if (!take_xz_number(&at, end, &unused) || !take_xz_number(&at, end, &size) ||
			size > MAX_UNPACKED_BYTES || sum > MAX_UNPACKED_BYTES)
			return UINT64_MAX;
		sum += size;
	}
	return sum;
}

/* True if the stream is valid and decompresses to exactly the size in its index. The output is
 * limited to that size, so a wrong index gets no more memory. */
static bool unpack_xz(const uint8_t *packed, size_t packed_count, uint8_t *out, size_t count)
{
	uint64_t memory = MAX_UNPACKER_BYTES;
	size_t packed_at = 0, at = 0;

	return lzma_stream_buffer_decode(&memory, 0, NULL, packed, &packed_at, packed_count, out,
		       &at, count) == LZMA_OK &&
		at == count;
}

PA_AGENT bool pa_symbols_files_packed(const struct pa_symbols_elf *file,
	void (*use)(void *arg, const struct pa_symbols_elf *packed), void *arg)
{
	const Elf64_Shdr *section = pa_symbols_elf_find(file, ".gnu_debugdata");
	uint8_t *packed = section ? pa_symbols_elf_load(file, section, MAX_PACKED_BYTES) : NULL;
	struct pa_symbols_elf unpacked;

	if (!packed)
		return false;
	uint64_t bytes = unpacked_xz_bytes(packed, section->sh_size);
	bool fits = bytes <= MAX_UNPACKED_BYTES && pa_mem_headroom_for(bytes);
	uint8_t *image = fits ? pa_map(bytes) : NULL;
	bool good = image && unpack_xz(packed, section->sh_size, image, bytes) &&
		pa_symbols_elf_open_image(&unpacked, image, bytes) == 0;
	if (good) {
		use(arg, &unpacked);
		pa_symbols_elf_close(&unpacked);
	}
	pa_unmap(image, bytes);
	pa_unmap(packed, section->sh_size + 1);
	return good;
}
