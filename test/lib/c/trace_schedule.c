/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/trace_schedule.h"

#include <stdio.h>

struct world_state world;

uint32_t dice(uint32_t sides)
{
	world.dice = world.dice * 1664525 + 1013904223;
	return (world.dice >> 8) % sides;
}

static size_t emit_text(struct pa_trace_queue_item item, const char *text, size_t bytes)
{
	world.items[world.item_count] = with_text(item, text, bytes);
	return world.item_count++;
}

static size_t emit(struct pa_trace_queue_item item)
{
	return emit_text(item, "", 0);
}

static struct pa_trace_queue_item item_of(const struct player *player, enum pa_trace_events_op op,
	uint64_t link)
{
	struct pa_trace_queue_item item = item_at(world.now_ns, player->tid, op);

	item.link = link;
	if (op != PA_TRACE_EVENTS_WOKE && op != PA_TRACE_EVENTS_START && op != PA_TRACE_EVENTS_END)
		item.stack = world.stacks[dice(PA_COUNT(world.stacks))];
	snprintf(item.name, sizeof(item.name), "t%d", player->tid % 7);
	return item;
}

/* ---- waits ---- */

static uint64_t begin_wait(struct player *player, enum pa_trace_events_wait wait,
	struct thing *what, enum doing doing)
{
	bool barrier = wait == PA_TRACE_EVENTS_IN_BARRIER;
	uint64_t number = barrier ? ++world.releases : 0;
	struct pa_trace_queue_item item = item_of(player, PA_TRACE_EVENTS_BLOCK, number);

	player->doing = doing;
	player->what = what;
	item.wait = (uint8_t)wait;
	item.object = what ? what->object : 0;
	assert_true(player->wait_count < WAITS_MAX);
	size_t at = emit(item);
	player->waits[player->wait_count++] =
		(struct wait_truth){ .wait = (uint8_t)wait, .block = at };
	if (what)
		what->waiters++;
	if (barrier) {
		world.release_at[number] = at;
		what->number = number;
	}
	return number;
}

static void end_wait(struct player *player, bool got)
{
	struct wait_truth *truth = &player->waits[player->wait_count - 1];

	truth->link = got && player->what ? player->what->number : 0;
	truth->woke = emit(item_of(player, PA_TRACE_EVENTS_WOKE, truth->link));
	if (player->what)
		player->what->waiters--;
	player->doing = RUNS;
	player->may_go = false;
}

void release(struct player *player, struct thing *what)
{
	struct pa_trace_queue_item item =
		item_of(player, PA_TRACE_EVENTS_RELEASE, ++world.releases);

	item.object = what->object;
	world.release_at[world.releases] = emit(item);
	what->number = world.releases;
}

/* NULL: none. No thread has two. */
static struct thing *mutex_of(const struct player *player)
{
	for (int i = 0; i < MUTEXES; i++)
		if (world.mutexes[i].owner == player - world.players + 1)
			return &world.mutexes[i];
	return NULL;
}

static void use_mutex(struct player *player)
{
	int me = (int)(player - world.players) + 1;
	struct thing *mutex = &world.mutexes[dice(MUTEXES)], *mine = mutex_of(player);

	if (mine) {
		if (mine->waiters)
			release(player, mine);
		mine->owner = 0;
		return;
	}
	if (!mutex->owner) {
		mutex->owner = me;
		return;
	}
	/* The owner may be faster than our word of the wait. */
	player->busy = true;
	player->what = mutex;
}

static void go_on(struct player *player)
{
	struct thing *what = player->what;

	switch (player->doing) {
	case IN_MUTEX:
		if (what->owner)
			return;
		end_wait(player, true);
		what->owner = (int)(player - world.players) + 1;
		break;
	case IN_JOIN:
		if (world.players[player->joins].doing == ENDED)
			end_wait(player, true);
		break;
	case IN_CONDITION:
		/* Time is up now and then. */
		if (player->may_go || !dice(10))
			end_wait(player, player->may_go);
		break;
	case IN_BARRIER:
		if (player->may_go)
			end_wait(player, true);
		break;
	default: end_wait(player, false); break;
	}
}

static void signal_condition(struct player *player)
{
	struct thing *condition = &world.conditions[dice(CONDITIONS)];
	bool all = dice(2);

	if (!condition->waiters)
		return;
	release(player, condition);
	for (size_t i = 0; i < world.player_count; i++) {
		struct player *other = &world.players[i];
		if (other->doing != IN_CONDITION || other->what != condition || other->may_go)
			continue;
		other->may_go = true;
		if (!all)
			break;
	}
}

static void arrive(struct player *player)
{
	struct thing *barrier = &world.barriers[dice(BARRIERS)];

	begin_wait(player, PA_TRACE_EVENTS_IN_BARRIER, barrier, IN_BARRIER);
	if (++barrier->there < PARTIES)
		return;
	barrier->there = 0;
	for (size_t i = 0; i < world.player_count; i++)
		if (world.players[i].doing == IN_BARRIER && world.players[i].what == barrier)
			world.players[i].may_go = true;
}

static void join_somebody(struct player *player)
{
	int other = (int)dice((uint32_t)world.player_count);
	struct player *joined = &world.players[other];

	/* In one direction only: no thread waits for itself. */
	if (joined <= player || joined->doing == ENDED || joined->end.waiters)
		return;
	player->joins = other;
	begin_wait(player, PA_TRACE_EVENTS_IN_JOIN, &joined->end, IN_JOIN);
}

