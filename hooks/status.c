/* SPDX-License-Identifier: Apache-2.0 */
/* Status of the hooks for the agent page: whether the program's calls reach them. */
#include <dlfcn.h>

#include "../agent/core/bridge.h"
#include "../agent/record/process.h"
#include "real.h"

#include "../agent/base/banned.h"

/*
 * Reason why the program's calls do not reach the hook, or NULL. RTLD_DEFAULT finds the definition
 * that the program is bound to; it cannot be compared with the address of the hook's own symbol,
 * which is bound in the same way.
 */
static const char *inactive_reason(const char *name, bool has_real, bool required)
{
	Dl_info seen, ours;
	if (!has_real && required)
		return "no other definition of it was found";
	void *bound = dlsym(RTLD_DEFAULT, name);
	if (!bound || !dladdr(bound, &seen) || !dladdr(&pa_real, &ours))
		return NULL;
	if (seen.dli_fbase != ours.dli_fbase)
		return "the program or a library before us defines it";
	return NULL;
}

size_t pa_hooks_status(struct pa_hook_status *out, size_t max)
{
	size_t count = 0;
#define STATUS(symbol, result, parameters, required)                                          \
	if (count < max) {                                                                    \
		const char *why = inactive_reason(#symbol, pa_real.symbol != NULL, required); \
		out[count++] = (struct pa_hook_status){ #symbol, why == NULL, why };          \
	}
	PA_HOOKS(STATUS)
#undef STATUS
	return count;
}
