// SPDX-License-Identifier: Apache-2.0
// The order in which everything is taken down: statics, atexit and on_exit handlers registered
// before, between and in handlers, thread_local objects, destructors. Each allocates and prints.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

static std::mutex lock;

static void churn(const char *who)
{
	std::lock_guard<std::mutex> guard(lock);
	std::map<int, std::string> names;
	for (int i = 0; i < 100; i++)
		names[i] = std::string(static_cast<size_t>(i) * 3, 'x');
	std::printf("%s %zu\n", who, names.size());
}

struct noisy {
	explicit noisy(const char *name) : name(name) { churn(name); }
	~noisy() { churn((name + " ends").c_str()); kept.clear(); }
	std::string name;
	std::vector<int> kept = std::vector<int>(10000);
};

static noisy first("first static");
static noisy second("second static");
static thread_local noisy local("thread local");

static void late() { churn("registered in a handler"); }
static void handler_one() { churn("handler one"); std::atexit(late); }
static void handler_two() { churn("handler two"); }
static void with_status(int status, void *arg)
{
	char text[64];
	std::snprintf(text, sizeof(text), "on_exit %d %s", status, static_cast<char *>(arg));
	churn(text);
	std::free(arg);
}

__attribute__((destructor)) static void destroy() { churn("destructor"); }
__attribute__((destructor(101))) static void destroy_last() { churn("last destructor"); }
__attribute__((constructor(101))) static void construct() { std::puts("constructor"); }

int main(int argc, char **)
{
	local.kept[0] = 1;
	std::atexit(handler_one);
	on_exit(with_status, strdup("argument"));
	static noisy in_function("function's static");
	std::atexit(handler_two);
	std::thread([] { local.kept[0] = 2; }).join();
	std::puts("main ends");
	if (argc > 1)
		std::exit(6);
	return 5;
}
