/* SPDX-License-Identifier: Apache-2.0 */
#include "thread_names.h"

#include <string.h>

#include "../base/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"

size_t pa_thread_names_clean(char *out, size_t size, const char name[PA_EVENT_NAME_BYTES])
{
	size_t left = strnlen(name, PA_EVENT_NAME_BYTES);
	size_t written = 0;
	while (left) {
		size_t bytes = pa_utf8_char(name, left, false);
		const char *from = bytes ? name : REPLACEMENT;
		size_t copied = bytes ? bytes : sizeof(REPLACEMENT) - 1;
		if (copied >= size - written)
			break;
		memcpy(out + written, from, copied);
		written += copied;
		bytes += !bytes;
		name += bytes;
		left -= bytes;
	}
	out[written] = '\0';
	return written;
}
