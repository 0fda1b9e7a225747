/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for agent/serve/http.c in unit tests: an answer is kept in memory, a request's body
 * comes from there.
 */
#ifndef FAKE_HTTP_H
#define FAKE_HTTP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/serve/http.h"

struct pa_http {
	bool head_only;
	bool crowded;           /* no claim is granted */
	bool suspend_full;      /* no place to wait */
	bool forked;            /* while it waited: it is lost */
	int suspended;          /* how often */
	bool client_left;       /* found out by waiting */
	int64_t waited_ns;      /* asked for; nothing is waited for really */
	void (*on_wait)(void);  /* what happens meanwhile, or NULL */
	void (*on_begin)(void); /* what the client does once it has the head, or NULL */
	void (*on_end)(void);   /* just before it has the end, or NULL */
	int accept_writes;      /* the client is gone after so many; 0: never */
	const char *body;       /* of the request */
	int64_t body_length;    /* as announced */
	size_t body_read;
	bool body_at_once;
	/* the answer */
	bool begun, ended, claimed;
	struct pa_http_head head;
	char disposition[128], location[256];
	int writes;
	char *bytes;
	size_t count;
};

extern bool fake_suspend_full;

struct pa_http http_new(void);

void http_free(struct pa_http *http);

#endif
