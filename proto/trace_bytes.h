/*
 * The bytes of an execution trace: format v1 of Go, header "go 1.19 trace".
 *
 * A record is a byte with its type and, above that, its number of arguments less one; with four or
 * more arguments that is 3, and their length follows. All numbers are LEB128. What happened on one
 * P at one time comes in batches: an event whose P is not the last one's begins another.
 *
 * Context: PA_AGENT, one thread. Bytes reach the sink in whole records: a trace that is cut off
 * between two of them can be read, another cannot.
 */
#ifndef PA_TRACE_BYTES_H
#define PA_TRACE_BYTES_H

#include "encode.h"

enum pa_trace_type {
	PA_TRACE_BATCH = 1,
	PA_TRACE_FREQUENCY = 2,
	PA_TRACE_STACK = 3,
	PA_TRACE_GOMAXPROCS = 4,
	PA_TRACE_PROC_START = 5,
	PA_TRACE_PROC_STOP = 6,
	PA_TRACE_GO_CREATE = 13,
	PA_TRACE_GO_START = 14,
	PA_TRACE_GO_END = 15,
	PA_TRACE_GO_PREEMPT = 18,
	PA_TRACE_GO_SLEEP = 19,
	PA_TRACE_GO_UNBLOCK = 21,
	PA_TRACE_GO_BLOCK_SYNC = 25,
	PA_TRACE_GO_BLOCK_COND = 26,
	PA_TRACE_GO_BLOCK_NET = 27,
	PA_TRACE_GO_SYS_CALL = 28,
	PA_TRACE_GO_SYS_EXIT = 29,
	PA_TRACE_GO_SYS_BLOCK = 30,
	PA_TRACE_HEAP_ALLOC = 33,
	PA_TRACE_STRING = 37,
	PA_TRACE_GO_START_LABEL = 41,
	PA_TRACE_USER_TASK_CREATE = 45,
	PA_TRACE_USER_TASK_END = 46,
	PA_TRACE_USER_REGION = 47,
	PA_TRACE_USER_LOG = 48,
	PA_TRACE_CPU_SAMPLE = 49
};

/* More arguments has no record but that of a stack. */
#define PA_TRACE_ARGUMENTS 8

/* Readers refuse a longer stack. */
#define PA_TRACE_STACK_BYTES 2000

/* Texts are cut there. */
#define PA_TRACE_STRING_BYTES 1000

#define PA_TRACE_BUFFER_BYTES 16384

struct pa_trace_bytes {
	const struct pa_sink *sink;
	bool failed;      /* the sink said stop: nothing more is written */
	bool in_batch;
	uint64_t p, ts;   /* of the last event */
	uint64_t total;   /* bytes so far */
	uint64_t records;
	size_t used;
	uint8_t buffer[PA_TRACE_BUFFER_BYTES];
};

/* The header. */
PA_AGENT void pa_trace_bytes_begin(struct pa_trace_bytes *bytes, const struct pa_sink *sink);

/* A record without a time. */
PA_AGENT void pa_trace_bytes_record(struct pa_trace_bytes *bytes, enum pa_trace_type type,
	const uint64_t *arguments, size_t count);

/* An event: at most PA_TRACE_ARGUMENTS - 1 arguments, the time put in front. ts never goes back. */
PA_AGENT void pa_trace_bytes_event(struct pa_trace_bytes *bytes, uint64_t p, uint64_t ts,
	enum pa_trace_type type, const uint64_t *arguments, size_t count);

/* An event that leaves the clock of its batch as it is. */
PA_AGENT void pa_trace_bytes_sample(struct pa_trace_bytes *bytes, const uint64_t *arguments,
	size_t count);

/* id not 0 and new, text not empty. */
PA_AGENT void pa_trace_bytes_string(struct pa_trace_bytes *bytes, uint64_t id, const char *text);

/* A log: as an event, with its message. */
PA_AGENT void pa_trace_bytes_log(struct pa_trace_bytes *bytes, uint64_t p, uint64_t ts,
	uint64_t task, uint64_t category, uint64_t stack, const char *message);

/* Bytes that a number takes. */
PA_AGENT size_t pa_trace_bytes_width(uint64_t number);

/* The rest to the sink. 0 or -ECANCELED. */
PA_AGENT int pa_trace_bytes_flush(struct pa_trace_bytes *bytes);

#endif
