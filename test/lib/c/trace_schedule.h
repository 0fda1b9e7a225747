/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated program with a random scheduler: threads that wait for each other in all ways that
 * the hooks know, and the items that the hooks would record of it. It also keeps the truth: the
 * waits of each thread, and the threads that ended them.
 */
#ifndef TRACE_SCHEDULE_H
#define TRACE_SCHEDULE_H

#include "proto/gotrace_look.h"
#include "test/lib/c/trace_fixture.h"

#define THREADS_MAX 2000
#define WAITS_MAX 400
#define STEPS_MAX 20000
#define MUTEXES 6
#define CONDITIONS 4
#define BARRIERS 2
#define PARTIES 2 /* of a barrier */

enum doing { NOT_STARTED, RUNS, IN_MUTEX, IN_CONDITION, IN_BARRIER, IN_JOIN, IN_CALL, ENDED };

/* What releases leave behind for the threads that wake up. */
struct thing {
	uintptr_t object;
	uint64_t number;    /* of the last release; 0: none */
	int owner, waiters; /* owner: index of the thread + 1 */
	int there;          /* barrier: threads that have arrived */
};

struct wait_truth {
	uint8_t wait;
	size_t block, woke; /* places among the items; woke 0: never */
	uint64_t link;
};

struct player {
	int32_t tid;
	uint64_t serial;
	int parent;
	bool there_at_the_start;
	enum doing doing;
	struct thing *what; /* waits for that, or has it */
	int joins;          /* that thread */
	bool may_go;        /* was signalled, is the barrier's last, ... */
	bool busy;          /* trylock failed: it will wait next */
	struct thing end;
	int regions;
	uint64_t task;
	size_t wait_count;
	struct wait_truth waits[WAITS_MAX];
};

struct world_state {
	uint32_t dice;
	int64_t now_ns;
	uint64_t releases, serials, tasks;
	size_t players_at_start, player_count;
	struct player players[THREADS_MAX];
	struct thing mutexes[MUTEXES], conditions[CONDITIONS], barriers[BARRIERS];
	size_t item_count;
	struct texted items[STEPS_MAX * 2];
	size_t release_at[STEPS_MAX * 2]; /* by number: the place of the release */
	const struct pa_stack *stacks[6], *entry;
};
extern struct world_state world;

uint32_t dice(uint32_t sides);

void release(struct player *player, struct thing *what);

void start(struct player *player);

/* So many threads at the start, max in all. */
void play(uint32_t seed, size_t threads, size_t max, size_t steps);

#endif
