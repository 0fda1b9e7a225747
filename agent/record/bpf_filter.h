/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluates a seccomp filter for a system call, by the kernel's rules (seccomp(2)). The program
 * passes its filter to the hook before the filter is in force, so the agent learns which of its own
 * calls the filter will deny.
 *
 * Context: PA_APP; no system call, no memory allocation.
 */
#ifndef PA_BPF_FILTER_H
#define PA_BPF_FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "../base/base.h"

/*
 * The result (SECCOMP_RET_... with its data) for a call of this architecture. A filter that the
 * kernel rejects, or one of more than BPF_MAXINSNS instructions: SECCOMP_RET_KILL_PROCESS.
 */
PA_APP uint32_t pa_bpf_filter_verdict(const struct sock_filter *code, uint32_t count, int number,
	const uint64_t arguments[6]);

#endif
