/* SPDX-License-Identifier: Apache-2.0 */
#include "worker_wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue_clock.h"
#include "reply.h"

void *pa_worker_wait_new(struct pa_http *http, const void *given, size_t bytes)
{
	void *state = malloc(bytes);

	if (state)
		memcpy(state, given, bytes);
	else
		pa_reply_no_job(http, -ENOMEM);
	return state;
}

static void refuse_wait(struct pa_http *http, struct pa_worker_wait *wait, const char *why)
{
	wait->drop(wait);
	pa_reply_error(http, 500, why);
}

static void resume_worker(struct pa_http *http, bool there, void *arg)
{
	if (there)
		pa_worker_wait_begin(http, arg);
	else
		refuse_wait(http, arg, "context canceled");
}

void pa_worker_wait_begin(struct pa_http *http, struct pa_worker_wait *wait)
{
	const struct pa_http_continuation later = { resume_worker, wait->drop, wait };
	const char *why = wait->refusal ? wait->refusal(wait) : NULL;

	if (why) {
		refuse_wait(http, wait, why);
		return;
	}
	if (pa_http_claim(http)) {
		wait->go(http, wait);
		return;
	}
	bool late = pa_queue_clock_ns() >= wait->until_ns;
	if (!late && pa_http_queue(http, &later))
		return;
	wait->drop(wait);
	pa_reply_overloaded(http);
}
