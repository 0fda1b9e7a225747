/*
 * Life of the agent: boot, the agent's thread, fork, exit.
 *
 * boot0: nothing ran yet; hooks pass through to stubs. boot1: the constructor reads the settings,
 * makes ring and cache, switches recording on. boot2: the agent's thread opens the core, and stays.
 *
 * The thread has its own descriptor table: whatever the agent opens, the program's open() still
 * returns the lowest free number, closefrom() means only the program's files, a child inherits
 * nothing of ours, and no listening socket survives a fork.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"
#include "apart.h"
#include "aside.h"
#include "base/clock.h"
#include "base/launchers.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/say.h"
#include "record/contend.h"
#include "record/custom.h"
#include "record/labels.h"
#include "record/on.h"
#include "record/own_memory.h"
#include "record/process.h"
#include "record/sample.h"
#include "record/sandbox.h"
#include "record/signal.h"
#include "record/thread.h"
#include "record/tick.h"
#include "record/tracing.h"
#include "children.h"
#include "exitfiles.h"
#include "follow.h"
#include "mainstack.h"
#include "probe.h"
#include "hold.h"
#include "lag.h"
#include "place.h"
#include "spawn.h"
#include "watched.h"
#include "whole.h"

extern char **environ;
extern const char __ehdr_start[] PA_HIDDEN; /* the linker's: where this object begins */

#define CORE_NAME "libpprofagent-core.so"

/*
 * How long the agent's thread sleeps before it opens the core. A program that is over by then never
 * pays for it: exit() would wait for the loader's lock. A full ring wakes it earlier. Children wait
 * longer, and have no port before that time even when they were woken.
 */
#define FIRST_DELAY_NS (20 * PA_NS_PER_MS)
#define CHILD_DELAY_NS (250 * PA_NS_PER_MS)

#define HOOKS_MAX 128

/* The longest that a fork waits for our threads to come to rest. */
#define FORK_LOAD_WAIT_NS (2 * PA_NS_PER_S)
#define FORK_TABLES_WAIT_NS (100 * PA_NS_PER_MS)

/* What the end of a trace may take of the program's own. */
#define TRACE_END_NS (15 * PA_NS_PER_MS)

typedef int core_main_fn(struct pa_bridge *);

static struct {
	/* What a forked child writes stands together, in one page. */
	struct pa_lock load_lock;    /* held while the loader or libc works for us */
	bool start_pending;          /* in a forked child: the agent's thread is to start again */
	PA_ATOMIC(uint32_t) core_ready; /* bridge.api can be called; futex; release in _is_ready */
	PA_ATOMIC(uint32_t) over;       /* it will not be ready again; release in _is_over */
	struct pa_bridge bridge;
	struct pa_settings settings;
	char core_path[PA_PLACE_BYTES];
	char **argv;                 /* the program's */
	core_main_fn *core_main;     /* set once, on the agent's thread; inherited by children */
	struct pa_hook_status hooks[HOOKS_MAX]; /* as found when the core was opened */
	size_t hook_count;
} state __attribute__((aligned(PA_PAGE_BYTES))) = { .load_lock = PA_LOCK_INIT(PA_LOCK_LOAD) };

/*
 * Between the fork handlers of one fork. The thread's own: a fork that ran out of patience for the
 * locks goes on beside another one that holds them.
 */
static PA_TLS struct {
	uint32_t depth; /* forks within fork handlers */
	struct pa_hold hold;
	bool load_held, tables_held;
	bool confined; /* by filters of system calls: the child is not profiled */
	bool heap_was_on;
} forking;

static bool is_child(void)
{
	return state.settings.child || state.bridge.forked;
}

static void note_start(void)
{
	struct pa_bridge *bridge = &state.bridge;
	bridge->start_wall_ns = pa_clock_wall_ns();
	bridge->start_mono_ns = pa_clock_mono_ns();
	bridge->serve_from_ns = bridge->start_mono_ns + (is_child() ? CHILD_DELAY_NS : 0);
}

/* ---- boot2, on the agent's thread ---- */

static void complain_core(const char *why)
{
	if (is_child() || state.settings.log == PA_LOG_OFF)
		return;
	pa_say("cannot open %s: %s; not serving", CORE_NAME, why ? why : "no reason given");
}

