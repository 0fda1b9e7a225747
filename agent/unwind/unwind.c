/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

#include "../base/assert.h"
#include "../arch/arch.h"
#include PA_ARCH_LIBUNWIND_H
#include "cfi.h"
#include "cfi_file.h"
#include "../core/core.h"
#include "../modules/maps.h"
#include "registered.h"
#include "unwind_step.h"

/* Exported by libunwind for remote unwinders, but in none of its headers. */
#define search_unwind_table UNW_OBJ(dwarf_search_unwind_table)
extern int search_unwind_table(unw_addr_space_t space, unw_word_t ip, unw_dyn_info_t *table,
	unw_proc_info_t *info, int need_unwind_info, void *arg);

/*
 * Addresses of a synthetic frame. All are non-canonical, so that no real address equals one, and
 * far apart. The word at sp + 8i or bp + 8i, within WINDOW bytes, is itself an address, unique for
 * (register, i): WINDOW bytes around it are readable too, but not around words read there.
 */
#define WINDOW ((uintptr_t)PA_RULE_CFA_LIMIT)
#define FAKE_SP ((uintptr_t)0x7100000000000000)
#define FAKE_BP ((uintptr_t)0x7200000000000000)
#define FAKE_REG ((uintptr_t)0x7300000000000000)
#define FAKE_WORD ((uintptr_t)0x7400000000000000)
#define FAKE_ROW ((uintptr_t)0x7500000000000000) /* where libunwind finds its search table */
#define DEEP_BIT ((uintptr_t)1 << 59)            /* set in words read around a FAKE_WORD */

#define WORD_STEP (2 * WINDOW)
#define WORDS_OF_ONE (WINDOW / 4) /* words in one register's window */
#define WORD_SPAN (2 * WORDS_OF_ONE * WORD_STEP)

/* A step over the largest CFI that cfi.c accepts takes fewer. */
#define ACCESSES_MAX (1 << 20)

/* Memory that libunwind may read in one step, or one run of steps. */
struct machine {
	pa_read_word_fn *read; /* the stack */
	void *read_arg;
	uint64_t gpr[PA_REGS_COUNT];
	uint32_t known; /* bit i: gpr[i] is valid */
	uint32_t accesses;
	uintptr_t last_read; /* last address that read returned a word for */
	bool finding;        /* in find_proc_info: words outside the CFI have no effect */
};

static struct {
	unw_addr_space_t space;
	PA_ATOMIC(uint32_t) inside; /* libunwind is running; relaxed, for a fork at that moment */
	bool lost;
	struct pa_cfi cfi; /* of the current frame */
} state;

/* ------------------------------------------------------------------ callbacks of libunwind */

/*
 * Errors here and in find_proc_info are never -UNW_ENOINFO: unw_step would fall back to heuristics
 * (frame pointers, PLT entries), and this module classifies code without CFI itself.
 */
static int access_mem(unw_addr_space_t space, unw_word_t at, unw_word_t *value, int write,
	void *arg)
{
	(void)space;
	struct machine *machine = arg;
	PA_ASSERT(machine->accesses <= ACCESSES_MAX);
	if (write || machine->accesses++ >= ACCESSES_MAX)
		return -UNW_EINVAL;
	if (at == FAKE_ROW) {
		*value = state.cfi.row;
		return 0;
	}
	if (pa_cfi_word(&state.cfi, at, value))
		return 0;
	if (machine->finding) {
		/* The pointer to a personality routine, read and not used. */
		*value = 0;
		return 0;
	}
	if (!machine->read(machine->read_arg, at, value))
		return -UNW_EINVAL;
	machine->last_read = at;
	return 0;
}

static int access_reg(unw_addr_space_t space, unw_regnum_t number, unw_word_t *value, int write,
	void *arg)
{
	(void)space;
	const struct machine *machine = arg;
	PA_ASSERT(!(machine->known >> PA_REGS_COUNT));
	if (write || number < 0 || number >= PA_REGS_COUNT || !(machine->known >> number & 1))
		return -UNW_EBADREG;
	*value = machine->gpr[number];
	return 0;
}

