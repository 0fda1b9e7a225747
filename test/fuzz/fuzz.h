/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets have in common: an input that is taken apart piece by piece, and the checks
 * that end the run. Each target says in its head comment what it feeds and what may not happen;
 * that no sanitizer complains, and that an input is done within seconds, is asked of all.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* On standard output: the other one is closed, since the agent may write to it. */
#define must(what)                                                                \
	do {                                                                      \
		if (!(what)) {                                                    \
			printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
			fflush(stdout);                                           \
			__builtin_trap();                                         \
		}                                                                 \
	} while (0)

/* What is left of the input. Behind its end there are zeros. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline uint64_t input_number(struct input *input, size_t bytes)
{
	uint64_t number = 0;

	for (size_t i = 0; i < bytes && input->left; i++, input->left--)
		number |= (uint64_t)*input->at++ << (8 * i);
	return number;
}

/* Two bytes of length, and as much of that as there is. */
static inline struct input input_piece(struct input *input)
{
	size_t wanted = input_number(input, 2);
	struct input piece = { input->at, wanted < input->left ? wanted : input->left };

	input->at += piece.left;
	input->left -= piece.left;
	return piece;
}

/* A copy that ends where it ends, so that what is read behind it shows. The caller's to free. */
static inline char *input_copy(const uint8_t *bytes, size_t count)
{
	char *copy = malloc(count + 1);

	must(copy);
	if (count)
		memcpy(copy, bytes, count);
	copy[count] = '\0';
	return copy;
}

/* A piece as a string, up to its first NUL at most. */
static inline char *input_text(struct input *input)
{
	struct input piece = input_piece(input);

	return input_copy(piece.at, strnlen((const char *)piece.at, piece.left));
}

#endif
