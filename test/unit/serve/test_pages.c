/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/arch/arch.h"
#include "agent/serve/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/version.h"
#include "agent/serve/client_budget.h"

#include "test/lib/c/fake_profiles.h"

static struct pa_buffer page;

static int tear_down(void **unused)
{
	(void)unused;
	pa_buffer_free(&page);
	return 0;
}

static void shows(const char *text)
{
	if (!strstr(page.bytes, text))
		fail_msg("not on the page: %s", text);
}

static void shows_not(const char *text)
{
	if (strstr(page.bytes, text))
		fail_msg("on the page: %s", text);
}

static const struct pa_pages_row rows[] = {
	{ "allocs", "A sampling of all past memory allocations", 12 },
	{ "a b/c<'>", "It's <b>", 3 },
};

static void index_lists_its_rows(void **unused)
{
	(void)unused;
	pa_pages_index(&page, rows, 1);
	shows("<title>/debug/pprof/</title>");
	shows("Types of profiles available:");
	shows("<p>Set debug=1 as a query parameter to export in legacy text format</p>");
	shows("<tr><td>12</td><td><a href='allocs?debug=1'>allocs</a></td></tr>");
	shows("<tr><td><a href='ui#profile=allocs' aria-label='graph of "
	      "allocs'>graph</a></td></tr>");
	shows("<li><div class=profile-name>allocs: </div> "
	      "A sampling of all past memory allocations</li>");
}

static void index_links_the_dump(void **unused)
{
	(void)unused;
	pa_pages_index(&page, rows, 1);
	shows("<a href=\"goroutine?debug=2\">full goroutine stack dump</a>");
}

static void index_escapes_names(void **unused)
{
	(void)unused;
	pa_pages_index(&page, rows, 2);
	shows("<a href='a%20b/c%3C%27%3E?debug=1'>a b/c&lt;&#39;&gt;</a>");
	shows("<a href='ui#profile=a%20b/c%3C%27%3E' aria-label='graph of a b/c&lt;&#39;&gt;'>");
	shows("</div> It&#39;s &lt;b&gt;</li>");
}

static void cmdline_is_byte_exact(void **unused)
{
	char long_argument[6000],
		*const argv[] = { "", "%s %d", "\xc3\xa4 b", long_argument, "", NULL };
	int ends[2], status;
	(void)unused;
	memset(long_argument, 'x', sizeof(long_argument) - 1);
	long_argument[sizeof(long_argument) - 1] = '\0';
	assert_int_equal(pipe(ends), 0);
	/* The test program itself, run as one that prints its own page. */
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		setenv("TEST_PAGES_PRINT", "1", 1);
		execv("/proc/self/exe", argv);
		_exit(99);
	}
	close(ends[1]);
	char got[8192];
	size_t length = 0;
	ssize_t count;
	while ((count = read(ends[0], got + length, sizeof(got) - length)) > 0)
		length += (size_t)count;
	close(ends[0]);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);

	char wanted[8192];
	size_t at = 0;
	for (size_t i = 0; argv[i]; i++) {
		memcpy(wanted + at, argv[i], strlen(argv[i]) + 1);
		at += strlen(argv[i]) + 1;
	}
	assert_int_equal(length, at - 1); /* no NUL at the end */
	assert_memory_equal(got, wanted, length);
}

static int print_cmdline(void)
{
	if (pa_pages_cmdline(&page) != 0)
		return 1;
	return write(STDOUT_FILENO, page.bytes, page.length) == (ssize_t)page.length ? 0 : 2;
}

static const struct pa_listen listener = { .url = "http://localhost:1/debug/pprof/" };

