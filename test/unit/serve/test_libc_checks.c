/* SPDX-License-Identifier: Apache-2.0 */
/* The fortified functions of libc_checks.c, which are the test program's own here. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/serve/libc_checks.h"

static jmp_buf stopped;

/* A check that fails stops the thread. */
void abort(void)
{
	longjmp(stopped, 1);
}

/* True if the call does not return. */
#define STOPS(call) (setjmp(stopped) ? true : ((void)(call), false))

static void text_of_any_length_is_written_into_unknown_room(void **unused)
{
	char text[16];
	volatile size_t little = 2; /* the compiler would see it */

	(void)unused;
	assert_int_equal(__sprintf_chk(text, 1, SIZE_MAX, "%d", 42), 2);
	assert_string_equal(text, "42");
	assert_true(STOPS(__sprintf_chk(text, 1, little, "%d", 42)));
}

static void bytes_are_read_into_their_room(void **unused)
{
	char bytes[4] = "";
	FILE *file = tmpfile();
	int fd = fileno(file);

	(void)unused;
	assert_int_equal(write(fd, "abcdef", 6), 6);
	assert_int_equal(__pread_chk(fd, bytes, 3, 2, sizeof(bytes)), 3);
	assert_memory_equal(bytes, "cde", 3);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(__read_chk(fd, bytes, sizeof(bytes), sizeof(bytes)), 4);
	assert_memory_equal(bytes, "abcd", 4);
	assert_true(STOPS(__read_chk(fd, bytes, 5, sizeof(bytes))));
	assert_true(STOPS(__pread_chk(fd, bytes, 5, 0, sizeof(bytes))));
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 4);
	fclose(file);
}

static void files_are_opened_and_polled(void **unused)
{
	struct timespec none = { 0 };
	char text[64];
	int fd = __open_2("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	struct pollfd polled = { .fd = fd, .events = POLLIN };

	(void)unused;
	assert_true(fd >= 0);
	assert_int_equal(__ppoll_chk(&polled, 1, &none, NULL, sizeof(polled)), 1);
	assert_true(STOPS(__ppoll_chk(&polled, 2, &none, NULL, sizeof(polled))));
	close(fd);
	assert_true(STOPS(__open_2("/proc/self/stat", O_WRONLY | O_CREAT)));
	assert_true(__readlink_chk("/proc/self/exe", text, sizeof(text), sizeof(text)) > 0);
	assert_true(STOPS(__readlink_chk("/proc/self/exe", text, sizeof(text), 8)));
}

static void addresses_are_written_into_their_room(void **unused)
{
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN];

	(void)unused;
	assert_int_equal(__inet_pton_chk(AF_INET6, "fe80::1", &address, sizeof(address)), 1);
	assert_ptr_equal(__inet_ntop_chk(AF_INET6, &address, text, sizeof(text), sizeof(text)),
		text);
	assert_string_equal(text, "fe80::1");
	assert_int_equal(__inet_pton_chk(AF_INET, "127.0.0.1", &address, 4), 1);
	assert_true(STOPS(__inet_pton_chk(AF_INET, "127.0.0.1", &address, 3)));
	assert_true(STOPS(__inet_pton_chk(AF_INET6, "::1", &address, 4)));
	assert_true(STOPS(__inet_ntop_chk(AF_INET6, &address, text, sizeof(text), 4)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_of_any_length_is_written_into_unknown_room),
		cmocka_unit_test(bytes_are_read_into_their_room),
		cmocka_unit_test(files_are_opened_and_polled),
		cmocka_unit_test(addresses_are_written_into_their_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
