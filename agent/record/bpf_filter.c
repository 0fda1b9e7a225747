/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_filter.h"

#include <string.h>

#include "../arch/arch.h"

#include "../base/banned.h"

/* State of the BPF machine: accumulator, index, scratch memory. */
struct machine {
	uint32_t a, x;
	uint32_t memory[BPF_MEMWORDS];
};

static bool calculate_value(struct machine *machine, uint16_t operation, uint32_t operand)
{
	switch (operation) {
	case BPF_ADD: machine->a += operand; break;
	case BPF_SUB: machine->a -= operand; break;
	case BPF_MUL: machine->a *= operand; break;
	case BPF_AND: machine->a &= operand; break;
	case BPF_OR: machine->a |= operand; break;
	case BPF_XOR: machine->a ^= operand; break;
	case BPF_LSH: machine->a = operand < 32 ? machine->a << operand : 0; break;
	case BPF_RSH: machine->a = operand < 32 ? machine->a >> operand : 0; break;
	case BPF_NEG: machine->a = -machine->a; break;
	case BPF_DIV:
		if (!operand)
			return false;
		machine->a /= operand;
		break;
	default: return false;
	}
	return true;
}

static bool is_jump_taken(uint32_t a, uint16_t operation, uint32_t operand)
{
	switch (operation) {
	case BPF_JEQ: return a == operand;
	case BPF_JGT: return a > operand;
	case BPF_JGE: return a >= operand;
	default: return a & operand; /* BPF_JSET */
	}
}

/* Loads a word of the call, its length, memory or a constant. False: the kernel rejects such an
 * instruction in a seccomp filter. */
static bool load_word(const struct machine *machine, const struct sock_filter *step,
	const struct seccomp_data *call, uint32_t *word)
{
	switch (BPF_MODE(step->code)) {
	case BPF_IMM: *word = step->k; return true;
	case BPF_MEM: *word = machine->memory[step->k % BPF_MEMWORDS]; return true;
	case BPF_LEN: *word = sizeof(*call); return true;
	case BPF_ABS:
		if (step->k & 3 || step->k >= sizeof(*call))
			return false;
		memcpy(word, (const char *)call + step->k, sizeof(*word));
		return true;
	default: return false;
	}
}

/* Executes one instruction other than jumps and returns. */
static bool run_step(struct machine *machine, const struct sock_filter *step,
	const struct seccomp_data *call)
{
	switch (BPF_CLASS(step->code)) {
	case BPF_LD: return load_word(machine, step, call, &machine->a);
	case BPF_LDX: return load_word(machine, step, call, &machine->x);
	case BPF_ST: machine->memory[step->k % BPF_MEMWORDS] = machine->a; return true;
	case BPF_STX: machine->memory[step->k % BPF_MEMWORDS] = machine->x; return true;
	case BPF_ALU:
		return calculate_value(machine, BPF_OP(step->code),
			BPF_SRC(step->code) == BPF_X ? machine->x : step->k);
	case BPF_MISC:
		if (BPF_MISCOP(step->code) == BPF_TAX)
			machine->x = machine->a;
		else
			machine->a = machine->x;
		return true;
	default: return false;
	}
}

/* Number of instructions that a jump skips. */
static uint32_t jump_from(const struct machine *machine, const struct sock_filter *step)
{
	if (BPF_OP(step->code) == BPF_JA)
		return step->k;
	uint32_t operand = BPF_SRC(step->code) == BPF_X ? machine->x : step->k;
	return is_jump_taken(machine->a, BPF_OP(step->code), operand) ? step->jt : step->jf;
}

static uint32_t decide_call(const struct sock_filter *code, uint32_t count,
	const struct seccomp_data *call)
{
	struct machine machine = { 0 };
	/* Ends: jumps only go forward. */
	for (uint64_t at = 0; at < count; at++) {
		const struct sock_filter *step = &code[at];
		if (BPF_CLASS(step->code) == BPF_RET)
			return BPF_RVAL(step->code) == BPF_A ? machine.a : step->k;
		if (BPF_CLASS(step->code) == BPF_JMP)
			at += jump_from(&machine, step);
		else if (!run_step(&machine, step, call))
			return SECCOMP_RET_KILL_PROCESS;
	}
	return SECCOMP_RET_KILL_PROCESS;
}

uint32_t pa_bpf_filter_verdict(const struct sock_filter *code, uint32_t count, int number,
	const uint64_t arguments[6])
{
	struct seccomp_data call = { .nr = number, .arch = PA_ARCH_AUDIT };
	memcpy(call.args, arguments, sizeof(call.args));
	/* A filter may test instruction_pointer, which is not known here. */
	return count && count <= BPF_MAXINSNS ? decide_call(code, count, &call) :
						SECCOMP_RET_KILL_PROCESS;
}
