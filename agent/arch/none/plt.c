/* SPDX-License-Identifier: Apache-2.0 */
#include "../plt.h"

bool pa_plt_decode(const uint8_t code[PA_PLT_BYTES], uintptr_t at, uintptr_t *word_at)
{
	(void)code;
	(void)at;
	(void)word_at;
	return false;
}
