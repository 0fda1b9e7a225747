/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/unwind_fixture.h"

#include <stdlib.h>

#include "agent/unwind/cfi.h"
#include "agent/arch/prologue.h"

/* Instructions. */
#define ENDBR64 0xf3, 0x0f, 0x1e, 0xfa
#define PUSH_RBP 0x55
#define PUSH_RBX 0x53
#define PUSH_R15 0x41, 0x57
#define POP_RBP 0x5d
#define POP_RBX 0x5b
#define POP_R15 0x41, 0x5f
#define MOV_RSP_RBP 0x48, 0x89, 0xe5
#define MOV_RSP_RBP_OTHER 0x48, 0x8b, 0xec
#define FRAME PUSH_RBP, MOV_RSP_RBP
#define SUB_16 0x48, 0x83, 0xec, 16
#define SUB_4096 0x48, 0x81, 0xec, 0, 16, 0, 0
#define SUB_128 0x48, 0x83, 0xc4, 0x80 /* add $-128 */
#define ADD_16 0x48, 0x83, 0xc4, 16
#define CALL 0xe8, 0, 0x10, 0, 0
#define CALL_RAX 0xff, 0xd0
#define JMP_RAX 0xff, 0xe0
#define SYSCALL 0x0f, 0x05
#define LEAVE 0xc9
#define RET 0xc3
#define NOPL 0x0f, 0x1f, 0x40, 0
#define MOV_RAX_RDI 0x48, 0x89, 0xc7

#define NOTHING (-1)

static bool is_mapped(uintptr_t at)
{
	return pa_maps_find(at) != NULL;
}

static const struct pa_code_reader reader = {
	.read = pa_maps_read_memory,
	.read_cached = pa_maps_read_cached,
	.is_code = is_mapped,
};

/* Bytes from sp to bp at pc, an offset into the code. */
static long find(struct bytes code, size_t pc)
{
	uintptr_t start = (uintptr_t)code.at, bytes = 0x5555;
	bool found = pa_prologue_find(&reader, start, start + code.count, start + pc, &bytes);
	return found ? (long)bytes : NOTHING;
}

#define assert_found(pc, bytes, ...) assert_int_equal(find(BYTES(__VA_ARGS__), pc), bytes)
#define assert_refused(pc, ...) assert_found(pc, NOTHING, __VA_ARGS__)

static void frames_of_all_shapes_are_found(void **arg)
{
	(void)arg;
	assert_found(9, 0, FRAME, CALL, LEAVE, RET);
	assert_found(9, 0, PUSH_RBP, MOV_RSP_RBP_OTHER, CALL, POP_RBP, RET);
	assert_found(13, 0, ENDBR64, FRAME, CALL, POP_RBP, RET);
	assert_found(13, 16, FRAME, SUB_16, CALL, LEAVE, RET);
	assert_found(16, 4096, FRAME, SUB_4096, CALL, LEAVE, RET);
	assert_found(13, 128, FRAME, SUB_128, CALL, LEAVE, RET);
	assert_found(17, 32, ENDBR64, FRAME, PUSH_R15, PUSH_RBX, SUB_16, CALL_RAX, 0x90, 0x90,
		ADD_16, POP_RBX, POP_R15, POP_RBP, RET);
	/* Its last instruction is a call that does not come back. */
	assert_found(13, 16, FRAME, SUB_16, CALL);
	/* lea -8(%rbp), %rsp ends the frame. */
	assert_found(14, 24, FRAME, PUSH_RBX, SUB_16, CALL, 0x48, 0x8d, 0x65, 0xf8, POP_RBX,
		POP_RBP, RET);
}

static void other_instructions_may_stand_between(void **arg)
{
	(void)arg;
	assert_found(22, 24, MOV_RAX_RDI, PUSH_RBP, 0x31, 0xc0, MOV_RSP_RBP, MOV_RAX_RDI, PUSH_RBX,
		SUB_16, CALL, LEAVE, RET);
	/* -mfentry, -pg: calls leave sp as it is. */
	assert_found(14, 0, CALL, FRAME, CALL, LEAVE, RET);
	/* lea 8(%rsp), %rsp; mov %rsp, %rax; cmp %rax, %rsp; test; r12 and xmm4 are not sp. */
	assert_found(25, 16, FRAME, PUSH_RBX, SUB_16, 0x48, 0x8d, 0x64, 0x24, 8, 0x48, 0x89, 0xe0,
		0x48, 0x39, 0xc4, 0x49, 0x89, 0xc4, CALL_RAX, LEAVE, RET);
	assert_found(13, 0, FRAME, 0x0f, 0x28, 0xe0, 0x88, 0xc4, 0x8e, 0xe0, SYSCALL, LEAVE, RET);
}

