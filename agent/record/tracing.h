/*
 * The execution trace: what threads do to each other, in the order in which they do it.
 *
 * While a trace is being taken (and only then) the hooks tell of threads that are created, start
 * and end; of waits that really wait, and what ended them; of the program's own tasks, regions and
 * logs. Each is one event PA_EVENT_TRACE. What waits for an object is counted in a small table by
 * its address, so that who releases it tells only when somebody may be waiting, and leaves the
 * number of its release there for those who wake up: that is who woke them. Two objects may share a
 * place: then there is a release too many, and a number that the reader finds to be another
 * object's.
 *
 * Context: PA_APP; no lock, no loop that waits for another thread. errno kept.
 * When the ring is full: the event is counted in lost_trace_ring; readers of the trace repair it.
 */
#ifndef PA_TRACING_H
#define PA_TRACING_H

#include "contend.h"

/* pa_event.skip of a PA_EVENT_TRACE: the operation, and of a BLOCK the wait above it. */
enum pa_tracing_op {
	PA_TRACING_NONE,
	PA_TRACING_CREATE,  /* about to create a thread; value[0] = its serial, object = its start
	                       routine */
	PA_TRACING_START,   /* first event of a thread; the same of itself, serial 0: not known */
	PA_TRACING_END,     /* last event; object = its pthread_t, value[0] as in RELEASE */
	PA_TRACING_BLOCK,   /* a wait begins; of a barrier value[0] as in RELEASE: who comes last
	                       releases it */
	PA_TRACING_WOKE,    /* it is over; value[0] = the last release of the object, 0: none, or
	                       time was up */
	PA_TRACING_RELEASE, /* of object, which somebody waits for; value[0] = its number */
	PA_TRACING_TEXT,    /* for the next event of this thread; depth words behind the header */
	PA_TRACING_TASK,    /* value[0] = id, object = parent's id; text: name */
	PA_TRACING_TASK_END,
	PA_TRACING_REGION,  /* value[0] = task's id; text: name */
	PA_TRACING_REGION_END,
	PA_TRACING_LOG,     /* value[0] = task's id; text: category, NUL, message */
	PA_TRACING_OPS,     /* the collector adds two of its own: */
	PA_TRACING_TICK = PA_TRACING_OPS, /* a CPU sample */
	PA_TRACING_HEAP     /* object = bytes in use */
};

/* How a trace shows a wait. */
enum pa_tracing_class {
	PA_TRACING_SYNC,
	PA_TRACING_COND,
	PA_TRACING_NET,
	PA_TRACING_SLEEP,
	PA_TRACING_CALL
};

/* What a thread waits in, with the name that stands for it; the first as enum pa_wait_kind. */
#define PA_TRACING_WAITS(X)                                                               \
	X(NOTHING, "", PA_TRACING_SYNC)                                                   \
	X(MUTEX, "pthread_mutex_lock", PA_TRACING_SYNC)                                   \
	X(RDLOCK, "pthread_rwlock_rdlock", PA_TRACING_SYNC)                               \
	X(WRLOCK, "pthread_rwlock_wrlock", PA_TRACING_SYNC)                               \
	X(SPIN, "pthread_spin_lock", PA_TRACING_SYNC)                                     \
	X(COND, "pthread_cond_wait", PA_TRACING_COND)                                     \
	X(SEM, "sem_wait", PA_TRACING_SYNC)                                               \
	X(BARRIER, "pthread_barrier_wait", PA_TRACING_SYNC)                               \
	X(JOIN, "pthread_join", PA_TRACING_SYNC)                                          \
	X(POLL, "poll", PA_TRACING_NET)                                                   \
	X(SELECT, "select", PA_TRACING_NET)                                               \
	X(EPOLL, "epoll_wait", PA_TRACING_NET)                                            \
	X(RECV, "recv", PA_TRACING_NET)                                                   \
	X(ACCEPT, "accept", PA_TRACING_NET)                                               \
	X(READ_SOCKET, "read", PA_TRACING_NET)                                            \
	X(READ, "read", PA_TRACING_CALL)                                                  \
	X(SLEEP, "nanosleep", PA_TRACING_SLEEP)                                           \
	X(FUTEX, "futex", PA_TRACING_SYNC)                                                \
	X(OTHER_CALL, "syscall", PA_TRACING_CALL)

