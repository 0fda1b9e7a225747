/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life cycle of the agent: boot, the agent's first thread, fork, exit.
 *
 * boot0: before the constructor; hooks pass through to stubs. boot1: the constructor reads the
 * settings, creates ring and cache, turns recording on. boot2: the agent's first thread opens the
 * core, and runs it.
 *
 * The thread has its own descriptor table: whatever the agent opens, the program's open() still
 * returns the lowest free number, closefrom() affects only the program's files, a child inherits no
 * descriptor of the agent, and no listening socket survives a fork.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"
#include "private_fds.h"
#include "arch/arch.h"
#include "suspend.h"
#include "base/clock.h"
#include "base/launchers.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/newer_libc.h"
#include "record/dispatch.h"
#include "record/lock_waits.h"
#include "record/alloc.h"
#include "record/custom_set.h"
#include "record/inner_alloc.h"
#include "record/labels.h"
#include "record/last_walk.h"
#include "record/memlock.h"
#include "record/memory_use.h"
#include "record/switches.h"
#include "record/own_memory.h"
#include "record/process.h"
#include "record/registry.h"
#include "record/sample.h"
#include "record/sandbox.h"
#include "record/signal.h"
#include "record/tasks.h"
#include "record/tick.h"
#include "record/trace_events.h"
#include "child_env.h"
#include "core_handle.h"
#include "core_object.h"
#include "exit_files.h"
#include "program_end.h"
#include "socket_file.h"
#include "privileges.h"
#include "main_stack.h"
#include "seccomp_probe.h"
#include "floor.h"
#include "fork_guard.h"
#include "child_core.h"
#include "object_paths.h"
#include "own_stacks.h"
#include "pass_on.h"
#include "slot_table.h"
#include "agent_thread.h"
#include "wait_recording.h"
#include "other_profilers.h"

extern char **environ;
extern const char __ehdr_start[] PA_HIDDEN; /* defined by the linker: the start of this object */

/*
 * Sleep of the agent's first thread before it opens the core: a program that ends earlier does not
 * pay for it, since exit() would wait for the loader's lock. A full ring wakes it earlier. Children
 * wait longer, and open no port before that time even when woken.
 */
#define FIRST_DELAY_NS (20 * PA_NS_PER_MS)
#define CHILD_DELAY_NS (250 * PA_NS_PER_MS)

#define HOOKS_MAX 128

/* Longest wait of a fork for the loader lock and for the tables. */
#define FORK_LOAD_WAIT_NS (2 * PA_NS_PER_S)
#define FORK_TABLES_WAIT_NS (100 * PA_NS_PER_MS)

static struct {
	/* A forked child writes only these fields: they are in one page. */
	struct pa_lock load_lock; /* held during calls into the loader or libc */
	bool start_pending;       /* in a forked child: start the agent's thread again */
	struct pa_bridge bridge;
	struct pa_settings settings;
	char **argv; /* of the program */
	/* Set once, on the agent's first thread; inherited by children. */
	pa_core_object_main *core_main;
	struct pa_hook_status hooks[HOOKS_MAX]; /* status when the core was opened */
	size_t hook_count;
} state PA_PAGED
	__attribute__((aligned(PA_PAGE_BYTES))) = { .load_lock = PA_LOCK_INIT(PA_LOCK_LOAD) };

/*
 * State between the fork handlers of one fork. Per thread: a fork that timed out on the locks
 * proceeds while another one holds them.
 */
static PA_TLS struct {
	uint32_t depth; /* forks within fork handlers */
	struct pa_process_hold hold;
	bool load_held, tables_held;
	bool confined; /* by a seccomp filter: the child is not profiled */
	bool heap_was_on;
} forking;

static bool is_forked_child(void)
{
	return state.settings.child || state.bridge.forked;
}

