/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/listen_unix.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BACKLOG 16
#define RACERS 8

static char folder[] = "/tmp/test_listen_unix.XXXXXX";
static struct pa_address where;

static int make_folder(void **unused)
{
	(void)unused;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **unused)
{
	(void)unused;
	return rmdir(folder);
}

static int set_up(void **unused)
{
	char path[PA_ADDRESS_PATH_BYTES];
	(void)unused;
	snprintf(path, sizeof(path), "%s/x.sock", folder);
	where = pa_address_of_path(path);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	unlink(where.path);
	return 0;
}

static int new_socket(int kind)
{
	int fd = socket(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	return fd;
}

static int bind_here(int *fd)
{
	*fd = new_socket(SOCK_STREAM);
	return pa_listen_unix_bind(*fd, &where, BACKLOG, true);
}

/* A socket bound to the path, by hand. */
static int occupy(int kind)
{
	struct sockaddr_storage to;
	socklen_t length = pa_address_sockaddr(&where, &to);
	int fd = new_socket(kind);
	assert_int_equal(bind(fd, (const struct sockaddr *)&to, length), 0);
	return fd;
}

static void connects(void)
{
	struct sockaddr_storage to;
	socklen_t length = pa_address_sockaddr(&where, &to);
	int fd = new_socket(SOCK_STREAM);
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, length), 0);
	close(fd);
}

static mode_t mode_of_file(void)
{
	struct stat status;
	assert_int_equal(lstat(where.path, &status), 0);
	return status.st_mode;
}

static void paths_have_the_pid(void **unused)
{
	char wanted[64], pattern[PA_ADDRESS_PATH_BYTES + 1];
	(void)unused;
	snprintf(wanted, sizeof(wanted), "/run/%d/100%%/%d.sock", getpid(), getpid());
	assert_string_equal(pa_listen_unix_expand("/run/%p/100%%/%p.sock").path, wanted);
	memset(pattern, 'x', sizeof(pattern));
	pattern[PA_ADDRESS_PATH_BYTES] = '\0';
	assert_int_equal(pa_listen_unix_expand(pattern).family, AF_UNSPEC);
	memcpy(&pattern[PA_ADDRESS_PATH_BYTES - 3], "%p", 3);
	assert_int_equal(pa_listen_unix_expand(pattern).family, AF_UNSPEC);
}

static void beside(const char *path, const char *before, const char *after)
{
	char wanted[64];
	struct pa_address taken = pa_address_of_path(path);
	snprintf(wanted, sizeof(wanted), "%s%d%s", before, getpid(), after);
	assert_string_equal(pa_listen_unix_beside(&taken).path, wanted);
}

static void a_path_beside_has_the_pid_before_its_ending(void **unused)
{
	(void)unused;
	beside("/run/x.sock", "/run/x.", ".sock");
	beside("/run/x", "/run/x.", "");
	beside("/run.d/x", "/run.d/x.", "");
	beside("/run/.x", "/run/.x.", "");
	beside("/run/a.b.c", "/run/a.b.", ".c");
}

static void file_has_mode_0600_whatever_the_umask(void **unused)
{
	int fd;
	(void)unused;
	mode_t before = umask(0);
	assert_int_equal(bind_here(&fd), 0);
	umask(before);
	assert_int_equal(mode_of_file(), S_IFSOCK | 0600);
	connects();
	close(fd);
}

static void socket_that_listens_is_in_use(void **unused)
{
	int fd, other;
	(void)unused;
	assert_int_equal(bind_here(&fd), 0);
	assert_int_equal(bind_here(&other), -EADDRINUSE);
	close(other);
	connects();
	close(fd);
}

static void socket_with_a_full_backlog_is_in_use(void **unused)
{
	int clients[BACKLOG + 1], other;
	struct sockaddr_storage to;
	socklen_t length = pa_address_sockaddr(&where, &to);
	(void)unused;
	int fd = occupy(SOCK_STREAM);
	assert_int_equal(listen(fd, BACKLOG), 0);
	for (size_t i = 0; i < PA_COUNT(clients); i++) {
		clients[i] = new_socket(SOCK_STREAM);
		connect(clients[i], (const struct sockaddr *)&to, length);
	}
	assert_int_equal(bind_here(&other), -EADDRINUSE);
	for (size_t i = 0; i < PA_COUNT(clients); i++)
		close(clients[i]);
	close(other);
	close(fd);
}

static void socket_of_another_kind_is_in_use(void **unused)
{
	int fd = occupy(SOCK_DGRAM), other;
	(void)unused;
	assert_int_equal(bind_here(&other), -EADDRINUSE);
	assert_true(S_ISSOCK(mode_of_file()));
	close(other);
	close(fd);
}

static void socket_that_nothing_listens_on_is_replaced(void **unused)
{
	int fd;
	(void)unused;
	close(occupy(SOCK_STREAM));
	assert_int_equal(bind_here(&fd), 0);
	assert_int_equal(mode_of_file(), S_IFSOCK | 0600);
	connects();
	close(fd);
}

