/* SPDX-License-Identifier: Apache-2.0 */
/* One unit of a program with much debug information: bench.mk makes many of it. */

#include <algorithm>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace
{
template <int N> struct item {
	std::string name;
	std::vector<int> numbers;
	std::map<int, std::string> texts;
	int number = N;
};

template <int N> std::unique_ptr<item<N>> make_item(int count)
{
	auto made = std::make_unique<item<N>>();

	for (int i = 0; i < count; i++) {
		made->numbers.push_back(i);
		made->texts[i] = std::to_string(i);
	}
	std::sort(made->numbers.begin(), made->numbers.end(), [](int a, int b) { return a > b; });
	return made;
}

template <int N> void *keep_item(int count)
{
	static std::unordered_map<std::string, std::unique_ptr<item<N>>> all;
	static std::set<std::string> names;
	auto made = make_item<N>(count);
	auto *kept = made.get();

	names.insert("x" + std::to_string(N));
	all.emplace(std::to_string(N), std::move(made));
	return kept;
}

template <int... I> void *keep_items(int count, std::integer_sequence<int, I...>)
{
	void *last = nullptr;

	((last = keep_item<I>(count)), ...);
	return last;
}
} // namespace

extern "C" void *entry(int count)
{
	std::regex pattern("a+b*");
	std::stringstream text;
	auto later = std::async(std::launch::deferred, [count] { return count; });

	text << count;
	return keep_items(later.get(), std::make_integer_sequence<int, 24>());
}
