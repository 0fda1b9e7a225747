/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodes a snapshot as profile.proto, streamed: snapshot -> nanopb -> gzip -> sink. Memory does
 * not grow with the number of samples. encode.c is the only file that uses nanopb.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes). No lock. The snapshot stays the
 * caller's.
 */
#ifndef PA_ENCODE_H
#define PA_ENCODE_H

#include "../agent/profile/snapshot.h"

/* Destination of encoded bytes. False: stop (the client has disconnected); the encoder returns
 * -ECANCELED. */
struct pa_sink {
	bool (*write)(void *arg, const void *bytes, size_t count);
	void *arg;
};

/*
 * Writes the whole profile, gzipped: Go's field order and types, string_table[0] = "", ids 1..n in
 * order, mapping 1 = the executable, heap values scaled, has_* flags as found. Returns 0,
 * -ECANCELED, -ENOMEM or -EIO (zlib failed). After an error the gzip stream has no end, so that a
 * truncated profile is not accepted as complete.
 */
PA_AGENT int pa_encode_profile(const struct pa_snapshot *snapshot, const struct pa_sink *sink);

#endif
