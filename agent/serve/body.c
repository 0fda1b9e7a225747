/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "../base/arena.h"

#define READS_MAX 8
#define READ_BYTES 16384
/* Hexadecimal digits of a chunk length; a longer number exceeds every body limit. */
#define DIGITS_MAX 8

enum part {
	LENGTH,    /* the whole body, of known length */
	SIZE,      /* hexadecimal digits of a chunk length */
	EXTENSION, /* rest of the chunk length's line */
	DATA,
	DATA_END, /* line end after the data of a chunk */
	TRAILER   /* trailer lines, up to an empty line */
};

struct pa_body *pa_body_new(int64_t length, size_t max)
{
	struct pa_body *body = pa_map(sizeof(*body) + max);

	if (!body)
		return NULL;
	body->max = max;
	body->part = length < 0 ? SIZE : LENGTH;
	body->left = length < 0 ? 0 : (uint64_t)length;
	if (body->left > max)
		body->state = PA_BODY_TOO_LONG;
	else if (length == 0)
		body->state = PA_BODY_WHOLE;
	return body;
}

void pa_body_free(struct pa_body *body)
{
	if (body)
		pa_unmap(body, sizeof(*body) + body->max);
}

/* Copies the part of bytes that belongs to the body. Returns its length. */
static size_t take_data(struct pa_body *body, const char *bytes, size_t count)
{
	size_t part = count < body->left ? count : (size_t)body->left;

	if (part > body->max - body->count) {
		body->state = PA_BODY_TOO_LONG;
		return part;
	}
	memcpy(body->bytes + body->count, bytes, part);
	body->count += part;
	body->left -= part;
	if (!body->left && body->part == LENGTH)
		body->state = PA_BODY_WHOLE;
	else if (!body->left)
		body->part = DATA_END;
	return part;
}

static int hex_digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void end_size(struct pa_body *body)
{
	body->part = body->left ? DATA : TRAILER;
	if (!body->digits)
		body->state = PA_BODY_BAD;
	body->digits = 0;
}

static void take_size(struct pa_body *body, char c)
{
	int digit = hex_digit_of(c);

	if (digit >= 0 && body->digits < DIGITS_MAX) {
		body->left = body->left << 4 | (unsigned)digit;
		body->digits++;
	} else if (c == '\n') {
		end_size(body);
	} else if (c == '\r' || c == ';' || c == ' ' || c == '\t') {
		body->part = EXTENSION;
	} else {
		body->state = PA_BODY_BAD;
	}
}

static void take_trailer(struct pa_body *body, char c)
{
	if (c == '\n' && !body->digits)
		body->state = PA_BODY_WHOLE;
	else if (c == '\n')
		body->digits = 0;
	else if (c != '\r')
		body->digits = 1; /* the line is not empty */
}

/* Consumes one byte of the chunked framing. */
static void take_frame(struct pa_body *body, char c)
{
	switch (body->part) {
	case SIZE: take_size(body, c); break;
	case EXTENSION:
		if (c == '\n')
			end_size(body);
		break;
	case DATA_END:
		if (c == '\n')
			body->part = SIZE;
		else if (c != '\r')
			body->state = PA_BODY_BAD;
		break;
	default: take_trailer(body, c);
	}
}

void pa_body_feed(struct pa_body *body, const char *bytes, size_t count)
{
	while (count && body->state == PA_BODY_MORE) {
		size_t taken = 1;
		if (body->part == LENGTH || body->part == DATA)
			taken = take_data(body, bytes, count);
		else
			take_frame(body, *bytes);
		bytes += taken;
		count -= taken;
	}
}

bool pa_body_receive(struct pa_body *body, int fd)
{
	char bytes[READ_BYTES];

	for (int i = 0; i < READS_MAX && body->state == PA_BODY_MORE; i++) {
		size_t want = sizeof(bytes);
		if (body->part == LENGTH && body->left < want)
			want = (size_t)body->left;
		ssize_t got = recv(fd, bytes, want, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (got <= 0) {
			body->state = PA_BODY_BAD;
			return false;
		}
		pa_body_feed(body, bytes, (size_t)got);
	}
	return true;
}
