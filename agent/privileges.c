/* SPDX-License-Identifier: Apache-2.0 */
#include "privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "record/switches.h"
#include "record/process.h"
#include "slot_table.h"

/*
 * Longest delay of a program's call. Agent threads need microseconds, but may have to wait for a
 * CPU; one that is late keeps a privilege that the program considers dropped, and a later setuid()
 * may find threads that differ (nptl/nptl_setxid.c aborts then).
 */
#define FOLLOW_NS PA_NS_PER_S
#define POLL_NS (100000)

/* A thread that is this far behind has missed orders: no call has waited for it that long. */
#define ORDERS 64

struct order {
	struct pa_process_privilege_call call;
	struct __user_cap_header_struct header; /* for capset(2) */
	struct __user_cap_data_struct data[2];
};

static PA_LARGE struct order orders[ORDERS];

static struct {
	struct pa_bridge *bridge;
	struct pa_thread_slot_table *table;
	PA_ATOMIC(uint32_t) giving; /* a thread of the program is writing an order; acq_rel by
				     * CAS */
	PA_ATOMIC(uint32_t) jail;   /* an agent thread is entering the jail; acq_rel by CAS */
	PA_ATOMIC(uint32_t) inside; /* agent threads have the program's root; release / acquire */
	bool root_private;
} state;

/* ---- agent threads ---- */

/*
 * Once, since the path to the jail is outside of it. Files for symbolization are opened before:
 * regular files, which give access to nothing else.
 */
static void enter_jail(void)
{
	uint32_t none = 0;
	if (!state.root_private || !pa_cas_acq_rel(&state.jail, &none, 1))
		return;
	if (state.bridge->jailed)
		state.bridge->jailed();
	if (syscall(SYS_chroot,
		    "/proc/self/"
		    "root") == 0 &&
		syscall(SYS_chdir, "/") == 0)
		pa_store_release(&state.inside, 1);
}

static void carry_out(const struct order *order)
{
	const struct pa_process_privilege_call *call = &order->call;
	struct __user_cap_header_struct header = order->header;
	switch (call->number) {
	case SYS_chroot: enter_jail(); break;
	case SYS_capset: syscall(SYS_capset, &header, order->data); break;
	default: syscall(call->number, call->a, call->b, call->c, call->d, call->e); break;
	}
}

static PA_AGENT void carry_out_next(uint32_t number)
{
	int saved_errno = errno;
	carry_out(&orders[number % ORDERS]);
	errno = saved_errno;
}

void pa_privileges_boot(struct pa_bridge *bridge, struct pa_thread_slot_table *table)
{
	state.bridge = bridge;
	state.table = table;
	table->follow = carry_out_next;
}

void pa_privileges_begin(bool root_private)
{
	state.root_private = root_private;
	pa_store_release(&state.jail, 0);
	pa_store_release(&state.inside, 0);
}

/* ---- the program ---- */

static void write_order(const struct pa_process_privilege_call *call)
{
	uint32_t number = pa_load_relaxed(&state.table->order);
	struct order *order = &orders[number % ORDERS];
	*order = (struct order){ .call = *call };
	if (call->number == SYS_capset) {
		const struct __user_cap_header_struct *header = (const void *)call->a;
		size_t words = header->version == _LINUX_CAPABILITY_VERSION_1 ? 1 : 2;
		order->header.version = header->version;
		memcpy(order->data, (const void *)call->b, words * sizeof(order->data[0]));
	}
	pa_store_release(&state.table->order, number + 1);
	pa_fence_full(); /* pairs with a thread that stores its futex word and then reads the
			  * order */
}

/* False: timeout. */
static bool wait_for_all(void)
{
	int64_t end_ns = pa_clock_mono_ns() + FOLLOW_NS;
	/* Ends: at end_ns. */
	while (!pa_thread_slot_have_followed()) {
		if (pa_clock_mono_ns() >= end_ns)
			return false;
		pa_slot_table_wake_all();
		pa_futex_sleep(POLL_NS);
	}
	return true;
}

bool pa_privileges_call(const struct pa_process_privilege_call *call)
{
	uint32_t none = 0;
	if (!pa_load_acquire(&pa_switches->booted) || pa_record.pid != getpid() ||
		!pa_cas_acq_rel(&state.giving, &none, 1))
		return false;
	int saved_errno = errno;
	write_order(call);
	bool all = wait_for_all();
	pa_store_release(&state.giving, 0);
	errno = saved_errno;
	/* Agent threads enter one jail; from inside it the path of the next one is not visible. */
	return all && (call->number != SYS_chroot || pa_swap_acq_rel(&state.inside, 0));
}
