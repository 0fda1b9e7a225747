/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of the core object: pa_core_main, described in bridge.h, and the server thread.
 *
 * Threads: the caller becomes the collector. The server thread binds the port and sleeps until the
 * first connection; then it starts the HTTP server and becomes the render thread. After an idle
 * time without requests it stops the HTTP server and sleeps again. So an agent without clients has
 * two threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/own_maps.h"
#include "../base/log.h"
#include "../base/newer_libc.h"
#include "../base/kept_pages.h"
#include "../profile/restart.h"
#include "../core/core.h"
#include "../profile/allocator_hooks.h"
#include "../profile/collector.h"
#include "../modules/held_files.h"
#include "../modules/maps_jail.h"
#include "../symbols/perf_map_file.h"
#include "../symbols/symbols.h"
#include "../symbols/symbols_resolve.h"
#include "../symbols/symbols_unloaded.h"
#include "../symbols/mem_headroom.h"
#include "../profile/thread_headroom.h"
#include "client_budget.h"
#include "delta_clients.h"
#include "render_buffer.h"
#include "render_thread.h"
#include "api_profiles.h"
#include "conn_queue.h"
#include "token_guesses.h"
#include "libc_shims.h"
#include "http.h"
#include "idle_timeout.h"
#include "linger.h"
#include "waiting_requests.h"
#include "profile_endpoints.h"
#include "minimal_server.h"
#include "port_name.h"
#include "process_tree.h"
#include "takeover.h"
#include "routes.h"
#include "delta_endpoint.h"
#include "symbol_endpoint.h"
#include "trace_endpoint.h"
#include "tree_endpoint.h"

/* Starting the server may fail for lack of threads or memory and succeed a moment later. */
#define START_TRIES 10
#define START_PAUSE_NS PA_NS_PER_S

/* Stacks and allocations of all threads of the HTTP server. */
#define SERVER_BYTES ((uint64_t)16 << 20)

static struct {
	struct pa_listen listener;
	struct pa_access guard;
	struct pa_address before;    /* address before the agent's threads were suspended */
	PA_ATOMIC(uint32_t) serving; /* a server runs that can be stopped; acquire/release */
} state = { .listener = PA_LISTEN_NONE };

static const struct pa_address no_address;

static bool is_child(const struct pa_bridge *bridge)
{
	return bridge->settings->child || bridge->forked;
}

static bool may_say(const struct pa_bridge *bridge)
{
	const struct pa_settings *settings = bridge->settings;
	bool first = !is_child(bridge) && !settings->of_shell;
	/* Said at the first start; the program may since have reused its stderr. */
	if (bridge->returned)
		return false;

	return settings->log == PA_ENV_LOG_INFO || (first && settings->log == PA_ENV_LOG_ERROR);
}

/*
 * Releases stderr in the private descriptor table after the start-up messages, so that a reader of
 * the other end sees end-of-file when the program exits. It becomes what stdin is, which takes no
 * output (private_fds.h).
 */
static void leave_stderr(void)
{
	if (pa_core_bridge->files_private && dup3(STDIN_FILENO, STDERR_FILENO, O_CLOEXEC) < 0)
		close(STDERR_FILENO);
}

/* The listener is bound: shows its port, and sets what is checked for each request. */
static void use_listener(const struct pa_settings *settings)
{
	state.guard = (struct pa_access){
		.loopback = pa_address_is_local(&state.listener.bound),
		.user_only = settings->peers == PA_ENV_PEERS_USER,
		.host = settings->host,
		.hosts = settings->hosts,
		.token = settings->token,
	};
	pa_port_name_set(state.listener.bound.port);
	pa_conn_queue_init(state.listener.fds, pa_core_bridge->files_private);
	bool is_file = state.listener.bound.family == AF_UNIX;
	pa_core_bridge->keep_socket_file(is_file ? state.listener.bound.path : NULL);
}

static bool is_at_wanted(const struct pa_listen *listener, const struct pa_settings *settings)
{
	if (!pa_listen_is_shared(settings))
		return true;
	return listener->bound.family == AF_UNIX ?
		pa_address_is_equal(&listener->wanted, &listener->bound) :
		listener->wanted.port == listener->bound.port;
}

static struct pa_listen_policy listen_policy(const struct pa_bridge *bridge)
{
	return (struct pa_listen_policy){
		.may_say = may_say(bridge),
		.files_private = bridge->files_private,
		.child = is_child(bridge),
		.parent = bridge->forked ? bridge->parent : 0,
		.no_ipv6 = !bridge->may(PA_CALLS_IPV6),
		.no_unix = !bridge->may(PA_CALLS_UNIX),
		.again = state.before.family ? &state.before : NULL,
	};
}

