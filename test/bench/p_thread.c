/* SPDX-License-Identifier: Apache-2.0 */
/* A preload that starts one idle thread: what every agent inside a process costs at least. */
#include <pthread.h>
#include <unistd.h>

static void *idle(void *arg)
{
	for (;;)
		pause();
	return arg;
}

__attribute__((constructor)) static void start(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	pthread_create(&thread, &attr, idle, NULL);
}
