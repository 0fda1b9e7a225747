/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/blocked_call.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

void blocked_call_await(PA_ATOMIC(int32_t) *tid, long number)
{
	char path[64], text[256];
	long now = -1;
	while (!pa_load_acquire(tid))
		sched_yield();
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", pa_load_acquire(tid));
	while (now != number) {
		FILE *file = fopen(path, "r");
		if (!file || !fgets(text, sizeof(text), file))
			abort();
		fclose(file);
		now = text[0] == 'r' ? -1 : atol(text);
	}
}
