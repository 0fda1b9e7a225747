/* SPDX-License-Identifier: Apache-2.0 */
/*
 * v_calls.c and v_calls_ended.c as distributions compile programs: calls check their buffers. With
 * an argument it makes one that would write past the end of its buffer (read, recv, recvfrom, poll,
 * ppoll): libc ends it.
 */
#define _FORTIFY_SOURCE 2
#define main states
#include "v_calls.c"
#undef main
#define main ended
#include "v_calls_ended.c"
#undef main

static int overflow(const char *name)
{
	size_t many = sizeof(bytes) + one;

	make_fds();
	if (strcmp(name, "read") == 0)
		return (int)read(fd.pipe[0], bytes, many);
	if (strcmp(name, "recv") == 0)
		return (int)recv(fd.pair[0], bytes, many, 0);
	if (strcmp(name, "recvfrom") == 0)
		return (int)recvfrom(fd.pair[0], bytes, many, 0, NULL, NULL);
	if (strcmp(name, "poll") == 0)
		return poll(polled, many, -1);
	return ppoll(polled, many, NULL, NULL);
}

int main(int argc, char **argv)
{
	return argc > 1 ? overflow(argv[1]) : states() || ended();
}
