// SPDX-License-Identifier: Apache-2.0
// Two threads share a lock, throw and catch exceptions, keep memory, and open and close a library,
// until stdin ends. Prints "ready", at the end "ok" and the number of exceptions that were caught.
#include <atomic>
#include <cstdio>
#include <dlfcn.h>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static std::mutex shared_lock;
static std::vector<std::string> kept;
static std::atomic<bool> ends(false);
static std::atomic<long> caught(0);

__attribute__((noinline)) static int throw_deep(int depth)
{
	std::string name("frame " + std::to_string(depth));
	if (depth == 0)
		throw std::runtime_error(name);
	return throw_deep(depth - 1) + (int)name.size();
}

__attribute__((noinline)) static void keep_memory()
{
	std::lock_guard<std::mutex> guard(shared_lock);
	kept.emplace_back(4096, 'x');
	if (kept.size() > 1000)
		kept.erase(kept.begin(), kept.begin() + 500);
}

static void work()
{
	while (!ends) {
		try {
			throw_deep(20);
		} catch (const std::runtime_error &error) {
			caught += std::string(error.what()) == "frame 0";
		}
		for (int i = 0; i < 20; i++)
			keep_memory();
		void *library = dlopen("libm.so.6", RTLD_NOW);
		if (!library || !dlsym(library, "cos"))
			std::abort();
		dlclose(library);
	}
}

int main()
{
	std::thread one(work), two(work);
	std::puts("ready");
	std::fflush(stdout);
	while (std::getchar() != EOF)
		;
	ends = true;
	one.join();
	two.join();
	std::printf("ok %s\n", caught > 0 ? "caught" : "nothing");
}
