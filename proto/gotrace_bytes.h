/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding of execution traces: Go's format v1, header "go 1.19 trace".
 *
 * A record is a byte with its type and, in the upper bits, its number of arguments less one; with
 * four or more arguments that is 3, and their length follows. All numbers are LEB128. Events are
 * grouped in batches of one P: an event of another P begins a new batch.
 *
 * Context: PA_AGENT, one thread. No lock, no allocation. Bytes reach the sink in whole records,
 * because readers accept a trace truncated between records only.
 */
#ifndef PA_GOTRACE_BYTES_H
#define PA_GOTRACE_BYTES_H

#include "encode.h"

enum pa_gotrace_type {
	PA_GOTRACE_BATCH = 1,
	PA_GOTRACE_FREQUENCY = 2,
	PA_GOTRACE_STACK = 3,
	PA_GOTRACE_GOMAXPROCS = 4,
	PA_GOTRACE_PROC_START = 5,
	PA_GOTRACE_PROC_STOP = 6,
	PA_GOTRACE_GO_CREATE = 13,
	PA_GOTRACE_GO_START = 14,
	PA_GOTRACE_GO_END = 15,
	PA_GOTRACE_GO_PREEMPT = 18,
	PA_GOTRACE_GO_SLEEP = 19,
	PA_GOTRACE_GO_UNBLOCK = 21,
	PA_GOTRACE_GO_BLOCK_SYNC = 25,
	PA_GOTRACE_GO_BLOCK_COND = 26,
	PA_GOTRACE_GO_BLOCK_NET = 27,
	PA_GOTRACE_GO_SYS_CALL = 28,
	PA_GOTRACE_GO_SYS_EXIT = 29,
	PA_GOTRACE_GO_SYS_BLOCK = 30,
	PA_GOTRACE_HEAP_ALLOC = 33,
	PA_GOTRACE_STRING = 37,
	PA_GOTRACE_GO_START_LABEL = 41,
	PA_GOTRACE_USER_TASK_CREATE = 45,
	PA_GOTRACE_USER_TASK_END = 46,
	PA_GOTRACE_USER_REGION = 47,
	PA_GOTRACE_USER_LOG = 48,
	PA_GOTRACE_CPU_SAMPLE = 49
};

/* No record but that of a stack has more arguments. */
#define PA_GOTRACE_ARGUMENTS 8

/* Readers reject a longer stack. */
#define PA_GOTRACE_STACK_BYTES 2000

/* Longer texts are truncated. */
#define PA_GOTRACE_STRING_BYTES 1000

#define PA_GOTRACE_BUFFER_BYTES 16384

struct pa_gotrace_bytes {
	const struct pa_sink *sink;
	bool failed; /* the sink failed: nothing more is written */
	bool in_batch;
	uint64_t p, ts; /* of the last event */
	uint64_t total; /* bytes so far */
	uint64_t records;
	size_t used;
	uint8_t buffer[PA_GOTRACE_BUFFER_BYTES];
};

/* Writes the header. */
PA_AGENT void pa_gotrace_bytes_begin(struct pa_gotrace_bytes *bytes, const struct pa_sink *sink);

/* Writes a record without a time. */
PA_AGENT void pa_gotrace_bytes_record(struct pa_gotrace_bytes *bytes, enum pa_gotrace_type type,
	const uint64_t *arguments, size_t count);

/* Writes an event: at most PA_GOTRACE_ARGUMENTS - 1 arguments, preceded by the time. ts must not
 * decrease. */
PA_AGENT void pa_gotrace_bytes_event(struct pa_gotrace_bytes *bytes, uint64_t p, uint64_t ts,
	enum pa_gotrace_type type, const uint64_t *arguments, size_t count);

/* Writes an event that does not change the clock of its batch. */
PA_AGENT void pa_gotrace_bytes_sample(struct pa_gotrace_bytes *bytes, const uint64_t *arguments,
	size_t count);

/* id must be new and not 0, text not empty. */
PA_AGENT void pa_gotrace_bytes_string(struct pa_gotrace_bytes *bytes, uint64_t id,
	const char *text);

/* Writes a log event with its message. */
PA_AGENT void pa_gotrace_bytes_log(struct pa_gotrace_bytes *bytes, uint64_t p, uint64_t ts,
	uint64_t task, uint64_t category, uint64_t stack, const char *message);

/* Length of an encoded number. */
PA_AGENT size_t pa_gotrace_bytes_width(uint64_t number);

/* Writes the rest to the sink. Returns 0 or -ECANCELED. */
PA_AGENT int pa_gotrace_bytes_flush(struct pa_gotrace_bytes *bytes);

#endif
