/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/wire.h"

uint64_t wire_varint(struct wire_span *in)
{
	uint64_t value = 0;

	for (int shift = 0;; shift += 7) {
		assert_true(in->at < in->end && shift < 64);
		value |= (uint64_t)(*in->at & 127) << shift;
		if (!(*in->at++ & 128))
			return value;
	}
}

static bool next_field(struct wire_span *in, struct wire_field *field)
{
	uint64_t head;

	if (in->at == in->end)
		return false;
	head = wire_varint(in);
	*field = (struct wire_field){ .number = head >> 3 };
	field->value = wire_varint(in);
	if ((head & 7) == 2) {
		assert_true(field->value <= (uint64_t)(in->end - in->at));
		field->bytes = (struct wire_span){ in->at, in->at + field->value };
		in->at += field->value;
	} else {
		assert_int_equal(head & 7, 0);
	}
	return true;
}

struct wire_field wire_field(struct wire_span in, uint64_t number, size_t n)
{
	struct wire_field field;

	while (next_field(&in, &field))
		if (field.number == number && !n--)
			return field;
	return (struct wire_field){ 0 };
}

size_t wire_count(struct wire_span in, uint64_t number)
{
	struct wire_field field;
	size_t count = 0;

	while (next_field(&in, &field))
		count += field.number == number;
	return count;
}

uint64_t wire_number(struct wire_span in, uint64_t number)
{
	return wire_field(in, number, 0).value;
}

struct wire_span wire_message(struct wire_span in, uint64_t number, size_t n)
{
	struct wire_field field = wire_field(in, number, n);

	assert_int_equal(field.number, number);
	return field.bytes;
}

int64_t wire_packed(struct wire_span in, uint64_t number, size_t n)
{
	struct wire_span list = wire_message(in, number, 0);

	while (n--)
		wire_varint(&list);
	return (int64_t)wire_varint(&list);
}

size_t wire_packed_count(struct wire_span in, uint64_t number)
{
	struct wire_span list = wire_field(in, number, 0).bytes;
	size_t count = 0;

	for (; list.at != list.end; count++)
		wire_varint(&list);
	return count;
}
