/* SPDX-License-Identifier: Apache-2.0 */
#include "allocator_texts.h"

#include <string.h>

#include "../base/arena.h"
#include "../base/assert.h"

/* Constants are read in such pieces; a text is found when it is not longer than OVERLAP. */
#define PIECE_BYTES ((size_t)64 << 10)
#define OVERLAP_BYTES ((size_t)128)
#define MAX_CONSTANTS_BYTES ((uint64_t)256 << 20)

bool pa_allocator_texts_search(const struct pa_symbols_elf *file, const Elf64_Shdr *section,
	bool (*look)(struct pa_allocator_scan *scan, const char *piece, size_t bytes),
	struct pa_allocator_scan *scan)
{
	uint64_t end =
		section->sh_size < MAX_CONSTANTS_BYTES ? section->sh_size : MAX_CONSTANTS_BYTES;
	char *piece = pa_map(PIECE_BYTES + 1);
	bool found = false;
	if (!piece)
		return false;
	for (uint64_t at = 0; at < end && !found; at += PIECE_BYTES - OVERLAP_BYTES) {
		size_t bytes = end - at < PIECE_BYTES ? end - at : PIECE_BYTES;
		if (!pa_symbols_elf_read(file, piece, section->sh_offset + at, bytes))
			break;
		piece[bytes] = '\0';
		found = look(scan, piece, bytes);
	}
	pa_unmap(piece, PIECE_BYTES + 1);
	return found;
}

bool pa_allocator_texts_is_before(const char *piece, const char *at, const char *text)
{
	size_t bytes = strlen(text);
	return (size_t)(at - piece) >= bytes && memcmp(at - bytes, text, bytes) == 0;
}

bool pa_allocator_texts_is_after(const char *at, const char *text)
{
	return strncmp(at, text, strlen(text)) == 0;
}

/* ---- versions ---- */

/* "5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c": git describe, by its configure. */
static const char *jemalloc_version_in(const char *piece, size_t bytes, size_t *length)
{
	const size_t hash_bytes = 40;
	for (const char *at = piece; (at = memmem(at, bytes - (size_t)(at - piece), "-g", 2));
		at++) {
		const char *hash = at + 2, *begin = at;
		if ((size_t)(hash - piece) + hash_bytes >= bytes ||
			strspn(hash, "0123456789abcdef") != hash_bytes)
			continue;
		while (begin > piece &&
			(begin[-1] == '.' || begin[-1] == '-' ||
				(begin[-1] >= '0' && begin[-1] <= '9')))
			begin--;
		*length = strspn(begin, "0123456789.");
		if (*length >= sizeof("1.2.3") - 1)
			return begin;
	}
	return NULL;
}

static const char *gperftools_version_in(const char *piece, size_t bytes, size_t *length)
{
	static const char mark[] = "gperftools ";
	const char *at = memmem(piece, bytes, mark, strlen(mark));
	if (!at)
		return NULL;
	at += strlen(mark);
	*length = strspn(at, "0123456789.");
	return *length ? at : NULL;
}

static bool find_version(struct pa_allocator_scan *scan, const char *piece, size_t bytes)
{
	size_t length = 0;
	const char *at = scan->kind == PA_ALLOCATOR_JEMALLOC ?
		jemalloc_version_in(piece, bytes, &length) :
		scan->kind == PA_ALLOCATOR_GPERFTOOLS ?
		gperftools_version_in(piece, bytes, &length) :
		NULL;
	if (!at || length >= sizeof(scan->version))
		return false;
	PA_ASSERT(at >= piece && at + length <= piece + bytes);
	memcpy(scan->version, at, length);
	scan->version[length] = '\0';
	return true;
}

/* Texts that only the allocator itself has; "malloc" is in all of them. */
static const struct {
	enum pa_allocator_kind kind;
	const char *before, *after;
} texts[] = {
	{ PA_ALLOCATOR_JEMALLOC, "<je", "malloc>: " },
	{ PA_ALLOCATOR_GPERFTOOLS, "tc", "malloc.max_total_thread_cache_bytes" },
	{ PA_ALLOCATOR_MIMALLOC, "mi", "malloc: warning: " },
};

static bool look_for_kind(struct pa_allocator_scan *scan, const char *piece, size_t bytes)
{
	for (const char *at = piece; (at = memmem(at, bytes - (size_t)(at - piece), "malloc", 6));
		at++)
		for (size_t i = 0; i < PA_COUNT(texts); i++)
			if (pa_allocator_texts_is_before(piece, at, texts[i].before) &&
				pa_allocator_texts_is_after(at, texts[i].after)) {
				scan->kind = texts[i].kind;
				scan->stripped = true;
				return true;
			}
	return false;
}

void pa_allocator_texts_find(const struct pa_symbols_elf *file, struct pa_allocator_scan *scan)
{
	const Elf64_Shdr *section = pa_symbols_elf_find(file, ".rodata");
	bool by_symbol = scan->kind != PA_ALLOCATOR_NONE;
	if (section && (by_symbol || pa_allocator_texts_search(file, section, look_for_kind, scan)))
		pa_allocator_texts_search(file, section, find_version, scan);
}
