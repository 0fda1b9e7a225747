/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of one warm stack capture: our own walker and recorder, linked into this program, and
 * libunwind's unw_backtrace, all in the same rounds.
 *
 *   b_walk      prints lines "DEPTH RULES ALL TENTH SAME LIBUNWIND SAMPLE"
 *
 * In ns a frame: RULES of a walk by rules; ALL, TENTH and SAME of walks that use the last one, when
 * all frames differ from walk to walk, the inner tenth, and none; LIBUNWIND of unw_backtrace.
 * SAMPLE: ns of a recorded sample, of which the inner tenth differs.
 *
 * The rules of all frames are learnt first, so every walk that is measured is warm. What the
 * descent costs is measured and subtracted. Minimums of some rounds.
 */
#include <alloca.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/core/core.h"
#include "agent/modules/maps.h"
#include "agent/unwind/unwind.h"
#include "agent/record/last_walk.h"
#include "agent/record/switches.h"
#include "agent/record/wiped_pages.h"
#include "agent/record/registry.h"
#include "agent/record/sample.h"
#include "agent/record/stack.h"

enum { ROUNDS = 15, WALKS = 1000, PCS = 512 };

extern void *__libc_stack_end;
extern int unw_backtrace(void **pcs, int max);

/* What is done at the end of each descent. */
enum way { BY_RULES, ALL_CHANGED, TENTH_CHANGED, SAME, BY_LIBUNWIND, SAMPLE, WAYS, NO_WALK, LEARN };

static struct pa_bridge bridge;
static struct {
	enum way way;
	void (*at_end)(void);
	uint32_t shape; /* bit i: the frame i calls above the end is large */
	uint32_t random;
	int changed;
	uint32_t depth;
	uintptr_t pcs[PCS];
} run = { .random = 1 };

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Learns what the walker does not know, as the collector does. */
static void warm(struct pa_cursor from)
{
	for (int tries = 0; tries < 1000; tries++) {
		struct pa_walk walk = pa_walk_start(&pa_thread_self, from, false);
		enum pa_walk_end end =
			pa_walk_run(&walk, pa_record.frames, run.pcs, PCS, &run.depth);
		struct pa_rule rule;

		if (end == PA_WALK_COMPLETE)
			return;
		rule = pa_unwind_learn(walk.cursor.pc, walk.leaf);
		if (!pa_frame_cache_insert(pa_record.frames, walk.cursor.pc, walk.leaf, &rule,
			    pa_frame_cache_epoch(pa_record.frames)))
			break;
	}
	puts("walk incomplete");
	exit(1);
}

static void record(struct pa_cursor from)
{
	const struct pa_event head = { .kind = PA_EVENT_ALLOC, .value = { 100 }, .object = 4096 };

	if (!pa_sample_stack(&head, &pa_thread_self, from, NULL, true))
		exit(1);
}

PA_NOINLINE static void walk_once(void)
{
	struct pa_cursor from = PA_CURSOR_OF_CALLER();
	struct pa_walk walk = pa_walk_start(&pa_thread_self, from, false);

	if (run.way == BY_RULES)
		pa_walk_run(&walk, pa_record.frames, run.pcs, PCS, &run.depth);
	else if (run.way == BY_LIBUNWIND)
		unw_backtrace((void **)run.pcs, PCS);
	else if (run.way == SAMPLE)
		record(from);
	else if (run.way == LEARN)
		warm(from);
	else if (run.way != NO_WALK)
		pa_walk_run_by_last(&walk, pa_record.frames, run.pcs, PCS, &run.depth);
}

/* Frames as optimised code has them: no frame pointer, different sizes. */
#define WITHOUT_FRAME_POINTER __attribute__((noinline, optimize("omit-frame-pointer")))
static volatile int sink;

WITHOUT_FRAME_POINTER static void descend(int depth);

WITHOUT_FRAME_POINTER static void descend_large(int depth)
{
	volatile char room[200];

	room[0] = (char)depth;
	descend(depth - 1);
	sink += room[0];
}

