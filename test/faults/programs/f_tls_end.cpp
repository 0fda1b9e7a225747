// SPDX-License-Identifier: Apache-2.0
// What runs at the end of a thread: a key's destructor that allocates, frees, locks and sets its
// value again, for the four rounds that there are; destructors of thread_local objects that do the
// same, and wait. 200 threads. Prints how many rounds and objects there were.
#include <atomic>
#include <condition_variable>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

static std::atomic<long> rounds, objects;
static std::mutex mutex;
static pthread_key_t key[40]; // more than glibc has room for in its descriptor

static void work()
{
	std::vector<std::string> texts;
	for (int i = 0; i < 10; i++)
		texts.push_back(std::string(50, 'x'));
	std::lock_guard<std::mutex> hold(mutex);
	free(realloc(malloc(100), 3000));
}

static void at_key(void *value)
{
	work();
	rounds++;
	pthread_setspecific(key[rounds % 40], value);
	pthread_setspecific(key[0], value);
}

struct Object {
	std::string text = std::string(100, 'y');
	~Object()
	{
		work();
		std::mutex own;
		std::condition_variable never;
		std::unique_lock<std::mutex> hold(own);
		never.wait_for(hold, std::chrono::microseconds(100));
		objects++;
	}
};

static thread_local Object object;

static void run()
{
	object.text += "z";
	pthread_setspecific(key[0], &object);
	pthread_setspecific(key[39], &object);
	work();
}

int main()
{
	for (auto &each : key)
		pthread_key_create(&each, NULL);
	pthread_key_t with_destructor;
	pthread_key_create(&with_destructor, at_key);
	for (auto &each : key) {
		pthread_key_delete(each);
		pthread_key_create(&each, at_key);
	}
	for (int i = 0; i < 25; i++) {
		std::vector<std::thread> threads;
		for (int j = 0; j < 8; j++)
			threads.emplace_back(run);
		for (auto &thread : threads)
			thread.join();
	}
	printf("%s, %ld objects\n", rounds >= 800 ? "rounds" : "too few rounds", objects.load());
	return 0;
}
