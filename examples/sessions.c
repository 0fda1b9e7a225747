/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile of the program's own: the stacks where its open sessions were begun.
 *
 *   cc -I.../include sessions.c -o sessions
 *   LD_PRELOAD=.../libpprofagent.so PPROFAGENT_ADDRESS=localhost:6060 ./sessions
 *   go tool pprof http://localhost:6060/debug/pprof/example.com/sessions
 *
 * Without the agent the program runs just the same; the header needs no library.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pprofagent.h"

struct session {
	int number;
};

static pprofagent_profile *sessions;

static struct session *begin_session(int number)
{
	struct session *session = malloc(sizeof(*session));

	if (session) {
		session->number = number;
		pprofagent_profile_add(sessions, session, 0);
	}
	return session;
}

static void end_session(struct session *session)
{
	pprofagent_profile_remove(sessions, session);
	free(session);
}

int main(void)
{
	struct session *open[10];
	int status = pprofagent_profile_new("example.com/sessions", &sessions);

	printf("the agent is %s\n", status == 0 ? "here" : "not here");
	for (int i = 0; i < 10; i++)
		open[i] = begin_session(i);
	puts("10 sessions are open; Enter ends the program");
	getchar();
	for (int i = 0; i < 10; i++)
		end_session(open[i]);
	return 0;
}
