/* SPDX-License-Identifier: Apache-2.0 */
#include "../epilogue.h"

bool pa_epilogue_frame_is_set(const struct pa_code_reader *reader, uintptr_t start, uintptr_t pc)
{
	(void)reader;
	(void)start;
	(void)pc;
	return false;
}

bool pa_epilogue_keeps_bp(const struct pa_code_reader *reader, uintptr_t pc)
{
	(void)reader;
	(void)pc;
	return false;
}

bool pa_epilogue_find(const struct pa_code_reader *reader, uintptr_t pc, struct pa_epilogue *out)
{
	(void)reader;
	(void)pc;
	(void)out;
	return false;
}
