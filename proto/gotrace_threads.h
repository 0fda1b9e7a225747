/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of a trace as goroutines: the state of each, and the events that change it. Each function
 * writes the events needed to reach its state from the present one.
 *
 * Context: PA_AGENT, one thread. No lock. Pointers to threads are valid until another thread is
 * created. When full (PA_GOTRACE_MAX_THREADS, or no memory): NULL; the thread is not in the trace.
 */
#ifndef PA_GOTRACE_THREADS_H
#define PA_GOTRACE_THREADS_H

#include "gotrace.h"
#include "gotrace_rows.h"
#include "gotrace_tables.h"

/*
 * First ticks; time 0 means unset to readers. The first tick has only the creations of existing
 * threads; ordinary events begin at the last one, because readers may order events of two rows at
 * the same time either way, and some fail at a label before Gomaxprocs.
 */
#define PA_GOTRACE_TICK_CREATED 1000u
#define PA_GOTRACE_TICK_OWN_ROW 1001u
#define PA_GOTRACE_TICK_PROCESSORS 1002u
#define PA_GOTRACE_TICK_BEGUN 1003u

#define PA_GOTRACE_REGIONS 8

/* Key under which a thread is found: the group of the pair. */
enum pa_gotrace_key_kind { PA_GOTRACE_BY_TID, PA_GOTRACE_BY_SERIAL };

enum pa_gotrace_state {
	PA_GOTRACE_RUNNABLE,
	PA_GOTRACE_RUNNING,
	PA_GOTRACE_WAITING,
	PA_GOTRACE_DEAD
};

struct pa_gotrace_region {
	uint64_t task, name;
};

struct pa_gotrace_thread {
	int32_t tid;   /* 0: unknown, the thread was only created */
	uint8_t state; /* enum pa_gotrace_state */
	bool in_call;  /* waiting: in a system call, which ends by another event */
	uint8_t regions;
	uint8_t grace; /* waiting: number of CPU samples that do not end the wait */
	uint32_t row;  /* present or last row */
	uint64_t goroutine, sequence, created_ts;
	uint64_t stack;   /* last known stack */
	uint64_t entry;   /* number to bind to its first stack; 0: its start routine is known */
	uint64_t name;    /* 0: unknown */
	uintptr_t object; /* waiting: the object */
	struct pa_gotrace_region region[PA_GOTRACE_REGIONS];
};

struct pa_gotrace_threads {
	struct pa_gotrace_bytes *bytes;
	struct pa_gotrace_tables *tables;
	struct pa_gotrace_rows rows;
	struct pa_pair_map by; /* index in at; groups as above */
	struct pa_scratch at;  /* struct pa_gotrace_thread */
	uint32_t count;
	uint64_t later; /* goroutines without a tid as id */
	uint64_t ts;    /* present time */
};

/* *threads must be zeroed. False: no memory. */
PA_AGENT bool pa_gotrace_threads_init(struct pa_gotrace_threads *threads,
	struct pa_gotrace_bytes *bytes, struct pa_gotrace_tables *tables);
PA_AGENT void pa_gotrace_threads_free(struct pa_gotrace_threads *threads);

PA_AGENT struct pa_gotrace_thread *pa_gotrace_threads_find(struct pa_gotrace_threads *threads,
	enum pa_gotrace_key_kind kind, uint64_t key);

/* Creates a runnable thread in a row. tid or serial may be 0. entry: stack of its start routine, or
 * one that begins there; NULL: unknown. */
PA_AGENT struct pa_gotrace_thread *pa_gotrace_threads_create(struct pa_gotrace_threads *threads,
	uint32_t row, int32_t tid, uint64_t serial, const struct pa_stack *entry, uint64_t stack);

/* Assigns a tid to the thread; a former thread with the tid loses it. False: no memory. */
PA_AGENT bool pa_gotrace_threads_call(struct pa_gotrace_threads *threads,
	struct pa_gotrace_thread *thread, int32_t tid);

/* Makes the thread run, whatever was lost before. False: it has ended, or no memory. */
PA_AGENT bool pa_gotrace_threads_run(struct pa_gotrace_threads *threads,
	struct pa_gotrace_thread *thread);

/* Returns the thread with that tid, running; creates it if necessary. NULL: it has ended, or the
 * table is full. stack: its present one, or NULL. */
PA_AGENT struct pa_gotrace_thread *pa_gotrace_threads_running(struct pa_gotrace_threads *threads,
	int32_t tid, const struct pa_stack *stack);

/* Only the start of a thread says its name in the format, so a running thread that has another name
 * than before stops and starts at once: one that never waits would have none. */
PA_AGENT void pa_gotrace_threads_name(struct pa_gotrace_threads *threads,
	struct pa_gotrace_thread *thread, const char name[PA_EVENT_NAME_BYTES]);

/* The running thread waits from now on. how: of the stack. */
PA_AGENT void pa_gotrace_threads_block(struct pa_gotrace_threads *threads,
	struct pa_gotrace_thread *thread, enum pa_trace_events_wait wait,
	const struct pa_stack *stack, uint32_t how, uintptr_t object);

/* The running thread by wakes the thread with that tid, if it waits for object. */
PA_AGENT void pa_gotrace_threads_wake(struct pa_gotrace_threads *threads,
	const struct pa_gotrace_thread *by, int32_t tid, uintptr_t object,
	const struct pa_stack *stack);

/* The running thread ends. */
PA_AGENT void pa_gotrace_threads_end(struct pa_gotrace_threads *threads,
	struct pa_gotrace_thread *thread);

/* Ends the trace: stops all threads and rows. */
PA_AGENT void pa_gotrace_threads_stop_all(struct pa_gotrace_threads *threads);

/* Writes an event at the present time. */
PA_AGENT void pa_gotrace_threads_event(struct pa_gotrace_threads *threads, uint32_t row,
	enum pa_gotrace_type type, const uint64_t *arguments, size_t count);

/* Expands to the last two parameters of pa_gotrace_threads_event. */
#define PA_GOTRACE_ARGS(...)               \
	(const uint64_t[]){ __VA_ARGS__ }, \
		sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t)

#endif