static void agent_page_shows_state_and_losses(void **unused)
{
	(void)unused;
	fake.counters.lost_alloc_ring = 41;
	fake.counters.alloc_events = 42;
	pa_pages_agent(&page, &listener, false);
	fake.counters.lost_alloc_ring = fake.counters.alloc_events = 0;
	shows("  version: " PA_VERSION "\n");
	shows("  url: http://localhost:1/debug/pprof/\n");
	shows("  allocations dropped: ring full: 41\n");
	shows("  sampled allocations: 42\n");
	shows("  locations whose lines were not read yet: 47\n");
	shows("  size_bytes: 65536\n");
	shows("  recording side, bytes mapped: 4321\n");
	shows("  live_objects: 77\n");
	shows("  free: the program has \"its own\"\n");
	shows_not("malloc:");
	assert_true(strstr(page.bytes, "\nevents:") < strstr(page.bytes, "sampled allocations"));
	assert_true(strstr(page.bytes, "\ndrops:") <
		strstr(page.bytes, "allocations dropped: ring"));
}

static void agent_page_keeps_lost_events_and_lost_time_apart(void **unused)
{
	const char *drops, *lost, *dropped_ns, *waits, *critical, *ring;

	(void)unused;
	fake.counters.lost_block_ring = 51;
	fake.counters.ns_of_lost_blocks = 52;
	fake.counters.ns_of_lost_mutexes = 53;
	pa_pages_agent(&page, &listener, false);
	fake.counters.lost_block_ring = 0;
	fake.counters.ns_of_lost_blocks = fake.counters.ns_of_lost_mutexes = 0;
	drops = strstr(page.bytes, "\ndrops:\n");
	lost = strstr(page.bytes, "  waits dropped: ring full: 51\n");
	dropped_ns = strstr(page.bytes, "\ndropped_ns:\n");
	waits = strstr(page.bytes, "  ns of the waits dropped: 52\n");
	critical = strstr(page.bytes, "  ns waited for the critical sections dropped: 53\n");
	ring = strstr(page.bytes, "\nring:\n");
	assert_true(drops && drops < lost);
	assert_true(lost < dropped_ns && dropped_ns < waits);
	assert_true(waits < critical && critical < ring);
}

static void agent_page_shows_tables_of_contention_and_threads(void **unused)
{
	(void)unused;
	pa_pages_agent(&page, &listener, false);
	shows("  block_records: 78\n");
	shows("  mutex_records: 79\n");
	shows("  create_records: 80\n");
	shows("  waits and contended critical sections dropped: sample table full: 81\n");
	shows("  creations of threads dropped: sample table full: 82\n");
}

static void agent_page_shows_rates_of_contention(void **unused)
{
	(void)unused;
	pa_pages_agent(&page, &listener, false);
	shows("  PPROFAGENT_BLOCK_RATE: off\n");
	shows("  PPROFAGENT_MUTEX_FRACTION: 0\n");
	pa_buffer_free(&page);
	fake.settings.block_rate_ns = 20;
	fake.settings.mutex_fraction = 5;
	pa_pages_agent(&page, &listener, false);
	fake.settings.block_rate_ns = fake.settings.mutex_fraction = 0;
	shows("  PPROFAGENT_BLOCK_RATE: 20 (default off)\n");
	shows("  PPROFAGENT_MUTEX_FRACTION: 5 (default 0)\n");
}

static void agent_page_shows_the_rates_that_apply_now(void **unused)
{
	(void)unused;
	fake.block_rate_ns = 61;
	fake.mutex_fraction = 62;
	pa_pages_agent(&page, &listener, false);
	fake.block_rate_ns = fake.mutex_fraction = 0;
	shows("\nrecording:\n  ns of waiting an event, 0 = off: 61\n"
	      "  critical sections an event, 0 = off: 62\n");
}

