/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control word of the cell where a record of the ring starts: position (in cells since the
 * creation of the ring) | length in cells | state. A word with another position is from an earlier
 * lap. Include only in ring.c. Context: PA_SIGNAL.
 */
#ifndef PA_RING_WORD_H
#define PA_RING_WORD_H

#include "../base/assert.h"
#include "../base/base.h"

enum pa_ring_word_state {
	PA_RING_WORD_FREE,
	PA_RING_WORD_RESERVED,
	PA_RING_WORD_PUBLISHING,
	PA_RING_WORD_PUBLISHED,
	PA_RING_WORD_PADDING
};

enum { PA_RING_WORD_STATE_BITS = 3, PA_RING_WORD_LENGTH_BITS = 25 };
#define PA_RING_WORD_STATES ((1u << PA_RING_WORD_STATE_BITS) - 1)
#define PA_RING_WORD_LENGTHS ((1u << PA_RING_WORD_LENGTH_BITS) - 1)

PA_INLINE uint64_t pa_ring_word(uint64_t position, uint64_t length, enum pa_ring_word_state state)
{
	PA_ASSERT(length <= PA_RING_WORD_LENGTHS);
	PA_ASSERT(state <= PA_RING_WORD_PADDING);
	return position << (PA_RING_WORD_STATE_BITS + PA_RING_WORD_LENGTH_BITS) |
		length << PA_RING_WORD_STATE_BITS | state;
}

PA_INLINE enum pa_ring_word_state pa_ring_word_state(uint64_t word)
{
	return word & PA_RING_WORD_STATES;
}

PA_INLINE uint64_t pa_ring_word_with(uint64_t word, enum pa_ring_word_state state)
{
	return (word & ~(uint64_t)PA_RING_WORD_STATES) | state;
}

PA_INLINE uint64_t pa_ring_word_length(uint64_t word)
{
	return word >> PA_RING_WORD_STATE_BITS & PA_RING_WORD_LENGTHS;
}

/* Compares the low bits of the position, which the word has room for. */
PA_INLINE bool pa_ring_word_is_at(uint64_t word, uint64_t position)
{
	return pa_ring_word_state(word) != PA_RING_WORD_FREE &&
		(word ^ pa_ring_word(position, 0, PA_RING_WORD_FREE)) >>
			(PA_RING_WORD_STATE_BITS + PA_RING_WORD_LENGTH_BITS) ==
		0;
}

#endif