static bool open_port(const struct pa_bridge *bridge)
{
	const struct pa_settings *settings = bridge->settings;
	const struct pa_listen_policy policy = listen_policy(bridge);

	if (!policy.may_say)
		leave_stderr();
	int error = pa_listen_open(settings, &policy, &state.listener);
	if (policy.may_say)
		leave_stderr();
	if (error)
		return false;
	use_listener(settings);
	if (policy.child && !is_at_wanted(&state.listener, settings))
		pa_takeover_begin(&state.listener.wanted, policy.parent,
			bridge->files_private && bridge->may(PA_CALLS_REACH));
	return true;
}

/* Moves to the address of the settings, if that is free now. Only while there is no server. */
static void try_to_move(void)
{
	if (!pa_takeover_is_due() || !pa_conn_queue_is_ours())
		return;
	const struct pa_listen_policy policy = listen_policy(pa_core_bridge);
	if (pa_listen_move(pa_core_bridge->settings, &policy, &state.listener)) {
		use_listener(pa_core_bridge->settings);
		pa_takeover_end();
	} else {
		pa_takeover_again();
	}
}

static int64_t sooner_of(int64_t a_ns, int64_t b_ns)
{
	return b_ns < 0 || (a_ns >= 0 && a_ns < b_ns) ? a_ns : b_ns;
}

/* Sleeps until a connection arrives; civetweb is not running. Runs the idle work of the render
 * thread meanwhile. False if the program has taken our descriptor. */
static bool wait_for_connection(void)
{
	struct pollfd polls[PA_LISTEN_SOCKETS + 1];

	do {
		try_to_move();
		for (size_t i = 0; i < PA_LISTEN_SOCKETS; i++)
			polls[i] = (struct pollfd){ .fd = state.listener.fds[i], .events = POLLIN };
		polls[PA_LISTEN_SOCKETS] =
			(struct pollfd){ .fd = pa_takeover_fd(), .events = POLLIN };
	} while (pa_listen_wait(polls, PA_COUNT(polls),
			 sooner_of(pa_render_thread_run_idle(), pa_takeover_wait_ns())) < 1 ||
		!(polls[0].revents | polls[1].revents));
	return pa_conn_queue_is_ours();
}

static bool has_no_jobs(void *unused)
{
	(void)unused;
	return pa_render_thread_jobs() == 0;
}

/* Idle work of the render thread. A server that is to move stops when it has no connection. */
static int64_t do_idle_work(void)
{
	int64_t next_ns =
		sooner_of(pa_delta_endpoint_idle(), pa_symbols_unloaded_name(has_no_jobs));

	/* Otherwise the server thread looks. */
	if (!pa_load_acquire(&state.serving) || !pa_takeover_is_wanted())
		return next_ns;
	if (pa_takeover_is_due())
		pa_idle_timeout_hurry();
	return sooner_of(next_ns, PA_IDLE_TIMEOUT_LOOK_NS);
}

/* Closes the port for good, so that its clients are refused at once. */
static void leave_port(void)
{
	if (pa_conn_queue_is_ours())
		pa_listen_close(&state.listener);
	state.listener = (struct pa_listen)PA_LISTEN_NONE;
	pa_core_bridge->keep_socket_file(NULL);
	pa_port_name_set(0);
}

/* Number of workers that may be started; 0: a limit of the program leaves no room, *why is its
 * name. */
static unsigned workers_allowed(const char **why)
{
	const struct pa_thread_headroom room = pa_thread_headroom();
	const unsigned share = pa_thread_headroom_share(&room, PA_HTTP_WORKERS + 1);

	*why = room.limit;
	if (share < 2)
		return 0;
	*why = pa_mem_headroom_lacks(SERVER_BYTES);
	return *why ? 0 : share - 1;
}

/* Waits for a connection and starts the server. False: no server will run any more. */
static bool start_server(void)
{
	const char *why;

	for (int failures = 0; failures < START_TRIES && wait_for_connection();) {
		unsigned workers = workers_allowed(&why);
		if (!workers) {
			pa_minimal_server_for_limit(state.listener.fds, why);
			continue;
		}
		/* Without a private table the server is never stopped: civetweb would close
		 * descriptor numbers that may belong to the program by then. */
		pa_idle_timeout_begin(pa_core_bridge->files_private ? PA_IDLE_TIMEOUT_NS : -1);
		if (pa_takeover_is_wanted())
			pa_idle_timeout_may_hurry();
		if (pa_http_start(&state.listener, &pa_routes_handlers, workers) == 0)
			return true;
		failures++;
		pa_minimal_server_for_limit(state.listener.fds, "memory");
		pa_futex_sleep(START_PAUSE_NS);
	}
	return false;
}

