// SPDX-License-Identifier: Apache-2.0
// What C++20 waits in by syscall(SYS_futex). For each line on stdin
//
//   KIND HOLD_MS WAITERS
//
// main lets WAITERS threads wait, goes on HOLD_MS after the last has come, and ends their waits.
// Prints "KIND waited NS charged NS": the time that they measured around their calls, and how much
// of it had passed when main ended them. Ends with status 0 with its stdin.
//
// Calls: turn -> end_KIND, waiter -> wait_KIND.
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <future>
#include <iostream>
#include <latch>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#define NOINLINE __attribute__((noinline))

extern "C" int __cxa_guard_acquire(uint64_t *);
extern "C" void __cxa_guard_release(uint64_t *);

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

int waiters;
std::unique_ptr<std::counting_semaphore<>> semaphore;
std::unique_ptr<std::latch> latch;
std::unique_ptr<std::barrier<>> barrier;
std::atomic<int> value;
std::atomic<char> small; // waits in a table of libstdc++'s, not on itself
std::unique_ptr<std::promise<int>> promise;
std::shared_future<int> future;
uint64_t guard;

NOINLINE void wait_semaphore() { semaphore->acquire(); }
NOINLINE void end_semaphore() { semaphore->release(waiters); }
NOINLINE void wait_semaphore_for() { (void)!semaphore->try_acquire_for(10s); }
NOINLINE void wait_latch() { latch->wait(); }
NOINLINE void end_latch() { latch->count_down(); }
NOINLINE void wait_barrier() { barrier->arrive_and_wait(); }
NOINLINE void end_barrier() { barrier->arrive_and_wait(); }
NOINLINE void wait_atomic() { value.wait(0); }
NOINLINE void end_atomic()
{
	value = 1;
	value.notify_all();
}
NOINLINE void wait_small() { small.wait(0); }
NOINLINE void end_small()
{
	small = 1;
	small.notify_all();
}
NOINLINE void wait_future() { future.wait(); }
NOINLINE void end_future() { promise->set_value(1); }
// As the compiler writes it around the initialization of a static variable of a function.
NOINLINE void wait_guard() { __cxa_guard_acquire(&guard); }
NOINLINE void end_guard() { __cxa_guard_release(&guard); }

void before()
{
	semaphore = std::make_unique<std::counting_semaphore<>>(0);
	latch = std::make_unique<std::latch>(1);
	barrier = std::make_unique<std::barrier<>>(waiters + 1);
	value = 0;
	small = 0;
	promise = std::make_unique<std::promise<int>>();
	future = promise->get_future().share();
	guard = 0;
	__cxa_guard_acquire(&guard);
}

const struct Kind {
	std::string name;
	void (*wait)();
	void (*end)();
} kinds[] = {
	{ "semaphore", wait_semaphore, end_semaphore },
	{ "semaphore_for", wait_semaphore_for, end_semaphore },
	{ "latch", wait_latch, end_latch },
	{ "barrier", wait_barrier, end_barrier },
	{ "atomic", wait_atomic, end_atomic },
	{ "small", wait_small, end_small },
	{ "future", wait_future, end_future },
	{ "guard", wait_guard, end_guard },
};

long long ns_of(Clock::duration duration)
{
	return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

void turn(const Kind &kind, int hold_ms)
{
	std::vector<std::thread> threads;
	std::vector<Clock::time_point> starts(waiters), ends(waiters);
	std::atomic<int> arrived { 0 };
	long long waited_ns = 0, charged_ns = 0;

	before();
	for (int i = 0; i < waiters; i++)
		threads.emplace_back([&, i] {
			starts[i] = Clock::now();
			arrived++;
			kind.wait();
			ends[i] = Clock::now();
		});
	while (arrived < waiters)
		std::this_thread::yield();
	std::this_thread::sleep_for(std::chrono::milliseconds(hold_ms));
	auto end = Clock::now();
	kind.end();
	for (int i = 0; i < waiters; i++) {
		threads[i].join();
		waited_ns += ns_of(ends[i] - starts[i]);
		charged_ns += ns_of(end - starts[i]);
	}
	printf("%s waited %lld charged %lld\n", kind.name.c_str(), waited_ns, charged_ns);
}

} // namespace

int main()
{
	std::string name;
	int hold_ms;

	setvbuf(stdout, nullptr, _IOLBF, 0);
	puts("ready");
	while (std::cin >> name >> hold_ms >> waiters)
		for (auto &kind : kinds)
			if (kind.name == name)
				turn(kind, hold_ms);
	return 0;
}
