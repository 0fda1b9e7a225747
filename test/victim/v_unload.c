/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a library, lets it keep memory and burn CPU time, and closes it. Reads one command a line,
 * and answers each with "closed":
 *
 *   v_unload LIBRARY OTHER
 *     removed    deletes LIBRARY after dlclose
 *     replaced   renames OTHER to LIBRARY after dlclose, and uses that as well
 *     early      deletes LIBRARY between dlopen and its use
 *     memfd      opens a copy of LIBRARY that has no path: its only descriptor is closed before its
 *                use
 *     unmount    unmounts the folder of LIBRARY after dlclose; prints "closed unmounted", or
 *                "closed" and why not
 *     loop N     opens, uses a little and closes it N times; prints "closed us N", the mean time
 *                of dlclose
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BURN_NS 250000000

static long long clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void *open_library(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	return library;
}

__attribute__((noinline)) static void call_in(void *library, const char *name)
{
	((void (*)(void))dlsym(library, name))();
	__asm__ volatile("");
}

static void use_library(void *library)
{
	long long end_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + BURN_NS;

	call_in(library, "plugin_keep");
	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns)
		call_in(library, "plugin_burn");
}

static int copy_to_memory(const char *path)
{
	int in = open(path, O_RDONLY), out = memfd_create("plugin", MFD_CLOEXEC);
	struct stat st;

	if (in < 0 || out < 0 || fstat(in, &st) != 0)
		exit(2);
	for (off_t at = 0; at < st.st_size;)
		if (sendfile(out, in, &at, (size_t)(st.st_size - at)) <= 0)
			exit(2);
	close(in);
	return out;
}

static void *open_copy(const char *library)
{
	char path[64];
	int fd = copy_to_memory(library);
	void *handle;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	handle = open_library(path);
	close(fd);
	return handle;
}

static void loop(const char *path, int count)
{
	long long in_close_ns = 0;

	for (int i = 0; i < count; i++) {
		void *library = open_library(path);

		call_in(library, "plugin_touch");
		in_close_ns -= clock_ns(CLOCK_MONOTONIC);
		dlclose(library);
		in_close_ns += clock_ns(CLOCK_MONOTONIC);
	}
	printf("closed us %lld\n", in_close_ns / count / 1000);
}

static void obey(const char *command, char *path, const char *other)
{
	void *library = strcmp(command, "memfd") == 0 ? open_copy(path) : open_library(path);

	if (strcmp(command, "early") == 0)
		unlink(path);
	use_library(library);
	dlclose(library);
	if (strcmp(command, "removed") == 0)
		unlink(path);
	if (strcmp(command, "unmount") == 0) {
		*strrchr(path, '/') = '\0';
		printf("closed %s\n", umount2(path, 0) ? strerror(errno) : "unmounted");
		return;
	}
	if (strcmp(command, "replaced") == 0 && rename(other, path) == 0)
		use_library(open_library(path));
	puts("closed");
}

int main(int argc, char **argv)
{
	char line[100];

	if (argc < 3)
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "loop ", 5) == 0)
			loop(argv[1], atoi(line + 5));
		else
			obey(line, argv[1], argv[2]);
		fflush(stdout);
	}
	return 0;
}