static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *info,
	int need_unwind_info, void *arg)
{
	struct machine *machine = arg;
	PA_ASSERT(!machine->finding);
	if ((ip < state.cfi.start || ip >= state.cfi.limit) && pa_cfi_find(&state.cfi, ip) != 0)
		return -UNW_EINVAL;
	unw_dyn_info_t table = {
		.format = UNW_INFO_FORMAT_REMOTE_TABLE,
		.start_ip = state.cfi.start,
		.end_ip = state.cfi.limit,
		.u.rti = { .segbase = state.cfi.header, .table_data = FAKE_ROW, .table_len = 1 },
	};
	machine->finding = true;
	int error = search_unwind_table(space, ip, &table, info, need_unwind_info, arg);
	machine->finding = false;
	return error == -UNW_ENOINFO ? -UNW_EINVAL : error;
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *info, void *arg)
{
	(void)space;
	(void)info;
	(void)arg;
}

static int get_dyn_info_list_addr(unw_addr_space_t space, unw_word_t *list, void *arg)
{
	(void)space;
	(void)list;
	(void)arg;
	return -UNW_ENOINFO;
}

int pa_unwind_init(void)
{
	static unw_accessors_t accessors = {
		.find_proc_info = find_proc_info,
		.put_unwind_info = put_unwind_info,
		.get_dyn_info_list_addr = get_dyn_info_list_addr,
		.access_mem = access_mem,
		.access_reg = access_reg,
	};
	if (pa_core_bridge)
		pa_registered_init(pa_core_bridge->unwind_tables, pa_core_bridge->counters);
	if (state.space)
		return 0;
	if (state.lost)
		return -EDEADLK;
	pa_cfi_init();
	state.space = unw_create_addr_space(&accessors, 0);
	if (!state.space)
		return -ENOMEM;
	/* Its cache would outlive modules; and this call initializes libunwind here rather than
	 * later. */
	unw_set_caching_policy(state.space, UNW_CACHE_NONE);
	return 0;
}

void pa_unwind_reset(void)
{
	state.cfi.start = state.cfi.limit = 0;
	pa_cfi_file_reset();
	pa_registered_reset();
	if (!pa_load_relaxed(&state.inside))
		return;
	state.space = NULL;
	state.lost = true;
}

/* State of libunwind after the steps. */
struct outcome {
	int status; /* of unw_step: 0 at the end of the stack, < 0 failed */
	uintptr_t ip, cfa, bp;
	bool bp_known;
	uintptr_t ip_read_at, bp_read_at; /* 0: not read from memory */
};

/*
 * sp in the caller's frame: the CFA, but where the CFI says that a register has it. In longjmp(3),
 * the CFA is the jmp_buf, and sp still in a register (glibc's __longjmp).
 */
static void read_sp(const struct machine *machine, unw_cursor_t *cursor, uintptr_t *sp)
{
	unw_save_loc_t place;
	unw_get_reg(cursor, UNW_REG_SP, sp);
	if (unw_get_save_loc(cursor, PA_REG_SP, &place) != 0 || place.type != UNW_SLT_REG ||
		place.u.regnum == PA_REG_SP || place.u.regnum < 0 ||
		place.u.regnum >= PA_REGS_COUNT)
		return;
	if (machine->known >> place.u.regnum & 1)
		*sp = machine->gpr[place.u.regnum];
}

/* count steps, the first with the machine's registers. */
static void run_cursor(struct machine *machine, uint32_t count, struct outcome *out)
{
	PA_ASSERT(count && state.space);
	unw_cursor_t cursor;
	out->status = unw_init_remote(&cursor, state.space, machine);
	if (out->status != 0)
		return;
	do {
		machine->last_read = 0;
		machine->accesses = 0;
		out->status = unw_step(&cursor);
	} while (out->status > 0 && --count);
	if (out->status < 0)
		return;
	out->ip_read_at = machine->last_read;
	machine->last_read = 0;
	unw_get_reg(&cursor, UNW_REG_IP, &out->ip);
	read_sp(machine, &cursor, &out->cfa);
	out->bp_known = unw_get_reg(&cursor, PA_REG_BP, &out->bp) == 0;
	out->bp_read_at = machine->last_read;
}

