/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes code at run time that calls keep_below, which keeps 1 MiB. Says "ready PID ADDRESS SIZE",
 * then reads commands from stdin, one a line, and answers each with its first word:
 *
 *   make SHAPE    makes the code, or writes it over what was there
 *   map NAME      appends "ADDRESS SIZE NAME" to /tmp/perf-PID.map
 *   keep N        calls the code N times
 *   register      tells libgcc of the unwind table of the code; __register_frame
 *   info          the same by __register_frame_info
 *   deregister    takes it back
 *   burn MS       the code calls burn_below, which uses so much CPU time
 *   fork          goes on in a child, which answers "fork PID"; the parent waits for it
 *
 * Shapes: "pointer" has a frame pointer; "plain" has none, but shows by its code how it returns;
 * "opaque" uses rbp for other things and returns by a jump: only its table knows.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the code is of x86-64"
#endif

extern void __register_frame(void *);
extern void __register_frame_info(const void *, void *);
extern void __deregister_frame(void *);
extern void *__deregister_frame_info(const void *);

typedef void made_code(void (*)(void));

static void *kept[100000];
static int kept_count, burn_ms;
static unsigned char *code;
static size_t code_bytes;
static unsigned char table[256] __attribute__((aligned(8)));
static uint64_t info[8]; /* libgcc's struct object */
static int has_info;

__attribute__((noinline)) static void keep_below(void)
{
	kept[kept_count++] = malloc(1 << 20);
	__asm__ volatile("");
}

__attribute__((noinline)) static void burn_below(void)
{
	struct timespec now, end;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	end.tv_sec += burn_ms / 1000;
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while (now.tv_sec < end.tv_sec || now.tv_nsec < end.tv_nsec);
}

__attribute__((noinline)) static void call_code(void (*below)(void))
{
	((made_code *)code)(below);
	__asm__ volatile("");
}

static const unsigned char pointer_code[] = {
	0x55,             /* push %rbp */
	0x48, 0x89, 0xe5, /* mov %rsp,%rbp */
	0xff, 0xd7,       /* call *%rdi */
	0x5d, 0xc3,       /* pop %rbp; ret */
};

static const unsigned char plain_code[] = {
	0x55,                   /* push %rbp */
	0xbd, 1, 0, 0, 0,       /* mov $1,%ebp */
	0x48, 0x83, 0xec, 0x40, /* sub $0x40,%rsp */
	0xff, 0xd7,             /* call *%rdi */
	0x48, 0x83, 0xc4, 0x40, /* add $0x40,%rsp */
	0x5d, 0xc3,             /* pop %rbp; ret */
};

static const unsigned char opaque_code[] = {
	0x55,                   /* push %rbp */
	0xbd, 1, 0, 0, 0,       /* mov $1,%ebp */
	0x48, 0x83, 0xec, 0x40, /* sub $0x40,%rsp */
	0xff, 0xd7,             /* call *%rdi */
	0x48, 0x83, 0xc4, 0x40, /* add $0x40,%rsp */
	0x5d, 0x59,             /* pop %rbp; pop %rcx */
	0xff, 0xe1,             /* jmp *%rcx */
};

static void make_code(const char *shape)
{
	const unsigned char *from = pointer_code;

	code_bytes = sizeof(pointer_code);
	if (!strcmp(shape, "plain")) {
		from = plain_code;
		code_bytes = sizeof(plain_code);
	} else if (!strcmp(shape, "opaque")) {
		from = opaque_code;
		code_bytes = sizeof(opaque_code);
	}
	memset(code, 0xcc, 64);
	memcpy(code, from, code_bytes);
}

/* An .eh_frame section: a CIE, an FDE for "plain" and "opaque", and the end. */
static void make_table(void)
{
	static const unsigned char cie[] = { 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0x78, 16, 0x0c, 7, 8,
		0x90, 1 };
	/* advance 1; cfa 16; rbp at cfa-16; advance 9 (to 10); cfa 80; and back behind the call */
	static const unsigned char program[] = { 0x41, 0x0e, 16, 0x86, 2, 0x49, 0x0e, 80, 0x46,
		0x0e, 16, 0 };
	const size_t cie_bytes = 24;
	unsigned char *fde = table + cie_bytes;
	uint32_t length = 24 - 4 + sizeof(program), distance = (uint32_t)cie_bytes + 4;
	uint64_t start = (uintptr_t)code, bytes = sizeof(opaque_code);

	memset(table, 0, sizeof(table));
	memcpy(table, cie, sizeof(cie));
	memcpy(fde, &length, 4);
	memcpy(fde + 4, &distance, 4);
	memcpy(fde + 8, &start, 8);
	memcpy(fde + 16, &bytes, 8);
	memcpy(fde + 24, program, sizeof(program));
}

static void append_map(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	FILE *file = fopen(path, "a");
	if (!file)
		exit(1);
	fprintf(file, "%lx %zx %s\n", (unsigned long)(uintptr_t)code, code_bytes, name);
	fclose(file);
}

static void go_on_in_child(void)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		return;
	waitpid(child, &status, 0);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void obey(const char *word, const char *argument)
{
	if (!strcmp(word, "make")) {
		make_code(argument);
	} else if (!strcmp(word, "map")) {
		append_map(argument);
	} else if (!strcmp(word, "keep")) {
		for (int i = atoi(argument); i > 0; i--)
			call_code(keep_below);
	} else if (!strcmp(word, "burn")) {
		burn_ms = atoi(argument);
		call_code(burn_below);
	} else if (!strcmp(word, "register")) {
		make_table();
		__register_frame(table);
	} else if (!strcmp(word, "info")) {
		make_table();
		__register_frame_info(table, info);
		has_info = 1;
	} else if (!strcmp(word, "deregister")) {
		if (has_info)
			__deregister_frame_info(table);
		else
			__deregister_frame(table);
	} else if (!strcmp(word, "fork")) {
		go_on_in_child();
	} else {
		exit(1);
	}
}

int main(void)
{
	char line[256];

	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		0);
	if (code == MAP_FAILED)
		return 1;
	make_code("pointer");
	printf("ready %d %lx %zx\n", (int)getpid(), (unsigned long)(uintptr_t)code, code_bytes);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		char *argument = strchr(line, ' ');

		line[strcspn(line, "\n")] = '\0';
		if (argument)
			*argument++ = '\0';
		obey(line, argument ? argument : "");
		printf("%s %d\n", line, (int)getpid());
		fflush(stdout);
	}
	return 0;
}
