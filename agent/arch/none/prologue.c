/* SPDX-License-Identifier: Apache-2.0 */
#include "../prologue.h"

bool pa_prologue_find(const struct pa_code_reader *reader, uintptr_t start, uintptr_t limit,
	uintptr_t pc, uintptr_t *bytes)
{
	(void)reader;
	(void)start;
	(void)limit;
	(void)pc;
	(void)bytes;
	return false;
}

bool pa_prologue_call_before(const struct pa_code_reader *reader, uintptr_t return_address,
	struct pa_prologue_call *call)
{
	(void)reader;
	(void)return_address;
	(void)call;
	return false;
}
