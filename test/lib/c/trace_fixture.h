/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the trace's writer have in common: a program whose functions have names, stacks
 * of it, items as the collector gives them, a sink, and the strict reader of what came out.
 *
 */
#ifndef TRACE_FIXTURE_H
#define TRACE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/base/arena.h"
#include "agent/base/clock.h"
#include "agent/symbols/symbols.h"
#include "proto/gotrace.h"
#include "proto/gotrace_bytes.h"
#include "test/lib/c/fake_symbols.h"
#include "test/lib/c/trace_reader.h"

/* Its numbers are above PID_MAX_LIMIT (proc(5)) and no thread of a test. */
extern const struct pa_gotrace_process made_up_process;

enum {
	IN_MAIN,
	IN_WORKER,
	IN_OTHER,
	IN_LOCK,
	IN_START_THREAD,
	IN_CLONE3,
	IN_CLONE_VERSIONED,
	IN_START_CALL_MAIN,
	IN_START_MAIN,
	IN_START,
	IN_INLINED,
	IN_TWICE,
	IN_NAMELESS,
	IN_NO_ANSWER,
	IN_COUNT,
	IN_EXTRA = 1000 /* as many as wanted, nameless */
};

#define PC_OF(id) (0x401000 + 0x100 * (uintptr_t)(id))

extern uint32_t first_line; /* of all files */

extern int rests; /* calls of pa_symbols_end_request */

/* Innermost first; each has an id of its own and lives for ever. */
struct pa_stack *stack_of(uint32_t depth, const uint32_t *locs);
#define STACK(...) stack_of(sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, (uint32_t[]){ __VA_ARGS__ })

struct out_state {
	size_t writes, stop_at, count;
	unsigned char bytes[64 << 20];
};
extern struct out_state out;

bool write_out(void *arg, const void *bytes, size_t count);

extern const struct pa_sink sink;
extern struct trace trace;

void read_out(void);

#define START_NS (1000 * PA_NS_PER_S)

/* Of an event so many ns after the start of the trace. */
struct pa_trace_queue_item item_at(int64_t ns, int32_t tid, enum pa_trace_events_op op);

struct pa_trace_queue_item block_of(int64_t ns, int32_t tid, enum pa_trace_events_wait wait,
	uintptr_t object, const struct pa_stack *stack);

struct pa_trace_queue_item woke_of(int64_t ns, int32_t tid, uint64_t link);

struct pa_trace_queue_item release_of(int64_t ns, int32_t tid, uintptr_t object, uint64_t number,
	const struct pa_stack *stack);

/* An item and its text in those behind it. */
struct texted {
	struct pa_trace_queue_item
		items[2 + PA_TRACE_EVENTS_TEXT_BYTES / sizeof(struct pa_trace_queue_item)];
};

struct texted with_text(struct pa_trace_queue_item item, const char *text, size_t bytes);

#endif
