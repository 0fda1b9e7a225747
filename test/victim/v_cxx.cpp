// SPDX-License-Identifier: Apache-2.0
// C++: templates, new, std::string, exceptions.
//
//   v_cxx            app::Holder<long>::fill(int) keeps 8 MiB by new; prints "ready", lives until
//                    stdin ends
//   v_cxx throw N    throws and catches N exceptions in each of two threads (0: until stdin ends)
//                    while it burns CPU time in app::hot<int>(int); prints "ready", then "caught M"
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace app {

template <typename T> struct Holder {
	std::vector<T *> kept;

	__attribute__((noinline)) void fill(int count)
	{
		for (int i = 0; i < count; i++) {
			T *block = new T[128];
			memset(block, 1, 128 * sizeof(T));
			kept.push_back(block);
		}
	}
};

template <typename T> __attribute__((noinline)) T hot(T n)
{
	volatile T sum = 0;

	for (T i = 0; i < 2000; i++)
		sum = sum + i * n;
	return sum;
}

__attribute__((noinline)) void thrower(int depth)
{
	std::string text(100, 'x');

	if (depth == 0)
		throw std::runtime_error(text);
	thrower(depth - 1);
}

} // namespace app

static std::atomic<long> caught;
static std::atomic<bool> stop;

static void throw_many(int count)
{
	for (int i = 0; count ? i < count : !stop; i++) {
		app::hot<int>(i);
		try {
			app::thrower(i % 10);
		} catch (const std::exception &) {
			caught++;
		}
	}
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "throw")) {
		puts("ready");
		fflush(stdout);
		std::thread one(throw_many, atoi(argv[2])), two(throw_many, atoi(argv[2]));
		for (char byte; atoi(argv[2]) == 0 && read(0, &byte, 1) > 0;)
			;
		stop = true;
		one.join();
		two.join();
		printf("caught %ld\n", caught.load());
		return 0;
	}
	app::Holder<long> holder;
	holder.fill(8192);
	puts("ready");
	fflush(stdout);
	for (char byte; read(0, &byte, 1) > 0;)
		;
	return 0;
}