static struct outcome run_libunwind(struct machine *machine, uint32_t count)
{
	PA_ASSERT(!pa_load_relaxed(&state.inside));
	struct outcome out = { .status = 0 };
	pa_store_relaxed(&state.inside, 1);
	pa_fence_signal();
	run_cursor(machine, count, &out);
	pa_fence_signal();
	pa_store_relaxed(&state.inside, 0);
	return out;
}

/* ------------------------------------------------------------------ learning a rule */

/* A synthetic frame. Two different ones are tried, so that only the rule can explain both results:
 * not the alignment of sp, not a number that equals a synthetic address. */
struct probe {
	uintptr_t sp, bp;
	uintptr_t salt; /* added to each word */
};

static const struct probe probes[] = {
	{ FAKE_SP + 0x108, FAKE_BP + 0x1230, 0x0f0 },
	{ FAKE_SP + 0xef0, FAKE_BP + 0x0a48, 0xbe8 },
};

static bool probe_word(void *arg, uintptr_t at, uintptr_t *word)
{
	const struct probe *probe = arg;
	PA_ASSERT(probe >= probes && probe < probes + PA_COUNT(probes));
	uintptr_t base = FAKE_WORD + probe->salt;
	if (at & 7)
		return false;
	if (at - probe->sp + WINDOW < 2 * WINDOW)
		*word = base + (at - probe->sp + WINDOW) / 8 * WORD_STEP;
	else if (at - probe->bp + WINDOW < 2 * WINDOW)
		*word = base + ((at - probe->bp + WINDOW) / 8 + WORDS_OF_ONE) * WORD_STEP;
	else if (at - base + WINDOW < WORD_SPAN)
		*word = at ^ DEEP_BIT;
	else
		return false;
	return true;
}

static bool is_word_at(const struct probe *probe, uintptr_t at, uintptr_t value)
{
	uintptr_t word;
	return probe_word((void *)probe, at, &word) && word == value;
}

static bool is_offset_within(intptr_t bytes, intptr_t limit)
{
	return bytes >= -limit && bytes <= limit - 8 && !(bytes & 7);
}

/* Derives kind, cfa_offset and base_offset from cfa. False: not one of the kinds. */
static bool explain_cfa(const struct probe *probe, uintptr_t cfa, struct pa_rule *rule)
{
	intptr_t offset = (intptr_t)(cfa - probe->sp);
	rule->kind = PA_RULE_SP;
	if (!is_offset_within(offset, PA_RULE_CFA_LIMIT)) {
		offset = (intptr_t)(cfa - probe->bp);
		rule->kind = PA_RULE_BP;
	}
	if (!is_offset_within(offset, PA_RULE_CFA_LIMIT)) {
		uintptr_t distance = cfa - FAKE_WORD - probe->salt + WINDOW;
		uintptr_t index = distance / WORD_STEP;
		if (distance >= WORD_SPAN)
			return false;
		offset = (intptr_t)(distance % WORD_STEP) - (intptr_t)WINDOW;
		rule->kind = index < WORDS_OF_ONE ? PA_RULE_SP_DEREF : PA_RULE_BP_DEREF;
		intptr_t base = (intptr_t)(index % WORDS_OF_ONE * 8) - (intptr_t)WINDOW;
		if (!is_offset_within(base, PA_RULE_BASE_LIMIT))
			return false;
		rule->base_offset = (int32_t)base;
	}
	rule->cfa_offset = (int32_t)offset;
	PA_ASSERT(rule->kind != PA_RULE_NONE);
	return is_offset_within(offset, PA_RULE_CFA_LIMIT);
}

