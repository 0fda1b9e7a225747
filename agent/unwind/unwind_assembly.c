/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind_assembly.h"

#include "../arch/epilogue.h"
#include "unwind_calls.h"

/* True when the innermost frame's code returns with the register as it is. */
static bool is_kept_by(const struct pa_regs *first, uint32_t reg)
{
	struct pa_epilogue inner;
	return pa_epilogue_find(&pa_unwind_calls_code, first->gpr[PA_REG_PC], &inner) &&
		!(inner.written >> reg & 1);
}

bool pa_unwind_assembly_find(const struct pa_cursor *cursor, bool is_first,
	const struct pa_regs *first, struct pa_unwind_assembly *out)
{
	struct pa_epilogue code;
	if (!pa_epilogue_find(&pa_unwind_calls_code, cursor->pc, &code))
		return false;
	uintptr_t base = cursor->sp;
	if (code.base == PA_EPILOGUE_REG) {
		if (!first || (!is_first && !is_kept_by(first, code.reg)))
			return false;
		base = first->gpr[code.reg];
	} else if (code.base != PA_EPILOGUE_SP || !code.bp_lost) {
		return false;
	}
	*out = (struct pa_unwind_assembly){
		.cfa = base + (uintptr_t)code.cfa_offset,
		.bp_offset = (intptr_t)code.bp_offset,
		.bp_lost = code.bp_lost,
	};
	return out->cfa > cursor->sp && !(out->cfa & 7);
}
