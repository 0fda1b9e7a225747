/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operator new and delete in pairs, 16 to 1024 bytes, in a program with one thread.
 *
 *   b_new N      prints the CPU ns of the thread
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <new>
#include <unistd.h>

constexpr int SIZES = 1024;
constexpr useconds_t SETTLE_US = 200000;

static int64_t cpu_ns()
{
	timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
	static uint16_t sizes[SIZES];
	long count = argc > 1 ? atol(argv[1]) : 1000000;

	srand(1);
	for (auto &size : sizes)
		size = static_cast<uint16_t>(16 + rand() % 1009);
	/* What an agent does at its start is measured elsewhere. */
	usleep(SETTLE_US);
	int64_t start = cpu_ns();

	/* Called by name: the compiler may leave out pairs of new expressions. */
	for (long i = 0; i < count; i++) {
		void *p = ::operator new(sizes[i % SIZES]);

		*static_cast<volatile char *>(p) = 1;
		::operator delete(p);
	}
	printf("%lld\n", static_cast<long long>(cpu_ns() - start));
}
