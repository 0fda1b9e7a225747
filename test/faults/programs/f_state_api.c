/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls every function of pprofagent.h in one state of the caller (state.h), and prints for each
 * what it gave and what of the state is not as it was.
 *
 *   f_state_api STATE
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../../../agent/pprofagent.h"
#include "state.h"

static const struct pprofagent_api *api;
static int null;

/* 0: as it should be. */
static void say(const char *name, bool good)
{
	printf("%s %d%s\n", name, !good, left);
	left[0] = '\0';
}

static void burn(void)
{
	clock_t end = clock() + CLOCKS_PER_SEC / 20;
	while (clock() < end)
		;
}

static void use_profiles(void)
{
	pprofagent_profile *own = NULL, *all[70];
	static int value;
	say("profile_new", CALL(api->profile_new, "example.com/own", &own) == 0 && own);
	void *heap = (void *)CALL(api->profile_lookup, "heap");
	say("profile_lookup", heap);
	say("profile_list", CALL(api->profile_list, all, 70) == 7);
	say("profile_name", strcmp((const char *)CALL(api->profile_name, heap), "heap") == 0);
	say("profile_add", CALL(api->profile_add, own, &value, 0) == 0);
	say("profile_count",
		(int)CALL(api->profile_count, own) == 1 &&
			(int)CALL(api->profile_count, heap) >= 0);
	say("profile_remove", CALL(api->profile_remove, own, &value) == 0);
	bool good = true;
	for (int debug = 0; debug <= 2; debug++)
		for (size_t i = 0; i < 7; i++)
			good &= CALL(api->profile_write, all[i], null, debug) == 0;
	say("profile_write", good);
}

static void use_rates(void)
{
	say("start_cpu_profile", CALL(api->start_cpu_profile, null) == 0);
	burn();
	say("stop_cpu_profile", CALL(api->stop_cpu_profile) == 0);
	say("block_profile_rate", CALL(api->block_profile_rate, 1000000) == 0);
	CALL(api->mutex_profile_fraction, 3);
	say("mutex_profile_fraction", CALL(api->mutex_profile_fraction, 1) == 3);
}

static bool count_label(const char *key, const char *value, void *count)
{
	++*(int *)count;
	return key && value;
}

static void use_labels(void)
{
	static const char *const pairs[] = { "key", "value", NULL };
	int count = 0;
	say("labels_set", CALL(api->labels_set, pairs) == 0);
	say("label", strcmp((const char *)CALL(api->label, "key"), "value") == 0);
	CALL(api->for_labels, count_label, &count);
	say("for_labels", count == 1);
	void *saved = (void *)CALL(api->labels_save);
	say("labels_save", saved);
	CALL(api->labels_restore, saved);
	say("labels_restore", api->labels_save() == saved);
}

static void use_tasks(void)
{
	CALL(api->is_tracing);
	say("is_tracing", true);
	long task = CALL(api->task_begin, "task", 0);
	say("task_begin", task);
	CALL(api->region_begin, task, "region");
	say("region_begin", true);
	CALL(api->trace_log, task, "category", "message");
	say("trace_log", true);
	CALL(api->region_end, task, "region");
	say("region_end", true);
	CALL(api->task_end, task);
	say("task_end", true);
}

int main(int argc, char **argv)
{
	free(malloc(1));
	api = pprofagent_get();
	null = open("/dev/null", O_WRONLY);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (argc > 1 && strcmp(argv[1], states[i].name) == 0)
			state = &states[i];
	if (!api)
		return 3;
	use_profiles();
	use_rates();
	use_labels();
	use_tasks();
	return 0;
}
