/* SPDX-License-Identifier: Apache-2.0 */
#include "render.h"

#include <errno.h>

#include "../../proto/text.h"
#include "../profile/snapshot_take.h"
#include "../symbols/symbols.h"
#include "mutex_locks.h"

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

static int write_form(const struct pa_snapshot *snapshot, int64_t debug, const struct pa_sink *sink)
{
	return is_text(snapshot->kind, debug) ? pa_text_profile(snapshot, debug, sink) :
						pa_encode_profile(snapshot, sink);
}

static int write_locks(const struct pa_snapshot *snapshot, int64_t debug,
	const struct pa_sink *sink)
{
	struct pa_snapshot *locks = pa_mutex_locks_only(snapshot);
	int error = locks ? write_form(locks, debug, sink) : -ENOMEM;

	pa_snapshot_free(locks);
	return error;
}

int pa_render_write(const struct pa_snapshot *snapshot, int64_t debug, const struct pa_sink *sink)
{
	int error = pa_mutex_locks_is_mixed(snapshot) ? write_locks(snapshot, debug, sink) :
							write_form(snapshot, debug, sink);

	pa_symbols_end_request();
	return error;
}
