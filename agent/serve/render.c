#include "render.h"

#include "../../proto/text.h"
#include "../profile/symbols.h"

struct pa_snapshot *pa_render_take(const struct pa_kind *kind, int64_t debug)
{
	if (kind->id == PA_KIND_GOROUTINE && debug >= 2)
		return pa_snapshot_threads(true);
	return pa_snapshot_take_of(kind);
}

/* Go takes a negative debug for text where it writes heaps, and for the proto elsewhere. */
static bool is_text(const struct pa_kind *kind, int64_t debug)
{
	bool heap = kind->id == PA_KIND_HEAP || kind->id == PA_KIND_ALLOCS;

	return debug > 0 || (debug < 0 && heap);
}

int pa_render_write(const struct pa_snapshot *snapshot, int64_t debug, const struct pa_sink *sink)
{
	int error = is_text(snapshot->kind, debug) ? pa_text_profile(snapshot, debug, sink)
						   : pa_encode_profile(snapshot, sink);

	pa_symbols_rest();
	return error;
}
