#include "filter.h"

#include <string.h>

#include "regs.h"

#include "../base/banned.h"

/* What the machine has: accumulator, index, scratch memory. */
struct machine {
	uint32_t a, x;
	uint32_t memory[BPF_MEMWORDS];
};

static bool calculate(struct machine *machine, uint16_t operation, uint32_t operand)
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
	default:
		return false;
	}
	return true;
}

static bool is_taken(uint32_t a, uint16_t operation, uint32_t operand)
{
	switch (operation) {
	case BPF_JEQ: return a == operand;
	case BPF_JGT: return a > operand;
	case BPF_JGE: return a >= operand;
	default: return a & operand; /* BPF_JSET */
	}
}

/* A word of the call, its length, of memory or a constant. False: not in a filter of the kernel's.
 */
static bool load(const struct machine *machine, const struct sock_filter *step,
	const struct seccomp_data *call, uint32_t *word)
{
	switch (BPF_MODE(step->code)) {
	case BPF_IMM:
		*word = step->k;
		return true;
	case BPF_MEM:
		*word = machine->memory[step->k % BPF_MEMWORDS];
		return true;
	case BPF_LEN:
		*word = sizeof(*call);
		return true;
	case BPF_ABS:
		if (step->k & 3 || step->k >= sizeof(*call))
			return false;
		memcpy(word, (const char *)call + step->k, sizeof(*word));
		return true;
	default:
		return false;
	}
}

/* One step but for jumps and the end. */
static bool run(struct machine *machine, const struct sock_filter *step,
	const struct seccomp_data *call)
{
	switch (BPF_CLASS(step->code)) {
	case BPF_LD:
		return load(machine, step, call, &machine->a);
	case BPF_LDX:
		return load(machine, step, call, &machine->x);
	case BPF_ST:
		machine->memory[step->k % BPF_MEMWORDS] = machine->a;
		return true;
	case BPF_STX:
		machine->memory[step->k % BPF_MEMWORDS] = machine->x;
		return true;
	case BPF_ALU:
		return calculate(machine, BPF_OP(step->code),
			BPF_SRC(step->code) == BPF_X ? machine->x : step->k);
	case BPF_MISC:
		if (BPF_MISCOP(step->code) == BPF_TAX)
			machine->x = machine->a;
		else
			machine->a = machine->x;
		return true;
	default:
		return false;
	}
}

/* How many steps a jump passes. */
static uint32_t jump(const struct machine *machine, const struct sock_filter *step)
{
	if (BPF_OP(step->code) == BPF_JA)
		return step->k;
	uint32_t operand = BPF_SRC(step->code) == BPF_X ? machine->x : step->k;
	return is_taken(machine->a, BPF_OP(step->code), operand) ? step->jt : step->jf;
}

static uint32_t decide(const struct sock_filter *code, uint32_t count,
	const struct seccomp_data *call)
{
	struct machine machine = { 0 };
	/* Ends: jumps lead forward. */
	for (uint64_t at = 0; at < count; at++) {
		const struct sock_filter *step = &code[at];
		if (BPF_CLASS(step->code) == BPF_RET)
			return BPF_RVAL(step->code) == BPF_A ? machine.a : step->k;
		if (BPF_CLASS(step->code) == BPF_JMP)
			at += jump(&machine, step);
		else if (!run(&machine, step, call))
			return SECCOMP_RET_KILL_PROCESS;
	}
	return SECCOMP_RET_KILL_PROCESS;
}

uint32_t pa_filter_verdict(const struct sock_filter *code, uint32_t count, int number,
	const uint64_t arguments[6])
{
	struct seccomp_data call = { .nr = number, .arch = PA_REGS_AUDIT_ARCH };
	memcpy(call.args, arguments, sizeof(call.args));
	/* The filter may ask where the call comes from: nothing that is known. */
	return count && count <= BPF_MAXINSNS ? decide(code, count, &call)
		: SECCOMP_RET_KILL_PROCESS;
}
