/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds all of profile/symbols_*.c together: a file that is mapped, as it lies on the disk, of
 * which the functions and the lines are asked. The debug file that it shares with others or links
 * to may be itself. May not happen: names without an end, an end of the process, a lookup that
 * takes much longer than it may.
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/symbols/symbols_load.h"
#include "fuzz_libdw.h"

#define ALLOWED_NS (PA_NS_PER_S / 2)

static void look_up(const struct pa_module *module)
{
	struct pa_symbols symbols = { .read = false };
	struct pa_symbols_scope scopes[8];
	struct pa_symbols_match match;

	pa_symbols_load_table(module, &symbols);
	for (uint64_t at = 0x1000; at < 0x1200; at += 0x10) {
		if (pa_symbols_table_find(&symbols.table, at, &match))
			must(strlen(match.name) >= match.name_bytes);
	}
	if (pa_symbols_load_debug(module, &symbols)) {
		bool late;
		pa_symbols_dwarf_list(symbols.dwarf, pa_clock_thread_cpu_ns() + ALLOWED_NS, &late);
		for (uint64_t at = 0x1000; at < 0x1200; at += 0x20)
			pa_symbols_dwarf_find(symbols.dwarf, at, scopes, PA_COUNT(scopes),
				pa_clock_thread_cpu_ns() + ALLOWED_NS / 10, &late);
	}
	pa_symbols_load_drop_debug(&symbols);
	pa_symbols_load_forget(&symbols);
	pa_symbols_load_drop_table(&symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	int fd = memfd_create("input", MFD_CLOEXEC);
	struct stat stat;
	char path[64];

	must(fd >= 0 && write(fd, bytes, count) == (ssize_t)count && fstat(fd, &stat) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct pa_module module = { .id = 1,
		.start = 0x1000,
		.limit = 0x100000,
		.path = path,
		.device = stat.st_dev,
		.inode = stat.st_ino,
		.segment_count = 1,
		.segments = { { 0x1000, 0x100000, 0x1000 } } };
	look_up(&module);
	close(fd);
	return 0;
}
