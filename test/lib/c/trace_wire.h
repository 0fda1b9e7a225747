/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the bytes of a Go execution trace, format v1 with the header "go 1.19 trace", into lists of
 * records. A part of trace_reader.h, which says what all of it is for. Here are the rules that one
 * record, seen alone, can break: its form, its length and the ranges of its arguments.
 */
#ifndef TEST_TRACE_WIRE_H
#define TEST_TRACE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum trace_type {
	TRACE_BATCH = 1,
	TRACE_FREQUENCY,
	TRACE_STACK,
	TRACE_GOMAXPROCS,
	TRACE_PROC_START,
	TRACE_PROC_STOP,
	TRACE_GO_CREATE = 13,
	TRACE_GO_START,
	TRACE_GO_END,
	TRACE_GO_SCHED = 17,
	TRACE_GO_PREEMPT,
	TRACE_GO_SLEEP,
	TRACE_GO_BLOCK,
	TRACE_GO_UNBLOCK,
	TRACE_GO_BLOCK_SEND,
	TRACE_GO_BLOCK_RECV,
	TRACE_GO_BLOCK_SELECT,
	TRACE_GO_BLOCK_SYNC,
	TRACE_GO_BLOCK_COND,
	TRACE_GO_BLOCK_NET,
	TRACE_GO_SYS_CALL,
	TRACE_GO_SYS_EXIT,
	TRACE_GO_SYS_BLOCK,
	TRACE_GO_WAITING,
	TRACE_HEAP_ALLOC = 33,
	TRACE_HEAP_GOAL,
	TRACE_TIMER_GOROUTINE,
	TRACE_STRING = 37,
	TRACE_GO_START_LABEL = 41,
	TRACE_TASK_CREATE = 45,
	TRACE_TASK_END,
	TRACE_REGION,
	TRACE_LOG,
	TRACE_CPU_SAMPLE,
	TRACE_TYPES
};

#define TRACE_HEADER "go 1.19 trace\0\0" /* and the zero that ends it: 16 bytes */
#define TRACE_HEADER_BYTES 16
#define TRACE_STRING_MAX 1000000
#define TRACE_FRAMES_MAX 120
#define TRACE_STACK_BYTES_MAX 2000 /* of its arguments; so there are at most as many of them */
#define TRACE_P_MAX 1000000
#define TRACE_NO_P UINT64_MAX

/* args: with the time and the stack id; 0: no trace may have a record of that type. */
struct trace_shape {
	const char *name;
	unsigned char args;
	bool timed, stack;
};
extern const struct trace_shape trace_shapes[TRACE_TYPES];

/* Texts lie in trace.text, each with a zero behind it. */
struct trace_string {
	uint64_t id;
	size_t offset, text, bytes;
};

struct trace_frame {
	uint64_t pc, function, file, line;
	size_t offset; /* of its Stack */
};

struct trace_stack {
	uint64_t id;
	size_t offset, frame_count, first; /* first: of trace.frames */
};

struct trace_event {
	size_t offset;
	enum trace_type type;
	uint64_t ts, p;          /* ts: absolute ticks; a CPUSample's are the real ones */
	uint64_t by;             /* the goroutine that did it; 0: none, "G0" */
	uint64_t g;              /* the goroutine that it created, started or woke; else as by */
	uint64_t args[4], stack; /* args: those between the time and the stack */
	size_t text, outer;      /* text: of a UserLog; outer: the region around this, + 1 */
};

/* Where a goroutine is; the merge moves it on. */
enum trace_state { TRACE_NEW, TRACE_RUNNABLE, TRACE_RUNNING, TRACE_WAITING, TRACE_ENDED };

struct trace_goroutine {
	uint64_t id, seq, created_ts;
	size_t offset, region, starts; /* region: the innermost open one, + 1 */
	enum trace_state state;
	enum trace_type last; /* the type of the last event done by it */
	bool in_call;         /* in a blocked system call */
};

struct trace {
	bool ok;
	char error[256];
	size_t counts[TRACE_TYPES]; /* records per type, structural ones too */
	size_t event_count, string_count, stack_count, frame_count, goroutine_count;
	struct trace_event *events; /* in the order in which a reader puts them */
	struct trace_string *strings;
	struct trace_stack *stacks;
	struct trace_frame *frames;
	struct trace_goroutine *goroutines; /* by id */
	size_t undefined_stacks;            /* events whose stack id is neither 0 nor in a Stack */
	char *text;
	size_t text_bytes, text_room;
	/* While the bytes are read. */
	const unsigned char *bytes;
	size_t at, end, arg_count;
	uint64_t args[TRACE_STACK_BYTES_MAX], p, clock;
};

/* Remembers the first complaint. Always false. */
__attribute__((format(printf, 4, 5))) bool trace_fail(struct trace *t, size_t offset, unsigned type,
	const char *format, ...);

void *trace_memory(void *old, size_t bytes);

/* A list with room for one more than it has; it doubles when its count is a power of two. */
void *trace_grow(void *list, size_t count, size_t size);

bool trace_parse(struct trace *t, const void *bytes, size_t count);

#endif
