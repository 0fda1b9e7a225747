/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings, stacks and goroutines of a trace by their ids, and the rules about what an id stands
 * for. A part of trace_reader.h, which says what all of it is for.
 */
#ifndef TEST_TRACE_TABLES_H
#define TEST_TRACE_TABLES_H

#include "test/lib/c/trace_wire.h"

/* Ids first, then the place in the trace. */
int trace_compare(uint64_t a, uint64_t b, size_t offset_a, size_t offset_b);

/* A list of one has nothing to sort, and of none no memory. */
#define TRACE_SORT(list, count, compare)                              \
	do {                                                          \
		if ((count) > 1)                                      \
			qsort(list, count, sizeof(*(list)), compare); \
	} while (0)

const struct trace_string *trace_find_string(const struct trace *t, uint64_t id);

/* Of two with the same id the last one. */
const struct trace_stack *trace_find_stack(const struct trace *t, uint64_t id);

struct trace_goroutine *trace_find_goroutine(const struct trace *t, uint64_t id);

const char *trace_name_of(const struct trace *t, const struct trace_frame *frame);

/* The views of tasks and regions read the stack without a look whether there is one. */
bool trace_check_user_stack(struct trace *t, const struct trace_event *e);

bool trace_index(struct trace *t);

#endif
