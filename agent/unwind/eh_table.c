/* SPDX-License-Identifier: Apache-2.0 */
#include "eh_table.h"

#include <errno.h>

#include "../base/assert.h"
#include "cfi_reader.h"

#define HEADER_VERSION 1

struct table {
	uintptr_t at;
	uint32_t rows;
};

static int open_table(struct table *table, uintptr_t header, pa_eh_table_read_fn *read)
{
	struct {
		uint8_t version, frame_encoding, count_encoding, table_encoding;
	} head;
	if (!read(&head, header, sizeof(head)))
		return -EBADMSG;
	size_t frame_bytes = pa_cfi_reader_encoded_bytes(head.frame_encoding);
	if (head.version != HEADER_VERSION || head.count_encoding != PA_CFI_ENC_UDATA4 ||
		head.table_encoding != PA_CFI_ENC_TABLE || !frame_bytes)
		return -ENOENT;
	uintptr_t count_at = header + sizeof(head) + frame_bytes;
	table->at = count_at + sizeof(table->rows);
	return read(&table->rows, count_at, sizeof(table->rows)) ? 0 : -EBADMSG;
}

/* At most 32 reads, whatever the table contains. */
int pa_eh_table_find(uintptr_t header, uintptr_t ip, pa_eh_table_read_fn *read, uint64_t *row)
{
	PA_ASSERT(header);
	struct table table;
	int error = open_table(&table, header, read);
	if (error)
		return error;
	int64_t distance = (int64_t)(ip - header);
	if (distance != (int32_t)distance)
		return -ENOENT;

	uint32_t low = 0, high = table.rows;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		PA_ASSERT(middle < table.rows);
		int32_t start;
		if (!read(&start, table.at + middle * sizeof(*row), sizeof(start)))
			return -EBADMSG;
		if (start <= distance)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return -ENOENT;
	return read(row, table.at + (low - 1) * sizeof(*row), sizeof(*row)) ? 0 : -EBADMSG;
}
