/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/fake_symbols.h"

uint32_t fake_symbols_lacking;

uint32_t pa_symbols_prepare(const uint32_t *loc_ids, uint32_t count, bool (*go_on)(void *arg),
	void *arg)
{
	(void)loc_ids;
	(void)count;
	(void)go_on;
	(void)arg;
	return fake_symbols_lacking;
}