/* Even an empty file, and a link to a socket that nothing listens on. */
static void what_is_no_socket_is_not_touched(void **unused)
{
	char target[PA_ADDRESS_PATH_BYTES + 8];
	int fd;
	(void)unused;
	close(open(where.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(bind_here(&fd), -ENOTSOCK);
	close(fd);
	assert_true(S_ISREG(mode_of_file()));
	unlink(where.path);

	close(occupy(SOCK_STREAM));
	snprintf(target, sizeof(target), "%s.target", where.path);
	assert_int_equal(rename(where.path, target), 0);
	assert_int_equal(symlink(target, where.path), 0);
	assert_int_equal(bind_here(&fd), -ENOTSOCK);
	close(fd);
	assert_true(S_ISLNK(mode_of_file()));
	assert_int_equal(unlink(target), 0);
	/* And one that leads nowhere. */
	assert_int_equal(bind_here(&fd), -ENOTSOCK);
	close(fd);
}

static void folder_that_is_missing_is_an_error(void **unused)
{
	int fd;
	(void)unused;
	struct pa_address kept = where;
	where = pa_address_of_path("/nonexistent/x.sock");
	assert_int_equal(bind_here(&fd), -ENOENT);
	where = kept;
	close(fd);
}

/* A lock that another process holds for long: nothing is removed. */
static void nothing_is_removed_without_the_lock(void **unused)
{
	int fd, holder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)unused;
	assert_int_equal(flock(holder, LOCK_EX), 0);
	close(occupy(SOCK_STREAM));
	assert_int_equal(bind_here(&fd), -EADDRINUSE);
	close(fd);
	unlink(where.path);
	assert_int_equal(bind_here(&fd), 0);
	close(fd);
	close(holder);
}

/* It refuses connections as a stale one does; the process that makes it has the lock. */
static void a_socket_between_bind_and_listen_is_not_stale(void **unused)
{
	int bound[2], fd;
	char byte;
	(void)unused;
	assert_int_equal(pipe(bound), 0);
	pid_t other = fork();
	if (other == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		bool done = flock(lock, LOCK_EX) == 0;
		int socket = occupy(SOCK_STREAM);
		done = done && write(bound[1], "", 1) == 1;
		usleep(PA_LISTEN_UNIX_LOCK_NS / 5000); /* the other one waits so long */
		done = done && listen(socket, BACKLOG) == 0;
		close(lock);
		done = done && write(bound[1], "", 1) == 1;
		pause();
		_exit(!done);
	}
	assert_int_equal(read(bound[0], &byte, 1), 1);
	assert_int_equal(bind_here(&fd), -EADDRINUSE);
	assert_int_equal(read(bound[0], &byte, 1), 1);
	connects();
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	close(fd);
	close(bound[0]);
	close(bound[1]);
}

/* Of a process that binds when start is closed, tells how it went, and listens until over is. */
static void race(int start, int over, int tell)
{
	char byte;
	int fd;

	if (read(start, &byte, 1) != 0)
		_exit(1);
	int error = bind_here(&fd);
	byte = error == 0 ? 'w' : error == -EADDRINUSE ? 'u' : 'e';
	_exit(write(tell, &byte, 1) != 1 || read(over, &byte, 1) != 0);
}

/* Processes that find the same file at the same time: one replaces it, and its socket stays. */
static void of_those_that_race_one_wins(void **unused)
{
	int start[2], over[2], told[2], wins = 0;
	char result;
	(void)unused;
	close(occupy(SOCK_STREAM));
	assert_int_equal(pipe(start) | pipe(over) | pipe(told), 0);
	for (int i = 0; i < RACERS; i++) {
		if (fork() == 0) {
			close(start[1]);
			close(over[1]);
			race(start[0], over[0], told[1]);
		}
	}
	close(start[1]);
	for (int i = 0; i < RACERS; i++) {
		assert_int_equal(read(told[0], &result, 1), 1);
		assert_int_not_equal(result, 'e');
		wins += result == 'w';
	}
	assert_int_equal(wins, 1);
	connects();
	close(over[1]);
	for (int i = 0; i < RACERS; i++)
		wait(NULL);
	const int rest[] = { start[0], over[0], told[0], told[1] };
	for (size_t i = 0; i < PA_COUNT(rest); i++)
		close(rest[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(paths_have_the_pid),
		TEST(a_path_beside_has_the_pid_before_its_ending),
		TEST(file_has_mode_0600_whatever_the_umask),
		TEST(socket_that_listens_is_in_use),
		TEST(socket_with_a_full_backlog_is_in_use),
		TEST(socket_of_another_kind_is_in_use),
		TEST(socket_that_nothing_listens_on_is_replaced),
		TEST(what_is_no_socket_is_not_touched),
		TEST(folder_that_is_missing_is_an_error),
		TEST(a_socket_between_bind_and_listen_is_not_stale),
		TEST(nothing_is_removed_without_the_lock),
		TEST(of_those_that_race_one_wins),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