WITHOUT_FRAME_POINTER static void descend(int depth)
{
	if (depth <= 0)
		run.at_end();
	else if (run.shape >> (depth & 31) & 1)
		descend_large(depth);
	else
		descend(depth - 1);
	sink++;
}

/* Frames of other sizes than in the last call; none: the same stack. */
WITHOUT_FRAME_POINTER static void descend_differently(int depth)
{
	if (depth) {
		run.random = run.random * 1664525 + 1013904223;
		run.shape = run.random >> 8;
		volatile char *room = alloca(16 + (run.random >> 28) * 16);

		room[0] = 1;
		descend(depth);
		sink += room[0];
	} else {
		run.at_end();
	}
	sink++;
}

static void descend_often(void)
{
	run.at_end = walk_once;
	for (int i = 0; i < WALKS; i++)
		descend_differently(run.changed);
}

static void drain(void)
{
	size_t bytes;

	while (pa_ring_read(pa_record.ring, &bytes))
		pa_ring_release(pa_record.ring);
}

/* ns of a walk with its descent. */
static double once_ns(enum way way, int kept, int changed)
{
	run.way = way;
	run.at_end = descend_often;
	run.changed = changed;
	run.shape = 0x55555555;
	int64_t start = now_ns();

	if (kept)
		descend(kept);
	else
		descend_often();
	double spent = (double)(now_ns() - start) / WALKS;

	drain();
	return spent;
}

static int changed_of(enum way way, int depth)
{
	int all = way == BY_RULES || way == ALL_CHANGED || way == BY_LIBUNWIND;

	return all ? depth : way == SAME ? 0 : depth / 10;
}

/* The last walk is of another way, but whether to pause is what this way's walks have shown. */
static void change_last(enum way from, enum way to)
{
	static struct {
		uint32_t pause;
		uint8_t useless;
	} shown[WAYS];
	struct pa_last_walk *last = pa_thread_self.last_walk;

	if (!last)
		return;
	shown[from].pause = last->pause;
	shown[from].useless = last->useless;
	last->pause = shown[to].pause;
	last->useless = shown[to].useless;
	last->limit = 0;
}

static void keep_least(double *least, double ns)
{
	if (!*least || ns < *least)
		*least = ns;
}

static void measure(int depth)
{
	double with[WAYS] = { 0 }, without[WAYS] = { 0 };

	/* One place calls once_ns for all: the outer frames are those that were learnt. */
	for (int i = 0; i < (1 + ROUNDS) * WAYS * 2; i++) {
		enum way way = (enum way)(i / 2 % WAYS);
		int changed = changed_of(way, depth);
		bool learns = i < WAYS * 2;
		if (!(i & 1))
			change_last((enum way)((way + WAYS - 1) % WAYS), way);
		double ns = once_ns(learns ? LEARN :
				i & 1      ? NO_WALK :
					     way,
			depth - changed, changed);
		if (!learns)
			keep_least(i & 1 ? &without[way] : &with[way], ns);
	}
	printf("%u", run.depth);
	for (enum way way = 0; way < SAMPLE; way++)
		printf(" %.2f", (with[way] - without[way]) / run.depth);
	printf(" %.0f\n", with[SAMPLE] - without[SAMPLE]);
}

static int boot(void)
{
	memset(&pa_thread_self, 0, sizeof(pa_thread_self));
	pa_record.ring = pa_ring_create(8 << 20);
	pa_record.frames = pa_frame_cache_create();
	pa_record.stack_depth = PCS;
	pa_record.signal = SIGRTMAX - 3;
	pa_record.pid = getpid();
	pa_record.main_stack_hi = (uintptr_t)__libc_stack_end & ~(uintptr_t)7;
	pa_record.main_stack_lo = pa_record.main_stack_hi - (8 << 20);
	bridge.frames = pa_record.frames;
	pa_core_bridge = &bridge;
	pa_last_walk_boot();
	return pa_wiped_pages_boot() && !pa_unwind_init() && !pa_maps_refresh();
}

int main(void)
{
	if (!boot())
		return 1;
	pa_registry_add(&pa_thread_self);
	pa_thread_self.exit_noted = 1;
	for (int depth = 20; depth <= 160; depth *= 2)
		measure(depth);
	return 0;
}