static void note_start(void)
{
	struct pa_bridge *bridge = &state.bridge;
	bridge->start_wall_ns = pa_clock_wall_ns();
	bridge->start_mono_ns = pa_clock_mono_ns();
	bridge->serve_from_ns = bridge->start_mono_ns + (is_forked_child() ? CHILD_DELAY_NS : 0);
}

/* ---- boot2, on the agent's thread ---- */

static pa_core_object_main *open_core(void)
{
	pa_lock(&state.load_lock);
	pa_core_object_main *entry =
		pa_core_object_open_locked(is_forked_child() ? PA_ENV_LOG_OFF : state.settings.log);
	state.hook_count = pa_hooks_status(state.hooks, HOOKS_MAX);
	pa_unlock(&state.load_lock);
	return entry;
}

static PA_AGENT void loader_enter(void)
{
	pa_lock(&state.load_lock);
	pa_thread_slot_pin();
}

static PA_AGENT void loader_leave(void)
{
	pa_thread_slot_unpin();
	pa_unlock(&state.load_lock);
}

static PA_AGENT bool may_call_here(uint32_t calls)
{
	return pa_sandbox_may(&pa_thread_self, calls);
}

static PA_AGENT size_t hook_status(struct pa_hook_status *out, size_t max)
{
	size_t count = state.hook_count < max ? state.hook_count : max;
	memcpy(out, state.hooks, count * sizeof(*out));
	return count;
}

static bool may_serve(void)
{
	bool on_unix = state.settings.socket_path[0];
	return pa_sandbox_may(&pa_thread_self,
		on_unix ? PA_CALLS_SERVE | PA_CALLS_UNIX : PA_CALLS_SERVE);
}

static PA_AGENT void *run_agent(void *unused)
{
	(void)unused;
	pa_suspend_arrive();
	state.settings.serving &= may_serve();
	state.bridge.files_private = pa_private_fds_leave();
	pa_privileges_begin(pa_private_fds_has_root());
	pa_slot_table_open_wake_fd(state.bridge.files_private);
	pa_ring_reader(pa_record.ring, true);
	if (!pa_exit_files_want_cpu())
		pa_ring_wait_data(pa_record.ring,
			is_forked_child() ? CHILD_DELAY_NS : FIRST_DELAY_NS);
	pa_signal_learn_if_asked();
	pa_child_core_settle();
	if (!state.core_main)
		state.core_main = open_core();
	if (state.core_main)
		state.core_main(&state.bridge);
	pa_core_handle_over();
	return NULL;
}

/* ---- requests of the program ---- */

bool pa_agent_is_active(void)
{
	return pa_load_acquire(&pa_switches->booted);
}

const struct pa_settings *pa_agent_settings(void)
{
	return &state.settings;
}

/* The core adds the rates that its clients request. */
void pa_agent_set_rates(uint64_t block_rate_ns, uint64_t mutex_fraction)
{
	PA_FRESH_FPU();
	pa_store_relaxed(&state.settings.block_rate_ns, block_rate_ns);
	pa_store_relaxed(&state.settings.mutex_fraction, mutex_fraction);
	if (pa_core_handle_is_ready())
		state.bridge.api.rates_changed();
	else
		pa_wait_recording_contention(block_rate_ns, mutex_fraction);
}

/* ---- fork ---- */

/* First and last of the fork handlers: signal handlers in between are not part of the fork. */
static PA_APP PA_ENTRY void before_fork(void)
{
	forking.confined = !pa_sandbox_may(&pa_thread_self, PA_CALLS_FORK | PA_CALLS_VITAL);
	if (forking.confined)
		return;
	PA_CALM_FLAGS();
	PA_FRESH_FPU();
	if (forking.depth++ > 0)
		return;
	pa_fork_guard_signals(&forking.hold);
	forking.load_held = pa_fork_guard_loader(FORK_LOAD_WAIT_NS);
	forking.tables_held = pa_child_core_prepare(FORK_TABLES_WAIT_NS);
	forking.heap_was_on = pa_load_relaxed(&pa_switches->heap);
}

