/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/base.h"
#include "agent/base/phdr.h"

#define BIAS 0x7000000

static const Elf64_Phdr headers[] = {
	{ .p_type = PT_NOTE, .p_flags = PF_R | PF_X, .p_vaddr = 0, .p_memsz = 0x9000 },
	{ .p_type = PT_LOAD, .p_flags = PF_R, .p_vaddr = 0x1000, .p_memsz = 0x1000 },
	{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x3000, .p_memsz = 0x800 },
};

static const Elf64_Phdr *find(Elf64_Word flags, uintptr_t address)
{
	return pa_phdr_find(headers, PA_COUNT(headers), BIAS, flags, BIAS + address);
}

static void segments_are_found_by_address_and_flags(void **unused)
{
	(void)unused;
	assert_null(find(0, 0xfff));
	assert_ptr_equal(find(0, 0x1000), &headers[1]);
	assert_ptr_equal(find(0, 0x1fff), &headers[1]);
	assert_null(find(0, 0x2000));
	assert_null(find(PF_X, 0x1000));
	assert_ptr_equal(find(PF_X, 0x37ff), &headers[2]);
	assert_null(find(PF_X | PF_W, 0x3000));
	assert_null(find(0, 0x3800));
	assert_null(pa_phdr_find(NULL, 0, BIAS, 0, BIAS + 0x1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_are_found_by_address_and_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
