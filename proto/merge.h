/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes one profile of several of the same types, each of another process, one after the other:
 * the messages of each are appended with other ids and string indexes, and each sample gets the
 * labels pid and program. Streamed, as encode.c: the memory does not grow with the number of
 * profiles.
 *
 * Ids stay 1..n in order. Equal texts, mappings and functions of different processes are not
 * made one.
 *
 * Context: PA_AGENT, one thread; pure but for the sink. No lock. Memory: about 0.9 MiB until
 * pa_merge_close.
 */
#ifndef PA_MERGE_H
#define PA_MERGE_H

#include "encode.h"

struct pa_merge;

/* NULL: out of memory. The sink is copied. */
PA_AGENT struct pa_merge *pa_merge_open(const struct pa_sink *to);

/*
 * Adds a gzipped profile, whole or not at all. The first one determines the types, the period and
 * the duration. program: any text. Returns 0; -EBADMSG: damaged, or of another form than
 * encode.c writes; -EPROTOTYPE: its sample types are others; -EOVERFLOW: the result would have too
 * many entries; -ENOMEM; -ECANCELED: the sink returned false, and nothing more can be added.
 */
PA_AGENT int pa_merge_add(struct pa_merge *merge, int64_t pid, const char *program,
	const void *bytes, size_t count);

/* Adds a comment of any bytes, up to 255 of them. */
PA_AGENT void pa_merge_comment(struct pa_merge *merge, const char *text);

/* Ends the profile and frees it. time_nanos is the earliest of all. Returns 0; -ENODATA: none
 * was added, and nothing was written; -ECANCELED or -EIO. After an error the gzip stream has no
 * end. */
PA_AGENT int pa_merge_close(struct pa_merge *merge);

#endif
