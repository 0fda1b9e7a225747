/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds libunwind through unwind/cfi.c, unwind.c and unwind_finish.c: the call frame information
 * of an image in memory, and the copy of a stack that is walked by it. The input is a CIE and the
 * end of an FDE, put into a good image, or (first byte odd) all of the image.
 *
 * May not happen: an end of the process, a stack that is deeper than asked for, a rule that the
 * walker does not know.
 */
#include "fuzz.h"

#include <elf.h>

#include "agent/unwind/unwind.h"
#include "fuzz_memory.h"

enum {
	IMAGE_BYTES = 0x3000,
	HEADER_AT = 0x200, /* .eh_frame_hdr */
	CIE_AT = 0x400,
	FDE_AT = 0x1000,
	TEXT_AT = 0x2000,
	TEXT_BYTES = 0x1000,
	STACK_BYTES = 2048,
	DEPTH = 40
};
#define STACK_AT ((uintptr_t)0x7f0000000000)

static struct pa_module module = { .id = 1, .is_elf = true, .start = MEMORY_AT, .path = "" };

struct pa_module *pa_maps_find(uintptr_t pc)
{
	return pc >= module.start && pc < module.limit ? &module : NULL;
}

static void put32(uint8_t *image, size_t at, uint32_t value)
{
	memcpy(image + at, &value, sizeof(value));
}

static void put_entry(uint8_t *image, size_t at, size_t limit, const void *head, size_t head_bytes,
	struct input rest)
{
	size_t room = limit - at - 4 - head_bytes;
	size_t bytes = rest.left < room ? rest.left : room;

	put32(image, at, (uint32_t)(head_bytes + bytes));
	if (head_bytes)
		memcpy(image + at + 4, head, head_bytes);
	if (bytes)
		memcpy(image + at + 4 + head_bytes, rest.at, bytes);
}

/* One CIE (without its length) and one FDE (what comes behind its range). */
static void build(uint8_t *image, struct input cie, struct input fde)
{
	Elf64_Ehdr elf = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
		.e_type = ET_DYN,
		.e_phoff = sizeof(elf),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2 };
	Elf64_Phdr phdrs[2] = {
		{ .p_type = PT_LOAD, .p_memsz = IMAGE_BYTES },
		{ .p_type = PT_GNU_EH_FRAME, .p_vaddr = HEADER_AT },
	};
	uint32_t header[] = { 0x3b031b01, CIE_AT - HEADER_AT - 4, 1, TEXT_AT - HEADER_AT,
		FDE_AT - HEADER_AT };
	uint32_t head[] = { FDE_AT + 4 - CIE_AT, TEXT_AT - (FDE_AT + 8), TEXT_BYTES };

	memcpy(image, &elf, sizeof(elf));
	memcpy(image + sizeof(elf), phdrs, sizeof(phdrs));
	memcpy(image + HEADER_AT, header, sizeof(header));
	put_entry(image, CIE_AT, FDE_AT, NULL, 0, cie);
	put_entry(image, FDE_AT, TEXT_AT, head, sizeof(head), fde);
}

static void check_rules(void)
{
	for (uintptr_t at = TEXT_AT; at <= TEXT_AT + 0x40; at += 1 + at % 7) {
		struct pa_rule rule = pa_unwind_learn(MEMORY_AT + at, at & 1);

		must(rule.kind != PA_RULE_NONE && rule.kind <= PA_RULE_COMPLEX);
		must(rule.cfa_offset >= -PA_RULE_CFA_LIMIT && rule.cfa_offset < PA_RULE_CFA_LIMIT);
	}
}

/* A stack whose words are the input's, or return addresses in the text. */
static void walk(struct input *input, bool leaf, bool few)
{
	static struct {
		struct pa_event event;
		struct pa_deferred deferred;
		uint64_t stack[STACK_BYTES / 8];
	} record;
	uintptr_t *pcs = malloc(DEPTH * sizeof(*pcs));

	memset(&record, 0, sizeof(record));
	record.event.flags = PA_EVENT_DEFERRED;
	record.deferred.leaf = leaf;
	record.deferred.few_regs = few;
	record.deferred.stack_at = STACK_AT;
	record.deferred.stack_bytes = STACK_BYTES;
	for (int i = 0; i < PA_REGS_COUNT; i++)
		record.deferred.regs.gpr[i] = STACK_AT + input_number(input, 1) * 8;
	record.deferred.regs.gpr[PA_REG_PC] = MEMORY_AT + TEXT_AT + 1 + input_number(input, 1);
	record.deferred.regs.gpr[PA_REG_SP] = STACK_AT;
	for (size_t i = 0; i < STACK_BYTES / 8; i++) {
		uint64_t word = input_number(input, 2);

		record.stack[i] =
			word & 1 ? MEMORY_AT + TEXT_AT + (word >> 1) % TEXT_BYTES : STACK_AT + word;
	}
	must(pa_unwind_finish(&record.event, NULL, pcs, DEPTH).depth <= DEPTH);
	free(pcs);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	static uint8_t image[IMAGE_BYTES];
	struct input input = { bytes, count };

	must(pa_unwind_init() == 0);
	unsigned flags = (unsigned)input_number(&input, 1);
	struct input first = input_piece(&input), second = input_piece(&input);
	memset(image, 0, sizeof(image));
	if (flags & 1)
		memcpy(image, first.at, first.left < sizeof(image) ? first.left : sizeof(image));
	else
		build(image, first, second);
	memory_set(image, sizeof(image));
	module.limit = MEMORY_AT + sizeof(image);
	pa_unwind_reset(); /* what is remembered of the image before */
	check_rules();
	walk(&input, flags & 2, flags & 4);
	return 0;
}