static void leaf_that_uses_the_red_zone_is_found(void **arg)
{
	(void)arg;
	assert_found(10, 0, FRAME, 0x89, 0x7d, 0xfc, 0x90, SYSCALL, POP_RBP, RET);
}

static void only_what_a_call_comes_back_to_is_found(void **arg)
{
	(void)arg;
	for (size_t pc = 0; pc <= 15; pc++)
		if (pc != 13)
			assert_refused(pc, FRAME, SUB_16, CALL, LEAVE, RET);
	assert_refused(16, FRAME, SUB_16, CALL, LEAVE, RET);
	/* A call in front of the frame, and in the middle of making it. */
	assert_refused(5, CALL, FRAME, CALL, LEAVE, RET);
	assert_refused(6, PUSH_RBP, CALL, MOV_RSP_RBP, CALL, LEAVE, RET);
}

static void frame_without_a_frame_pointer_is_refused(void **arg)
{
	(void)arg;
	assert_refused(9, SUB_16, CALL, ADD_16, RET);
	/* bp is not the first that is pushed; bp is something else; becomes something else. */
	assert_refused(10, PUSH_RBX, FRAME, CALL, POP_RBP, POP_RBX, RET);
	assert_refused(9, PUSH_RBP, 0x48, 0x89, 0xfd, CALL, POP_RBP, RET);
	assert_refused(12, FRAME, 0x48, 0x89, 0xfd, CALL, POP_RBP, RET);
	assert_refused(14, FRAME, 0xbd, 1, 0, 0, 0, CALL, POP_RBP, RET);
	assert_refused(13, FRAME, 0x0f, 0xb6, 0x28, 0x90, CALL, POP_RBP, RET);
	assert_refused(10, PUSH_RBP, PUSH_RBX, MOV_RSP_RBP, CALL, POP_RBX, POP_RBP, RET);
}

static void arguments_on_the_stack_count_for_their_call(void **arg)
{
	(void)arg;
	/* push $1; push %rax */
	const struct bytes code =
		BYTES(FRAME, SUB_16, CALL, 0x6a, 1, 0x50, CALL, ADD_16, CALL, LEAVE, RET);
	assert_int_equal(find(code, 13), 16);
	assert_int_equal(find(code, 21), 32);
	assert_int_equal(find(code, 30), 16);
}

static void stack_pointer_from_a_register_is_refused(void **arg)
{
	(void)arg;
	assert_refused(12, FRAME, 0x48, 0x29, 0xc4, CALL, LEAVE, RET); /* sub %rax, %rsp */
	assert_refused(12, FRAME, 0x48, 0x2b, 0xe0, CALL, LEAVE, RET);
	assert_refused(13, FRAME, 0x48, 0x83, 0xe4, 0xc0, CALL, LEAVE, RET); /* and $-64, %rsp */
	/* What the ABI says of sp tells what and $-16, %rsp takes off. */
	assert_found(13, 0, FRAME, 0x48, 0x83, 0xe4, 0xf0, CALL, LEAVE, RET);
	assert_found(14, 16, FRAME, PUSH_RBX, 0x48, 0x83, 0xe4, 0xf0, CALL, 0x48, 0x8d, 0x65, 0xf8,
		POP_RBX, POP_RBP, RET);
	assert_refused(9, 0x48, 0x83, 0xe4, 0xf0, CALL, RET);
	assert_refused(12, FRAME, 0x48, 0x89, 0xc4, CALL, LEAVE, RET);       /* mov %rax, %rsp */
	assert_refused(12, FRAME, 0x48, 0x8b, 0x20, CALL, LEAVE, RET);       /* mov (%rax), %rsp */
	assert_refused(10, FRAME, 0x5c, CALL, LEAVE, RET);                   /* pop %rsp */
	assert_refused(11, FRAME, 0x48, 0x94, CALL, LEAVE, RET);             /* xchg %rax, %rsp */
	assert_refused(13, FRAME, 0x48, 0x0f, 0x44, 0xe0, CALL, LEAVE, RET); /* cmove */
	assert_refused(14, FRAME, 0x48, 0x8d, 0x64, 0x04, 8, CALL, LEAVE, RET); /* with index */
	assert_refused(11, FRAME, 0x66, 0x50, CALL, LEAVE, RET);                /* push %ax */
	/* Behind the call too: a loop may come back. */
	assert_refused(9, FRAME, CALL, 0x48, 0x29, 0xc4, LEAVE, RET);
	assert_refused(13, FRAME, SUB_16, CALL, 0x48, 0x29, 0xc4, 0xeb, 0xf2);
}

