/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process whose only thread cancels itself. The cleanup handler calls cancellation points and
 * ends the process.
 *
 *   f_cancelself deferred | any | disabled    what the type, or the state, is at that moment
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(1);
}

static void cleanup(void *arg)
{
	(void)arg;
	say("cleanup\n");
	exit(3);
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";
	int type;
	pthread_cleanup_push(cleanup, NULL);
	if (strcmp(way, "deferred") != 0)
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	if (strcmp(way, "disabled") == 0)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_cancel(pthread_self());
	if (strcmp(way, "any") == 0)
		for (;;)
			continue;
	if (strcmp(way, "disabled") == 0) {
		say("goes on\n");
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
		say(type == PTHREAD_CANCEL_ASYNCHRONOUS ? "as before\n" : "changed\n");
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	}
	pthread_testcancel();
	pthread_cleanup_pop(0);
	return 0;
}
