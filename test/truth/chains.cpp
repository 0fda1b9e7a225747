// SPDX-License-Identifier: Apache-2.0
// C++ whose functions disappear into each other: templates, methods of local classes, lambdas,
// the headers of the standard library, recursion, a switch of inlined calls. Each path ends in
// allocations and burns some time. Prints "ready" after each round; a line on stdin begins the
// next, the end of stdin ends the program.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace chains {

volatile unsigned sink;

static inline void spend(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		sink = sink * 1103515245u + i;
}

template <typename T> struct Shelf {
	std::vector<std::unique_ptr<T>> kept;

	T *put(T value)
	{
		kept.push_back(std::make_unique<T>(std::move(value)));
		spend(300);
		return kept.back().get();
	}

	template <typename F> void each(F &&use)
	{
		for (auto &item : kept)
			use(*item);
	}
};

struct Shape {
	virtual ~Shape() = default;
	virtual std::string name() const = 0;
};

struct Circle : Shape {
	std::string name() const override
	{
		spend(200);
		return std::string(70, 'c');
	}
};

struct Square : Shape {
	std::string text;

	explicit Square(size_t length) : text(length, 's') {}
	std::string name() const override { return text + text; }
};

static inline std::string half(const std::string &text) { return text.substr(0, text.size() / 2); }
static inline std::string twice(const std::string &text) { return half(text) + text + text; }

static inline std::string nested(const std::string &text, int depth)
{
	return depth ? twice(nested(text, depth - 1)) : std::string(40, 'n');
}

__attribute__((noinline)) size_t shelves()
{
	Shelf<std::string> texts;
	Shelf<std::vector<int>> numbers;
	size_t sum = 0;
	for (int i = 0; i < 40; i++) {
		texts.put(std::string(50 + i, 'x'));
		numbers.put(std::vector<int>(30 + i));
	}
	texts.each([&](std::string &text) {
		auto joined = [&](const std::string &other) { return text + other; };
		sum += joined("another one, so that it does not fit into the string").size();
	});
	numbers.each([&](std::vector<int> &list) {
		std::sort(list.begin(), list.end(), [](int a, int b) { return a > b; });
		list.resize(list.size() * 3);
		sum += list.size();
	});
	return sum;
}

__attribute__((noinline)) size_t local_classes(int count)
{
	struct Local {
		std::string text;
		std::string operator()(int i) const { return text + std::string(40 + i, 'l'); }
		static char *raw(int i)
		{
			spend(200);
			return static_cast<char *>(malloc(100 + i));
		}
	};
	Local local{ std::string(33, 'k') };
	size_t sum = 0;
	for (int i = 0; i < count; i++) {
		char *raw = Local::raw(i);
		sum += local(i).size() + (raw != nullptr);
		free(raw);
	}
	return sum;
}

__attribute__((noinline)) size_t shapes(unsigned count)
{
	std::vector<std::unique_ptr<Shape>> all;
	std::map<std::string, size_t> lengths;
	for (unsigned i = 0; i < count; i++)
		if (i % 2)
			all.push_back(std::make_unique<Circle>());
		else
			all.push_back(std::make_unique<Square>(50 + i));
	for (const auto &shape : all)
		lengths[shape->name()] += shape->name().size();
	return lengths.size();
}

static inline size_t step_one(size_t n) { return nested("", 2).size() + n; }
static inline size_t step_two(size_t n)
{
	std::function<size_t(size_t)> later = [big = std::string(80, 'f')](size_t m) {
		return (big + big).size() + m;
	};
	return later(n);
}

__attribute__((noinline)) size_t switched(unsigned count)
{
	size_t sum = 0;
	for (unsigned i = 0; i < count; i++) {
		switch (i % 4) {
		case 0: sum += step_one(i); break;
		case 1: sum += step_two(i); break;
		case 2: sum += half(std::string(90 + i, 'h')).size(); break;
		default: spend(500); sum += twice(std::string(20, 't')).size();
		}
	}
	return sum;
}

__attribute__((noinline)) size_t recursive(unsigned depth)
{
	std::string text(40 + depth, 'r');
	return depth ? recursive(depth - 1) + twice(text).size() : text.size();
}

} // namespace chains

int main()
{
	char line[8];
	size_t sum = 0;
	do {
		for (int i = 0; i < 30; i++)
			sum += chains::shelves() + chains::local_classes(20) + chains::shapes(20) +
				chains::switched(40) + chains::recursive(8);
		printf("ready %zu\n", sum);
		fflush(stdout);
	} while (fgets(line, sizeof(line), stdin));
	return 0;
}
