/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client_budget.h"

#define FIRST_BYTES ((size_t)64 << 10)
#define HEADER_END "\r\n\r\n"
/* "HTTP/1.0 200" */
#define VERSION "HTTP/1."
#define STATUS_AT 9
#define STATUS_DIGITS 3

/* 0 or -errno. */
static int make_answer_room(struct pa_tree_answer *answer)
{
	size_t bytes = answer->room.bytes, next = bytes ? 2 * bytes : FIRST_BYTES;

	if (answer->count < bytes)
		return 0;
	if (next > PA_TREE_ANSWER_BYTES)
		return -EMSGSIZE;
	if (!pa_client_budget_take(PA_CLIENT_BUDGET_TREES, next - bytes))
		return -ENOBUFS;
	if (pa_scratch(&answer->room, next))
		return 0;
	pa_client_budget_give(PA_CLIENT_BUDGET_TREES, next - bytes);
	return -ENOMEM;
}

int pa_tree_answer_receive(struct pa_tree_answer *answer, int fd)
{
	for (;;) {
		int error = make_answer_room(answer);
		if (error)
			return error;
		ssize_t got = recv(fd, (char *)answer->room.at + answer->count,
			answer->room.bytes - answer->count, MSG_DONTWAIT);
		if (got == 0)
			return 0;
		if (got < 0)
			return errno == EAGAIN || errno == EINTR ? 1 : -errno;
		answer->count += (size_t)got;
	}
}

void pa_tree_answer_parse(struct pa_tree_answer *answer)
{
	const char *bytes = answer->room.at;
	const char *end =
		answer->count ? memmem(bytes, answer->count, HEADER_END, strlen(HEADER_END)) : NULL;
	char digits[STATUS_DIGITS + 1] = "";

	answer->status = 0;
	answer->body = answer->count;
	if (!end || end - bytes < STATUS_AT + STATUS_DIGITS ||
		memcmp(bytes, VERSION, strlen(VERSION)) != 0)
		return;
	memcpy(digits, bytes + STATUS_AT, STATUS_DIGITS);
	answer->status = (int)strtol(digits, NULL, 10);
	answer->body = (size_t)(end - bytes) + strlen(HEADER_END);
}

void pa_tree_answer_line(const struct pa_tree_answer *answer, char *line, size_t size)
{
	size_t length = 0, left = answer->count - answer->body;
	const char *from = answer->room.at;

	if (answer->body < answer->count)
		from += answer->body;
	while (length + 1 < size && length < left && from[length] != '\n' && from[length]) {
		line[length] = from[length];
		length++;
	}
	line[length] = '\0';
}

void pa_tree_answer_free(struct pa_tree_answer *answer)
{
	pa_client_budget_give(PA_CLIENT_BUDGET_TREES, answer->room.bytes);
	pa_scratch_free(&answer->room);
	*answer = (struct pa_tree_answer){ 0 };
}
