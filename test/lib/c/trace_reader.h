/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict reader of Go execution traces, format v1 with the header "go 1.19 trace": it refuses
 * what any of the readers from Go 1.19 to 1.27 refuses, panics on or shows wrongly, so that a test
 * of a writer needs no Go.
 *
 *	struct trace trace;
 *
 *	if (!trace_read(&trace, bytes, count))
 *		fail_msg("%s", trace.error);
 *	assert_int_equal(trace.counts[TRACE_GO_BLOCK_SYNC], 2);
 *	assert_string_equal(trace_life(&trace, 7), "GoCreate GoStart GoBlockSync ...");
 *	trace_free(&trace);
 *
 * The error says at which byte the record begins, its type and the rule. Only the first one is
 * said: first those of single records (trace_wire.h), in the order of the file, then those of ids
 * (trace_tables.h), of single Ps and of the order (trace_order.h), at last those of lives, here.
 *
 * Stricter than all of the readers: types that they know and no writer of ours should use; the end
 * of a region that did not start; task 0; a sample of a goroutine that is never created; GoSysBlock
 * without GoSysCall, GoUnblock out of a system call; GoWaiting after Gomaxprocs and a second start
 * before it. As lenient as they are: a stack id that is not defined means no stack (but they are
 * counted, undefined_stacks), and of two stacks with the same id the last counts.
 *
 * What it returns lives until trace_free, which also ends a trace that was refused.
 */
#ifndef TEST_TRACE_READER_H
#define TEST_TRACE_READER_H

#include "test/lib/c/trace_order.h"

/* True when the bytes are a trace that every reader takes; else trace.error says why not. */
bool trace_read(struct trace *t, const void *bytes, size_t count);

void trace_free(struct trace *t);

/* "" for 0; NULL when there is none with that id. */
const char *trace_string(const struct trace *t, uint64_t id);

/* How many frames the stack has; 0 also for a stack that is not there. */
size_t trace_depth(const struct trace *t, uint64_t stack);

/* The n-th frame, from the innermost, 0; NULL when there are fewer. */
const struct trace_frame *trace_frame(const struct trace *t, uint64_t stack, size_t n);

/* The function's name of the n-th frame; NULL when there are fewer. */
const char *trace_function(const struct trace *t, uint64_t stack, size_t n);

/*
 * The n-th event of that type (0: of any), in order, in the life of a goroutine: those done by it,
 * and that it was created, started or woken (event.by is the goroutine that did that). What it did
 * to others is in their lives. NULL when there are fewer. Goroutine 0 has the events that no
 * goroutine did, and no life.
 */
const struct trace_event *trace_event_of(const struct trace *t, uint64_t g, unsigned type,
	size_t n);

/* The names of all events of trace_event_of, with blanks between; valid until the next call. */
const char *trace_life(const struct trace *t, uint64_t g);

#endif
