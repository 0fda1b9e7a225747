/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds the symbol table that is packed into a file (.gnu_debugdata, symbols/symbols_files.c): the
 * packed bytes. May not happen: an end of the process, far more memory than was announced (the
 * limit is that of the run), a name without an end.
 */
#include "fuzz.h"

#include "agent/symbols/symbols_files.h"
#include "agent/symbols/symbols_table.h"
#include "fuzz_image_file.h"
#include "fuzz_libdw.h"

static void use(void *arg, const struct pa_symbols_elf *packed)
{
	struct pa_symbols_table table = { 0 };
	const Elf64_Shdr *section = pa_symbols_elf_find_type(packed, SHT_SYMTAB);
	struct pa_symbols_match match;

	++*(unsigned *)arg;
	if (section)
		pa_symbols_table_add(&table, packed, section);
	pa_symbols_table_finish(&table);
	for (uint64_t at = 0x1000; at < 0x1200; at += 0x10) {
		if (pa_symbols_table_find(&table, at, &match))
			must(strlen(match.name) >= match.name_bytes);
	}
	pa_symbols_table_free(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct file file = { .count = 0 };
	struct pa_symbols_elf elf;
	unsigned used = 0;

	file_add(&file, ".gnu_debugdata", (struct input){ bytes, count }, 0);
	file_make(&file);
	must(pa_symbols_elf_open_image(&elf, file.bytes, file.size) == 0);
	must(pa_symbols_files_packed(&elf, use, &used) == (used == 1));
	pa_symbols_elf_close(&elf);
	free(file.bytes);
	return 0;
}
