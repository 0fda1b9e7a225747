/*
 * The core's door: pa_core_main, what bridge.h says of it, and the server thread.
 *
 * Threads: the caller becomes the collector. The server thread binds the port and sleeps until the
 * first connection; then it starts the HTTP server and becomes the render thread. So an agent that
 * nobody asked has two threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/say.h"
#include "../profile/away.h"
#include "../profile/core.h"
#include "../profile/drain.h"
#include "../profile/maps_jail.h"
#include "../profile/symbols.h"
#include "../profile/wall.h"
#include "clients.h"
#include "collect.h"
#include "files.h"
#include "gate.h"
#include "guesses.h"
#include "guest.h"
#include "http.h"
#include "profiles.h"
#include "routes.h"
#include "since.h"
#include "traces.h"

/* A forked child waits for its parent to leave the port: daemon() is such a parent. */
#define CHILD_RETRIES 3
#define CHILD_RETRY_NS PA_NS_PER_S

/* A server that cannot be started (no threads left, no memory) may be a moment later. */
#define START_TRIES 10
#define START_PAUSE_NS PA_NS_PER_S

static struct {
	struct pa_listen listener;
	struct pa_guard guard;
	struct sockaddr_in before; /* where it listened before our threads were away; port 0: not */
} state = { .listener.fd = -1 };

static const struct sockaddr_in no_address;

static bool may_say(const struct pa_bridge *bridge)
{
	const struct pa_settings *settings = bridge->settings;
	bool first = !settings->child && !settings->of_shell && !bridge->forked;
	/* It was said at the start; the program may have made something else of stderr since. */
	if (bridge->returned)
		return false;

	return settings->log == PA_LOG_INFO || (first && settings->log == PA_LOG_ERROR);
}

/*
 * Start-up messages are over: in the descriptor table of our own, stderr is let go (whoever reads
 * the other end waits for its end). /dev/null takes the low numbers, so that a library which
 * prints does so nowhere.
 */
static void leave_stderr(void)
{
	if (!pa_core_bridge->files_private)
		return;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (null < 0)
			close(fd);
		else if (fd != null)
			dup3(null, fd, O_CLOEXEC);
	}
	if (null > STDERR_FILENO)
		close(null);
}

static bool open_port(const struct pa_bridge *bridge)
{
	const struct pa_settings *settings = bridge->settings;
	const struct pa_listen_policy policy = {
		.may_say = may_say(bridge),
		.files_private = bridge->files_private,
		.retries = bridge->forked ? CHILD_RETRIES : 0,
		.retry_ns = CHILD_RETRY_NS,
		.again = state.before.sin_port ? &state.before : NULL,
	};

	/* Not after the retries: they take seconds. */
	if (!policy.may_say)
		leave_stderr();
	int error = pa_listen_open(settings, &policy, &state.listener);
	if (policy.may_say)
		leave_stderr();
	state.guard = (struct pa_guard){
		.loopback = state.listener.loopback,
		.user_only = settings->peers == PA_PEERS_USER,
		.host = settings->host,
		.hosts = settings->hosts,
		.token = settings->token,
	};
	return error == 0;
}

/* Nothing of civetweb exists until here. False when the program took the descriptor from us. */
static bool wait_for_connection(void)
{
	struct pollfd port = { .fd = state.listener.fd, .events = POLLIN };

	while (pa_listen_wait(&port, 1, -1) < 1)
		;
	return pa_gate_is_ours();
}

/* The client that knocked is not kept waiting for a server that will not come. */
static void turn_away(void)
{
	int fd = accept4(state.listener.fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
}

/* No server will come: refused, its clients know at once. */
static void leave_port(void)
{
	if (pa_gate_is_ours())
		close(state.listener.fd);
	state.listener.fd = -1;
}

static bool start_server(void)
{
	for (int i = 0; i < START_TRIES && wait_for_connection(); i++) {
		if (pa_http_start(&state.listener, &state.guard) == 0)
			return true;
		turn_away();
		pa_futex_rest(START_PAUSE_NS);
	}
	return false;
}

static void *run_server(void *unused)
{
	(void)unused;
	int64_t early_ns = pa_core_bridge->serve_from_ns - pa_clock_mono_ns();
	if (early_ns > 0)
		pa_futex_rest(early_ns);
	if (!open_port(pa_core_bridge))
		return NULL;
	pa_gate_init(state.listener.fd, pa_core_bridge->files_private);
	pa_routes_init(&state.listener);
	if (!start_server()) {
		leave_port();
		return NULL;
	}
	if (pa_collect_claim())
		pa_files_render();
	return NULL; /* the program needed it before the first connection */
}

/* Descriptors that the child inherited: a listening socket of a dead parent would answer nobody. */
static void close_inherited(void)
{
	const int fds[] = { state.listener.fd, pa_guest_listener() };

	for (size_t i = 0; i < PA_COUNT(fds); i++) {
		if (pa_gate_is_listener(fds[i]))
			close(fds[i]);
	}
}

/*
 * In a forked child everything of the parent's server is dead. Its sockets are in a descriptor
 * table that the child does not have; where there are no such tables the listening one is closed.
 * So it is after our threads were away, but that symbols stay.
 */
static void forget_parent(const struct pa_bridge *bridge)
{
	const bool new_process = bridge->forked && !bridge->returned;

	if ((bridge->forked || bridge->returned) && !bridge->files_private)
		close_inherited();
	if (new_process)
		pa_symbols_reset();
	state.before = new_process ? no_address : state.listener.bound;
	state.listener = (struct pa_listen){ .fd = -1 };
	pa_maps_leave_jail();
	pa_core_bridge->aside = pa_away_settle;
	pa_core_bridge->jailed = pa_maps_enter_jail;
	pa_guest_init();
	pa_gate_init(-1, true);
	if (bridge->returned)
		pa_collect_abandon();
	else
		pa_collect_reset();
	pa_profiles_reset();
	pa_clients_reset();
	pa_guesses_reset();
	pa_collect_idle(pa_since_idle);
	pa_wall_reset();
	pa_traces_reset();
}

static void complain(const struct pa_bridge *bridge, int error)
{
	const char *why = strerrordesc_np(-error);

	if (may_say(bridge))
		pa_say("cannot start: %s; not serving", why ? why : "unknown error");
}

PA_EXPORT int pa_core_main(struct pa_bridge *bridge)
{
	if (bridge->version != PA_BRIDGE_VERSION) {
		pa_say("libpprofagent-core.so is of another version; not serving");
		return -EINVAL;
	}
	pa_core_bridge = bridge;
	pa_seat_boot(bridge->seats, bridge->seat);
	forget_parent(bridge);
	int error = pa_drain_init();
	bool serving = !error && bridge->settings->serving;
	int no_server = serving ? bridge->spawn(run_server, NULL, "pprofagent-http") : 0;
	if (error || no_server)
		complain(bridge, error ? error : no_server);
	if (!serving || no_server) /* else the server thread does it */
		leave_stderr();
	if (error)
		return error;
	pa_files_init();
	bridge->api.trace_hurry = pa_traces_hurry;
	bridge->core_is_ready();
	pa_drain_run();
}