static void agent_page_shows_what_is_kept_for_clients(void **unused)
{
	(void)unused;
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_DELTAS, PA_PAGE_BYTES));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, 2 * PA_PAGE_BYTES));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_FLIGHT, 3 * PA_PAGE_BYTES));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_TREES, 4 * PA_PAGE_BYTES));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_JOBS, PA_CLIENT_BUDGET_JOBS_BYTES));
	pa_pages_agent(&page, &listener, false);
	pa_pages_agent(&page, &listener, true);
	for (enum pa_client_budget_use use = 0; use < PA_CLIENT_BUDGET_USES; use++)
		pa_client_budget_forget(use);
	shows("\nkept_for_clients:\n  bytes, at most: 16777216\n"
	      "  bytes, the most so far: 6332416\n"
	      "  for delta clients, bytes: 4096\n"
	      "  for deltas with seconds, bytes: 8192\n"
	      "  for the flight recorder's answers, bytes: 12288\n"
	      "  for profiles to be merged, bytes: 16384\n"
	      "  for answers being written, bytes: 6291456\n"
	      "  delta clients that had to begin anew: 0\n"
	      "  times that there was no room: 0\n");
	shows("\"kept_for_clients\":{\"limit_bytes\":16777216,\"peak_bytes\":6332416,"
	      "\"delta_bytes\":4096,\"waiting_bytes\":8192,\"flight_bytes\":12288,"
	      "\"tree_bytes\":16384,\"job_bytes\":6291456,\"deltas_dropped\":0,\"refused\":0}");
}

static void losses_are_told_from_what_was_seen(void **unused)
{
	(void)unused;
	assert_true(pa_counters_is_loss("lost_block_ring"));
	assert_true(pa_counters_is_loss("lost_waiters"));
	assert_true(pa_counters_is_loss("timers_failed"));
	assert_false(pa_counters_is_loss("ns_of_lost_blocks"));
	assert_false(pa_counters_is_loss("block_events"));
	assert_false(pa_counters_is_loss("cut_stacks"));
}

static void agent_page_shows_settings_but_no_token(void **unused)
{
	(void)unused;
	snprintf(fake.settings.token, sizeof(fake.settings.token), "s3cret");
	pa_pages_agent(&page, &listener, false);
	fake.settings.token[0] = '\0';
	shows("  PPROFAGENT_CPU_HZ: 123 (default 100)\n");
	shows("  PPROFAGENT_TOKEN: set");
	shows_not("s3cret");
}

/* Enough of JSON: strings end, brackets match, nothing else stands in it. */
static void assert_json(const char *text)
{
	int depth = 0;
	for (; *text; text++) {
		if (*text == '"') {
			while (*++text != '"') {
				assert_true((unsigned char)*text >= 0x20);
				text += *text == '\\';
			}
		} else {
			assert_non_null(strchr("{}:,0123456789-truefalsn\n", *text));
			depth += (*text == '{') - (*text == '}');
			assert_true(depth >= 0 && depth <= 2);
			assert_false(*text == ',' && (text[1] == '}' || text[1] == ','));
		}
	}
	assert_int_equal(depth, 0);
}

static void agent_page_is_json_too(void **unused)
{
	(void)unused;
	fake.counters.lost_free_ring = 9;
	pa_pages_agent(&page, NULL, true);
	fake.counters.lost_free_ring = 0;
	assert_json(page.bytes);
	shows("{\"agent\":{\"version\":\"" PA_VERSION "\",");
	shows("\"lost_free_ring\":9");
	shows("\"dropped_ns\":{\"ns_of_lost_blocks\":0,\"ns_of_lost_mutexes\":0}");
	shows("\"PPROFAGENT_BLOCK_RATE\":\"off\"");
	shows("\"hooks_inactive\":{\"free\":\"the program has \\\"its own\\\"\"}");
	shows("\"PPROFAGENT_CPU_HZ\":\"123\"");
	shows("\"url\":\"\"");
	shows("\"forked\":false");
}

