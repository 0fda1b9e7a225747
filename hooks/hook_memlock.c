/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mlockall and munlockall: see record/memlock.h. The real functions are looked up at the first
 * call: most programs never make one.
 */
#include <sys/mman.h>

#include "../agent/arch/arch.h"
#include "../agent/record/memlock.h"
#include "../agent/record/switches.h"
#include "real.h"

#include "../agent/base/banned.h"

PA_ENTRY int mlockall(int flags)
{
	PA_CALM_FLAGS();
	if (!pa_load_acquire(&pa_switches->booted))
		return PA_REAL_LATE(mlockall)(flags);
	pa_memlock_before(flags);
	int result = PA_REAL_LATE(mlockall)(flags);
	pa_memlock_after();
	return result;
}

PA_ENTRY int munlockall(void)
{
	PA_CALM_FLAGS();
	int result = PA_REAL_LATE(munlockall)();
	if (result == 0 && pa_load_acquire(&pa_switches->booted))
		pa_memlock_ended();
	return result;
}