static void stack_that_depends_on_the_way_is_refused(void **arg)
{
	(void)arg;
	/* 1: sub $4096, %rsp; jne 1b; as -fstack-clash-protection probes large frames */
	assert_refused(18, FRAME, SUB_4096, 0x75, 0xf7, CALL, LEAVE, RET);
	/* je 1f; push %rbx; 1: */
	assert_refused(12, FRAME, 0x74, 1, PUSH_RBX, CALL, LEAVE, RET);
	/* It returns with something left, or takes its arguments along. */
	assert_refused(10, FRAME, PUSH_RBX, CALL, POP_RBP, RET);
	assert_refused(9, FRAME, CALL, POP_RBP, POP_RBX, RET);
	assert_refused(9, FRAME, CALL, LEAVE, 0xc2, 8, 0);
	/* It ends a frame by what is no frame pointer any more, or pops what is not its own. */
	assert_refused(9, FRAME, CALL, 0x48, 0x89, 0xfd, LEAVE, RET);
	assert_refused(11, POP_RBX, PUSH_RBX, FRAME, CALL, LEAVE, RET);
	assert_refused(13, FRAME, 0x48, 0x83, 0xec, 12, CALL, LEAVE, RET);
}

static void frame_behind_a_fast_way_out_is_found(void **arg)
{
	(void)arg;
	/* cmpb $0, x(%rip); je 1f; mov $7, %eax; syscall; ret; nop; 1: frame */
	assert_found(34, 16, 0x80, 0x3d, 0, 1, 0, 0, 0, 0x74, 12, 0xb8, 7, 0, 0, 0, SYSCALL, RET,
		NOPL, FRAME, SUB_16, CALL, LEAVE, RET);
}

static void loop_with_its_test_at_the_end_is_found(void **arg)
{
	(void)arg;
	/* jmp 2f; 1: call; 2: test %eax, %eax; jne 1b */
	assert_found(15, 16, FRAME, SUB_16, 0xeb, 5, CALL, 0x85, 0xc0, 0x75, 0xf7, LEAVE, RET);
}

static void cases_of_a_switch_stand_as_its_jump(void **arg)
{
	(void)arg;
	assert_found(15, 16, FRAME, SUB_16, JMP_RAX, CALL, LEAVE, RET, CALL, LEAVE, RET);
	assert_found(22, 16, FRAME, SUB_16, JMP_RAX, CALL, LEAVE, RET, CALL, LEAVE, RET);
	/* One of them has alloca; the jump is made with a push open, or before the frame. */
	assert_refused(15, FRAME, SUB_16, JMP_RAX, CALL, LEAVE, RET, 0x48, 0x29, 0xc4, LEAVE, RET);
	assert_refused(13, FRAME, SUB_16, CALL, PUSH_RBX, JMP_RAX, CALL, LEAVE, RET);
	assert_refused(16, 0x74, 2, JMP_RAX, NOPL, FRAME, CALL, LEAVE, RET, CALL, LEAVE, RET);
}

