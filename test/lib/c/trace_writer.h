/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer of execution traces, three threads that it knows from the start, and questions to what
 * it wrote.
 */
#ifndef TRACE_WRITER_H
#define TRACE_WRITER_H

#include "test/lib/c/trace_fixture.h"

#define OBJECT 0x1000

enum { ANNA = 11, BERT, CARL };

extern struct pa_gotrace *writer;
extern struct pa_stack *lock_stack, *other_stack, *worker_stack;

int set_up(void **unused);
int tear_down(void **unused);

extern struct pa_sample samples[3];

/* Anna, Bert and Carl are there, and run. */
void begin_with_three(void);

void feed(struct pa_trace_queue_item item);

void feed_text(struct pa_trace_queue_item item, const char *text, size_t bytes);

void finish_lacking(uint64_t lost);

void finish(void);

const struct trace_event *event_of(uint64_t g, unsigned type);

void assert_life(uint64_t g, const char *life);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
