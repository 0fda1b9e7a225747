/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/trace_bytes.h"

#include <stdio.h>
#include <string.h>

struct trace_made made;

void put_bytes(const void *bytes, size_t count)
{
	assert_true(made.count + count <= sizeof(made.bytes));
	memcpy(made.bytes + made.count, bytes, count);
	made.count += count;
}

void put_byte(unsigned value)
{
	unsigned char byte = (unsigned char)value;

	put_bytes(&byte, 1);
}

void put_number(uint64_t value)
{
	for (; value > 127; value >>= 7)
		put_byte((unsigned)(value & 127) | 128);
	put_byte((unsigned)value);
}

void put_record(unsigned type, size_t count, const uint64_t *args)
{
	size_t length = 0;

	put_byte(type | (count < 4 ? (unsigned)count - 1 : 3) << 6);
	for (size_t i = 0; i < count; i++)
		for (uint64_t rest = args[i], more = 1; more; rest >>= 7, length++)
			more = rest > 127;
	if (count >= 4)
		put_number(length);
	for (size_t i = 0; i < count; i++)
		put_number(args[i]);
}
void blame(void)
{
	made.blamed = made.count;
}

void put_batch(uint64_t p, uint64_t ts)
{
	PUT(TRACE_BATCH, p, ts);
}

void put_string(uint64_t id, const char *text)
{
	put_byte(TRACE_STRING);
	put_number(id);
	put_number(strlen(text));
	put_bytes(text, strlen(text));
}

void put_stack(uint64_t id, size_t frames, uint64_t pc, uint64_t function)
{
	static uint64_t args[2 + 4 * 1024];

	args[0] = id;
	args[1] = frames;
	for (size_t i = 0; i < frames; i++)
		memcpy(args + 2 + i * 4, (uint64_t[]){ pc + i, function, 0, 0 }, 32);
	/* An empty one has two arguments, and the form of one with more. */
	if (frames)
		put_record(TRACE_STACK, 2 + 4 * frames, args);
	else
		put_bytes((unsigned char[]){ 0xc3, 2, (unsigned char)id, 0 }, 4);
}

void put_header(void)
{
	made.count = made.blamed = 0;
	put_bytes(TRACE_HEADER, TRACE_HEADER_BYTES);
}

void put_tables(void)
{
	put_batch(0, 1000);
	PUT(TRACE_FREQUENCY, 1000000000);
	put_string(MAIN, "main");
	put_string(WORKER, "worker");
	put_string(LOCK, "lock");
	put_stack(MAIN, 1, 0x401000, MAIN);
	put_stack(WORKER, 2, 0x402000, WORKER);
}

void put_start(uint64_t p, uint64_t ts, uint64_t g, uint64_t seq)
{
	put_batch(p, ts);
	PUT(TRACE_PROC_START, 0, 10 + p);
	PUT(TRACE_GO_START, 0, g, seq);
}

void put_world(void)
{
	put_header();
	put_tables();
	PUT(TRACE_GO_CREATE, 0, 1, MAIN, 0);
	PUT(TRACE_GO_CREATE, 0, 2, WORKER, 0);
	PUT(TRACE_PROC_START, 1, 10);
	put_start(1, 1001, 1, 1);
	put_start(2, 1001, 2, 1);
	put_batch(0, 1002);
	PUT(TRACE_GOMAXPROCS, 0, 2, 0);
}

void put_stop(uint64_t p)
{
	put_batch(p, 9000);
	PUT(TRACE_GO_PREEMPT, 0, 0);
	PUT(TRACE_PROC_STOP, 0);
}

void put_end(void)
{
	put_stop(1);
	put_stop(2);
}

/* ---------------------------------------------------------------- pairs */

void good_is_read_and_wrong_is_not(void **state)
{
	const struct twins *twins = *state;
	struct trace trace;
	char place[32];

	twins->make(false);
	if (!trace_read(&trace, made.bytes, made.count))
		fail_msg("the good one: %s", trace.error);
	assert_string_equal(trace.error, "");
	trace_free(&trace);
	twins->make(true);
	assert_false(trace_read(&trace, made.bytes, made.count));
	if (!strstr(trace.error, twins->reason))
		fail_msg("'%s' is not in '%s'", twins->reason, trace.error);
	snprintf(place, sizeof(place), "offset %zu: ", made.blamed);
	if (made.blamed && strncmp(trace.error, place, strlen(place)))
		fail_msg("not at '%s': '%s'", place, trace.error);
	trace_free(&trace);
}