static void jumps_out_are_tail_calls_or_have_a_frame_pointer(void **arg)
{
	(void)arg;
	/* jmp elsewhere: a tail call, or a part that lies elsewhere and may come back. */
	assert_found(9, 0, FRAME, CALL, POP_RBP, 0xe9, 0, 0x10, 0, 0);
	assert_found(9, 0, FRAME, CALL, 0xe9, 0, 0x10, 0, 0);
	assert_found(9, 0, FRAME, CALL, 0x0f, 0x84, 0, 0x10, 0, 0, POP_RBP, RET);
	/* Of landing pads, which no jump reaches. */
	assert_found(13, 16, FRAME, SUB_16, CALL, LEAVE, RET, 0xe9, 0, 0x10, 0, 0);
	assert_refused(10, 0x53, 0x0f, 0x84, 0, 0x10, 0, 0, POP_RBX, FRAME, CALL, POP_RBP, RET);
}

static void code_that_makes_no_sense_is_refused(void **arg)
{
	(void)arg;
	assert_refused(9, FRAME, CALL, 0x06, LEAVE, RET);
	assert_refused(9, FRAME, CALL, LEAVE, RET, 0x06);
	assert_refused(9, FRAME, CALL, LEAVE); /* goes on behind its end */
	/* So does an instruction: jmp *x(%rax). */
	assert_refused(9, FRAME, CALL, LEAVE, RET, 0xff, 0xa0, 0);
	assert_refused(9, FRAME, CALL, 0xe8, 0, 0, 0, 0, POP_RBX, LEAVE, RET); /* call 1f; 1: pop */
	assert_refused(12, FRAME, 0x66, 0x66, 0x66, 0x06, LEAVE, RET);
	assert_refused(9, FRAME, CALL, 0xc8, 16, 0, 0, LEAVE, RET); /* enter */
}

