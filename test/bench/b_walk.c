/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of one warm stack capture: our own walker and recorder, linked into this program.
 *
 *   b_walk      prints lines "DEPTH FRAMES ns a frame, ns a recorded sample"
 *
 * The rules of all frames are learnt first, so every walk that is measured is warm.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/core/core.h"
#include "agent/modules/maps.h"
#include "agent/unwind/unwind.h"
#include "agent/record/switches.h"
#include "agent/record/registry.h"
#include "agent/record/sample.h"
#include "agent/record/stack.h"

#define ROUNDS 20000

extern void *__libc_stack_end;

static struct pa_bridge bridge;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Learns what the walker does not know, as the collector does. */
static uint32_t warm(struct pa_cursor from)
{
	uintptr_t pcs[512];
	uint32_t depth = 0;

	for (int tries = 0; tries < 1000; tries++) {
		struct pa_walk walk = pa_walk_start(&pa_thread_self, from, false);
		enum pa_walk_end end = pa_walk_run(&walk, pa_record.frames, pcs, 512, &depth);
		struct pa_rule rule;

		if (end != PA_WALK_DEFERRED)
			return end == PA_WALK_COMPLETE ? depth : 0;
		rule = pa_unwind_learn(walk.cursor.pc, walk.leaf);
		if (!pa_frame_cache_insert(pa_record.frames, walk.cursor.pc, walk.leaf, &rule,
			    pa_frame_cache_epoch(pa_record.frames)))
			return 0;
	}
	return 0;
}

static double walk_ns(struct pa_cursor from, uint32_t *depth)
{
	uintptr_t pcs[512];
	int64_t start = now_ns();

	for (int i = 0; i < ROUNDS; i++) {
		struct pa_walk walk = pa_walk_start(&pa_thread_self, from, false);

		pa_walk_run(&walk, pa_record.frames, pcs, 512, depth);
	}
	return (double)(now_ns() - start) / ROUNDS;
}

static void drain(void)
{
	size_t bytes;

	while (pa_ring_read(pa_record.ring, &bytes))
		pa_ring_release(pa_record.ring);
}

/* Only the writing is timed: batches that fit into the ring, emptied in between. */
static double record_ns(struct pa_cursor from)
{
	struct pa_event head = { .kind = PA_EVENT_ALLOC, .value = { 100 }, .object = 4096 };
	int64_t spent = 0;

	for (int i = 0; i < ROUNDS; i += 100) {
		int64_t start = now_ns();

		for (int j = 0; j < 100; j++)
			if (!pa_sample_stack(&head, &pa_thread_self, from, NULL, true))
				exit(1);
		spent += now_ns() - start;
		drain();
	}
	return (double)spent / ROUNDS;
}

PA_NOINLINE static void measure(void)
{
	struct pa_cursor from = PA_CURSOR_OF_CALLER();
	uint32_t depth = warm(from);

	if (!depth) {
		puts("walk incomplete");
		exit(1);
	}
	double walk = walk_ns(from, &depth), record = record_ns(from);

	printf("%u %.2f %.0f\n", depth, walk / depth, record);
}

/* Frames as optimised code has them: no frame pointer, different sizes. */
#define WITHOUT_FRAME_POINTER __attribute__((noinline, optimize("omit-frame-pointer")))
static volatile int sink;

WITHOUT_FRAME_POINTER static void descend_small(int depth);

WITHOUT_FRAME_POINTER static void descend_large(int depth)
{
	volatile char room[200];

	room[0] = (char)depth;
	descend_small(depth - 1);
	sink += room[0];
}

WITHOUT_FRAME_POINTER static void descend_small(int depth)
{
	if (depth <= 0)
		measure();
	else if (depth & 1)
		descend_large(depth);
	else
		descend_small(depth - 1);
	sink++;
}

static int boot(void)
{
	memset(&pa_thread_self, 0, sizeof(pa_thread_self));
	pa_record.ring = pa_ring_create(4 << 20);
	pa_record.frames = pa_frame_cache_create();
	pa_record.stack_depth = 512;
	pa_record.signal = SIGRTMAX - 3;
	pa_record.pid = getpid();
	pa_record.main_stack_hi = (uintptr_t)__libc_stack_end & ~(uintptr_t)7;
	pa_record.main_stack_lo = pa_record.main_stack_hi - (8 << 20);
	bridge.frames = pa_record.frames;
	pa_core_bridge = &bridge;
	return pa_switches_boot() && !pa_unwind_init() && !pa_maps_refresh();
}

int main(void)
{
	if (!boot())
		return 1;
	pa_registry_add(&pa_thread_self);
	for (int depth = 20; depth <= 160; depth *= 2)
		descend_small(depth);
	return 0;
}
