/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts the events of a trace in order, as the readers do: a stream per P; of the first events of
 * all streams, the earliest that is possible comes next. And the rules about which event may follow
 * which, on a P and in the life of a goroutine. A part of trace_reader.h, which says what all of it
 * is for.
 */
#ifndef TEST_TRACE_ORDER_H
#define TEST_TRACE_ORDER_H

#include "test/lib/c/trace_tables.h"

/* Replaces trace.events by those in order. */
bool trace_merge(struct trace *t);

#endif
