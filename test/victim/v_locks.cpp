// SPDX-License-Identifier: Apache-2.0
// Every lock and wait of C++ and C11 that ends in libc, each waited for once, for at least HOLD
// in a function of its own: main holds it, or keeps the waiter waiting, for 20 ms from the moment
// that it sleeps, and where it has a timeout until it has given up. Prints one line each, the same
// in every run: name, and what the call returned. Then "ready", and lives until stdin ends.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <functional>
#include <mutex>
#include <pthread.h>
#include <semaphore.h>
#include <shared_mutex>
#include <string>
#include <thread>
#include <threads.h>
#include <unistd.h>

using namespace std::chrono_literals;

#define NOINLINE __attribute__((noinline))

static const auto hold = 20ms;
static std::atomic<bool> there;

namespace app {

std::mutex mutex;
std::recursive_mutex recursive;
std::timed_mutex timed;
std::recursive_timed_mutex recursive_timed;
std::shared_mutex shared;
std::shared_timed_mutex shared_timed;
std::condition_variable condition;
std::condition_variable_any condition_any;
bool told;
mtx_t c11;
cnd_t c11_condition;
sem_t semaphore;
pthread_barrier_t barrier;
pthread_spinlock_t spin;
pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

NOINLINE bool take_mutex() { mutex.lock(); mutex.unlock(); return true; }
NOINLINE bool take_recursive() { recursive.lock(); recursive.unlock(); return true; }
NOINLINE bool take_timed() { timed.lock(); timed.unlock(); return true; }
NOINLINE bool take_timed_for() { return timed.try_lock_for(10ms); }
NOINLINE bool take_timed_until()
{
	return timed.try_lock_until(std::chrono::system_clock::now() + 10ms);
}
NOINLINE bool take_recursive_timed() { return recursive_timed.try_lock_for(10ms); }
NOINLINE bool take_shared() { shared.lock(); shared.unlock(); return true; }
NOINLINE bool take_to_read() { shared.lock_shared(); shared.unlock_shared(); return true; }
NOINLINE bool take_shared_for() { return shared_timed.try_lock_for(10ms); }
NOINLINE bool take_to_read_for() { return shared_timed.try_lock_shared_for(10ms); }
NOINLINE bool take_c11() { mtx_lock(&c11); mtx_unlock(&c11); return true; }
NOINLINE bool take_rwlock()
{
	pthread_rwlock_wrlock(&rwlock);
	return pthread_rwlock_unlock(&rwlock) == 0;
}
NOINLINE bool take_spin()
{
	pthread_spin_lock(&spin);
	return pthread_spin_unlock(&spin) == 0;
}

NOINLINE bool wait_condition()
{
	std::unique_lock<std::mutex> lock(mutex);

	there = true;
	condition.wait(lock, [] { return told; });
	return told;
}

NOINLINE bool wait_condition_for()
{
	std::unique_lock<std::mutex> lock(mutex);

	there = true;
	return condition.wait_for(lock, hold, [] { return false; });
}

NOINLINE bool wait_condition_any()
{
	std::shared_lock<std::shared_mutex> lock(shared);

	there = true;
	condition_any.wait(lock, [] { return told; });
	return told;
}

NOINLINE bool wait_c11()
{
	mtx_lock(&c11);
	there = true;
	while (!told)
		cnd_wait(&c11_condition, &c11);
	return mtx_unlock(&c11) == thrd_success;
}

NOINLINE bool wait_semaphore() { return sem_wait(&semaphore) == 0; }
NOINLINE bool wait_barrier() { return pthread_barrier_wait(&barrier) >= -1; }

NOINLINE void wait_thread(std::thread &thread)
{
	thread.join();
}

} // namespace app

enum Way {
	BLOCKS,
	SAYS_THERE, // the waiter says it by itself, because it has to take something before
	SPINS,      // it does not sleep
	GIVES_UP    // it has a timeout: what it waits for does not come before
};

static std::atomic<int> waiter_tid;

// As the kernel sees it (proc(5)).
static bool waiter_sleeps()
{
	const std::string path = "/proc/self/task/" + std::to_string(waiter_tid) + "/stat";
	std::string text;
	std::getline(std::ifstream(path), text);
	const size_t name_end = text.rfind(')');
	return name_end != std::string::npos && text.compare(name_end, 3, ") S") == 0;
}

static void wait_until_there(Way way)
{
	while (!there || (way != SPINS && way != GIVES_UP && !waiter_sleeps()))
		std::this_thread::yield();
	std::this_thread::sleep_for(hold);
}

