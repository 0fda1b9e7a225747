/* SPDX-License-Identifier: Apache-2.0 */
#include "limits.h"

#include <errno.h>
#include <sys/resource.h>

#include "banned.h"

#define BUFFER_PART 16

static bool is_too_low(int which, uint64_t buffer_bytes)
{
	struct rlimit limit;
	return getrlimit(which, &limit) == 0 &&
		(limit.rlim_cur < PA_LIMITS_BYTES || limit.rlim_cur / BUFFER_PART < buffer_bytes);
}

bool pa_limits_leave_room(uint64_t buffer_bytes)
{
	int saved_errno = errno;
	bool room = !is_too_low(RLIMIT_AS, buffer_bytes) && !is_too_low(RLIMIT_DATA, buffer_bytes);
	errno = saved_errno;
	return room;
}