static void call(struct player *player)
{
	static const uint8_t waits[] = { PA_TRACE_EVENTS_IN_SLEEP, PA_TRACE_EVENTS_IN_READ,
		PA_TRACE_EVENTS_IN_POLL, PA_TRACE_EVENTS_IN_ACCEPT, PA_TRACE_EVENTS_IN_OTHER_CALL };

	begin_wait(player, waits[dice(PA_COUNT(waits))], NULL, IN_CALL);
}

/* ---- lives ---- */

static struct player *add_player(int parent)
{
	struct player *player = &world.players[world.player_count];

	*player = (struct player){ .parent = parent };
	player->tid = 100 + (int32_t)world.player_count;
	player->end.object = 0x900000 + 64 * world.player_count++;
	return player;
}

static void create(struct player *player, size_t max)
{
	struct pa_trace_queue_item item;

	if (world.player_count == max)
		return;
	struct player *child = add_player((int)(player - world.players));
	child->serial = ++world.serials;
	item = item_of(player, PA_TRACE_EVENTS_CREATE, child->serial);
	item.object = 0x402000;
	item.entry = world.entry;
	emit(item);
}

void start(struct player *player)
{
	struct pa_trace_queue_item item = item_of(player, PA_TRACE_EVENTS_START, player->serial);

	item.object = 0x402000;
	item.entry = world.entry;
	emit(item);
	player->doing = RUNS;
}

static void end_player(struct player *player)
{
	struct pa_trace_queue_item item;

	if (player == world.players)
		return;
	item = item_of(player, PA_TRACE_EVENTS_END, ++world.releases);
	item.object = player->end.object;
	world.release_at[world.releases] = emit(item);
	player->end.number = world.releases;
	player->doing = ENDED;
}

/* ---- the program's own ---- */

static void annotate(struct player *player)
{
	char text[32];
	int length;

	switch (dice(5)) {
	case 0:
		player->task = ++world.tasks;
		length = snprintf(text, sizeof(text), "task %u", dice(3));
		emit_text(item_of(player, PA_TRACE_EVENTS_TASK, player->task), text,
			(size_t)length);
		break;
	case 1: emit(item_of(player, PA_TRACE_EVENTS_TASK_END, player->task)); break;
	case 2:
		length = snprintf(text, sizeof(text), "region %d", player->regions++);
		emit_text(item_of(player, PA_TRACE_EVENTS_REGION, player->task), text,
			(size_t)length);
		break;
	case 3:
		if (!player->regions)
			break;
		length = snprintf(text, sizeof(text), "region %d", --player->regions);
		emit_text(item_of(player, PA_TRACE_EVENTS_REGION_END, player->task), text,
			(size_t)length);
		break;
	default:
		emit_text(item_of(player, PA_TRACE_EVENTS_LOG, player->task), "key\0message", 11);
		break;
	}
}

static void tick(struct player *player)
{
	emit(item_of(player, PA_TRACE_EVENTS_TICK, 1));
	struct pa_trace_queue_item heap = item_at(world.now_ns, 0, PA_TRACE_EVENTS_HEAP);
	heap.object = dice(1 << 20);
	emit(heap);
}

/* What one that runs does next. */
static void act(struct player *player, size_t max)
{
	if (player->busy) {
		player->busy = false;
		begin_wait(player, PA_TRACE_EVENTS_IN_MUTEX, player->what, IN_MUTEX);
		return;
	}
	/* What takes long comes without a lock, or all would wait for it in the end. */
	switch (dice(mutex_of(player) ? 5 : 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		if (mutex_of(player) && dice(2))
			tick(player);
		else
			use_mutex(player);
		break;
	case 5:
		begin_wait(player, PA_TRACE_EVENTS_IN_COND, &world.conditions[dice(CONDITIONS)],
			IN_CONDITION);
		break;
	case 6:
	case 7: signal_condition(player); break;
	case 8: arrive(player); break;
	case 9:
		if (!dice(4))
			join_somebody(player);
		break;
	case 10: create(player, max); break;
	case 11:
		if (!dice(3))
			end_player(player);
		break;
	case 12: call(player); break;
	case 13:
	case 14: annotate(player); break;
	default: tick(player); break;
	}
}

static void step(size_t max)
{
	struct player *player = &world.players[dice((uint32_t)world.player_count)];

	world.now_ns += 1 + dice(1000);
	if (player->doing == RUNS && player->wait_count < WAITS_MAX)
		act(player, max);
	else if (player->doing == NOT_STARTED)
		start(player);
	else if (player->doing != ENDED && player->doing != RUNS)
		go_on(player);
}

void play(uint32_t seed, size_t threads, size_t max, size_t steps)
{
	for (size_t i = 0; i < world.player_count; i++)
		world.players[i].wait_count = 0;
	world.dice = seed * 2654435761u;
	world.now_ns = 0;
	world.releases = world.serials = world.tasks = 0;
	world.player_count = world.item_count = 0;
	memset(world.release_at, 0, sizeof(world.release_at));
	for (size_t i = 0; i < MUTEXES; i++)
		world.mutexes[i] = (struct thing){ .object = 0x10000 + 64 * i };
	for (size_t i = 0; i < CONDITIONS; i++)
		world.conditions[i] = (struct thing){ .object = 0x20000 + 64 * i };
	for (size_t i = 0; i < BARRIERS; i++)
		world.barriers[i] = (struct thing){ .object = 0x30000 + 64 * i };
	world.players_at_start = threads;
	while (world.player_count < threads) {
		struct player *player = add_player(-1);
		player->doing = RUNS;
		player->there_at_the_start = true;
	}
	for (size_t i = 0; i < steps; i++)
		step(max);
}