static bool explain_bp(const struct probe *probe, const struct outcome *out, struct pa_rule *rule)
{
	PA_ASSERT(rule->kind >= PA_RULE_SP);
	intptr_t offset = (intptr_t)(out->bp_read_at - out->cfa);
	if (!out->bp_read_at)
		/* 0: the CFI says that bp is undefined, and no outer frame needs it. */
		return out->bp == probe->bp || out->bp == 0;
	if (rule->kind == PA_RULE_BP_DEREF && out->bp_read_at == probe->bp) {
		rule->kind = PA_RULE_REALIGNED;
		return true;
	}
	rule->bp_offset = (int32_t)offset;
	return is_offset_within(offset, PA_RULE_BP_LIMIT) && offset < 0;
}

static bool is_sigframe(const struct probe *probe, const struct outcome *out)
{
	return is_word_at(probe, probe->sp + PA_SIGFRAME_PC, out->ip) &&
		is_word_at(probe, probe->sp + PA_SIGFRAME_SP, out->cfa) &&
		is_word_at(probe, probe->sp + PA_SIGFRAME_BP, out->bp);
}

static struct pa_rule of_kind(enum pa_rule_kind kind)
{
	return (struct pa_rule){ .kind = (uint8_t)kind };
}

/* One step of the frame in the current row, that of the instruction at ip. */
static struct pa_rule learn_from(const struct probe *probe, uintptr_t ip)
{
	PA_ASSERT(state.space);
	struct machine machine = {
		.read = probe_word, .read_arg = (void *)probe, .known = (1u << PA_REGS_COUNT) - 1
	};
	for (int i = 0; i < PA_REGS_COUNT; i++)
		machine.gpr[i] = FAKE_REG + ((uintptr_t)i << 32) + probe->salt;
	machine.gpr[PA_REG_PC] = ip;
	machine.gpr[PA_REG_SP] = probe->sp;
	machine.gpr[PA_REG_BP] = probe->bp;

	struct outcome out = run_libunwind(&machine, 1);
	if (out.status < 0)
		return of_kind(PA_RULE_COMPLEX);
	if (is_sigframe(probe, &out))
		return of_kind(PA_RULE_SIGNAL);
	/* Status 0 without a read of a return address: the return address is undefined. With one:
	 * bp is. */
	if (out.status == 0 && out.ip_read_at != out.cfa - 8)
		return of_kind(PA_RULE_END);
	if (out.ip_read_at != out.cfa - 8 ||
		(out.status > 0 && !is_word_at(probe, out.cfa - 8, out.ip)))
		return of_kind(PA_RULE_COMPLEX);
	struct pa_rule rule = of_kind(PA_RULE_NONE);
	if (!explain_cfa(probe, out.cfa, &rule) || !explain_bp(probe, &out, &rule))
		return of_kind(PA_RULE_COMPLEX);
	return rule;
}

/*
 * True for a signal trampoline, by its code: mov $15 (rt_sigreturn) to eax or rax; syscall. Those
 * of language runtimes have no CFI. pc may be at the syscall instruction.
 */
static bool is_sigreturn(uintptr_t pc)
{
	static const struct {
		uint8_t move_bytes, code[9];
	} forms[] = {
		{ 7, { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 } },
		{ 5, { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 } },
	};
	for (unsigned i = 0; i < PA_COUNT(forms); i++) {
		uint8_t code[sizeof(forms[i].code)];
		size_t bytes = forms[i].move_bytes + 2u;
		for (uintptr_t back = 0; back <= forms[i].move_bytes; back += forms[i].move_bytes)
			/* Not through the cache of pages: this code may be rewritten. */
			if (pc > back && pa_maps_read_memory(code, pc - back, bytes) &&
				memcmp(code, forms[i].code, bytes) == 0)
				return true;
	}
	return false;
}

