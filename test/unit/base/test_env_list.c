/* SPDX-License-Identifier: Apache-2.0 */
/* The list of settings that the agent page shows. */
#include "test/lib/c/read_env.h"

struct listing {
	size_t count;
	char text[2048];
};

static void append(void *arg, const char *variable, const char *value, const char *preset)
{
	struct listing *listing = arg;
	size_t used = strlen(listing->text);

	listing->count++;
	snprintf(listing->text + used, sizeof(listing->text) - used, "%s|%s|%s\n",
		variable + strlen("PPROFAGENT_"), value, preset);
}

static void the_list_shows_defaults(void **unused)
{
	struct listing listing = { 0 };

	(void)unused;
	read_as("prog", ENVIRON("A=b"));
	pa_env_list(&got.settings, append, &listing);
	assert_string_equal(listing.text,
		"ADDRESS|localhost:6053|localhost:6053\nBLOCK_RATE|off|off\nMUTEX_FRACTION|0|0\n"
		"HEAP_RATE|524288|524288\nALLOCATOR_HOOKS|seconds|seconds\nCPU_HZ|100|100\nCPU_"
		"SHARED|off|off\n"
		"STACK_DEPTH|128|128\nBUFFER|4M|4M\nFLIGHT|0|0\nSIGNAL|SIGRTMAX-3|SIGRTMAX-3\n"
		"SYMBOLS|lines|lines\nUNNAMED|function|function\nTHREAD_LABEL|name|name\nPROGRAMS||"
		"\nCHILDREN|on|on\nHOSTS|"
		"|\n"
		"PEERS|user|\nLOG|error|error\n"
		"ENABLED|true|true\nCPUPROFILE||\nHEAPPROFILE||\nALLOCSPROFILE||\n"
		"BLOCKPROFILE||\nMUTEXPROFILE||\nTOKEN||\n");
	assert_int_equal(listing.count, 26);
}

static void the_list_shows_values_as_resolved(void **unused)
{
	struct listing listing = { 0 };

	(void)unused;
	read_as("prog",
		ENVIRON("PPROFAGENT_ADDRESS=x", "PPROFAGENT_HEAP_RATE=1M",
			"PPROFAGENT_ALLOCATOR_HOOKS=on", "PPROFAGENT_CPU_HZ=99",
			"PPROFAGENT_CPU_SHARED=on", "PPROFAGENT_STACK_DEPTH=512",
			"PPROFAGENT_BUFFER=65536", "PPROFAGENT_FLIGHT=1M", "PPROFAGENT_SIGNAL=10",
			"PPROFAGENT_SYMBOLS=names", "PPROFAGENT_UNNAMED=none",
			"PPROFAGENT_THREAD_LABEL=pool", "PPROFAGENT_PROGRAMS=p*",
			"PPROFAGENT_CHILDREN=off", "PPROFAGENT_HOSTS=h", "PPROFAGENT_LOG=off",
			"PPROFAGENT_ENABLED=0", "PPROFAGENT_TOKEN=s3cret", "PPROFAGENT_BLOCK_RATE=",
			"PPROFAGENT_MUTEX_FRACTION=10", "PPROFAGENT_CPUPROFILE=cpu.%p"));
	pa_env_list(&got.settings, append, &listing);
	assert_string_equal(listing.text,
		"ADDRESS|off|localhost:6053\nBLOCK_RATE|1|off\nMUTEX_FRACTION|10|0\n"
		"HEAP_RATE|1048576|524288\nALLOCATOR_HOOKS|on|seconds\nCPU_HZ|99|100\nCPU_SHARED|"
		"on|off\n"
		"STACK_DEPTH|512|128\nBUFFER|64k|4M\nFLIGHT|1M|0\nSIGNAL|SIGUSR1|SIGRTMAX-3\n"
		"SYMBOLS|names|lines\nUNNAMED|none|function\nTHREAD_LABEL|pool|name\nPROGRAMS|p*|"
		"\nCHILDREN|off|on\nHOSTS|"
		"h|\n"
		"PEERS|all|\nLOG|off|error\n"
		"ENABLED|false|true\nCPUPROFILE|cpu.%p|\nHEAPPROFILE||\nALLOCSPROFILE||\n"
		"BLOCKPROFILE||\nMUTEXPROFILE||\nTOKEN|set|\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_shows_defaults),
		cmocka_unit_test(the_list_shows_values_as_resolved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
