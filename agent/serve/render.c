/* SPDX-License-Identifier: Apache-2.0 */
#include "render.h"

#include <errno.h>

#include "../../proto/folded.h"
#include "../../proto/text.h"
#include "../../proto/top.h"
#include "../profile/snapshot_take.h"
#include "../symbols/symbols.h"
#include "mutex_locks.h"
#include "thread_label.h"

/* From here on debug asks for all that is known of each thread. */
#define DEBUG_DETAIL 2

/* As Go: a negative debug means text for heap and allocs, the proto for other kinds. */
static bool is_text(const struct pa_profile_ops *kind, int64_t debug)
{
	return debug > 0 || (debug < 0 && kind->text == PA_PROFILE_OPS_TEXT_HEAP);
}

struct pa_snapshot *pa_render_take(const struct pa_profile_ops *kind, int64_t debug)
{
	struct pa_snapshot *snapshot = pa_snapshot_take(kind, debug >= DEBUG_DETAIL);

	/* Here, before the tables of the text grow. */
	if (snapshot && kind->text == PA_PROFILE_OPS_TEXT_HEAP && is_text(kind, debug))
		pa_memstats_read(&snapshot->memory);
	return snapshot;
}

static int write_format(const struct pa_snapshot *snapshot, const struct pa_render_form *form,
	const struct pa_sink *sink)
{
	switch (form->format) {
	case PA_RENDER_FOLDED: return pa_folded_write(snapshot, form->value, sink);
	case PA_RENDER_TOP: return pa_top_write(snapshot, form->value, form->rows, sink);
	default: return pa_encode_profile(snapshot, sink);
	}
}

/* The texts of ?debug have no label "thread", or a block for each thread. */
static int write_threads(const struct pa_snapshot *snapshot, const struct pa_render_form *form,
	const struct pa_sink *sink)
{
	struct pa_thread_label_view view;

	if (is_text(snapshot->kind, form->debug))
		return pa_text_profile(snapshot, form->debug, sink);
	if (!pa_thread_label_differs(snapshot, form->threads))
		return write_format(snapshot, form, sink);
	int error = pa_thread_label_open(&view, snapshot, form->threads);
	if (!error)
		error = write_format(view.snapshot, form, sink);
	pa_thread_label_close(&view);
	return error;
}

static int write_locks(const struct pa_snapshot *snapshot, const struct pa_render_form *form,
	const struct pa_sink *sink)
{
	struct pa_snapshot *locks = pa_mutex_locks_only(snapshot);
	int error = locks ? write_threads(locks, form, sink) : -ENOMEM;

	pa_snapshot_free(locks);
	return error;
}

int pa_render_write(const struct pa_snapshot *snapshot, const struct pa_render_form *form,
	const struct pa_sink *sink)
{
	int error = pa_mutex_locks_is_mixed(snapshot) ? write_locks(snapshot, form, sink) :
							write_threads(snapshot, form, sink);

	pa_symbols_end_request();
	return error;
}
