/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C whose functions disappear into each other, in several levels and at several places of one
 * function. Each path ends in allocations and burns some time. Prints "ready" after each round; a
 * line on stdin begins the next, the end of stdin ends the program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
	struct node *next;
	char text[48];
};

static volatile unsigned sink;

static inline void spend(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		sink = sink * 1103515245u + i;
}

static inline struct node *make_node(struct node *next)
{
	struct node *node = malloc(sizeof(*node));
	node->next = next;
	spend(100);
	return node;
}

static inline struct node *push(struct node **list)
{
	return *list = make_node(*list);
}

static inline struct node *push_text(struct node **list, const char *text)
{
	struct node *node = push(list);
	snprintf(node->text, sizeof(node->text), "%s", text);
	return node;
}

static inline char *copy_twice(const char *text)
{
	size_t length = strlen(text);
	char *copy = malloc(2 * length + 1);
	memcpy(copy, text, length);
	strcpy(copy + length, text);
	return copy;
}

static void drop(struct node *list)
{
	while (list) {
		struct node *next = list->next;
		free(list);
		list = next;
	}
}

__attribute__((noinline)) static size_t lists(unsigned count)
{
	struct node *list = NULL;
	size_t sum = 0;
	for (unsigned i = 0; i < count; i++) {
		push(&list);
		if (i % 3 == 0)
			push_text(&list, "a text");
		char *copy = copy_twice(i % 2 ? "odd" : "even");
		sum += strlen(copy);
		free(copy);
	}
	drop(list);
	return sum;
}

static int compare_numbers(const void *a, const void *b)
{
	spend(20);
	return *(const int *)a - *(const int *)b;
}

__attribute__((noinline)) static size_t sorted(unsigned count)
{
	int *numbers = calloc(count, sizeof(*numbers));
	for (unsigned i = 0; i < count; i++)
		numbers[i] = (int)(i * 7919u % 101);
	qsort(numbers, count, sizeof(*numbers), compare_numbers);
	numbers = realloc(numbers, 2 * count * sizeof(*numbers));
	size_t sum = (size_t)numbers[0] + 1;
	free(numbers);
	return sum;
}

__attribute__((noinline)) static size_t recursive(unsigned depth)
{
	struct node *list = NULL;
	push_text(&list, "deep");
	size_t sum = depth ? recursive(depth - 1) : 0;
	drop(list);
	return sum + 1;
}

int main(void)
{
	char line[8];
	size_t sum = 0;
	do {
		for (int i = 0; i < 100; i++)
			sum += lists(30) + sorted(40) + recursive(9);
		printf("ready %zu\n", sum);
		fflush(stdout);
	} while (fgets(line, sizeof(line), stdin));
	return 0;
}
