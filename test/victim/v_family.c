/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls every function of the malloc family, also with sizes that cannot be had, and prints what
 * each gave: null or not, aligned or not, contents kept or not, errno. No addresses are printed, so
 * that the output is the same in every run. The last line is "family ok" if all was as glibc has
 * it, else "family FAILED n".
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNTOUCHED 4242
#define HUGE_SIZE ((size_t)1 << 62)

/* volatile: the compiler warns of sizes that are too large. */
static volatile size_t all = SIZE_MAX;

static int failures;

static void check(const char *what, int as_expected)
{
	printf("%-44s %s errno=%d\n", what, as_expected ? "ok" : "WRONG", errno);
	failures += !as_expected;
	errno = UNTOUCHED;
}

static int aligned(const void *p, size_t to)
{
	return p && ((uintptr_t)p & (to - 1)) == 0;
}

static int filled(const unsigned char *p, size_t n, unsigned char with)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != with)
			return 0;
	return 1;
}

static void plain(void)
{
	void *volatile p = malloc(0);
	check("malloc(0)", p != NULL && errno == UNTOUCHED);
	free(p);
	check("free", errno == UNTOUCHED);
	free(NULL);
	check("free(NULL)", errno == UNTOUCHED);
	p = malloc(100);
	check("malloc(100)", aligned(p, 16) && malloc_usable_size(p) >= 100);
	memset(p, 7, 100);
	free(p);
	p = malloc(HUGE_SIZE);
	check("malloc(1 << 62)", p == NULL && errno == ENOMEM);
	p = malloc(all);
	check("malloc(SIZE_MAX)", p == NULL && errno == ENOMEM);
	errno = ENOENT;
	p = malloc(4 << 20);
	check("malloc(4 MiB)", p != NULL && errno == ENOENT);
	errno = ENOENT;
	free(p);
	check("free of a mapping", errno == ENOENT);
}

static void zeroed(void)
{
	void *volatile p = calloc(10, 100);
	check("calloc(10, 100)", p && filled(p, 1000, 0));
	free(p);
	p = calloc(0, 8);
	check("calloc(0, 8)", p != NULL);
	free(p);
	p = calloc(all, 2);
	check("calloc(SIZE_MAX, 2)", p == NULL && errno == ENOMEM);
	p = calloc(all, all);
	check("calloc(-1, -1)", p == NULL && errno == ENOMEM);
	p = calloc(1 << 20, 4);
	check("calloc(4 MiB)", p && filled(p, 4 << 20, 0));
	free(p);
}

static void resized(void)
{
	void *volatile p = realloc(NULL, 50);
	check("realloc(NULL, 50)", p != NULL);
	memset(p, 9, 50);
	p = realloc(p, 5000);
	check("realloc(p, 5000)", p && filled(p, 50, 9));
	p = realloc(p, 20);
	check("realloc(p, 20)", p && filled(p, 20, 9));
	void *volatile q = realloc(p, HUGE_SIZE);
	check("realloc(p, 1 << 62)", q == NULL && errno == ENOMEM);
	check("what failed to grow is still there", filled(p, 20, 9));
	q = realloc(p, 0);
	check("realloc(p, 0)", q == NULL && errno == UNTOUCHED);
	p = reallocarray(NULL, 10, 10);
	check("reallocarray(NULL, 10, 10)", p != NULL);
	memset(p, 3, 100);
	q = reallocarray(p, all / 2, 3);
	check("reallocarray overflow", q == NULL && errno == ENOMEM && filled(p, 100, 3));
	p = reallocarray(p, 100, 100);
	check("reallocarray(p, 100, 100)", p && filled(p, 100, 3));
	free(p);
}

static void aligned_ones(void)
{
	void *p = (void *)1;
	int rc = posix_memalign(&p, 4096, 100);
	check("posix_memalign(4096)", rc == 0 && aligned(p, 4096) && errno == UNTOUCHED);
	free(p);
	p = (void *)1;
	rc = posix_memalign(&p, 3, 100);
	check("posix_memalign(3)", rc == EINVAL && p == (void *)1 && errno == UNTOUCHED);
	rc = posix_memalign(&p, 4, 100);
	check("posix_memalign(4)", rc == EINVAL && p == (void *)1 && errno == UNTOUCHED);
	rc = posix_memalign(&p, 64, HUGE_SIZE);
	check("posix_memalign(64, 1 << 62)", rc == ENOMEM && p == (void *)1);
	p = aligned_alloc(256, 512);
	check("aligned_alloc(256, 512)", aligned(p, 256));
	free(p);
	p = memalign(1024, 10);
	check("memalign(1024, 10)", aligned(p, 1024));
	free(p);
	p = memalign(64, HUGE_SIZE);
	check("memalign(64, 1 << 62)", p == NULL && errno == ENOMEM);
	p = valloc(10);
	check("valloc(10)", aligned(p, 4096));
	free(p);
	p = pvalloc(10);
	check("pvalloc(10)", aligned(p, 4096) && malloc_usable_size(p) >= 4096);
	p = realloc(p, 40000);
	check("realloc of an aligned block", p != NULL);
	free(p);
}

static void by_libc(void)
{
	char *text = strdup("a string of libc");
	check("strdup", text && !strcmp(text, "a string of libc"));
	text = realloc(text, 300);
	check("realloc of libc's block", text && !strcmp(text, "a string of libc"));
	free(text);

	char *printed = NULL;
	int n = asprintf(&printed, "%0200d", 1);
	check("asprintf", n == 200 && strlen(printed) == 200);
	free(printed);

	char *stream = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&stream, &size);
	for (int i = 0; i < 1000; i++)
		fprintf(f, "%d", i);
	fclose(f);
	check("open_memstream", size == 2890);
	free(stream);
	check("mallinfo2", mallinfo2().arena > 0);
	malloc_trim(0);
	check("malloc_trim", 1);
}

int main(void)
{
	errno = UNTOUCHED;
	plain();
	zeroed();
	resized();
	aligned_ones();
	by_libc();
	if (failures)
		printf("family FAILED %d\n", failures);
	else
		printf("family ok\n");
	return failures != 0;
}
