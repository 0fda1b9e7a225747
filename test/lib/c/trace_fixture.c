/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/trace_fixture.h"

const struct pa_gotrace_process made_up_process = {
	.pid = (1 << 22) + 1000001, .writer_tid = (1 << 22) + 1000002, .processors = 3
};

/* ---- the program ---- */

static struct pa_function functions[] = {
	[IN_MAIN] = { .name = "main", .file = "main.c" },
	[IN_WORKER] = { .name = "worker", .file = "worker.c" },
	[IN_OTHER] = { .name = "other", .file = "worker.c" },
	[IN_LOCK] = { .name = "take_lock", .file = "lock.c" },
	[IN_START_THREAD] = { .name = "start_thread", .file = "" },
	[IN_CLONE3] = { .name = "clone3", .file = "" },
	[IN_CLONE_VERSIONED] = { .name = "__clone@@GLIBC_2.2.5", .file = "" },
	[IN_START_CALL_MAIN] = { .name = "__libc_start_call_main", .file = "" },
	[IN_START_MAIN] = { .name = "__libc_start_main_alias_1", .file = "" },
	[IN_START] = { .name = "_start", .file = "" },
	[IN_INLINED] = { .name = "small", .file = "small.h" },
	[IN_TWICE] = { .name = "smaller", .file = "small.h" },
	[IN_NO_ANSWER] = { .name = "[no answer]", .file = "" },
};

static const struct pa_loc *loc_of(uint32_t id)
{
	static struct pa_loc locs[IN_EXTRA + 1024];

	assert_true(id < PA_COUNT(locs));
	locs[id].pc = id == IN_NO_ANSWER ? PA_PSEUDO_NO_ANSWER : PC_OF(id);
	return &locs[id];
}

PA_AGENT const struct pa_loc *pa_stack_table_loc(uint32_t id)
{
	return loc_of(id);
}

uint32_t first_line; /* of all files */

PA_AGENT uint32_t pa_stack_table_loc_count(void)
{
	return IN_COUNT;
}

/* Two functions are inlined into main at IN_INLINED, one into the other. */
PA_AGENT uint32_t pa_symbols_lookup(const struct pa_loc *loc, struct pa_frame *frames, uint32_t max)
{
	uint32_t id = (uint32_t)(loc - loc_of(0));

	assert_true(max >= 3);
	if (id >= IN_COUNT || id == IN_NAMELESS)
		return 0;
	frames[0] = (struct pa_frame){ &functions[id], first_line + 10 + id };
	if (id != IN_INLINED)
		return 1;
	frames[1] = (struct pa_frame){ &functions[IN_TWICE], first_line + 8 };
	frames[2] = (struct pa_frame){ &functions[IN_MAIN], first_line + 9 };
	return 3;
}

int rests;

PA_AGENT void pa_symbols_end_request(void)
{
	rests++;
}

struct pa_stack *stack_of(uint32_t depth, const uint32_t *locs)
{
	static _Alignas(struct pa_stack) char room[1 << 20];
	static size_t used;
	static uint32_t next;
	struct pa_stack *stack = (struct pa_stack *)(room + used);

	used += (sizeof(*stack) + depth * sizeof(*locs) + 15) & ~(size_t)15;
	assert_true(used <= sizeof(room));
	stack->id = next++;
	stack->depth = depth;
	if (depth)
		memcpy(stack->locs, locs, depth * sizeof(*locs));
	return stack;
}

/* ---- what comes out ---- */

struct out_state out;

bool write_out(void *arg, const void *bytes, size_t count)
{
	(void)arg;
	if (++out.writes == out.stop_at)
		return false;
	assert_true(out.count + count <= sizeof(out.bytes));
	memcpy(out.bytes + out.count, bytes, count);
	out.count += count;
	return true;
}

const struct pa_sink sink = { .write = write_out };
struct trace trace;

void read_out(void)
{
	if (!trace_read(&trace, out.bytes, out.count))
		fail_msg("%s", trace.error);
	assert_int_equal(trace.undefined_stacks, 0);
}

/* ---- what goes in ---- */

struct pa_trace_queue_item item_at(int64_t ns, int32_t tid, enum pa_trace_events_op op)
{
	return (struct pa_trace_queue_item){
		.time_ns = START_NS + ns, .tid = tid, .op = (uint8_t)op
	};
}

struct pa_trace_queue_item block_of(int64_t ns, int32_t tid, enum pa_trace_events_wait wait,
	uintptr_t object, const struct pa_stack *stack)
{
	struct pa_trace_queue_item item = item_at(ns, tid, PA_TRACE_EVENTS_BLOCK);

	item.wait = (uint8_t)wait;
	item.object = object;
	item.stack = stack;
	return item;
}

struct pa_trace_queue_item woke_of(int64_t ns, int32_t tid, uint64_t link)
{
	struct pa_trace_queue_item item = item_at(ns, tid, PA_TRACE_EVENTS_WOKE);

	item.link = link;
	return item;
}

struct pa_trace_queue_item release_of(int64_t ns, int32_t tid, uintptr_t object, uint64_t number,
	const struct pa_stack *stack)
{
	struct pa_trace_queue_item item = item_at(ns, tid, PA_TRACE_EVENTS_RELEASE);

	item.object = object;
	item.link = number;
	item.stack = stack;
	return item;
}

struct texted with_text(struct pa_trace_queue_item item, const char *text, size_t bytes)
{
	struct texted texted = { 0 };

	item.text_bytes = (uint16_t)bytes;
	texted.items[0] = item;
	memcpy(texted.items + 1, text, bytes);
	return texted;
}
