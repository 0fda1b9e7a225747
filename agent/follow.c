#include "follow.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "aside.h"
#include "base/clock.h"
#include "base/lock.h"
#include "record/on.h"
#include "record/process.h"

/*
 * What a call of the program may be delayed by. Ours need microseconds, but may have to wait for a
 * processor first; where one of them is late, it keeps what the program believes to be given up,
 * and a setuid() that follows may find threads that differ (nptl/nptl_setxid.c aborts then).
 */
#define FOLLOW_NS PA_NS_PER_S
#define LOOK_NS (100000)

/* A thread that is so many behind has missed some: it has not waited for as long. */
#define ORDERS 64

struct order {
	struct pa_given call;
	struct __user_cap_header_struct header; /* of capset */
	struct __user_cap_data_struct data[2];
};

static struct {
	struct pa_bridge *bridge;
	struct pa_seat_table *table;
	struct order orders[ORDERS];
	PA_ATOMIC(uint32_t) giving; /* a thread of the program writes an order; acq_rel by CAS */
	PA_ATOMIC(uint32_t) jail;   /* one of ours goes there; acq_rel by CAS */
	PA_ATOMIC(uint32_t) inside; /* ours have the program's root; release / acquire */
	bool root_private;
} state;

/* ---- our threads ---- */

/*
 * Once, since what leads there is outside. What names will be looked up in is opened before: plain
 * files, by which nothing else can be reached.
 */
static void enter_jail(void)
{
	uint32_t nobody = 0;
	if (!state.root_private || !pa_cas_acq_rel(&state.jail, &nobody, 1))
		return;
	if (state.bridge->jailed)
		state.bridge->jailed();
	if (syscall(SYS_chroot, "/proc/self/" "root") == 0 && syscall(SYS_chdir, "/") == 0)
		pa_store_release(&state.inside, 1);
}

static void carry_out(const struct order *order)
{
	const struct pa_given *call = &order->call;
	struct __user_cap_header_struct header = order->header;
	switch (call->number) {
	case SYS_chroot:
		enter_jail();
		break;
	case SYS_capset:
		syscall(SYS_capset, &header, order->data);
		break;
	default:
		syscall(call->number, call->a, call->b, call->c, call->d, call->e);
		break;
	}
}

static void carry_out_next(uint32_t number)
{
	int saved_errno = errno;
	carry_out(&state.orders[number % ORDERS]);
	errno = saved_errno;
}

void pa_follow_boot(struct pa_bridge *bridge, struct pa_seat_table *table)
{
	state.bridge = bridge;
	state.table = table;
	table->follow = carry_out_next;
}

void pa_follow_begin(bool root_private)
{
	state.root_private = root_private;
	pa_store_release(&state.jail, 0);
	pa_store_release(&state.inside, 0);
}

/* ---- the program ---- */

static void write_order(const struct pa_given *call)
{
	uint32_t number = pa_load_relaxed(&state.table->order);
	struct order *order = &state.orders[number % ORDERS];
	*order = (struct order){ .call = *call };
	if (call->number == SYS_capset) {
		const struct __user_cap_header_struct *header = (const void *)call->a;
		size_t words = header->version == _LINUX_CAPABILITY_VERSION_1 ? 1 : 2;
		order->header.version = header->version;
		memcpy(order->data, (const void *)call->b, words * sizeof(order->data[0]));
	}
	pa_store_release(&state.table->order, number + 1);
	pa_fence_full(); /* against a thread that says where it sleeps and then looks */
}

/* False: the time is over. */
static bool wait_for_all(void)
{
	int64_t end_ns = pa_clock_mono_ns() + FOLLOW_NS;
	/* Ends: at end_ns. */
	while (!pa_seat_have_followed()) {
		if (pa_clock_mono_ns() >= end_ns)
			return false;
		pa_aside_wake_all();
		pa_futex_rest(LOOK_NS);
	}
	return true;
}

bool pa_process_follow(const struct pa_given *call)
{
	uint32_t nobody = 0;
	if (!pa_load_acquire(&pa_on->booted) || pa_record.pid != getpid() ||
	    !pa_cas_acq_rel(&state.giving, &nobody, 1))
		return false;
	int saved_errno = errno;
	write_order(call);
	bool all = wait_for_all();
	pa_store_release(&state.giving, 0);
	errno = saved_errno;
	/* Ours go into one jail; how they would come into the next is not to be seen from there. */
	return all && (call->number != SYS_chroot || pa_swap_acq_rel(&state.inside, 0));
}