static PA_APP PA_ENTRY void after_fork_parent(void)
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
	pa_fork_guard_release_signals(&forking.hold);
}

static void note_ancestor(pid_t pid)
{
	struct pa_bridge_ancestor *ancestors = state.bridge.ancestors;
	for (size_t i = PA_BRIDGE_ANCESTORS - 1; i > 0; i--)
		ancestors[i] = ancestors[i - 1];
	ancestors[0] = (struct pa_bridge_ancestor){ pid, state.bridge.start_wall_ns };
	state.bridge.parent = pid;
}

static PA_ENTRY PA_BOOT void after_fork_child(void)
{
	state.start_pending = false;
	pa_store_relaxed(&pa_switches->inert, forking.confined);
	if (forking.confined)
		return;
	PA_CALM_FLAGS();
	PA_FRESH_FPU();
	note_ancestor(pa_record.pid); /* the child's own after pa_registry_atfork_child */
	pa_lock_reset(&state.load_lock);
	pa_tick_atfork_child();
	pa_signal_atfork_child();
	pa_exit_files_atfork_child();
	pa_socket_file_atfork_child();
	pa_sandbox_atfork_child();
	pa_dispatch_end(&pa_thread_self);
	pa_memlock_atfork_child();
	state.bridge.returned = false;
	pa_suspend_atfork_child();
	pa_thread_dump_atfork_child();
	pa_labels_atfork_child();
	pa_registry_atfork_child();
	pa_tasks_atfork_child();
	pa_last_walk_atfork_child();
	pa_own_memory_atfork_child();
	pa_own_stacks_atfork_child();
	pa_trace_events_atfork_child();
	pa_custom_set_atfork_child();
	pa_child_core_atfork_child(forking.load_held, forking.tables_held);
	if (state.bridge.atfork.child && !state.bridge.core_locked)
		pa_alloc_abandon_counts();
	state.bridge.forked = true;
	state.bridge.cpu_from_start = pa_exit_files_want_cpu();
	/* A call into the loader was interrupted by the fork: never use the loader in this
	 * process. */
	bool usable = state.core_main || forking.load_held;
	bool wanted = state.settings.children && usable;
	pa_core_handle_atfork_child(wanted);
	pa_ring_atfork_child(pa_record.ring, wanted);
	pa_store_relaxed(&pa_switches->heap, wanted && forking.heap_was_on);
	pa_wait_recording_contention(wanted ? pa_load_relaxed(&state.settings.block_rate_ns) : 0,
		wanted ? pa_load_relaxed(&state.settings.mutex_fraction) : 0);
	pa_store_release(&pa_switches->booted, 1);
	state.start_pending = wanted;
	forking.load_held = forking.tables_held = false; /* for the end of an outer fork */
	if (--forking.depth == 0)
		pa_fork_guard_release_signals(&forking.hold);
}

static PA_APP void start_in_child(void)
{
	if (!state.start_pending)
		return;
	state.start_pending = false;
	int saved_errno = errno;
	struct pa_process_hold hold;
	note_start();
	pa_fork_guard_signals(&hold); /* a handler may allocate, or never return */
	if (pa_agent_thread(run_agent, NULL, "pprofagent") != 0)
		pa_core_handle_over();
	pa_fork_guard_release_signals(&hold);
	errno = saved_errno;
}

/* ---- boot1 ---- */

