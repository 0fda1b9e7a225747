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
struct span {
	const unsigned char *at, *end;
};

struct field {
	uint64_t number, value; /* value: of a varint, or the count of bytes */
	struct span bytes;
};

static inline uint64_t varint(struct span *in)
{
	uint64_t value = 0;

	for (int shift = 0;; shift += 7) {
		assert_true(in->at < in->end && shift < 64);
		value |= (uint64_t)(*in->at & 127) << shift;
		if (!(*in->at++ & 128))
			return value;
	}
}

static inline bool next_field(struct span *in, struct field *field)
{
	uint64_t head;

	if (in->at == in->end)
		return false;
	head = varint(in);
	*field = (struct field){ .number = head >> 3 };
	field->value = varint(in);
	if ((head & 7) == 2) {
		assert_true(field->value <= (uint64_t)(in->end - in->at));
		field->bytes = (struct span){ in->at, in->at + field->value };
		in->at += field->value;
	} else {
		assert_int_equal(head & 7, 0);
	}
	return true;
}

/* The n-th (from 0) field with that number; number 0 in the result: there is none. */
static inline struct field nth(struct span in, uint64_t number, size_t n)
{
	struct field field;

	while (next_field(&in, &field))
		if (field.number == number && !n--)
			return field;
	return (struct field){ 0 };
}

static inline size_t count_of(struct span in, uint64_t number)
{
	struct field field;
	size_t count = 0;

	while (next_field(&in, &field))
		count += field.number == number;
	return count;
}

static inline uint64_t num(struct span in, uint64_t number)
{
	return nth(in, number, 0).value;
}

static inline struct span sub(struct span in, uint64_t number, size_t n)
{
	struct field field = nth(in, number, n);

	assert_int_equal(field.number, number);
	return field.bytes;
}

/* The n-th number of a packed field. */
static inline int64_t packed(struct span in, uint64_t number, size_t n)
{
	struct span list = sub(in, number, 0);

	while (n--)
		varint(&list);
	return (int64_t)varint(&list);
}

static inline size_t packed_count(struct span in, uint64_t number)
{
	struct span list = nth(in, number, 0).bytes;
	size_t count = 0;

	for (; list.at != list.end; count++)
		varint(&list);
	return count;
}

#endif
