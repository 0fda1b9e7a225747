/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes Go execution traces by hand, right and wrong ones: the tests of trace_reader.h are pairs of
 * them.
 */
#ifndef TEST_TRACE_BYTES_H
#define TEST_TRACE_BYTES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/lib/c/trace_reader.h"

struct trace_made {
	size_t count, blamed; /* blamed: where the wrong record begins; 0: nowhere */
	unsigned char bytes[1 << 21];
};
extern struct trace_made made;

void put_bytes(const void *bytes, size_t count);

void put_byte(unsigned value);

void put_number(uint64_t value);

/* A record of any type but String, args with the time and the stack, in the form of the format. */
void put_record(unsigned type, size_t count, const uint64_t *args);
#define PUT(type, ...) \
	put_record(type, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (uint64_t[]){ __VA_ARGS__ })

/* What is put next is what the reader shall complain about. */
void blame(void);

/* The next records happen on that P, the first of them delta ticks after that time. */
void put_batch(uint64_t p, uint64_t ts);

void put_string(uint64_t id, const char *text);

/* All frames in one function, but each with its own pc. */
void put_stack(uint64_t id, size_t frames, uint64_t pc, uint64_t function);

void put_header(void);

enum { MAIN = 1, WORKER, LOCK }; /* ids of strings; of the first two also of stacks */

/* On P0, at 1000, what all traces here begin with. */
void put_tables(void);

/* On P p, which was not started yet. */
void put_start(uint64_t p, uint64_t ts, uint64_t g, uint64_t seq);

/* Goroutine 1 runs on P1 and goroutine 2 on P2; what comes now is history. */
void put_world(void);

/* What runs there stops at 9000, and the P. */
void put_stop(uint64_t p);

void put_end(void);

/* Makes a trace; a wrong one differs in what its name says. */
struct twins {
	void (*make)(bool wrong);
	const char *reason;
};

/* A test of one pair. */
void good_is_read_and_wrong_is_not(void **state);
#define TWINS(make, reason)                                                       \
	{                                                                         \
#make, good_is_read_and_wrong_is_not, NULL, NULL, &(struct twins) \
		{                                                                 \
			make, reason                                              \
		}                                                                 \
	}

#endif
