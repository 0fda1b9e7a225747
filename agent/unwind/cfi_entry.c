/* SPDX-License-Identifier: Apache-2.0 */
#include "cfi_entry.h"

#include "../base/assert.h"

static void read_letters(struct pa_cfi_reader *reader, const char *letters,
	struct pa_cfi_entry_cie *cie)
{
	uint64_t bytes = pa_cfi_reader_leb(reader);
	if (bytes > (size_t)(reader->end - reader->at)) {
		reader->bad = true;
		return;
	}
	const uint8_t *end = reader->at + bytes;
	for (; *letters && !reader->bad; letters++) {
		if (*letters == 'R')
			cie->pointers = pa_cfi_reader_byte(reader);
		else if (*letters == 'L')
			pa_cfi_reader_byte(reader);
		else if (*letters == 'P')
			pa_cfi_reader_encoded(reader, pa_cfi_reader_byte(reader));
		else if (*letters == 'S')
			cie->signal_frame = true;
		else
			reader->bad = true;
	}
	reader->bad |= reader->at > end;
	if (!reader->bad)
		pa_cfi_reader_take(reader, (size_t)(end - reader->at));
}

bool pa_cfi_entry_read_cie(struct pa_cfi_reader *reader, bool is_debug,
	struct pa_cfi_entry_cie *cie)
{
	const uint8_t absolute = (uint8_t) ~(PA_CFI_ENC_FORMAT | PA_CFI_ENC_PCREL);
	uint64_t id = pa_cfi_reader_take(reader, 4);
	uint64_t version = pa_cfi_reader_byte(reader);
	const char *letters = (const char *)reader->at;
	while (pa_cfi_reader_byte(reader))
		;
	if (reader->bad || id != (is_debug ? PA_CFI_ENTRY_DEBUG_ID : PA_CFI_ENTRY_EH_ID))
		return false;
	/* Version 4: sizes of an address and of a segment selector. */
	if (version == 4 && (pa_cfi_reader_byte(reader) != 8 || pa_cfi_reader_byte(reader)))
		return false;
	*cie = (struct pa_cfi_entry_cie){ .sized = letters[0] == 'z' };
	cie->code_align = pa_cfi_reader_leb(reader);
	cie->data_align = pa_cfi_reader_signed_leb(reader);
	cie->return_column = version == 1 ? pa_cfi_reader_byte(reader) : pa_cfi_reader_leb(reader);
	if (cie->sized)
		read_letters(reader, letters + 1, cie);
	cie->program = reader->at;
	cie->program_bytes = (size_t)(reader->end - reader->at);
	return !reader->bad && (cie->sized || !letters[0]) && !(cie->pointers & absolute) &&
		(version == 1 || version == 3 || version == 4);
}

bool pa_cfi_entry_read_range(struct pa_cfi_reader *reader, const struct pa_cfi_entry_cie *cie,
	uint64_t *start, uint64_t *limit)
{
	PA_ASSERT(reader->at <= reader->end);
	*start = pa_cfi_reader_encoded(reader, cie->pointers);
	*limit = *start + pa_cfi_reader_encoded(reader, cie->pointers & PA_CFI_ENC_FORMAT);
	if (cie->sized)
		pa_cfi_reader_take(reader, pa_cfi_reader_leb(reader));
	return !reader->bad && *limit > *start;
}

struct pa_cfi_entry pa_cfi_entry_make(const struct pa_cfi_entry_cie *cie, uintptr_t start,
	uintptr_t limit, const struct pa_cfi_reader *reader)
{
	PA_ASSERT(start < limit && reader->at <= reader->end);
	return (struct pa_cfi_entry){
		.start = start,
		.limit = limit,
		.code_align = cie->code_align,
		.data_align = cie->data_align,
		.return_column = cie->return_column,
		.signal_frame = cie->signal_frame,
		.common = cie->program,
		.common_bytes = cie->program_bytes,
		.own = reader->at,
		.own_bytes = (size_t)(reader->end - reader->at),
	};
}
