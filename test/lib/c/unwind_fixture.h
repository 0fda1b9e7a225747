/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of cfi.c and unwind.c: stand-ins for maps.c, and ELF images made by hand.
 *
 * An image is a mapping that the loader knows nothing of: ELF header, .eh_frame_hdr with one row,
 * one CIE and one FDE that covers its text, both with the bytes that the test gives.
 */
#ifndef UNWIND_FIXTURE_H
#define UNWIND_FIXTURE_H

#include <dlfcn.h>
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/modules/maps.h"

/* libc's: libunwind and sanitizers have a backtrace() of their own, and may come first. */
static inline int libc_backtrace(void **pcs, int max)
{
	static int (*backtrace_of_libc)(void **, int);
	if (!backtrace_of_libc)
		backtrace_of_libc =
			(int (*)(void **, int))dlsym(dlopen("libc.so.6", RTLD_LAZY), "backtrace");
	assert_non_null(backtrace_of_libc);
	return backtrace_of_libc(pcs, max);
}

enum {
	IMAGE_BYTES = 0x20000,
	IMAGE_HEADER_AT = 0x200, /* .eh_frame_hdr */
	IMAGE_CIE_AT = 0x1000,
	IMAGE_FDE_AT = 0x1800,
	IMAGE_TEXT_AT = 0x4000,
	IMAGE_TEXT_BYTES = 0x1000
};

static struct {
	struct pa_module image; /* start 0: none */
	struct pa_module mapped;
	unsigned reads;
	void (*on_read)(void);        /* NULL, or called at each read of a module */
	void (*on_memory_read)(void); /* NULL, or called once after a read of other memory */
	bool files_are_elf; /* the program's own code may be unwound by its instructions */
} fake;

bool pa_maps_read_memory(void *to, uintptr_t from, size_t bytes)
{
	struct iovec local = { to, bytes }, remote = { (void *)from, bytes };
	fake.reads++;
	bool done = process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)bytes;
	void (*after)(void) = fake.on_memory_read;
	fake.on_memory_read = NULL;
	if (after)
		after();
	return done;
}

bool pa_maps_read_cached(void *to, uintptr_t from, size_t bytes)
{
	if (fake.on_read)
		fake.on_read();
	return pa_maps_read_memory(to, from, bytes);
}

/* The executable mapping of pc. Without files_are_elf only the vdso counts as ELF: the loader knows
 * all the others. */
struct pa_module *pa_maps_find(uintptr_t pc)
{
	if (pc - fake.image.start < fake.image.limit - fake.image.start)
		return &fake.image;
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;
	while (maps && !found && fgets(line, sizeof(line), maps)) {
		unsigned long start, limit;
		char executable;
		found = sscanf(line, "%lx-%lx %*c%*c%c", &start, &limit, &executable) == 3 &&
			executable == 'x' && pc >= start && pc < limit;
		fake.mapped.start = start;
		fake.mapped.limit = limit;
		fake.mapped.is_elf = fake.files_are_elf || strstr(line, "[vdso]");
	}
	if (maps)
		fclose(maps);
	return found ? &fake.mapped : NULL;
}

struct bytes {
	size_t count;
	const uint8_t *at;
};

#define BYTES(...)       \
	((struct bytes){ \
		sizeof((const uint8_t[]){ __VA_ARGS__ }), (const uint8_t[]){ __VA_ARGS__ } })

/* What compilers write for x86-64: version 1, "zR", code 1, data -8, return address 16, pcrel
 * sdata4; cfa = rsp + 8, return address at cfa - 8. */
#define CIE_PLAIN BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0)

static inline void image_put32(uint8_t *image, size_t at, uint32_t value)
{
	memcpy(image + at, &value, sizeof(value));
}

static inline void image_entry(uint8_t *image, size_t at, struct bytes entry)
{
	assert_true(entry.count < 0x800);
	image_put32(image, at, (uint32_t)entry.count);
	memcpy(image + at + 4, entry.at, entry.count);
}

/* program: call frame instructions, behind an empty augmentation. */
static inline void image_fill(uint8_t *image, struct bytes cie, struct bytes program)
{
	Elf64_Ehdr elf = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
		.e_type = ET_DYN,
		.e_phoff = sizeof(elf),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2 };
	Elf64_Phdr phdrs[2] = {
		{ .p_type = PT_LOAD, .p_vaddr = 0x10000, .p_memsz = IMAGE_BYTES },
		{ .p_type = PT_GNU_EH_FRAME, .p_vaddr = 0x10000 + IMAGE_HEADER_AT },
	};
	uint32_t header[] = { 0x3b031b01, IMAGE_CIE_AT - IMAGE_HEADER_AT - 4, 1,
		IMAGE_TEXT_AT - IMAGE_HEADER_AT, IMAGE_FDE_AT - IMAGE_HEADER_AT };
	uint8_t fde[0x7f0] = { 0 };
	memcpy(image, &elf, sizeof(elf));
	memcpy(image + sizeof(elf), phdrs, sizeof(phdrs));
	memcpy(image + IMAGE_HEADER_AT, header, sizeof(header));
	image_entry(image, IMAGE_CIE_AT, cie);
	image_put32(fde, 0, IMAGE_FDE_AT + 4 - IMAGE_CIE_AT);
	image_put32(fde, 4, IMAGE_TEXT_AT - (IMAGE_FDE_AT + 8));
	image_put32(fde, 8, IMAGE_TEXT_BYTES);
	assert_true(program.count <= sizeof(fde) - 13);
	memcpy(fde + 13, program.at, program.count);
	image_entry(image, IMAGE_FDE_AT, (struct bytes){ 13 + program.count, fde });
}

static inline uint8_t *image_make(struct bytes cie, struct bytes program)
{
	uint8_t *image =
		mmap(NULL, IMAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(image != MAP_FAILED);
	image_fill(image, cie, program);
	fake.image = (struct pa_module){ .start = (uintptr_t)image,
		.limit = (uintptr_t)image + IMAGE_BYTES,
		.is_elf = true,
		.path = "image" };
	return image;
}

static inline void image_drop(uint8_t *image)
{
	munmap(image, IMAGE_BYTES);
	fake.image = (struct pa_module){ .start = 0 };
}

#endif