static core_main_fn *open_core(void)
{
	core_main_fn *entry = NULL;
	if (!pa_whole_file(state.core_path)) {
		complain_core("the file is cut short");
		return NULL;
	}
	pa_lock(&state.load_lock);
	void *core = pa_hooks_open_core(state.core_path);
	if (core)
		*(void **)&entry = dlsym(core, PA_CORE_ENTRY);
	if (!entry)
		complain_core(dlerror());
	state.hook_count = pa_hooks_status(state.hooks, HOOKS_MAX);
	pa_unlock(&state.load_lock);
	return entry;
}

static void loader_enter(void)
{
	pa_lock(&state.load_lock);
	pa_seat_pin();
}

static void loader_leave(void)
{
	pa_seat_unpin();
	pa_unlock(&state.load_lock);
}

static size_t hook_status(struct pa_hook_status *out, size_t max)
{
	size_t count = state.hook_count < max ? state.hook_count : max;
	memcpy(out, state.hooks, count * sizeof(*out));
	return count;
}

static void *run_agent(void *unused)
{
	(void)unused;
	pa_aside_arrive();
	state.settings.serving &= pa_sandbox_may(&pa_thread_self, PA_CALLS_SERVE);
	state.bridge.files_private = pa_apart_leave();
	pa_follow_begin(pa_apart_has_root());
	pa_aside_have_bell(state.bridge.files_private);
	pa_ring_reader(pa_record.ring, true);
	if (!pa_exitfiles_want_cpu())
		pa_ring_wait_data(pa_record.ring, is_child() ? CHILD_DELAY_NS : FIRST_DELAY_NS);
	pa_lag_settle();
	if (!state.core_main)
		state.core_main = open_core();
	if (state.core_main)
		state.core_main(&state.bridge);
	pa_agent_is_over();
	return NULL;
}

/* ---- contention and traces ---- */

/* The wait hooks watch for either of the two. */
static void turn_hooks(void)
{
	pa_hooks_watch(pa_contend_is_on() || pa_tracing_is_on());
}

static void set_contend_rates(uint64_t block_rate_ns, uint64_t mutex_fraction)
{
	pa_contend_rates(block_rate_ns, mutex_fraction);
	turn_hooks();
}

static void switch_trace(bool on)
{
	pa_tracing_switch(on);
	turn_hooks();
}

/* ---- what the program asks for ---- */

bool pa_agent_is_active(void)
{
	return pa_load_acquire(&pa_on->booted);
}

const struct pa_settings *pa_agent_settings(void)
{
	return &state.settings;
}

static void core_is_ready(void)
{
	pa_store_release(&state.core_ready, 1);
	pa_futex_wake(&state.core_ready, INT32_MAX);
}

void pa_agent_core_is_away(void)
{
	pa_store_release(&state.core_ready, 0);
}

/* Nobody reads: hooks stop recording, writers stop waiting. */
void pa_agent_is_over(void)
{
	pa_store_release(&state.over, 1);
	pa_store_relaxed(&pa_on->heap, 0);
	pa_tracing_switch(false);
	set_contend_rates(0, 0);
	pa_ring_reader(pa_record.ring, false);
}

const struct pa_bridge *pa_agent_core(int64_t timeout_ns)
{
	int64_t end_ns = pa_clock_mono_ns() + timeout_ns;
	if (!pa_sandbox_may_wake())
		return NULL;
	/* Ends: at end_ns. */
	while (!pa_load_acquire(&state.core_ready)) {
		int64_t left_ns = end_ns - pa_clock_mono_ns();
		if (left_ns <= 0 || pa_load_acquire(&state.over) || !pa_sandbox_begin_wake())
			return NULL;
		pa_ring_kick(pa_record.ring);
		pa_futex_wait(&state.core_ready, 0, left_ns);
		pa_sandbox_end();
	}
	return &state.bridge;
}

/* The core adds what its clients watch. */
void pa_agent_set_rates(uint64_t block_rate_ns, uint64_t mutex_fraction)
{
	PA_FRESH_FPU();
	state.settings.block_rate_ns = block_rate_ns;
	state.settings.mutex_fraction = mutex_fraction;
	if (pa_load_acquire(&state.core_ready))
		state.bridge.api.rates_changed();
	else
		set_contend_rates(block_rate_ns, mutex_fraction);
}

/* ---- fork ---- */

/* First of our handlers' work and last: what a signal handler does in between is none of a fork. */
static PA_ENTRY void before_fork(void)
{
	forking.confined = !pa_sandbox_may(&pa_thread_self, PA_CALLS_FORK | PA_CALLS_VITAL);
	if (forking.confined)
		return;
	PA_CALM_FLAGS();
	PA_FRESH_FPU();
	if (forking.depth++ > 0)
		return;
	pa_process_hold_signals(&forking.hold);
	forking.load_held = pa_hold_loader(FORK_LOAD_WAIT_NS);
	forking.tables_held = pa_lag_prepare(FORK_TABLES_WAIT_NS);
	forking.heap_was_on = pa_load_relaxed(&pa_on->heap);
}

