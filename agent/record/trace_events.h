/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Execution trace: creation, start and end of threads, their waits and wakeups, in causal order.
 *
 * While a trace is recorded (and only then) hooks record the creation, start and end of threads;
 * waits that block, and what ended them; and the program's tasks, regions and logs. Each is one
 * event PA_EVENT_TRACE. A small table counts the waiters of each object by its address: a release
 * is recorded only when there may be a waiter, and its number is left in the table for the threads
 * that wake up, which identifies their waker. Two objects may share a place: then additional
 * releases are recorded, and a thread that wakes up may find the number of the other object's
 * release. The reader of the trace sees that and takes the last release of the right object.
 *
 * Context: PA_APP; no lock, no loop that waits for another thread. errno kept.
 * When the ring is full: the event is counted in lost_trace_ring; readers of the trace repair it.
 */
#ifndef PA_TRACE_EVENTS_H
#define PA_TRACE_EVENTS_H

#include "lock_waits.h"

/* pa_event.skip of a PA_EVENT_TRACE: the operation, with the kind of wait above it for BLOCK. */
enum pa_trace_events_op {
	PA_TRACE_EVENTS_NONE,
	PA_TRACE_EVENTS_CREATE, /* of a thread; value[0] = its serial, object: start routine */
	PA_TRACE_EVENTS_START, /* first event of a thread; as CREATE of itself, serial 0: unknown */
	PA_TRACE_EVENTS_END,   /* last event; object = its pthread_t, value[0] as in RELEASE */
	PA_TRACE_EVENTS_BLOCK, /* a wait begins; value[0] as in RELEASE for the last thread at a
			        * barrier */
	PA_TRACE_EVENTS_WOKE,  /* a wait ends; value[0] = the last release of the object, 0:
			        * none, or timeout; PA_TRACE_EVENTS_NO_WAIT: refused */
	PA_TRACE_EVENTS_RELEASE, /* of object, which has waiters; value[0] = its number */
	PA_TRACE_EVENTS_TEXT, /* for the next event of this thread; depth words behind the header */
	PA_TRACE_EVENTS_TASK, /* value[0] = id, object = parent's id; text: name */
	PA_TRACE_EVENTS_TASK_END,
	PA_TRACE_EVENTS_REGION, /* value[0] = task's id; text: name */
	PA_TRACE_EVENTS_REGION_END,
	PA_TRACE_EVENTS_LOG, /* value[0] = task's id; text: category, NUL, message */
	PA_TRACE_EVENTS_OPS, /* two more are added by the collector: */
	PA_TRACE_EVENTS_TICK = PA_TRACE_EVENTS_OPS, /* a CPU sample */
	PA_TRACE_EVENTS_HEAP                        /* object = bytes in use */
};

#define PA_TRACE_EVENTS_NO_WAIT UINT64_MAX

/* How a trace shows a wait. */
enum pa_trace_events_class {
	PA_TRACE_EVENTS_SYNC,
	PA_TRACE_EVENTS_COND,
	PA_TRACE_EVENTS_NET,
	PA_TRACE_EVENTS_SLEEP,
	PA_TRACE_EVENTS_CALL
};

/* Kinds of waits, with their names in a trace; the first ones as enum pa_wait_kind. */
#define PA_TRACE_EVENTS_WAITS(X)                                 \
	X(NOTHING, "", PA_TRACE_EVENTS_SYNC)                     \
	X(MUTEX, "pthread_mutex_lock", PA_TRACE_EVENTS_SYNC)     \
	X(RDLOCK, "pthread_rwlock_rdlock", PA_TRACE_EVENTS_SYNC) \
	X(WRLOCK, "pthread_rwlock_wrlock", PA_TRACE_EVENTS_SYNC) \
	X(SPIN, "pthread_spin_lock", PA_TRACE_EVENTS_SYNC)       \
	X(COND, "pthread_cond_wait", PA_TRACE_EVENTS_COND)       \
	X(SEM, "sem_wait", PA_TRACE_EVENTS_SYNC)                 \
	X(BARRIER, "pthread_barrier_wait", PA_TRACE_EVENTS_SYNC) \
	X(JOIN, "pthread_join", PA_TRACE_EVENTS_SYNC)            \
	X(FUTEX, "futex", PA_TRACE_EVENTS_SYNC)                  \
	X(FUTEX_PI, "futex", PA_TRACE_EVENTS_SYNC)               \
	X(POLL, "poll", PA_TRACE_EVENTS_NET)                     \
	X(SELECT, "select", PA_TRACE_EVENTS_NET)                 \
	X(EPOLL, "epoll_wait", PA_TRACE_EVENTS_NET)              \
	X(RECV, "recv", PA_TRACE_EVENTS_NET)                     \
	X(ACCEPT, "accept", PA_TRACE_EVENTS_NET)                 \
	X(READ_SOCKET, "read", PA_TRACE_EVENTS_NET)              \
	X(READ, "read", PA_TRACE_EVENTS_CALL)                    \
	X(SLEEP, "nanosleep", PA_TRACE_EVENTS_SLEEP)             \
	X(OTHER_CALL, "syscall", PA_TRACE_EVENTS_CALL)

