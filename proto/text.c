/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <errno.h>

#include "look_up.h"
#include "text_forms.h"

/* From this value on debug requests one block per thread. */
#define DEBUG_THREADS 2

static void put_form(struct pa_text *text, int64_t debug)
{
	switch (text->snapshot->kind->text) {
	case PA_PROFILE_OPS_TEXT_HEAP: pa_text_heap(text); break;
	case PA_PROFILE_OPS_TEXT_BLOCK:
	case PA_PROFILE_OPS_TEXT_MUTEX: pa_text_contention(text); break;
	case PA_PROFILE_OPS_TEXT_COUNT: pa_text_count(text); break;
	case PA_PROFILE_OPS_TEXT_THREADS:
		if (debug >= DEBUG_THREADS)
			pa_text_threads(text, PA_TEXT_DUMP_MAX_BYTES);
		else
			pa_text_count(text);
		break;
	default: pa_text_writer_fail(&text->writer, -EINVAL);
	}
}

PA_AGENT int pa_text_profile(const struct pa_snapshot *snapshot, int64_t debug,
	const struct pa_sink *sink)
{
	struct pa_text text;

	pa_text_open(&text, snapshot, sink);
	text.lacking = pa_look_up_snapshot(snapshot, sink);
	if (text.lacking < 0)
		pa_text_writer_fail(&text.writer, -ENOMEM);
	else
		put_form(&text, debug);
	return pa_text_close(&text);
}
