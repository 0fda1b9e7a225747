/*
 * The threads of a trace as goroutines: what each does, and the events by which it comes to do
 * something else. Each function writes what is needed to get there from where the thread is.
 *
 * Context: PA_AGENT, one thread. Pointers to threads are good until another one is made.
 * When full (PA_TRACE_THREADS_MAX, or no memory): NULL; who is not in the table is not in the
 * trace.
 */
#ifndef PA_TRACE_THREADS_H
#define PA_TRACE_THREADS_H

#include "trace.h"
#include "trace_rows.h"
#include "trace_tables.h"

/* The first ticks: time 0 means unset to readers. At the first of them stand only the creations of
 * the threads that are there; ordinary events begin at the last, since of two rows at the same time
 * readers may put either first, and some break at a label before Gomaxprocs. */
#define PA_TRACE_TICK_CREATED 1000u
#define PA_TRACE_TICK_OWN_ROW 1001u
#define PA_TRACE_TICK_PROCESSORS 1002u
#define PA_TRACE_TICK_BEGUN 1003u

#define PA_TRACE_REGIONS 8

/* How a thread is found: the group of a key. */
enum pa_trace_key_kind { PA_TRACE_BY_TID, PA_TRACE_BY_SERIAL };

enum pa_trace_state { PA_TRACE_RUNNABLE, PA_TRACE_RUNNING, PA_TRACE_WAITING, PA_TRACE_DEAD };

struct pa_trace_region {
	uint64_t task, name;
};

struct pa_trace_thread {
	int32_t tid;      /* 0: not known yet, it was only created */
	uint8_t state;    /* enum pa_trace_state */
	bool in_call;     /* waiting: in a system call, which ends in another way */
	uint8_t regions;
	uint8_t grace;    /* waiting: CPU samples that do not end the wait */
	uint32_t row;     /* where it runs, or ran last */
	uint64_t goroutine, sequence, created_ts;
	uint64_t stack;   /* the last that is known */
	uint64_t entry;   /* number to bind to its first stack; 0: its start routine is known */
	uint64_t name;    /* 0: not known */
	uintptr_t object; /* waiting: for that */
	struct pa_trace_region region[PA_TRACE_REGIONS];
};

struct pa_trace_threads {
	struct pa_trace_bytes *bytes;
	struct pa_trace_tables *tables;
	struct pa_trace_rows rows;
	struct pa_pairmap by; /* index in at; groups as above */
	struct pa_grow at;    /* struct pa_trace_thread */
	uint32_t count;
	uint64_t later;       /* goroutines that have no tid for a name */
	uint64_t ts;          /* of what is written */
};

/* *threads is zeroed before. False: no memory. */
PA_AGENT bool pa_trace_threads_init(struct pa_trace_threads *threads, struct pa_trace_bytes *bytes,
	struct pa_trace_tables *tables);
PA_AGENT void pa_trace_threads_free(struct pa_trace_threads *threads);

PA_AGENT struct pa_trace_thread *pa_trace_threads_find(struct pa_trace_threads *threads,
	enum pa_trace_key_kind kind, uint64_t key);

/* A new one, runnable, made in that row. tid or serial may be 0. entry: of its start routine, or of
 * a stack that begins there; NULL: not known. */
PA_AGENT struct pa_trace_thread *pa_trace_threads_create(struct pa_trace_threads *threads,
	uint32_t row, int32_t tid, uint64_t serial, const struct pa_stack *entry, uint64_t stack);

/* It is found by that tid from now on; who had it before is not. False: no memory. */
PA_AGENT bool pa_trace_threads_call(struct pa_trace_threads *threads,
	struct pa_trace_thread *thread, int32_t tid);

/* It runs, whatever was lost before. False: it has ended, or no memory. */
PA_AGENT bool pa_trace_threads_run(struct pa_trace_threads *threads,
	struct pa_trace_thread *thread);

/* The thread with that tid, running; made if need be. NULL: it has ended, or there are too many.
 * stack: its own now, or NULL. */
PA_AGENT struct pa_trace_thread *pa_trace_threads_running(struct pa_trace_threads *threads,
	int32_t tid, const struct pa_stack *stack);

PA_AGENT void pa_trace_threads_name(struct pa_trace_threads *threads,
	struct pa_trace_thread *thread, const char name[PA_THREAD_NAME_BYTES]);

/* It runs, and waits from now on. how: of the stack. */
PA_AGENT void pa_trace_threads_block(struct pa_trace_threads *threads,
	struct pa_trace_thread *thread, enum pa_tracing_wait wait, const struct pa_stack *stack,
	uint32_t how, uintptr_t object);

/* by runs, and wakes the thread with that tid, if it waits for object. */
PA_AGENT void pa_trace_threads_wake(struct pa_trace_threads *threads,
	const struct pa_trace_thread *by, int32_t tid, uintptr_t object,
	const struct pa_stack *stack);

/* It runs, and ends. */
PA_AGENT void pa_trace_threads_end(struct pa_trace_threads *threads,
	struct pa_trace_thread *thread);

/* The trace ends: nobody runs any more, no row is left. */
PA_AGENT void pa_trace_threads_stop_all(struct pa_trace_threads *threads);

/* An event now. */
PA_AGENT void pa_trace_threads_event(struct pa_trace_threads *threads, uint32_t row,
	enum pa_trace_type type, const uint64_t *arguments, size_t count);

/* For the two last parameters of that. */
#define PA_TRACE_ARGS(...)                                                                        \
	(const uint64_t[]){ __VA_ARGS__ },                                                        \
		sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t)

#endif
