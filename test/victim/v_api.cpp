// SPDX-License-Identifier: Apache-2.0
/*
 * A C++ program that uses pprofagent.h: does what stdin says, a line each, and answers with a line.
 *
 *   list                 "list NAME..."
 *   count NAME           "count N"
 *   heap FILE            "heap RESULT": pprofagent_write_heap_profile
 *   write NAME DEBUG FILE   "write RESULT"
 *   start FILE           "start RESULT": a CPU profile to FILE
 *   stop                 "stop RESULT"
 *   burn MS              "burn"
 *   block RATE           "block RESULT"
 *   mutex FRACTION       "mutex RESULT"
 *   contend              "contend": 20 ms in front of a lock
 *   closed               "closed RESULT": heap to a descriptor that is closed
 *   errno                "errno N": of all calls so far that changed it
 */
#include "../../agent/pprofagent.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <iostream>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>

static int changed_errno;

template <typename Call> static auto keeping(Call call)
{
	errno = 77;
	auto result = call();
	changed_errno += errno != 77;
	return result;
}

static int open_file(const std::string &name)
{
	return open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
}

extern "C" __attribute__((noinline)) void burn(int ms)
{
	auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
	while (std::chrono::steady_clock::now() < end)
		;
}

extern "C" __attribute__((noinline)) void contend(std::mutex &mutex)
{
	std::unique_lock<std::mutex> held(mutex);
	std::thread waiter([&] { std::lock_guard<std::mutex> guard(mutex); });
	std::this_thread::sleep_for(std::chrono::milliseconds(20));
	held.unlock();
	waiter.join();
}

static void answer(std::istringstream &words, const std::string &command)
{
	static int cpu_fd = -1;
	std::string name;
	int number = 0;

	std::cout << command;
	if (command == "list") {
		pprofagent_profile *all[100];
		size_t count = keeping([&] { return pprofagent_profile_list(all, 100); });
		for (size_t i = 0; i < count; i++)
			std::cout << " " << pprofagent_profile_name(all[i]);
	} else if (command == "count") {
		words >> name;
		auto *profile = pprofagent_profile_lookup(name.c_str());
		std::cout << " " << keeping([&] { return pprofagent_profile_count(profile); });
	} else if (command == "heap") {
		words >> name;
		int fd = open_file(name);
		std::cout << " " << keeping([&] { return pprofagent_write_heap_profile(fd); });
		close(fd);
	} else if (command == "write") {
		std::string file;
		words >> name >> number >> file;
		int fd = open_file(file);
		auto *profile = pprofagent_profile_lookup(name.c_str());
		std::cout << " " << keeping([&] {
			return pprofagent_profile_write(profile, fd, number);
		});
		close(fd);
	} else if (command == "start") {
		words >> name;
		int fd = open_file(name);
		int result = keeping([&] { return pprofagent_start_cpu_profile(fd); });
		if (result == 0)
			cpu_fd = fd;
		else
			close(fd);
		std::cout << " " << result;
	} else if (command == "stop") {
		std::cout << " " << keeping([] { return pprofagent_stop_cpu_profile(); });
		if (cpu_fd >= 0)
			close(cpu_fd);
		cpu_fd = -1;
	} else if (command == "burn") {
		words >> number;
		burn(number);
	} else if (command == "block") {
		words >> number;
		std::cout << " " << pprofagent_set_block_profile_rate(number);
	} else if (command == "mutex") {
		words >> number;
		std::cout << " " << pprofagent_set_mutex_profile_fraction(number);
	} else if (command == "contend") {
		std::mutex mutex;
		contend(mutex);
	} else if (command == "closed") {
		std::cout << " " << keeping([] { return pprofagent_write_heap_profile(999); });
	} else if (command == "errno") {
		std::cout << " " << changed_errno;
	}
	std::cout << std::endl;
}

int main()
{
	std::string line, command;
	while (std::getline(std::cin, line)) {
		std::istringstream words(line);
		if (words >> command)
			answer(words, command);
	}
	return 0;
}
