// SPDX-License-Identifier: Apache-2.0
// 1,000 fibres of Boost.Context on stacks of 64 KiB: each allocates and computes at several depths,
// and gives way. Prints "ready", then the sum of what they did; 0 rounds: until stdin ends.
#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <cstdio>
#include <cstdlib>
#include <poll.h>
#include <unistd.h>
#include <vector>

namespace ctx = boost::context;
static volatile unsigned long work;

__attribute__((noinline)) long fibre_alloc(int depth)
{
	void *volatile block = malloc(100 + depth);
	for (int i = 0; i < 2000; i++)
		work++;
	long below = depth ? fibre_alloc(depth - 1) : 0;
	free(block);
	return below + 1;
}

static bool input_ended()
{
	struct pollfd in = { 0, POLLIN, 0 };
	char byte;
	return poll(&in, 1, 0) == 1 && read(0, &byte, 1) <= 0;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 20;
	static long sum;
	std::vector<ctx::fiber> fibres;
	for (int i = 0; i < 1000; i++)
		fibres.emplace_back(std::allocator_arg, ctx::fixedsize_stack(65536),
			[](ctx::fiber &&caller) {
				for (;;) {
					sum += fibre_alloc(8);
					caller = std::move(caller).resume();
				}
				return std::move(caller);
			});
	puts("ready");
	fflush(stdout);
	for (int round = 0; rounds ? round < rounds : !input_ended(); round++)
		for (auto &fibre : fibres)
			fibre = std::move(fibre).resume();
	if (rounds)
		printf("sum %ld\n", sum);
	puts("end");
	fflush(stdout);
	_exit(0); // their stacks would be unwound
}
