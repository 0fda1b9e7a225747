/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/lock_waits_fixture.h"

#include <time.h>

int boot_lock_waits(void **unused)
{
	(void)unused;
	fixture_boot(4 << 20, 1);
	memset(pa_lock_waits_table, 0, sizeof(pa_lock_waits_table));
	pa_lock_waits_rates(1, 1);
	return 0;
}

struct pa_cursor caller_cursor(void)
{
	return (struct pa_cursor){ .pc = 0x1000, .sp = (uintptr_t)__builtin_frame_address(0) };
}

uintptr_t caller_frame(void)
{
	return (uintptr_t)__builtin_frame_address(0);
}

void pass_ns(int64_t ns)
{
	const struct timespec time = { .tv_nsec = ns };
	nanosleep(&time, NULL);
}

void end_wait(struct pa_thread *thread, enum pa_wait_end how)
{
	pa_lock_waits_end(thread, thread->wait.frame, how, caller_cursor());
}
