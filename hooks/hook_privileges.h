/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_privileges.c, for the system calls that come by syscall() and prctl().
 *
 * Context: PA_APP. No lock.
 */
#ifndef PA_HOOKS_GIVEN_H
#define PA_HOOKS_GIVEN_H

#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../agent/record/process.h"

PA_INLINE bool pa_hook_privileges_is_watched_option(long option)
{
	return option == PR_SET_NO_NEW_PRIVS || option == PR_SET_KEEPCAPS ||
		option == PR_SET_SECUREBITS || option == PR_CAPBSET_DROP ||
		option == PR_CAP_AMBIENT;
}

PA_INLINE bool pa_hook_privileges_is_watched(long number)
{
	return number == SYS_unshare || number == SYS_setns || number == SYS_capset ||
		number == SYS_chroot || number == SYS_landlock_restrict_self ||
		(number >= SYS_setuid && number <= SYS_setgid) ||
		(number >= SYS_setreuid && number <= SYS_setregid) || number == SYS_setresuid ||
		number == SYS_setresgid;
}

/* Around a watched call of the program. before: result for after; after: when the call returned
 * that result. errno kept. */
PA_APP bool pa_hook_privileges_before(const struct pa_process_privilege_call *call);
PA_APP void pa_hook_privileges_after(const struct pa_process_privilege_call *call, long result,
	bool suspended);

#endif