/* Runs the render thread, or waits while another thread is it, until the HTTP server is stopped. */
static void serve_core(void)
{
	pa_store_release(&state.serving, pa_core_bridge->files_private);
	do {
		if (pa_render_thread_await_claim(pa_idle_timeout_is_asked))
			pa_api_profiles_render(pa_idle_timeout_is_asked);
	} while (!pa_idle_timeout_end());
	pa_store_release(&state.serving, 0);
	pa_http_stop();
	pa_kept_pages_trim();
	pa_render_buffer_trim();
}

static void *run_server(void *unused)
{
	(void)unused;
	int64_t early_ns = pa_core_bridge->serve_from_ns - pa_clock_mono_ns();
	if (early_ns > 0)
		pa_futex_sleep(early_ns);
	if (!open_port(pa_core_bridge))
		return NULL;
	pa_routes_init(&state.listener, &state.guard);
	pa_symbols_init(pa_core_bridge->settings->symbols);
	pa_symbols_resolve_name_unnamed(pa_core_bridge->settings->unnamed ==
		PA_ENV_UNNAMED_FUNCTION);
	while (start_server())
		serve_core();
	leave_port(); /* the program took the descriptor, or the server cannot be started */
	return NULL;
}

/* Descriptors inherited by fork: a listening socket of a dead parent would accept connections that
 * get no response. */
static void close_inherited(void)
{
	const int fds[] = { state.listener.fds[0], state.listener.fds[1],
		pa_libc_shims_listener() };

	for (size_t i = 0; i < PA_COUNT(fds); i++) {
		if (pa_conn_queue_is_listener(fds[i]))
			close(fds[i]);
	}
}

/*
 * Resets the state inherited from the parent's server, whose threads do not exist in a forked
 * child. Its sockets are in a descriptor table that the child does not have; without private tables
 * the listening socket is closed. The same after the agent's threads were suspended, except that
 * symbols stay.
 */
static void forget_parent(const struct pa_bridge *bridge)
{
	const bool new_process = bridge->forked && !bridge->returned;

	if ((bridge->forked || bridge->returned) && !bridge->files_private)
		close_inherited();
	if (new_process)
		pa_symbols_reset();
	state.before = new_process ? no_address : state.listener.bound;
	state.listener = (struct pa_listen)PA_LISTEN_NONE;
	pa_store_release(&state.serving, 0);
	pa_maps_leave_jail();
	pa_held_files_reset();
	if (bridge->files_private && bridge->settings->symbols != PA_ENV_SYMBOLS_NONE)
		pa_held_files_begin(bridge->held_files);
	pa_symbols_unloaded_begin(pa_api_profiles_idle_soon);
	pa_core_bridge->settle = pa_restart_settle;
	pa_core_bridge->jailed = pa_maps_enter_jail;
	pa_libc_shims_init();
	pa_conn_queue_init(state.listener.fds, true);
	pa_waiting_requests_reset();
	pa_linger_reset();
	if (bridge->returned)
		pa_render_thread_abandon();
	else
		pa_render_thread_reset();
	pa_profile_endpoints_reset();
	pa_tree_endpoint_reset();
	pa_symbol_endpoint_reset();
	pa_delta_clients_reset();
	pa_client_budget_evict(pa_delta_clients_drop_oldest);
	pa_token_guesses_reset();
	pa_process_tree_reset();
	pa_takeover_reset();
	pa_render_thread_idle(do_idle_work);
	pa_trace_endpoint_reset();
}

static void report_boot_error(const struct pa_bridge *bridge, int error)
{
	if (may_say(bridge))
		pa_log("cannot start: %s; not serving", pa_newer_libc_error(-error));
}

PA_EXPORT int pa_core_main(struct pa_bridge *bridge)
{
	if (bridge->version != PA_BRIDGE_VERSION) {
		pa_log("libpprofagent-core.so is of another version; not serving");
		return -EINVAL;
	}
	pa_core_bridge = bridge;
	pa_thread_slot_boot(bridge->slots, bridge->slot);
	pa_own_maps_join(bridge->own_maps);
	pa_clock_use(bridge->read_clock);
	forget_parent(bridge);
	pa_perf_map_file_boot();
	int error = pa_collector_init();
	if (!error)
		pa_api_profiles_init();
	bool serving = !error && bridge->settings->serving;
	int no_server = serving ? bridge->spawn(run_server, NULL, PA_PORT_NAME_NONE) : 0;
	if (error || no_server)
		report_boot_error(bridge, error ? error : no_server);
	if (!serving || no_server) /* otherwise the server thread calls it */
		leave_stderr();
	if (error)
		return error;
	pa_allocator_hooks_begin();
	bridge->api.trace_finish = pa_trace_endpoint_finish;
	bridge->core_is_ready();
	pa_collector_run();
}
