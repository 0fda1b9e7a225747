/*
 * A snapshot as profile.proto, streamed: snapshot -> nanopb -> gzip -> sink. Memory does not grow
 * with the number of samples. The only file behind it that knows nanopb.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes).
 */
#ifndef PA_ENCODE_H
#define PA_ENCODE_H

#include "../agent/profile/snapshot.h"

/* Where encoded bytes go. False: stop (the client left); the encoder returns -ECANCELED. */
struct pa_sink {
	bool (*write)(void *arg, const void *bytes, size_t count);
	void *arg;
};

/*
 * The whole profile, gzipped: Go's field order and types, string_table[0] = "", ids 1..n in order,
 * mapping 1 = the executable, heap values scaled, has_* flags true to what was found.
 * 0, -ECANCELED, -ENOMEM, -EIO (the compressor failed). After an error the gzip stream has no end,
 * so that half a profile never passes for a whole one.
 */
PA_AGENT int pa_encode_profile(const struct pa_snapshot *snapshot, const struct pa_sink *sink);

#endif
