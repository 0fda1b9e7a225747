/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library that brings libgcc with it, and registers an unwind table when it is loaded; prints
 * whether libgcc then knows of it, and what it gets back when it is unloaded.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern void __register_frame(void *), __deregister_frame(void *);
extern void __register_frame_info(const void *, void *);
extern void __register_frame_info_bases(const void *, void *, void *, void *);
extern void __register_frame_table(void *);
extern void __register_frame_info_table(void *, void *);
extern void __register_frame_info_table_bases(void *, void *, void *, void *);
extern void *__deregister_frame_info(const void *), *__deregister_frame_info_bases(const void *);
extern const void *_Unwind_Find_FDE(void *, void *);

enum { TABLES = 6 };

static char code[TABLES][64];
static uint64_t tables[TABLES][16], objects[TABLES][8];
static void *lists[TABLES][2];

/* A CIE, an FDE for code[i], and the end. */
static void *make_table(int i)
{
	static const unsigned char cie[] = { 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0x78, 16, 0x0c, 7, 8,
		0x90, 1 };
	char *at = (char *)tables[i];
	const uint32_t head[] = { 20, 28 };
	const uint64_t range[] = { (uintptr_t)code[i], sizeof(code[i]) };

	memcpy(at, cie, sizeof(cie));
	memcpy(at + 24, head, sizeof(head));
	memcpy(at + 32, range, sizeof(range));
	lists[i][0] = at;
	return at;
}

static void show(const char *when)
{
	char bases[64];

	printf("%s:", when);
	for (int i = 0; i < TABLES; i++)
		printf(" %d", _Unwind_Find_FDE(code[i] + 8, bases) != NULL);
	printf("\n");
}

__attribute__((constructor)) static void begin(void)
{
	for (int i = 0; i < TABLES; i++)
		make_table(i);
	show("before");
	__register_frame(tables[0]);
	__register_frame_info(tables[1], objects[1]);
	__register_frame_info_bases(tables[2], objects[2], NULL, NULL);
	__register_frame_table(lists[3]);
	__register_frame_info_table(lists[4], objects[4]);
	__register_frame_info_table_bases(lists[5], objects[5], NULL, NULL);
	show("registered");
}

__attribute__((destructor)) static void end(void)
{
	__deregister_frame(tables[0]);
	printf("%d", __deregister_frame_info(tables[1]) == objects[1]);
	printf(" %d", __deregister_frame_info_bases(tables[2]) == objects[2]);
	__deregister_frame(lists[3]);
	printf(" %d", __deregister_frame_info(lists[4]) == objects[4]);
	printf(" %d\n", __deregister_frame_info_bases(lists[5]) == objects[5]);
	show("taken back");
}