enum pa_tracing_wait {
#define X(name, text, class) PA_TRACING_IN_##name,
	PA_TRACING_WAITS(X)
#undef X
	PA_TRACING_WAIT_COUNT
};

/* The event's skip, put together and taken apart. */
PA_INLINE uint32_t pa_tracing_word(enum pa_tracing_op op, enum pa_tracing_wait wait)
{
	return (uint32_t)op | (uint32_t)wait << 8;
}

PA_INLINE enum pa_tracing_op pa_tracing_op_of(uint32_t word)
{
	return (enum pa_tracing_op)(word & 255);
}

PA_INLINE enum pa_tracing_wait pa_tracing_wait_of(uint32_t word)
{
	return (enum pa_tracing_wait)(word >> 8);
}

/* Texts are cut there; a log has two, with their NUL between. */
#define PA_TRACING_TEXT_BYTES 1000

#define PA_TRACING_PLACES 4096u

#define PA_TRACING_AGAIN_NS (PA_NS_PER_MS / 20)

/* Objects by their address. */
struct pa_tracing_place {
	/* relaxed: who comes in that moment is a wait too short to tell */
	PA_ATOMIC(int32_t) waiters;
	/* number of the last one; release in release, acquire in woke */
	PA_ATOMIC(uint64_t) release;
	/* Whose it was, of what and when; 0: somebody has begun or ended to wait since. Hints,
	 * relaxed. */
	PA_ATOMIC(int32_t) releaser;
	PA_ATOMIC(uintptr_t) object;
	PA_ATOMIC(int64_t) release_ns;
};
extern struct pa_tracing_place pa_tracing_places[PA_TRACING_PLACES] PA_HIDDEN;

PA_INLINE struct pa_tracing_place *pa_tracing_place_of(const void *object)
{
	uint64_t hash = (uintptr_t)object * 0x9e3779b97f4a7c15u;
	return &pa_tracing_places[hash >> 52];
}

PA_INLINE bool pa_tracing_is_on(void)
{
	return pa_load_relaxed(&pa_on->trace);
}

/* False: surely nobody waits for it, or there is no trace. 1 multiplication, 1 load. */
PA_INLINE bool pa_tracing_is_waited(const void *object)
{
	return pa_load_relaxed(&pa_tracing_place_of(object)->waiters) > 0;
}

/* False: the kernel does not wipe the table in children. */
PA_BOOT bool pa_tracing_boot(void);
PA_AGENT void pa_tracing_switch(bool on);

/*
 * The calling hook is about to wait. object: NULL where nobody in this process can release it.
 * frame: an address in its frame. False: nobody wants to know; then no woke.
 */
PA_APP bool pa_tracing_block(struct pa_thread *thread, enum pa_tracing_wait wait,
	const void *object, uintptr_t frame, struct pa_cursor caller);

/* The wait that began in that frame is over. got: by a release, and not because time was up. */
PA_APP void pa_tracing_woke(struct pa_thread *thread, uintptr_t frame, bool got);

/*
 * Before the object is released. A thread that takes and releases it again and again, while those
 * who wait do not get it, tells so once in PA_TRACING_AGAIN_NS.
 */
PA_APP void pa_tracing_release(struct pa_thread *thread, const void *object,
	struct pa_cursor caller);

/* Before a thread is created: its serial, 0 when there is no trace. */
PA_APP uint64_t pa_tracing_create(struct pa_thread *thread, const void *start_routine,
	struct pa_cursor caller);

/* In the new thread. */
PA_APP void pa_tracing_start(struct pa_thread *thread, uint64_t serial);

/* It ends; object: its pthread_t. */
PA_APP void pa_tracing_end(struct pa_thread *thread, const void *object);

/* op: one of the program's own. texts: first, and NUL and second when there is one. */
PA_APP void pa_tracing_annotate(struct pa_thread *thread, enum pa_tracing_op op, uint64_t id,
	uint64_t parent, const char *first, const char *second, struct pa_cursor caller);

/* An id for a task, never 0. */
PA_APP uint64_t pa_tracing_new_task(void);

/* In a forked child: no trace, nobody waits. */
PA_BOOT void pa_tracing_atfork_child(void);

#endif