/* False: no memory for the ring or for the page of switches. */
static bool set_up_record(void)
{
	const struct pa_settings *settings = &state.settings;
	pa_memlock_boot();
	pa_record.ring = pa_ring_create(settings->buffer_bytes);
	if (!pa_record.ring || !pa_floor_kernel(settings))
		return false;
	pa_ring_set_call_hooks(pa_record.ring, pa_sandbox_begin_wake, pa_sandbox_end);
	pa_record.frames = pa_frame_cache_create();
	pa_last_walk_boot();
	pa_record.heap_rate_bytes = settings->heap_rate_bytes;
	if (settings->heap_rate_bytes == 1)
		pa_record.alloc_counts = pa_alloc_counts_create();
	pa_record.stack_depth = settings->stack_depth;
	pa_record.signal = settings->signal;
	pa_record.pid = getpid();
	pa_main_stack_measure();
	pa_hooks_signal_boot();
	pa_agent_thread_boot(&state.bridge, &state.load_lock);
	pa_fork_guard_boot(&state.load_lock);
	pa_program_end_boot(&state.bridge);
	pa_core_handle_boot(&state.bridge);
	pa_child_core_boot(&state.bridge, &state.load_lock);
	pa_slot_table_boot(&state.bridge);
	pa_privileges_boot(&state.bridge, &pa_slot_table_table);
	pa_suspend_boot(&state.bridge, run_agent);
	pa_registry_add(&pa_thread_self);
	pa_core_object_reserve();
	return true;
}

static void fill_bridge(void)
{
	struct pa_bridge *bridge = &state.bridge;
	bridge->version = PA_BRIDGE_VERSION;
	bridge->settings = &state.settings;
	bridge->ring = pa_record.ring;
	bridge->frames = pa_record.frames;
	bridge->alloc_counts = pa_record.alloc_counts;
	bridge->copy_sizes = &pa_record.copy_sizes;
	bridge->unwind_tables = &pa_record.unwind_tables;
	bridge->counters = &pa_record.counters;
	bridge->held_files = &pa_record.held_files;
	bridge->read_clock = pa_clock_read;
	bridge->spawn = pa_agent_thread;
	bridge->tls_bytes = pa_agent_thread_tls_bytes();
	bridge->thread_create = pa_agent_thread_joinable;
	bridge->thread_joined = pa_agent_thread_joined;
	bridge->tick_start = pa_tick_start;
	bridge->tick_stop = pa_tick_stop;
	bridge->tick_charge = pa_tick_charge;
	bridge->contend_rates = pa_wait_recording_contention;
	bridge->trace_switch = pa_wait_recording_trace;
	bridge->core_is_ready = pa_core_handle_ready;
	bridge->cpu_from_start = pa_exit_files_want_cpu();
	bridge->dump_begin = pa_thread_dump_begin;
	bridge->dump_call = pa_thread_dump_call;
	bridge->inner_alloc = &pa_inner_alloc;
	bridge->custom = pa_custom_set_get;
	bridge->custom_total = pa_custom_set_total;
	bridge->labels = pa_labels_get;
	bridge->text_lo = (uintptr_t)__ehdr_start;
	bridge->text_hi = (uintptr_t)&state; /* data follows the code */
	bridge->loader_enter = loader_enter;
	bridge->loader_leave = loader_leave;
	bridge->hook_status = hook_status;
	bridge->may = may_call_here;
	bridge->keep_socket_file = pa_socket_file_keep;
	bridge->after_wait = pa_signal_learn_if_asked;
	bridge->is_agent_thread = pa_registry_is_agent;
	bridge->await_agent_threads = pa_thread_ends_await_agents;
	bridge->own_maps = pa_own_maps();
	bridge->memory_bytes = pa_memory_use_bytes;
	note_start();
}