/*
 * True when a return address is the first instruction of a function that follows no other: no call
 * returns there. makecontext(3) puts libc's __start_context below a coroutine's first frame.
 */
static bool is_entered_by_return(uintptr_t pc, bool leaf)
{
	return !leaf && pa_cfi_find(&state.cfi, pc) == 0 && state.cfi.start == pc;
}

/*
 * True when the function in state.cfi sets sp from a saved register first: __start_context, where
 * the first function of makecontext(3) returns to. Its stack ends; its CFI describes a caller.
 */
static bool is_context_start(void)
{
	static const uint8_t begin[] = { 0x48, 0x89, 0xdc };
	uint8_t code[sizeof(begin)];
	PA_ASSERT(state.cfi.start <= state.cfi.limit);
	return pa_maps_read_cached(code, state.cfi.start, sizeof(code)) &&
		memcmp(code, begin, sizeof(code)) == 0;
}

/*
 * Whether ip is in the loader's entry, at which the kernel starts a process: it has no caller and
 * no CFI. _dl_start_user, a part of it, calls the constructors of libraries (RTLD_START in glibc's
 * dl-machine.h).
 */
static bool is_loader_entry(uintptr_t ip)
{
	const uintptr_t entry_bytes = 256; /* the loader's functions behind it have CFI */
	const struct pa_module *module = pa_maps_find(ip);
	Elf64_Ehdr elf;
	if (!module || !module->is_elf || module->start != getauxval(AT_BASE) ||
		!pa_maps_read_cached(&elf, module->start, sizeof(elf)))
		return false;
	return elf.e_entry && ip - (module->bias + elf.e_entry) < entry_bytes;
}

struct pa_rule pa_unwind_learn(uintptr_t pc, bool leaf)
{
	if (!state.space)
		return of_kind(PA_RULE_COMPLEX);
	/*
	 * Requests the row of ip itself, as for an interrupted instruction; the row of a call is
	 * that of the byte before its return address.
	 */
	uintptr_t ip = leaf ? pc : pc - 1;
	int error = pa_cfi_find(&state.cfi, ip);
	if (error == -ENOENT && (is_entered_by_return(pc, leaf) || is_loader_entry(ip)))
		return of_kind(PA_RULE_END);
	if (error == -ENOENT)
		return of_kind(is_sigreturn(pc) ? PA_RULE_SIGNAL : PA_RULE_CHAIN);
	if (error == -ESTALE)
		return of_kind(PA_RULE_NONE);
	if (error)
		return of_kind(PA_RULE_COMPLEX);

	struct pa_rule rule = learn_from(&probes[0], ip), again = learn_from(&probes[1], ip);
	PA_ASSERT(rule.kind != PA_RULE_NONE);
	if (rule.kind != again.kind || rule.cfa_offset != again.cfa_offset ||
		rule.base_offset != again.base_offset || rule.bp_offset != again.bp_offset)
		return of_kind(PA_RULE_COMPLEX);
	/* Without a frame of its own, by the CFI. */
	if (rule.kind == PA_RULE_SP && rule.cfa_offset == 8 && is_context_start())
		return of_kind(PA_RULE_END);
	return rule;
}

/* ------------------------------------------------------------------ for unwind_finish.c */

bool pa_unwind_usable(void)
{
	return state.space;
}

bool pa_unwind_steps(const struct pa_unwind_from *from, uint32_t count, struct pa_unwind_to *to)
{
	struct machine machine = {
		.read = from->read, .read_arg = from->read_arg, .known = from->known
	};
	memcpy(machine.gpr, from->regs.gpr, sizeof(machine.gpr));
	if (!state.space)
		return false;
	state.cfi.start = state.cfi.limit = 0;
	struct outcome out = run_libunwind(&machine, count);
	*to = (struct pa_unwind_to){
		.cursor = { .pc = out.ip, .sp = out.cfa, .bp = out.bp },
		.bp_known = out.bp_known,
		.leaf = state.cfi.signal_frame,
	};
	return out.status > 0;
}
