/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that a program can see of its own process, as lines "SECTION WHAT" (visible_process.h has
 * what the kernel tells): for a comparison of the same program with and without an agent.
 *
 *   f_visible [threads]   threads: has two more
 *
 * First of all main() looks; then the program says "ready" and answers lines of stdin:
 *
 *   look          everything, then "done"
 *   keys          how many keys of thread-specific data there are, then "done"
 *   opened FILE   which libraries are open, of those whose names are in FILE
 *   symbols FILE  in which object dlsym(RTLD_DEFAULT) finds each name that is in FILE
 *   quick         ends by quick_exit()
 *
 * At the end of stdin it ends; the handlers of its end look again, each.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <locale.h>
#include <malloc.h>
#include <netdb.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio_ext.h>
#include <time.h>

#include "visible_process.h"

extern char **environ;

/* ---- the loader ---- */

static int print_library(struct dl_phdr_info *info, size_t bytes, void *count)
{
	(void)bytes;
	++*(unsigned *)count;
	printf("library %s\n", info->dlpi_name);
	*((unsigned *)count + 1) = (unsigned)(info->dlpi_adds - info->dlpi_subs);
	return 0;
}

static void look_at_loader(void)
{
	unsigned counts[2] = { 0, 0 };
	const char *error = dlerror();
	dl_iterate_phdr(print_library, counts);
	printf("loader %d libraries are not in the list, error %s\n", counts[1] - counts[0],
		error ? error : "none");
}

static void print_opened(const char *name, const char *unused)
{
	(void)unused;
	void *library = dlopen(name, RTLD_NOLOAD | RTLD_NOW);
	if (library)
		dlclose(library);
	else
		dlerror();
	printf("opened %s %d\n", name, library != NULL);
}

static void print_symbol(const char *name, const char *unused)
{
	Dl_info info;
	(void)unused;
	void *address = dlsym(RTLD_DEFAULT, name);
	if (!address)
		dlerror();
	else
		printf("symbol %s %s\n", name,
			dladdr(address, &info) ? info.dli_fname : "of no object");
}

/* ---- libc ---- */

/* Not by <fenv.h>, which is libm: whether that is open is one of the questions. */
static unsigned short x87_control(void)
{
	unsigned short word;
	__asm__ volatile("fnstcw %0" : "=m"(word));
	return word;
}

static void look_at_libc(void)
{
	printf("libc locale %s tz %s %s %ld %d\n", setlocale(LC_ALL, NULL), tzname[0], tzname[1],
		timezone, daylight);
	printf("libc random %ld %d h_errno %d\n", random(), rand(), h_errno);
	printf("libc mxcsr %x x87 %x\n", __builtin_ia32_stmxcsr(), x87_control());
	printf("libc name %s %s\n", program_invocation_name, program_invocation_short_name);
	printf("libc stdin %d stdout %d stderr %d buffered %d\n", fcntl(0, F_GETFL),
		fcntl(1, F_GETFL), fcntl(2, F_GETFL), __flbf(stdout));
	for (char **variable = environ; *variable; variable++)
		printf("environment %s\n", *variable);
}

static void look_at_heap(void)
{
	struct mallinfo2 info = mallinfo2();
	void *block = malloc(24);
	printf("heap block of 24: %zu bytes, at %zu\n", malloc_usable_size(block),
		(uintptr_t)block % 16);
	free(block);
	printf("heap in use %zu mapped %zu\n", info.uordblks, info.hblks);
}

static void look(void)
{
	look_at_heap();
	visible_process();
	look_at_loader();
	look_at_libc();
}

static void count_keys(void)
{
	static pthread_key_t keys[PTHREAD_KEYS_MAX + 1];
	int count = 0;
	while (pthread_key_create(&keys[count], NULL) == 0)
		count++;
	printf("keys %d\n", count);
	while (count--)
		pthread_key_delete(keys[count]);
}

/* ---- begin and end ---- */

static void at_end(const char *name)
{
	printf("end %s\n", name);
	look();
	puts("done");
	fflush(stdout);
}

static void registered_last(void)
{
	at_end("registered last");
}
static void registered_in_handler(void)
{
	at_end("registered in a handler");
}
static void registered_first(void)
{
	at_end("registered first");
}
static void at_quick_end(void)
{
	at_end("quick");
}

static void registered_second(void)
{
	at_end("registered second");
	atexit(registered_in_handler);
}

static void with_status(int status, void *arg)
{
	at_end(status == 3 && !strcmp(arg, "given") ? "with its status" : "with another status");
}

static void __attribute__((destructor)) destructor(void)
{
	at_end("destructor");
}

static pthread_barrier_t named;

static void __attribute__((noreturn)) * stay(void *name)
{
	pthread_setname_np(pthread_self(), name);
	pthread_barrier_wait(&named);
	for (;;)
		pause();
}

static void start_threads(void)
{
	static char names[2][16] = { "visible-1", "visible-2" };
	pthread_t thread;
	pthread_barrier_init(&named, NULL, 3);
	for (int i = 0; i < 2; i++)
		if (pthread_create(&thread, NULL, stay, names[i]))
			exit(5);
	pthread_barrier_wait(&named);
}

static void answer(const char *line)
{
	if (!strcmp(line, "look"))
		look();
	else if (!strcmp(line, "keys"))
		count_keys();
	else if (!strncmp(line, "opened ", 7))
		visible_lines(line + 7, print_opened, NULL);
	else if (!strncmp(line, "symbols ", 8))
		visible_lines(line + 8, print_symbol, NULL);
	else if (!strcmp(line, "quick"))
		quick_exit(0);
	puts("done");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int errno_of_main = errno;
	char line[4096];
	printf("main errno %d stdout %zu %zu stdin %zu\n", errno_of_main, __fbufsize(stdout),
		__fpending(stdout), __fbufsize(stdin));
	atexit(registered_first);
	on_exit(with_status, "given");
	atexit(registered_second);
	atexit(registered_last);
	at_quick_exit(at_quick_end);
	if (argc > 1 && !strcmp(argv[1], "threads"))
		start_threads();
	look();
	puts("ready");
	while (fflush(stdout) == 0 && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		answer(line);
	}
	return 3;
}
