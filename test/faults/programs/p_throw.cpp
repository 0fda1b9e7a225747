// SPDX-License-Identifier: Apache-2.0
// The plugin of f_throwhost: each exception passes a few frames with something to destroy.
#include <stdexcept>
#include <string>

static void fall(int depth)
{
	std::string held(40, 'x');

	if (!depth)
		throw std::runtime_error(held);
	fall(depth - 1);
	__asm__ volatile("" : : "r"(&held));
}

extern "C" long throw_and_catch(long count)
{
	long caught = 0;

	for (long i = 0; i < count; i++) {
		try {
			fall(static_cast<int>(i % 8));
		} catch (const std::runtime_error &error) {
			caught += error.what()[0] == 'x';
		}
	}
	return caught;
}
