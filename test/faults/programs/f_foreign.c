/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks that one side makes and the other frees: a plugin that is bound to libc's own malloc, libc
 * functions that return memory, and this program. Each way COUNT times in two threads, contents
 * checked. Prints "foreign made N wrong W", lives until stdin ends; nothing is left allocated then.
 *
 *   f_foreign PLUGIN COUNT        the plugin makes, libc makes; the host frees and resizes
 *   f_foreign PLUGIN COUNT back   and the reverse
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *(*make)(size_t), *(*resize)(void *, size_t);
static void (*release)(void *);
static _Atomic long made, wrong;
static long count;
static int back;

static void filled(const char *block, size_t bytes)
{
	made++;
	for (size_t i = 0; i < bytes; i++)
		wrong += block[i] != 1;
}

/* With back, to all kinds of frees in turn. */
static void drop(void *block, long turn)
{
	if (!back || turn & 1)
		free(block);
	else
		release(block);
}

static void *change(void *block, size_t bytes)
{
	return back ? resize(block, bytes) : realloc(block, bytes);
}

static void by_plugin(long turn)
{
	size_t bytes = 16 + (size_t)turn % 3000;
	char *a = make(bytes), *b = malloc(bytes);

	memset(b, 1, bytes);
	filled(a, bytes);
	filled(b, bytes);
	a = realloc(a, 2 * bytes);
	b = change(b, 2 * bytes);
	filled(a, bytes);
	filled(b, bytes);
	a = change(a, bytes);
	b = realloc(b, bytes);
	wrong += malloc_usable_size(a) < bytes || malloc_usable_size(b) < bytes;
	drop(a, turn);
	drop(b, turn + 1);
}

static void by_libc(long turn)
{
	char *text = strdup("duplicated"), *printed = NULL, *line = NULL, *stream = NULL;
	size_t line_bytes = 0, stream_bytes = 0;
	FILE *in = fmemopen("a line\nanother\n", 15, "r");
	FILE *out = open_memstream(&stream, &stream_bytes);

	wrong += asprintf(&printed, "%ld", turn) < 1;
	while (getline(&line, &line_bytes, in) > 0)
		fputs(line, out);
	fclose(in);
	fclose(out);
	wrong += stream_bytes != 15 || strcmp(text, "duplicated") != 0;
	text = change(text, 5000);
	wrong += strcmp(text, "duplicated") != 0;
	drop(text, turn);
	drop(printed, turn);
	drop(line, turn);
	drop(stream, turn);
	made += 4;
}

static void *run(void *arg)
{
	for (long i = 0; i < count; i++) {
		by_plugin(i);
		by_libc(i);
	}
	return arg;
}

int main(int argc, char **argv)
{
	void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	pthread_t thread[2];

	if (!plugin || argc < 3)
		return 1;
	*(void **)&make = dlsym(plugin, "foreign_make");
	*(void **)&resize = dlsym(plugin, "foreign_resize");
	*(void **)&release = dlsym(plugin, "foreign_free");
	count = atol(argv[2]);
	back = argc > 3;
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, run, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	printf("foreign made %ld wrong %ld\n", made, wrong);
	fflush(stdout);
	for (char byte; read(0, &byte, 1) > 0;)
		;
	return wrong != 0;
}
