/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers of the standard library that come and go, as in a program that answers requests.
 *
 *   b_containers ROUNDS
 */
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace
{
struct record {
	std::string name;
	std::vector<int> numbers;
	std::map<int, std::string> notes;
};

std::size_t answer(int request, std::unordered_map<std::string, std::shared_ptr<record>> &kept)
{
	auto made = std::make_shared<record>();
	made->name = "record of request number " + std::to_string(request);
	for (int i = 0; i < 20; i++)
		made->numbers.push_back(request + i);
	for (int i = 0; i < 10; i++)
		made->notes[i] = made->name + std::to_string(i);
	kept["key of " + std::to_string(request % 1000)] = made;
	std::list<std::string> parts;
	for (const auto &note : made->notes)
		parts.push_back(note.second);
	return parts.size();
}
} // namespace

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? std::atoi(argv[1]) : 10;
	std::unordered_map<std::string, std::shared_ptr<record>> kept;
	std::size_t sum = 0;

	for (int i = 0; i < rounds * 1000; i++)
		sum += answer(i, kept);
	return sum ? 0 : 1;
}
