/* SPDX-License-Identifier: Apache-2.0 */
#include "cfi_reader.h"

#include <string.h>

#include "../base/assert.h"

#define LEB128_BYTES_MAX 10

uint64_t pa_cfi_reader_take(struct pa_cfi_reader *reader, size_t bytes)
{
	PA_ASSERT(reader->at <= reader->end);
	uint64_t value = 0;
	if (reader->bad || (size_t)(reader->end - reader->at) < bytes) {
		reader->bad = true;
		return 0;
	}
	if (bytes <= sizeof(value))
		memcpy(&value, reader->at, bytes);
	reader->at += bytes;
	reader->address += bytes;
	return value;
}

uint64_t pa_cfi_reader_leb_slow(struct pa_cfi_reader *reader)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < LEB128_BYTES_MAX; i++) {
		uint64_t byte = pa_cfi_reader_byte(reader);
		value |= (byte & 0x7f) << (7 * i);
		if (!(byte & 0x80))
			return value;
	}
	reader->bad = true;
	return 0;
}

int64_t pa_cfi_reader_signed_leb(struct pa_cfi_reader *reader)
{
	const uint8_t *from = reader->at;
	uint64_t value = pa_cfi_reader_leb(reader);
	size_t bits = 7 * (size_t)(reader->at - from);
	bool is_negative = bits && reader->at[-1] & 0x40;
	return (int64_t)(is_negative && bits < 64 ? value | UINT64_MAX << bits : value);
}

size_t pa_cfi_reader_encoded_bytes(uint8_t encoding)
{
	switch (encoding & PA_CFI_ENC_FORMAT) {
	case PA_CFI_ENC_UDATA4:
	case PA_CFI_ENC_SDATA4: return 4;
	case 0:
	case PA_CFI_ENC_UDATA8:
	case PA_CFI_ENC_SDATA8: return 8;
	default: return 0;
	}
}

uint64_t pa_cfi_reader_encoded(struct pa_cfi_reader *reader, uint8_t encoding)
{
	uintptr_t here = reader->address;
	size_t bytes = pa_cfi_reader_encoded_bytes(encoding);
	uint64_t value = pa_cfi_reader_take(reader, bytes);
	if (!bytes)
		reader->bad = true;
	if ((encoding & PA_CFI_ENC_FORMAT) == PA_CFI_ENC_SDATA4)
		value = (uint64_t)(int64_t)(int32_t)value;
	return encoding & PA_CFI_ENC_PCREL ? here + value : value;
}
