/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks, regions and logs of pprofagent.h. For each line on stdin one request: the task "request"
 * with the part "lookup", which a thread works on in regions; then "done IS_TRACING". Prints
 * "ready" first, ends with its stdin.
 */
#include "../../agent/pprofagent.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#define NOINLINE __attribute__((noipa)) static

static uint64_t request;

NOINLINE void looks_up(uint64_t task)
{
	pprofagent_region_begin(task, "index");
	usleep(1000);
	pprofagent_log(task, "key", "alpha \xc3\xa4");
	pprofagent_region_begin(0, "page");
	usleep(1000);
	pprofagent_region_end(0, "page");
	pprofagent_region_end(task, "index");
}

static void *worker(void *arg)
{
	uint64_t task = pprofagent_task_begin("lookup", request);

	prctl(PR_SET_NAME, "worker");
	looks_up(task);
	pprofagent_task_end(task);
	return arg;
}

NOINLINE void serve(void)
{
	pthread_t thread;

	request = pprofagent_task_begin("request", 0);
	pthread_create(&thread, NULL, worker, NULL);
	pthread_join(thread, NULL);
	pprofagent_region_end(0, "never begun");
	pprofagent_task_end(request);
}

int main(void)
{
	char line[64];

	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		bool tracing = pprofagent_is_tracing();

		serve();
		printf("done %d\n", tracing);
		fflush(stdout);
	}
	return 0;
}
