/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buckets of the heap profile: by stack and size, and by stack and class of sizes.
 *
 * A program whose blocks have many sizes fills any table in time. From the first half of the table
 * on, a size that is new to its stack is counted in a class: 8 for each doubling of the size, 2
 * from three quarters on, 1 from fifteen sixteenths. A class knows how many bytes were allocated in
 * it. Its objects in use have the mean size of all that it counted; in the profile, the label of
 * the size is the largest one of the class.
 *
 * Context: PA_AGENT, the collector only, under the lock of the table's owner; no state.
 */
#ifndef PA_SIZE_CLASSES_H
#define PA_SIZE_CLASSES_H

#include "bucket_table.h"

/* Counts an allocated object of size (< PA_ADDRESS_LIMIT). Index of its bucket, or
 * PA_BUCKET_TABLE_NONE when the table is full. */
PA_AGENT uint32_t pa_size_classes_count(struct pa_bucket_table *table, const struct pa_stack *stack,
	uint64_t size);

/* True when new sizes are counted in classes. */
PA_AGENT bool pa_size_classes_used(const struct pa_bucket_table *table);

PA_AGENT bool pa_size_classes_is_class(const struct pa_bucket *bucket);

/* Size of the bucket's objects, of a class the largest one. Constant. */
PA_AGENT uint64_t pa_size_classes_size(const struct pa_bucket *bucket);

/* Objects and bytes allocated, objects and bytes in use. */
PA_AGENT void pa_size_classes_values(const struct pa_bucket *bucket, int64_t values[4]);

#endif
