/*
 * What a seccomp filter says to a system call, by the rules of the kernel (seccomp(2)): the program
 * hands its filter over before it is in force, so that we can know what it will do to us.
 *
 * Context: PA_APP; no system call, no memory.
 */
#ifndef PA_FILTER_H
#define PA_FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "../base/base.h"

/*
 * The verdict (SECCOMP_RET_..., its data with it) for a call of this architecture. A filter that
 * the kernel would refuse, or one of more than BPF_MAXINSNS instructions: SECCOMP_RET_KILL_PROCESS.
 */
PA_APP uint32_t pa_filter_verdict(const struct sock_filter *code, uint32_t count, int number,
	const uint64_t arguments[6]);

#endif
