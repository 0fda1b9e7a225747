#include "limits.h"

#include <errno.h>
#include <sys/resource.h>

#include "banned.h"

static bool is_below(int which, uint64_t bytes)
{
	struct rlimit limit;
	return getrlimit(which, &limit) == 0 && limit.rlim_cur < bytes;
}

bool pa_limits_leave_room(void)
{
	int saved_errno = errno;
	bool room = !is_below(RLIMIT_AS, PA_LIMITS_ADDRESSES) &&
		!is_below(RLIMIT_DATA, PA_LIMITS_DATA);
	errno = saved_errno;
	return room;
}
