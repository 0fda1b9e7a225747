/* SPDX-License-Identifier: Apache-2.0 */
#include "../plt.h"

#include <string.h>

/* Optional endbr64, then jmp *displacement(%rip) with an optional bnd prefix. */
bool pa_plt_decode(const uint8_t code[PA_PLT_BYTES], uintptr_t at, uintptr_t *word_at)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	size_t i = memcmp(code, endbr64, sizeof(endbr64)) == 0 ? sizeof(endbr64) : 0;
	int32_t displacement;

	if (code[i] == 0xf2) /* bnd */
		i++;
	if (code[i] != 0xff || code[i + 1] != 0x25)
		return false;
	memcpy(&displacement, code + i + 2, sizeof(displacement));
	*word_at = at + i + 6 + (uintptr_t)(intptr_t)displacement;
	return true;
}
