/* SPDX-License-Identifier: Apache-2.0 */
/* One thread, every signal blocked: SIGUSR1 from outside belongs to its sigwait. Five times. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	sigset_t all;
	int got = 0, number;
	sigemptyset(&all);
	sigaddset(&all, SIGUSR1);
	/* The library's threads, if any, were there before: they do not have it blocked from us. */
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (int i = 0; i < 5; i++) {
		usleep(30000);
		kill(getpid(), SIGUSR1);
		if (sigwait(&all, &number) == 0 && number == SIGUSR1)
			got++;
	}
	printf("got %d\n", got);
	return 0;
}
