/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads call frame information from copied bytes: numbers, LEB128, encoded pointers.
 *
 * Context: PA_AGENT; no state, no memory. Beyond the end, and after any other error, a reader
 * returns zeros, and is bad.
 */
#ifndef PA_CFI_READER_H
#define PA_CFI_READER_H

#include "../base/base.h"

/* Encodings of pointers (DW_EH_PE_*). */
enum {
	PA_CFI_ENC_UDATA4 = 0x03,
	PA_CFI_ENC_UDATA8 = 0x04,
	PA_CFI_ENC_SDATA4 = 0x0b,
	PA_CFI_ENC_SDATA8 = 0x0c,
	PA_CFI_ENC_FORMAT = 0x0f,
	PA_CFI_ENC_PCREL = 0x10,
	PA_CFI_ENC_APPLICATION = 0x70,
	PA_CFI_ENC_ALIGNED = 0x50,
	PA_CFI_ENC_INDIRECT = 0x80,
	PA_CFI_ENC_TABLE = 0x3b, /* sdata4, relative to the header: the format of linkers */
	PA_CFI_ENC_OMIT = 0xff
};

struct pa_cfi_reader {
	const uint8_t *at, *end;
	uintptr_t address; /* where *at was copied from */
	bool bad;
};

/* A number of so many bytes; of more than 8: 0, they are skipped. */
PA_AGENT uint64_t pa_cfi_reader_take(struct pa_cfi_reader *reader, size_t bytes);

PA_AGENT uint64_t pa_cfi_reader_leb_slow(struct pa_cfi_reader *reader);

/* As pa_cfi_reader_take of 1. Inline, as the next one: nearly all of a program, which may have
 * 24 KiB, is single bytes. */
static inline uint8_t pa_cfi_reader_byte(struct pa_cfi_reader *reader)
{
	if (reader->bad || reader->at == reader->end) {
		reader->bad = true;
		return 0;
	}
	reader->address++;
	return *reader->at++;
}

static inline uint64_t pa_cfi_reader_leb(struct pa_cfi_reader *reader)
{
	if (reader->bad || reader->at == reader->end || *reader->at & 0x80)
		return pa_cfi_reader_leb_slow(reader);
	return pa_cfi_reader_byte(reader);
}

PA_AGENT int64_t pa_cfi_reader_signed_leb(struct pa_cfi_reader *reader);

/* Size of a fixed-size pointer encoding, 0 for any other. */
PA_AGENT size_t pa_cfi_reader_encoded_bytes(uint8_t encoding);

/* An absolute pointer, or one relative to its own address. */
PA_AGENT uint64_t pa_cfi_reader_encoded(struct pa_cfi_reader *reader, uint8_t encoding);

#endif
