/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds libdw through symbols/symbols_dwarf.c: the sections of debug information one by one, put
 * into a good ELF file, so that what is damaged is the DWARF. It is asked for the functions and
 * lines of the addresses from 0x1000 on. May not happen: an end of the process, strings without an
 * end, more functions than were asked for, a lookup that takes much longer than it may.
 */
#include "fuzz.h"

#include "agent/base/clock.h"
#include "agent/symbols/symbols_dwarf.h"
#include "fuzz_image_file.h"
#include "fuzz_libdw.h"

#define ALLOWED_NS (PA_NS_PER_S / 4)
/* Far more, since the machine may be busy; but no second question goes by unnoticed. */
#define TAKEN_NS (40 * ALLOWED_NS)
#define SCOPES 6

static const char *const sections[] = { ".debug_info", ".debug_abbrev", ".debug_str", ".debug_line",
	".debug_line_str", ".debug_ranges", ".debug_rnglists", ".debug_addr", ".debug_str_offsets",
	".debug_types" };

static size_t total;

static void check_text(const char *text)
{
	total += text ? strlen(text) : 0;
}

static void ask(struct pa_symbols_dwarf *dwarf, uint64_t address)
{
	struct pa_symbols_scope scopes[SCOPES];
	int64_t start_ns = pa_clock_thread_cpu_ns();
	bool late;
	uint32_t count =
		pa_symbols_dwarf_find(dwarf, address, scopes, SCOPES, start_ns + ALLOWED_NS, &late);

	must(count <= SCOPES && pa_clock_thread_cpu_ns() - start_ns < TAKEN_NS);
	for (uint32_t i = 0; i < count; i++) {
		check_text(scopes[i].linkage);
		check_text(scopes[i].name);
		check_text(scopes[i].declared_in);
		check_text(scopes[i].declared_dir);
		check_text(scopes[i].file);
		check_text(scopes[i].dir);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct input input = { bytes, count };
	struct file file = { .count = 0 };
	struct pa_symbols_known known = { 0 };
	struct pa_symbols_elf elf, other;
	bool late;
	int error;

	unsigned compressed = (unsigned)input_number(&input, 2);
	bool shared = input_number(&input, 1) & 1;
	for (size_t i = 0; i < PA_COUNT(sections); i++) {
		struct input contents = input_piece(&input);

		if (contents.left)
			file_add(&file, sections[i], contents,
				compressed >> i & 1 ? SHF_COMPRESSED : 0);
	}
	file_make(&file);
	must(pa_symbols_elf_open_image(&elf, file.bytes, file.size) == 0);
	must(pa_symbols_elf_open_image(&other, file.bytes, file.size) == 0);
	struct pa_symbols_dwarf *dwarf =
		pa_symbols_dwarf_open(&elf, shared ? &other : NULL, &known, &error);
	if (dwarf)
		pa_symbols_dwarf_list(dwarf, pa_clock_thread_cpu_ns() + ALLOWED_NS, &late);
	for (uint64_t at = 0x1000; dwarf && at < 0x1200; at += 0x0b)
		ask(dwarf, at);
	if (dwarf)
		pa_symbols_dwarf_close(dwarf);
	if (!shared)
		pa_symbols_elf_close(&other);
	pa_symbols_units_free(&known.own);
	pa_symbols_units_free(&known.shared);
	free(file.bytes);
	return 0;
}