static PA_ENTRY void after_fork_parent(void)
{
	if (forking.confined)
		return;
	PA_CALM_FLAGS();
	PA_FRESH_FPU();
	if (--forking.depth > 0)
		return;
	if (forking.tables_held)
		state.bridge.atfork.parent();
	if (forking.load_held)
		pa_unlock(&state.load_lock);
	pa_process_release_signals(&forking.hold);
}

static PA_ENTRY PA_BOOT void after_fork_child(void)
{
	state.start_pending = false;
	pa_store_relaxed(&pa_on->inert, forking.confined);
	if (forking.confined)
		return;
	PA_CALM_FLAGS();
	PA_FRESH_FPU();
	pa_lock_reset(&state.load_lock);
	pa_tick_atfork_child();
	pa_signal_atfork_child();
	pa_exitfiles_atfork_child();
	pa_sandbox_atfork_child();
	pa_reset(&state.core_ready, 0);
	state.bridge.returned = false;
	pa_aside_atfork_child();
	pa_rollcall_atfork_child();
	pa_labels_atfork_child();
	pa_thread_atfork_child();
	pa_own_memory_atfork_child();
	pa_tracing_atfork_child();
	pa_custom_atfork_child();
	pa_lag_atfork_child(forking.load_held, forking.tables_held);
	state.bridge.forked = true;
	state.bridge.cpu_from_start = pa_exitfiles_want_cpu();
	/* The loader was at work for us and is dead in here: never touch it again. */
	bool usable = state.core_main || forking.load_held;
	bool wanted = state.settings.children && usable;
	pa_reset(&state.over, !wanted);
	pa_ring_atfork_child(pa_record.ring, wanted);
	pa_store_relaxed(&pa_on->heap, wanted && forking.heap_was_on);
	set_contend_rates(wanted ? state.settings.block_rate_ns : 0,
		wanted ? state.settings.mutex_fraction : 0);
	pa_store_release(&pa_on->booted, 1);
	state.start_pending = wanted;
	forking.load_held = forking.tables_held = false; /* for the end of an outer fork */
	if (--forking.depth == 0)
		pa_process_release_signals(&forking.hold);
}

void pa_process_forked(void)
{
	if (!state.start_pending)
		return;
	state.start_pending = false;
	int saved_errno = errno;
	struct pa_hold hold;
	note_start();
	pa_process_hold_signals(&hold); /* a handler may allocate, or never come back */
	if (pa_spawn(run_agent, NULL, "pprofagent") != 0)
		pa_agent_is_over();
	pa_process_release_signals(&hold);
	errno = saved_errno;
}

/* ---- exit ---- */

PA_ENTRY void pa_process_exits(void)
{
	bool tracing = pa_tracing_is_on() && pa_load_acquire(&state.core_ready);
	if ((!tracing && !pa_exitfiles_wanted()) || !pa_agent_is_active() ||
		!pa_sandbox_may(&pa_thread_self, PA_CALLS_FILES | PA_CALLS_WAKE | PA_CALLS_MAP) ||
		getpid() != pa_record.pid)
		return;
	PA_CALM_FLAGS();
	PA_FRESH_FPU();
	/* _exit() is no cancellation point, the opening and closing of files is: pthreads(7). */
	int cancel_state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	if (tracing)
		state.bridge.api.trace_hurry(TRACE_END_NS);
	if (pa_exitfiles_wanted())
		pa_exitfiles_write();
	pthread_setcancelstate(cancel_state, NULL);
}

/* ---- boot1 ---- */

/* False: no memory for the ring, or no page to switch by. */
static bool set_up_record(void)
{
	const struct pa_settings *settings = &state.settings;
	pa_record.ring = pa_ring_create(settings->buffer_bytes);
	if (!pa_record.ring || !pa_on_boot() || !pa_contend_boot() || !pa_tracing_boot())
		return false;
	pa_ring_ask_writers(pa_record.ring, pa_sandbox_begin_wake, pa_sandbox_end);
	pa_record.frames = pa_frames_create();
	pa_record.heap_rate_bytes = settings->heap_rate_bytes;
	pa_record.stack_depth = settings->stack_depth;
	pa_record.signal = settings->signal;
	pa_record.pid = getpid();
	pa_mainstack_measure();
	pa_hooks_signal_boot();
	pa_spawn_boot(&state.bridge, &state.load_lock);
	pa_hold_boot(&state.load_lock);
	pa_lag_boot(&state.bridge, &state.load_lock);
	pa_aside_boot(&state.bridge, run_agent);
	pa_thread_meet(&pa_thread_self);
	return true;
}

