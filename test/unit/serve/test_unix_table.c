/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/unix_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct pa_unix_table_entry parsed;

static void line_of_a_listener_is_read(void **unused)
{
	(void)unused;
	assert_true(pa_unix_table_parse(
		"0000000000000000: 00000002 00000000 00010000 0001 01 26573 /run/a b.sock",
		&parsed));
	assert_int_equal(parsed.inode, 26573);
	assert_string_equal(parsed.address.path, "/run/a b.sock");
	assert_true(pa_unix_table_parse(
		"ffff8881016b9c00: 00000002 00000000 00010000 0001 01     7 /x", &parsed));
	assert_int_equal(parsed.inode, 7);
}

static void other_lines_are_none(void **unused)
{
	static const char *const lines[] = {
		"Num       RefCount Protocol Flags    Type St Inode Path",
		"",
		/* connected; without a name; in the abstract namespace */
		"0000000000000000: 00000003 00000000 00000000 0001 03 26574 /run/x.sock",
		"0000000000000000: 00000002 00000000 00010000 0001 01 26573",
		"0000000000000000: 00000002 00000000 00010000 0001 01 26573 @/run/x.sock",
	};
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(lines); i++)
		assert_false(pa_unix_table_parse(lines[i], &parsed));
}

static int listen_at(const struct pa_address *address)
{
	struct sockaddr_storage to;
	socklen_t length = pa_address_sockaddr(address, &to);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&to, length), 0);
	assert_int_equal(listen(fd, 1), 0);
	unlink(address->path);
	return fd;
}

static unsigned long inode_of(int fd)
{
	struct stat status;
	assert_int_equal(fstat(fd, &status), 0);
	return status.st_ino;
}

static void socket_is_found_by_inode_and_by_path(void **unused)
{
	char path[64];
	(void)unused;
	snprintf(path, sizeof(path), "/tmp/test_unix_table.%d", getpid());
	struct pa_address address = pa_address_of_path(path);
	int fd = listen_at(&address);
	const unsigned long inodes[] = { 1, inode_of(fd) };
	assert_true(pa_unix_table_of_inodes(getpid(), inodes, 2, &parsed));
	assert_string_equal(parsed.address.path, path);
	assert_true(pa_unix_table_of_inodes(0, inodes, 2, &parsed));
	assert_false(pa_unix_table_of_inodes(0, inodes, 1, &parsed));
	assert_true(pa_unix_table_of_path(&address, &parsed));
	assert_int_equal(parsed.inode, inodes[1]);
	close(fd);
	assert_false(pa_unix_table_of_path(&address, &parsed));
}

/* A path with a newline looks like a line of another socket. */
static void socket_with_two_paths_has_none(void **unused)
{
	char path[64], forged[PA_ADDRESS_PATH_BYTES];
	(void)unused;
	snprintf(path, sizeof(path), "/tmp/test_unix_table.%d", getpid());
	struct pa_address address = pa_address_of_path(path);
	int fd = listen_at(&address);
	const unsigned long inode = inode_of(fd);
	/* In the folder "x\n0: 2 0 00010000 1 1 INODE ". */
	snprintf(forged, sizeof(forged), "/tmp/x\n0: 2 0 00010000 1 1 %lu ", inode);
	assert_int_equal(mkdir(forged, 0700), 0);
	size_t length = strlen(forged);
	memcpy(forged + length, "/evil", sizeof("/evil"));
	struct pa_address evil = pa_address_of_path(forged);
	int other = listen_at(&evil);
	forged[length] = '\0';
	rmdir(forged);
	assert_false(pa_unix_table_of_inodes(0, &inode, 1, &parsed));
	close(other);
	assert_true(pa_unix_table_of_inodes(0, &inode, 1, &parsed));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_of_a_listener_is_read),
		cmocka_unit_test(other_lines_are_none),
		cmocka_unit_test(socket_is_found_by_inode_and_by_path),
		cmocka_unit_test(socket_with_two_paths_has_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