static void functions_too_large_or_gone_are_refused(void **arg)
{
	(void)arg;
	uint8_t *code = mmap(NULL, 2 * PA_PROLOGUE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct bytes body = BYTES(FRAME, SYSCALL, LEAVE, RET);
	uintptr_t start = (uintptr_t)code, bytes;
	memset(code, 0x90, 2 * PA_PROLOGUE_BYTES);
	memcpy(code, body.at, body.count);
	assert_true(pa_prologue_find(&reader, start, start + PA_PROLOGUE_BYTES, start + 6, &bytes));
	assert_false(pa_prologue_find(&reader, start, start + PA_PROLOGUE_BYTES + 1, start + 6,
		&bytes));
	munmap(code, 2 * PA_PROLOGUE_BYTES);
	assert_false(pa_prologue_find(&reader, start, start + 20, start + 6, &bytes));
	assert_false(pa_prologue_find(&reader, start, start - 1, start + 6, &bytes));
}

static void random_code_never_crashes(void **arg)
{
	(void)arg;
	uint8_t code[256];
	uint64_t seed = 88172645463325252u;
	for (int i = 0; i < 100000; i++) {
		for (size_t k = 0; k < sizeof(code); k++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			code[k] = seed % 8 ? (uint8_t)(seed >> 8) : 0xe8;
		}
		find((struct bytes){ seed >> 32 & 255, code }, seed >> 40 & 255);
	}
}

/* ---- calls ---- */

static struct pa_prologue_call call_in(struct bytes code, bool *is_call)
{
	struct pa_prologue_call call = { 1, 1 };
	*is_call = pa_prologue_call_before(&reader, (uintptr_t)code.at + code.count, &call);
	return call;
}

static void calls_of_all_lengths_are_known(void **arg)
{
	(void)arg;
	static const struct {
		uint8_t count, code[10];
	} calls[] = {
		{ 2, { 0xff, 0xd0 } },
		{ 3, { 0x41, 0xff, 0xd7 } },
		{ 2, { 0xff, 0x13 } },
		{ 3, { 0xff, 0x55, 0xf8 } },
		{ 3, { 0xff, 0x14, 0xc7 } },
		{ 4, { 0xff, 0x54, 0x24, 8 } },
		{ 6, { 0xff, 0x90, 0, 1, 0, 0 } },
		{ 7, { 0xff, 0x94, 0x24, 0, 1, 0, 0 } },
		{ 7, { 0x64, 0xff, 0x90, 0, 1, 0, 0 } },
		{ 3, { 0x3e, 0xff, 0xd0 } },
		{ 4, { 0xf2, 0x41, 0xff, 0xd0 } },
		{ 8, { 0x64, 0xff, 0x14, 0x25, 16, 0, 0, 0 } },
	};
	for (unsigned i = 0; i < PA_COUNT(calls); i++) {
		uint8_t code[32];
		bool is_call;
		memset(code, 0x90, sizeof(code));
		memcpy(code + 8, calls[i].code, calls[i].count);
		struct pa_prologue_call call =
			call_in((struct bytes){ 8u + calls[i].count, code }, &is_call);
		if (!is_call || call.target || call.word_at)
			fail_msg("call %u: %d %lx %lx", i, is_call, call.target, call.word_at);
	}
}

static void what_is_no_call_is_not_taken_for_one(void **arg)
{
	(void)arg;
	bool is_call;
	const struct bytes codes[] = {
		BYTES(0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90),
		BYTES(0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0), /* jmp *%rax */
		BYTES(0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xf0), /* push %rax */
		BYTES(0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x55), /* a call cut short */
		BYTES(0x90, 0x90, 0x90, 0xe9, 0, 0, 0, 0),             /* jmp */
		BYTES(0x90, 0x90, 0x90, 0xe8, 0, 0, 0, 0x70), /* call of what is not mapped */
	};
	for (unsigned i = 0; i < PA_COUNT(codes); i++) {
		call_in(codes[i], &is_call);
		if (is_call)
			fail_msg("code %u is a call", i);
	}
	struct pa_prologue_call call;
	assert_false(pa_prologue_call_before(&reader, 16, &call));
}

__asm__(".text\n"
	"direct_call:\n"
	"	call direct_target\n"
	"direct_call_end:\n"
	"	call *direct_word(%rip)\n"
	"word_call_end:\n"
	"	nop\n"
	"direct_target:\n"
	"	ret\n"
	".data\n"
	"direct_word: .quad 0\n"
	".text\n");
extern const char direct_call_end[], word_call_end[], direct_target[], direct_word[];

static void targets_of_calls_are_told(void **arg)
{
	(void)arg;
	struct pa_prologue_call call;
	assert_true(pa_prologue_call_before(&reader, (uintptr_t)direct_call_end, &call));
	assert_int_equal(call.target, (uintptr_t)direct_target);
	assert_int_equal(call.word_at, 0);
	assert_true(pa_prologue_call_before(&reader, (uintptr_t)word_call_end, &call));
	assert_int_equal(call.target, 0);
	assert_int_equal(call.word_at, (uintptr_t)direct_word);
}

/* ---- what the compiler makes ---- */

#if !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#define PLAIN PA_NOINLINE __attribute__((optimize("O0"), noclone))
#define FAST PA_NOINLINE __attribute__((optimize("O2", "no-omit-frame-pointer"), noclone))

static struct {
	unsigned frames, found;
	volatile int number;
} seen;

/* Climbs from the caller by frame pointers, which all of these functions have. */
static PLAIN void look(unsigned frames)
{
	static struct pa_cfi cfi;
	const uintptr_t *bp = __builtin_frame_address(0);
	seen.frames = seen.found = 0;
	for (; frames; frames--, bp = (const uintptr_t *)bp[0]) {
		uintptr_t pc = bp[1], sp = (uintptr_t)(bp + 2), bytes;
		assert_int_equal(pa_cfi_find(&cfi, pc - 1), 0);
		seen.frames++;
		if (pa_prologue_find(&reader, cfi.start, cfi.limit, pc, &bytes)) {
			seen.found++;
			assert_int_equal(sp + bytes, bp[0]);
		}
	}
}

#define LEVELS(KIND)                                                                            \
	static KIND void KIND##_0(void)                                                         \
	{                                                                                       \
		char room[5000];                                                                \
		room[seen.number] = 1;                                                          \
		look(5);                                                                        \
		seen.number += room[seen.number] - 1;                                           \
	}                                                                                       \
	static KIND int KIND##_1(int a, int b, int c, int d, int e, int f, int g, int h, int i) \
	{                                                                                       \
		for (int k = seen.number; k < 1; k++)                                           \
			KIND##_0();                                                             \
		return a + b + c + d + e + f + g + h + i + seen.number;                         \
	}                                                                                       \
	static KIND int KIND##_2(int number)                                                    \
	{                                                                                       \
		int x = KIND##_1(number, 2, 3, 4, 5, 6, 7, 8, 9) + seen.number;                 \
		return KIND##_1(x, 2, 3, 4, 5, 6, 7, 8, x + number) + x;                        \
	}                                                                                       \
	static KIND int KIND##_3(int number)                                                    \
	{                                                                                       \
		switch (number) {                                                               \
		case 1: return KIND##_2(5) + 1;                                                 \
		case 2: return KIND##_2(9) + number;                                            \
		case 3: return KIND##_2(7) + 8;                                                 \
		case 4: return KIND##_2(3) - number;                                            \
		case 5: return KIND##_2(1) * seen.number;                                       \
		case 6: return abs(seen.number);                                                \
		default: return KIND##_2(number) + seen.number;                                 \
		}                                                                               \
	}                                                                                       \
	static KIND int KIND##_4(int number)                                                    \
	{                                                                                       \
		if (number == 77)                                                               \
			return 3;                                                               \
		int result = KIND##_3(number) + KIND##_3(number + 1);                           \
		return result + seen.number;                                                    \
	}                                                                                       \
	static KIND void KIND##_alloca(size_t bytes)                                            \
	{                                                                                       \
		char *room = __builtin_alloca(bytes);                                           \
		memset(room, 1, bytes);                                                         \
		look(1);                                                                        \
		seen.number += room[bytes - 1] - 1;                                             \
	}                                                                                       \
	static KIND void KIND##_aligned(void)                                                   \
	{                                                                                       \
		int room[16] __attribute__((aligned(64))) = { 1 };                              \
		look(1);                                                                        \
		seen.number += room[seen.number] - 1;                                           \
	}

LEVELS(PLAIN)
LEVELS(FAST)

static void compilers_frames_are_all_found(void **arg)
{
	(void)arg;
	for (int number = 1; number < 8; number++) {
		PLAIN_4(number);
		assert_int_equal(seen.frames, 5);
		assert_int_equal(seen.found, 5);
		FAST_4(number);
		assert_int_equal(seen.frames, 5);
		assert_int_equal(seen.found, 5);
	}
}

static void compilers_stacks_of_unknown_size_are_refused(void **arg)
{
	(void)arg;
	void (*const functions[])(void) = { PLAIN_aligned, FAST_aligned };
	void (*const allocas[])(size_t) = { PLAIN_alloca, FAST_alloca };
	for (int i = 0; i < 2; i++) {
		functions[i]();
		assert_int_equal(seen.frames, 1);
		assert_int_equal(seen.found, 0);
		allocas[i](100);
		assert_int_equal(seen.frames, 1);
		assert_int_equal(seen.found, 0);
	}
}

#else
#define compilers_frames_are_all_found instrumented
#define compilers_stacks_of_unknown_size_are_refused instrumented
static void instrumented(void **arg)
{
	(void)arg;
	skip();
}
#endif

static int setup(void **arg)
{
	(void)arg;
	pa_cfi_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_all_shapes_are_found),
		cmocka_unit_test(other_instructions_may_stand_between),
		cmocka_unit_test(leaf_that_uses_the_red_zone_is_found),
		cmocka_unit_test(only_what_a_call_comes_back_to_is_found),
		cmocka_unit_test(frame_without_a_frame_pointer_is_refused),
		cmocka_unit_test(arguments_on_the_stack_count_for_their_call),
		cmocka_unit_test(stack_pointer_from_a_register_is_refused),
		cmocka_unit_test(stack_that_depends_on_the_way_is_refused),
		cmocka_unit_test(frame_behind_a_fast_way_out_is_found),
		cmocka_unit_test(loop_with_its_test_at_the_end_is_found),
		cmocka_unit_test(cases_of_a_switch_stand_as_its_jump),
		cmocka_unit_test(jumps_out_are_tail_calls_or_have_a_frame_pointer),
		cmocka_unit_test(code_that_makes_no_sense_is_refused),
		cmocka_unit_test(functions_too_large_or_gone_are_refused),
		cmocka_unit_test(random_code_never_crashes),
		cmocka_unit_test(calls_of_all_lengths_are_known),
		cmocka_unit_test(what_is_no_call_is_not_taken_for_one),
		cmocka_unit_test(targets_of_calls_are_told),
		cmocka_unit_test(compilers_frames_are_all_found),
		cmocka_unit_test(compilers_stacks_of_unknown_size_are_refused),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