static void fill_bridge(void)
{
	struct pa_bridge *bridge = &state.bridge;
	bridge->version = PA_BRIDGE_VERSION;
	bridge->settings = &state.settings;
	bridge->ring = pa_record.ring;
	bridge->frames = pa_record.frames;
	bridge->counters = &pa_record.counters;
	bridge->spawn = pa_spawn;
	bridge->thread_create = pa_spawn_joinable;
	bridge->tick_start = pa_tick_start;
	bridge->tick_stop = pa_tick_stop;
	bridge->contend_rates = set_contend_rates;
	bridge->trace_switch = switch_trace;
	bridge->core_is_ready = core_is_ready;
	bridge->cpu_from_start = pa_exitfiles_want_cpu();
	bridge->roll_begin = pa_rollcall_begin;
	bridge->roll_call = pa_rollcall_call;
	bridge->custom = pa_custom_get;
	bridge->custom_total = pa_custom_total;
	bridge->labels = pa_labels_get;
	bridge->text_lo = (uintptr_t)__ehdr_start;
	bridge->text_hi = (uintptr_t)&state; /* data lies behind the code */
	bridge->loader_enter = loader_enter;
	bridge->loader_leave = loader_leave;
	bridge->hook_status = hook_status;
	bridge->is_agent_thread = pa_thread_is_agent;
	bridge->await_agent_threads = pa_ends_await_agents;
	bridge->memory_bytes = pa_sample_memory_bytes;
	note_start();
}

/* True when this process is to be profiled. */
static bool read_settings(char *const *argv)
{
	char path[PA_PLACE_BYTES];
	const char *name = pa_place_program(path, sizeof(path));
	pa_env_read(&state.settings, environ, name);
	const struct pa_settings *now = &state.settings;
	if (!now->enabled || now->launcher || pa_launchers_one_thread(argv) ||
	    !pa_limits_leave_room() || (now->child && !now->children))
		return false;
	pa_exitfiles_boot(&state.settings, name);
	state.settings.serving &= pa_sandbox_may(&pa_thread_self, PA_CALLS_SERVE);
	/* As `go test -blockprofile`: whoever wants the file wants something in it. */
	if (state.settings.exit_files[PA_EXIT_BLOCK][0] && !state.settings.block_rate_ns)
		state.settings.block_rate_ns = 1;
	if (state.settings.exit_files[PA_EXIT_MUTEX][0] && !state.settings.mutex_fraction)
		state.settings.mutex_fraction = 1;
	return true;
}

static void start_up(bool late)
{
	if (!pa_watched() && read_settings(state.argv) &&
		pa_place_core(state.core_path, CORE_NAME) && set_up_record()) {
		fill_bridge();
		if (!late && state.settings.children)
			pa_children_mark(false);
		else if (!late)
			pa_children_leave_preload();
		pthread_atfork(before_fork, after_fork_parent, after_fork_child);
		if (pa_exitfiles_wanted() && at_quick_exit(pa_process_exits) != 0)
			pa_say("no memory for a quick_exit handler; it will leave no files");
		pa_store_relaxed(&pa_on->heap, pa_record.heap_rate_bytes != 0);
		set_contend_rates(state.settings.block_rate_ns, state.settings.mutex_fraction);
		pa_store_release(&pa_on->booted, 1);
		pa_spawn(run_agent, NULL, "pprofagent");
	} else {
		pa_store_relaxed(&pa_on->inert, 1);
		if (!late && state.settings.enabled && state.settings.shell &&
			!state.settings.child)
			pa_children_mark(true);
	}
}

__attribute__((constructor)) static void boot1(int argc __attribute__((unused)), char **argv)
{
	int saved_errno = errno;
	state.argv = argv;
	pa_hooks_boot(&state.bridge);
	if (pa_probe_boot())
		start_up(false);
	errno = saved_errno;
}

/* The environment is the program's by now: it stays as it is. */
void pa_process_proven_slow(bool by_thread)
{
	int saved_errno = errno;
	if (pa_probe_again(by_thread))
		start_up(true);
	errno = saved_errno;
}

__attribute__((destructor)) static void at_exit(void)
{
	pa_spawn_note_exit();
	pa_process_exits();
	pa_store_relaxed(&pa_on->heap, 0);
}