/* True when this process is to be profiled. */
static bool read_settings(char *const *argv)
{
	char path[PA_OBJECT_PATHS_BYTES];
	const char *name = pa_object_paths_program(path, sizeof(path));
	pa_env_read(&state.settings, environ, name);
	const struct pa_settings *now = &state.settings;
	if (!now->enabled || now->launcher || pa_launchers_one_thread(argv) ||
		!pa_limits_leave_room(now->buffer_bytes + now->flight_bytes) ||
		(now->child && !now->children))
		return false;
	pa_exit_files_boot(&state.settings, name);
	state.settings.serving &= may_serve();
	/* As `go test -blockprofile`: a profile that goes to a file must not be empty. */
	if (now->exit_files[PA_ENV_EXIT_BLOCK][0] && !pa_load_relaxed(&now->block_rate_ns))
		pa_store_relaxed(&state.settings.block_rate_ns, 1);
	if (now->exit_files[PA_ENV_EXIT_MUTEX][0] && !pa_load_relaxed(&now->mutex_fraction))
		pa_store_relaxed(&state.settings.mutex_fraction, 1);
	return true;
}

/* No thread can be created: RLIMIT_NPROC, pids.max, memory. Nothing is recorded. */
static void give_up(int error)
{
	const struct pa_settings *settings = &state.settings;
	bool first = !settings->child && settings->log != PA_ENV_LOG_OFF;
	pa_core_handle_over();
	if (settings->log == PA_ENV_LOG_INFO || (first && pa_exit_files_wanted()))
		pa_log("cannot start: pthread_create: %s; not serving%s",
			pa_newer_libc_error(error),
			pa_exit_files_wanted() ? ", and no profiles are written" : "");
	pa_exit_files_forget();
}

static void start_up(bool late)
{
	if (!pa_other_profilers() && read_settings(state.argv) &&
		pa_floor_libc(&state.settings, late) && pa_core_object_find() && set_up_record()) {
		fill_bridge();
		if (!late && state.settings.children)
			pa_child_env_mark(false);
		else if (!late)
			pa_child_env_leave_preload();
		pthread_atfork(before_fork, after_fork_parent, after_fork_child);
		bool at_end = pa_exit_files_wanted() || state.settings.socket_path[0];
		if (at_end && at_quick_exit(pa_program_end) != 0)
			pa_log("no memory for a quick_exit handler; it will leave no files");
		pa_store_relaxed(&pa_switches->heap, pa_record.heap_rate_bytes != 0);
		pa_wait_recording_contention(pa_load_relaxed(&state.settings.block_rate_ns),
			pa_load_relaxed(&state.settings.mutex_fraction));
		pa_store_release(&pa_switches->booted, 1);
		int error = pa_agent_thread(run_agent, NULL, "pprofagent");
		if (error)
			give_up(-error);
	} else {
		pa_store_relaxed(&pa_switches->inert, 1);
		if (!late)
			pa_pass_on(&state.settings);
	}
}

/* The program may have changed its environment: it is not modified any more. */
static PA_APP void start_after_proof(bool by_thread)
{
	int saved_errno = errno;
	if (pa_seccomp_probe_again(by_thread))
		start_up(true);
	errno = saved_errno;
}

static const struct pa_process_ops process_ops = {
	.forked = start_in_child,
	.hold_fork = pa_fork_guard_fork,
	.release_signals = pa_fork_guard_release_signals,
	.hold = pa_fork_guard_copy,
	.release = pa_fork_guard_release,
	.copied = pa_fork_guard_copied,
	.suspend = pa_suspend_suspend,
	.resume = pa_suspend_resume,
	.stay_suspended = pa_suspend_stay,
	.follow = pa_privileges_call,
	.is_alone = pa_agent_thread_is_alone,
	.proven = start_after_proof,
	.exits = pa_program_end,
};

__attribute__((constructor)) static PA_BOOT void
boot_in_constructor(int argc __attribute__((unused)), char **argv)
{
	int saved_errno = errno;
	state.argv = argv;
	pa_hooks_boot(&state.bridge);
	pa_process = &process_ops;
	if (pa_seccomp_probe_boot())
		start_up(false);
	errno = saved_errno;
}

__attribute__((destructor)) static PA_APP void at_exit(void)
{
	pa_agent_thread_note_exit();
	pa_program_end();
	pa_store_relaxed(&pa_switches->heap, 0);
}