/* Golden: every key, in order. A new one is added here; none is renamed or taken away. */
static const char json_keys[] =
	"agent: version pid process_start_ticks url address_was_in_use started uptime_seconds "
	"forked descriptors_private\n"
	"environment: glibc missing_in_glibc proc_shows_mappings kernel\n"
	"events: alloc_events free_events frees_of_lost cpu_events block_events mutex_events "
	"wake_events create_events roll_answers trace_events cold_stacks broken_stacks "
	"unreadable_stacks cut_stacks asides_late filters_late unloads_unawaited "
	"perf_maps_cut perf_maps_unfollowed unwind_tables_full unwind_tables_cut "
	"unwind_tables_late exit_files_failed events_read\n"
	"drops: lost_alloc_ring lost_alloc_live lost_free_ring lost_cpu_ring "
	"lost_cpu_thread lost_block_ring lost_mutex_ring lost_wake_ring lost_waiters "
	"lost_create_ring lost_custom_ring lost_trace_ring lost_reentrant timers_failed "
	"ring_skipped events_bad allocs_dropped live_dropped frees_unknown frees_missed "
	"revives_unknown ticks_dropped contentions_dropped values_dropped "
	"creations_dropped stacks_dropped\n"
	"dropped_bytes: bytes_of_lost_allocs\n"
	"dropped_ns: ns_of_lost_blocks ns_of_lost_mutexes\n"
	"ring: size_bytes used_bytes waits\n"
	"tables: live_objects live_bytes heap_buckets block_records mutex_records "
	"create_records values delta_clients stacks locations lines_lacking\n"
	"memory: record_bytes core_bytes table_bytes\n"
	"recording: block_rate_ns mutex_fraction\n"
	"kept_for_clients: limit_bytes peak_bytes delta_bytes waiting_bytes "
	"flight_bytes tree_bytes job_bytes deltas_dropped refused\n"
	"hooks: active inactive\n"
	"hooks_inactive: free\n"
	"allocators:\n"; /* paths of modules */

/* "section: key key\n" of each section, without the settings, which have the variables' names. */
static void list_json_keys(const char *json, char *keys)
{
	int depth = 0;
	for (const char *at = json; *at; at++) {
		depth += (*at == '{') - (*at == '}');
		if (*at == '}' && depth == 1)
			keys += sprintf(keys, "\n");
		if (*at != '"')
			continue;
		size_t bytes = 1;
		while (at[bytes] != '"')
			bytes += at[bytes] == '\\' ? 2 : 1;
		if (at[bytes + 1] == ':')
			keys += sprintf(keys, depth == 1 ? "%.*s:" : " %.*s", (int)bytes - 1,
				at + 1);
		at += bytes;
	}
	*keys = '\0';
}

static void agent_page_has_the_published_keys(void **unused)
{
	(void)unused;
	static char keys[1 << 16];
	pa_pages_agent(&page, NULL, true);
	list_json_keys(page.bytes, keys);
	char *settings = strstr(keys, "settings:"), *end = strchr(settings, '\n') + 1;
	memmove(settings, end, strlen(end) + 1);
	assert_string_equal(keys, json_keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(index_lists_its_rows, tear_down),
		cmocka_unit_test_teardown(index_links_the_dump, tear_down),
		cmocka_unit_test_teardown(index_escapes_names, tear_down),
		cmocka_unit_test_teardown(cmdline_is_byte_exact, tear_down),
		cmocka_unit_test_teardown(agent_page_shows_state_and_losses, tear_down),
		cmocka_unit_test_teardown(agent_page_keeps_lost_events_and_lost_time_apart,
			tear_down),
		cmocka_unit_test_teardown(agent_page_shows_tables_of_contention_and_threads,
			tear_down),
		cmocka_unit_test_teardown(agent_page_shows_rates_of_contention, tear_down),
		cmocka_unit_test_teardown(agent_page_shows_the_rates_that_apply_now, tear_down),
		cmocka_unit_test_teardown(agent_page_shows_what_is_kept_for_clients, tear_down),
		cmocka_unit_test(losses_are_told_from_what_was_seen),
		cmocka_unit_test_teardown(agent_page_shows_settings_but_no_token, tear_down),
		cmocka_unit_test_teardown(agent_page_is_json_too, tear_down),
		cmocka_unit_test_teardown(agent_page_has_the_published_keys, tear_down),
	};
	if (getenv("TEST_PAGES_PRINT"))
		return print_cmdline();
	return cmocka_run_group_tests(tests, fake_start, NULL);
}