enum pa_trace_events_wait {
#define X(name, text, class) PA_TRACE_EVENTS_IN_##name,
	PA_TRACE_EVENTS_WAITS(X)
#undef X
		PA_TRACE_EVENTS_WAIT_COUNT
};

/* Packs and unpacks pa_event.skip. */
PA_INLINE uint32_t pa_trace_events_word(enum pa_trace_events_op op, enum pa_trace_events_wait wait)
{
	return (uint32_t)op | (uint32_t)wait << 8;
}

PA_INLINE enum pa_trace_events_op pa_trace_events_op_of(uint32_t word)
{
	return (enum pa_trace_events_op)(word & 255);
}

PA_INLINE enum pa_trace_events_wait pa_trace_events_wait_of(uint32_t word)
{
	return (enum pa_trace_events_wait)(word >> 8);
}

/* Texts are cut at this length; a log has two, with a NUL between them. */
#define PA_TRACE_EVENTS_TEXT_BYTES 1000

#define PA_TRACE_EVENTS_PLACES 4096u

#define PA_TRACE_EVENTS_AGAIN_NS (PA_NS_PER_MS / 20)

/* Objects by their address. */
struct pa_trace_events_place {
	/* relaxed: a waiter that arrives at this moment waits too briefly to record */
	PA_ATOMIC(int32_t) waiters;
	/* number of the last one; release in release, acquire in woke */
	PA_ATOMIC(uint64_t) release;
	/* Thread, object and time of the last recorded release; 0: a waiter has arrived or left
	 * since. Hints, relaxed. */
	PA_ATOMIC(int32_t) releaser;
	PA_ATOMIC(uintptr_t) object;
	PA_ATOMIC(int64_t) release_ns;
};
extern struct pa_trace_events_place pa_trace_events_places[PA_TRACE_EVENTS_PLACES] PA_HIDDEN;

PA_INLINE struct pa_trace_events_place *pa_trace_events_place_of(const void *object)
{
	uint64_t hash = (uintptr_t)object * 0x9e3779b97f4a7c15u;
	return &pa_trace_events_places[hash >> 52];
}

PA_INLINE bool pa_trace_events_is_on(void)
{
	return pa_load_relaxed(&pa_switches->trace);
}

/* False: it has no waiter, or no trace is recorded. 1 multiplication, 1 load. */
PA_INLINE bool pa_trace_events_is_waited(const void *object)
{
	return pa_load_relaxed(&pa_trace_events_place_of(object)->waiters) > 0;
}

PA_APP void pa_trace_events_switch(bool on);

/*
 * The calling hook is about to wait. object: NULL when no thread of this process can release it.
 * frame: an address in its frame. False: not recorded; do not call woke then.
 */
PA_APP bool pa_trace_events_block(struct pa_thread *thread, enum pa_trace_events_wait wait,
	const void *object, uintptr_t frame, struct pa_cursor caller);

/* Ends the wait that began in that frame. A trace leaves out a wait that was refused. */
PA_APP void pa_trace_events_woke(struct pa_thread *thread, uintptr_t frame, enum pa_wait_end end);

/*
 * Before object is released. A thread that acquires and releases it repeatedly while its waiters do
 * not get it records this once per PA_TRACE_EVENTS_AGAIN_NS.
 */
PA_APP void pa_trace_events_release(struct pa_thread *thread, const void *object,
	struct pa_cursor caller);

/* Before a thread is created: its serial, 0 when no trace is recorded. */
PA_APP uint64_t pa_trace_events_create(struct pa_thread *thread, const void *start_routine,
	struct pa_cursor caller);

/* In the new thread. */
PA_APP void pa_trace_events_start(struct pa_thread *thread, uint64_t serial);

/* At its end; object: its pthread_t. */
PA_APP void pa_trace_events_end(struct pa_thread *thread, const void *object);

/* op: TASK, REGION or LOG. texts: first, then NUL and second if there is one. */
PA_APP void pa_trace_events_annotate(struct pa_thread *thread, enum pa_trace_events_op op,
	uint64_t id, uint64_t parent, const char *first, const char *second,
	struct pa_cursor caller);

/* A new task id, never 0. */
PA_APP uint64_t pa_trace_events_new_task(void);

/* In a forked child: no trace, no waiters. */
PA_BOOT void pa_trace_events_atfork_child(void);

#endif