static void meet(const char *name, bool (*waits)(), const std::function<void()> &before,
		 const std::function<void()> &after, Way way = BLOCKS)
{
	bool result = false;

	there = false;
	app::told = false;
	before();
	std::thread waiter([&] {
		waiter_tid = gettid();
		if (way != SAYS_THERE)
			there = true;
		result = waits();
	});
	wait_until_there(way);
	if (way == GIVES_UP)
		app::wait_thread(waiter);
	after();
	if (way != GIVES_UP)
		app::wait_thread(waiter);
	printf("%s %s\n", name, result ? "true" : "false");
}

template <typename Lock>
static void hold_it(const char *name, bool (*waits)(), Lock &lock, Way way = BLOCKS)
{
	meet(name, waits, [&] { lock.lock(); }, [&] { lock.unlock(); }, way);
}

static void locks()
{
	hold_it("mutex", app::take_mutex, app::mutex);
	hold_it("recursive_mutex", app::take_recursive, app::recursive);
	hold_it("timed_mutex", app::take_timed, app::timed);
	hold_it("timed_mutex for", app::take_timed_for, app::timed, GIVES_UP);
	hold_it("timed_mutex until", app::take_timed_until, app::timed, GIVES_UP);
	hold_it("recursive_timed_mutex", app::take_recursive_timed, app::recursive_timed,
		GIVES_UP);
	hold_it("shared_mutex", app::take_shared, app::shared);
	hold_it("shared_mutex shared", app::take_to_read, app::shared);
	hold_it("shared_timed_mutex", app::take_shared_for, app::shared_timed, GIVES_UP);
	hold_it("shared_timed_mutex shared", app::take_to_read_for, app::shared_timed,
		GIVES_UP);
	meet("mtx", app::take_c11, [] { mtx_lock(&app::c11); }, [] { mtx_unlock(&app::c11); });
	meet("rwlock", app::take_rwlock, [] { pthread_rwlock_rdlock(&app::rwlock); },
	     [] { pthread_rwlock_unlock(&app::rwlock); });
	meet("spin", app::take_spin, [] { pthread_spin_lock(&app::spin); },
	     [] { pthread_spin_unlock(&app::spin); }, SPINS);
}

static void waits()
{
	auto nothing = [] {};

	meet("condition_variable", app::wait_condition, nothing, [] {
		std::lock_guard<std::mutex> lock(app::mutex);
		app::told = true;
		app::condition.notify_one();
	}, SAYS_THERE);
	meet("condition_variable for", app::wait_condition_for, nothing, nothing, GIVES_UP);
	meet("condition_variable_any", app::wait_condition_any, nothing, [] {
		std::lock_guard<std::shared_mutex> lock(app::shared);
		app::told = true;
		app::condition_any.notify_all();
	}, SAYS_THERE);
	meet("cnd", app::wait_c11, nothing, [] {
		mtx_lock(&app::c11);
		app::told = true;
		mtx_unlock(&app::c11);
		cnd_broadcast(&app::c11_condition);
	}, SAYS_THERE);
	meet("semaphore", app::wait_semaphore, nothing, [] { sem_post(&app::semaphore); });
	meet("barrier", app::wait_barrier, nothing, [] { pthread_barrier_wait(&app::barrier); });
}

static void call_once_from_two_threads()
{
	static std::once_flag flag;
	static std::atomic<int> calls;
	auto slow = [] { calls++; std::this_thread::sleep_for(hold); };
	auto once = [slow] { std::call_once(flag, slow); };
	std::thread one(once), two(once);

	one.join();
	two.join();
	printf("call_once %d\n", calls.load());
}

static void exception_leaves_no_lock()
{
	try {
		std::lock_guard<std::mutex> lock(app::mutex);
		throw std::string("thrown");
	} catch (const std::string &what) {
		printf("%s, free %d\n", what.c_str(), app::mutex.try_lock());
		app::mutex.unlock();
	}
}

int main()
{
	mtx_init(&app::c11, mtx_plain);
	cnd_init(&app::c11_condition);
	sem_init(&app::semaphore, 0, 0);
	pthread_barrier_init(&app::barrier, nullptr, 2);
	pthread_spin_init(&app::spin, PTHREAD_PROCESS_PRIVATE);
	locks();
	waits();
	call_once_from_two_threads();
	exception_leaves_no_lock();
	puts("ready");
	fflush(stdout);
	for (char byte; read(0, &byte, 1) > 0;)
		;
	return 0;
}
