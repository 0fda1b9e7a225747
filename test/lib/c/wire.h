/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads protobuf messages by the wire format alone, so that a test does not depend on the code and
 * the description that wrote them. What is asked for and not there fails the test.
 */
#ifndef TEST_WIRE_H
#define TEST_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The bytes of a message. */
struct wire_span {
	const unsigned char *at, *end;
};

struct wire_field {
	uint64_t number, value; /* value: of a varint, or the count of bytes */
	struct wire_span bytes;
};

uint64_t wire_varint(struct wire_span *in);

/* The n-th (from 0) field with that number; number 0 in the result: there is none. */
struct wire_field wire_field(struct wire_span in, uint64_t number, size_t n);

size_t wire_count(struct wire_span in, uint64_t number);

uint64_t wire_number(struct wire_span in, uint64_t number);

struct wire_span wire_message(struct wire_span in, uint64_t number, size_t n);

/* The n-th number of a packed field. */
int64_t wire_packed(struct wire_span in, uint64_t number, size_t n);

size_t wire_packed_count(struct wire_span in, uint64_t number);

#endif
