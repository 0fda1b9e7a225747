/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/arch/arch.h"
#include "test/lib/c/unwind_fixture.h"

#include <gnu/libc-version.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "agent/unwind/unwind.h"

/* Functions that are never called: only their CFI matters. */
__asm__(".text\n"
	"fn_rows:\n"
	".cfi_startproc\n"
	"	push %rbx\n"
	".cfi_adjust_cfa_offset 8\n"
	"fn_rows_pushed:\n"
	"	sub $40, %rsp\n"
	".cfi_adjust_cfa_offset 40\n"
	"	call fn_rows\n"
	"fn_rows_end:\n" /* a call that does not return is the last instruction */
	".cfi_endproc\n"
	"fn_next:\n"
	".cfi_startproc\n"
	"	nop\n"
	".cfi_endproc\n"
	".p2align 4\n"
	"fn_plt:\n" /* cfa = rsp + 8 + ((rip & 15) >= 11) * 8 */
	".cfi_startproc\n"
	".cfi_escape 0x0f,11,0x77,8,0x80,0,0x3f,0x1a,0x3b,0x2a,0x33,0x24,0x22\n"
	"	.skip 16, 0x90\n"
	".cfi_endproc\n"
	".p2align 4\n"
	"fn_bare:\n"
	"	ret\n"
	"	.skip 15, 0x90\n"
	"fn_sigreturn:\n"
	"	mov $15, %rax\n"
	"fn_sigreturn_syscall:\n"
	"	syscall\n"
	"fn_sigreturn_short:\n"
	"	mov $15, %eax\n"
	"	syscall\n");

extern const char fn_rows[], fn_rows_pushed[], fn_rows_end[], fn_next[], fn_plt[], fn_bare[],
	fn_sigreturn[], fn_sigreturn_syscall[], fn_sigreturn_short[];

static struct pa_rule learn(const char *pc, bool leaf)
{
	return pa_unwind_learn((uintptr_t)pc, leaf);
}

static void assert_rule(struct pa_rule rule, int kind, int cfa, int base, int bp)
{
	assert_int_equal(rule.kind, kind);
	assert_int_equal(rule.cfa_offset, cfa);
	assert_int_equal(rule.base_offset, base);
	assert_int_equal(rule.bp_offset, bp);
}

static int setup(void **arg)
{
	(void)arg;
	return pa_unwind_init();
}

static void leaf_has_the_row_of_its_own_pc(void **arg)
{
	(void)arg;
	assert_rule(learn(fn_rows, true), PA_RULE_SP, 8, 0, 0);
	assert_rule(learn(fn_rows_pushed, true), PA_RULE_SP, 16, 0, 0);
	assert_rule(learn(fn_next, true), PA_RULE_SP, 8, 0, 0);
}

static void return_address_has_the_row_before_it(void **arg)
{
	(void)arg;
	assert_rule(learn(fn_rows_pushed, false), PA_RULE_SP, 8, 0, 0);
	assert_rule(learn(fn_rows_pushed + 1, false), PA_RULE_SP, 16, 0, 0);
}

static void call_that_does_not_return_keeps_its_function(void **arg)
{
	(void)arg;
	assert_ptr_equal(fn_rows_end, fn_next);
	assert_rule(learn(fn_rows_end, false), PA_RULE_SP, 56, 0, 0);
}

static void plt_entry_has_a_constant_rule_a_pc(void **arg)
{
	(void)arg;
	for (int i = 0; i < 16; i++)
		assert_rule(learn(fn_plt + i, true), PA_RULE_SP, i < 11 ? 8 : 16, 0, 0);
}

static void code_without_information_is_a_chain(void **arg)
{
	(void)arg;
	assert_int_equal(learn(fn_bare, true).kind, PA_RULE_CHAIN);
	assert_int_equal(learn(fn_bare + 8, false).kind, PA_RULE_CHAIN);
	assert_int_equal(learn(NULL, true).kind, PA_RULE_CHAIN);
	assert_int_equal(pa_unwind_learn(PA_ADDRESS_LIMIT - 1, false).kind, PA_RULE_CHAIN);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(pa_unwind_learn((uintptr_t)page + 100, true).kind, PA_RULE_CHAIN);
	munmap(page, 4096);
}

static void signal_trampoline_without_information_is_known_by_its_code(void **arg)
{
	(void)arg;
	assert_int_equal(learn(fn_sigreturn, false).kind, PA_RULE_SIGNAL);
	assert_int_equal(learn(fn_sigreturn, true).kind, PA_RULE_SIGNAL);
	assert_int_equal(learn(fn_sigreturn_syscall, true).kind, PA_RULE_SIGNAL);
	assert_int_equal(learn(fn_sigreturn_short, false).kind, PA_RULE_SIGNAL);
	assert_int_equal(learn(fn_sigreturn_short + 5, true).kind, PA_RULE_SIGNAL);
	assert_int_equal(learn(fn_sigreturn + 1, false).kind, PA_RULE_CHAIN);
}

/* ---- hand-made CFI ---- */

static struct pa_rule rule_of_program(struct bytes cie, struct bytes program)
{
	uint8_t *image = image_make(cie, program);
	struct pa_rule rule = pa_unwind_learn((uintptr_t)image + IMAGE_TEXT_AT + 0x10, true);
	image_drop(image);
	return rule;
}

static void programs_become_rules(void **arg)
{
	(void)arg;
	const struct {
		struct bytes program;
		int kind, cfa, base, bp;
	} rows[] = {
		{ BYTES(0), PA_RULE_SP, 8, 0, 0 },
		/* push rbp; then with a frame pointer; then a larger frame without */
		{ BYTES(0x0e, 16, 0x86, 2), PA_RULE_SP, 16, 0, -16 },
		{ BYTES(0x0e, 16, 0x86, 2, 0x0d, 6), PA_RULE_BP, 16, 0, -16 },
		{ BYTES(0x0e, 0xf8, 0xff, 0xff, 3, 0x86, 4), PA_RULE_SP, (1 << 23) - 8, 0, -32 },
		{ BYTES(0x86, 0xff, 0x1f), PA_RULE_SP, 8, 0, -32760 },
		/* sp kept in memory, as OpenSSL does it; in the red zone; kept off bp */
		{ BYTES(0x0f, 5, 0x77, 40, 6, 0x23, 8, 0x86, 2), PA_RULE_SP_DEREF, 8, 40, -16 },
		{ BYTES(0x0f, 5, 0x77, 0x78, 6, 0x23, 8), PA_RULE_SP_DEREF, 8, -8, 0 },
		{ BYTES(0x0f, 5, 0x76, 0x70, 6, 0x23, 24), PA_RULE_BP_DEREF, 24, -16, 0 },
		{ BYTES(0x07, 16), PA_RULE_END, 0, 0, 0 },
		{ BYTES(0x07, 16, 0x07, 6), PA_RULE_END, 0, 0, 0 },
		{ BYTES(0x07, 6), PA_RULE_SP, 8, 0, 0 }, /* bp is lost, the stack goes on */
	};
	for (unsigned i = 0; i < PA_COUNT(rows); i++) {
		struct pa_rule rule = rule_of_program(CIE_PLAIN, rows[i].program);
		if (rule.kind != rows[i].kind || rule.cfa_offset != rows[i].cfa ||
			rule.base_offset != rows[i].base || rule.bp_offset != rows[i].bp)
			fail_msg("program %u: kind %d cfa %d base %d bp %d", i, rule.kind,
				rule.cfa_offset, rule.base_offset, rule.bp_offset);
	}
}

static void programs_that_no_rule_describes_are_complex(void **arg)
{
	(void)arg;
	const struct bytes programs[] = {
		BYTES(0x0c, 3, 16),                        /* cfa = rbx + 16 */
		BYTES(0x90, 2),                            /* pc at cfa - 16 */
		BYTES(0x09, 16, 5),                        /* pc in rdi */
		BYTES(0x08, 16),                           /* pc as here */
		BYTES(0x09, 6, 3),                         /* bp in rbx */
		BYTES(0x11, 6, 0x7f),                      /* bp at cfa + 8 */
		BYTES(0x86, 0x81, 0x40),                   /* bp too far */
		BYTES(0x0e, 0x80, 0x80, 0x80, 4),          /* cfa too far */
		BYTES(0x0e, 12),                           /* cfa not aligned */
		BYTES(0x0f, 5, 0x77, 0, 0x09, 0xc0, 0x1a), /* sp & -64 */
		BYTES(0x0f, 3, 0x77, 0, 0x1f),             /* cfa = -sp */
		BYTES(0x0f, 4, 0x77, 0, 6, 6),             /* two steps to it */
		BYTES(0x0f, 4, 0x30, 6, 0x23, 8),          /* from 0 */
		/* cfa = *(bp - 8), but bp at bp + 8 */
		BYTES(0x0f, 3, 0x76, 0x78, 6, 0x10, 6, 2, 0x76, 8),
	};
	for (unsigned i = 0; i < PA_COUNT(programs); i++) {
		struct pa_rule rule = rule_of_program(CIE_PLAIN, programs[i]);
		if (rule.kind != PA_RULE_COMPLEX)
			fail_msg("program %u: kind %d cfa %d", i, rule.kind, rule.cfa_offset);
	}
}

static void gccs_realigned_stack_has_a_rule(void **arg)
{
	(void)arg;
	/* cfa = *(bp - 8), bp = *bp */
	struct pa_rule rule =
		rule_of_program(CIE_PLAIN, BYTES(0x0f, 3, 0x76, 0x78, 6, 0x10, 6, 2, 0x76, 0));
	assert_rule(rule, PA_RULE_REALIGNED, 0, -8, 0);
}

static void rows_after_the_pc_do_not_count(void **arg)
{
	(void)arg;
	struct pa_rule rule = rule_of_program(CIE_PLAIN, BYTES(0x50, 0x0e, 24, 0x41, 0x0e, 32));
	assert_rule(rule, PA_RULE_SP, 24, 0, 0);
}

static void personality_routine_is_no_hindrance(void **arg)
{
	(void)arg;
	struct bytes cie = BYTES(0, 0, 0, 0, 1, 'z', 'P', 'L', 'R', 0, 1, 0x78, 16, 7, 0x9b, 1, 2,
		3, 4, 0xff, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0);
	assert_rule(rule_of_program(cie, BYTES(0x0e, 48)), PA_RULE_SP, 48, 0, 0);
}

static void signal_frames_are_known_by_their_shape(void **arg)
{
	(void)arg;
	struct bytes cie = BYTES(0, 0, 0, 0, 1, 'z', 'R', 'S', 0, 1, 0x78, 16, 1, 0x1b, 0, 0);
	assert_rule(rule_of_program(cie,
			    BYTES(0x0f, 4, 0x77, 0xa0, 1, 6, 0x10, 6, 3, 0x77, 0xf8, 0, 0x10, 16, 3,
				    0x77, 0xa8, 1, 0, 0, 0, 0)),
		PA_RULE_SIGNAL, 0, 0, 0);
	assert_rule(rule_of_program(cie, BYTES(0x0c, 7, 8, 0x90, 1, 0, 0, 0)), PA_RULE_SP, 8, 0, 0);
}

static void refused_information_is_complex(void **arg)
{
	(void)arg;
	assert_rule(rule_of_program(CIE_PLAIN, BYTES(0x09, 6, 0xc8, 1)), PA_RULE_COMPLEX, 0, 0, 0);
}

/* ---- the real world ---- */

static void outermost_frame_of_main_is_the_end(void **arg)
{
	(void)arg;
	void *pcs[64];
	int depth = libc_backtrace(pcs, 64);
	assert_in_range(depth, 4, 63);
	assert_int_equal(pa_unwind_learn((uintptr_t)pcs[depth - 1], false).kind, PA_RULE_END);
	assert_int_not_equal(pa_unwind_learn((uintptr_t)pcs[depth - 2], false).kind, PA_RULE_END);
}

/* The constructors of libraries are called from there. */
static void entry_of_the_loader_is_the_end(void **arg)
{
	(void)arg;
	uintptr_t base = getauxval(AT_BASE);
	const ElfW(Ehdr) *elf = (const void *)base;
	const uintptr_t after_first_call = 8; /* mov %rsp, %rdi; call _dl_start */
	uintptr_t pc = base + elf->e_entry + after_first_call;
	fake.image =
		(struct pa_module){ .start = base, .limit = pc + 1, .bias = base, .is_elf = true };
	assert_int_equal(pa_unwind_learn(pc, false).kind, PA_RULE_END);
	assert_int_equal(pa_unwind_learn(pc, true).kind, PA_RULE_END);
	fake.image = (struct pa_module){ .start = 0 };
}

static void *learn_thread_start(void *result)
{
	void *pcs[64];
	int depth = libc_backtrace(pcs, 64);
	*(struct pa_rule *)result = pa_unwind_learn((uintptr_t)pcs[depth - 1], false);
	return NULL;
}

static void start_of_a_thread_is_the_end(void **arg)
{
	(void)arg;
	pthread_t thread;
	struct pa_rule rule = { .kind = PA_RULE_NONE };
	assert_int_equal(pthread_create(&thread, NULL, learn_thread_start, &rule), 0);
	pthread_join(thread, NULL);
	assert_int_equal(rule.kind, PA_RULE_END);
}

struct range {
	uintptr_t inside, start, limit;
};

static int find_text(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	struct range *range = arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		if (range->inside - start < info->dlpi_phdr[i].p_memsz &&
			info->dlpi_phdr[i].p_flags & PF_X) {
			range->start = start;
			range->limit = start + info->dlpi_phdr[i].p_memsz;
		}
	}
	return 0;
}

static void whole_of_libc_has_rules(void **arg)
{
	(void)arg;
	enum { PCS = 20000 };
	static const char *const names[] = { "none", "sp", "bp", "sp deref", "bp deref",
		"realigned", "signal", "chain", "end", "complex" };
	unsigned counts[PA_COUNT(names)] = { 0 };
	struct range text = { .inside = (uintptr_t)dlsym(RTLD_DEFAULT, "gnu_get_libc_version") };
	dl_iterate_phdr(find_text, &text);
	assert_true(text.limit > text.start);
	for (size_t i = 0; i < PCS; i++) {
		uintptr_t pc = text.start + i * (text.limit - text.start) / PCS;
		struct pa_rule rule = pa_unwind_learn(pc, i & 1);
		assert_in_range(rule.kind, PA_RULE_SP, PA_RULE_COMPLEX);
		counts[rule.kind]++;
	}
	for (unsigned i = 0; i < PA_COUNT(names); i++)
		if (counts[i])
			print_message("%s: %u\n", names[i], counts[i]);
	assert_true(counts[PA_RULE_COMPLEX] < PCS / 200);
	assert_true(counts[PA_RULE_SP] + counts[PA_RULE_BP] > PCS / 10 * 8);
	assert_true(counts[PA_RULE_CHAIN] < PCS / 10);
}

/* ---- lies ---- */

static uint64_t random_word(void)
{
	static uint64_t seed = 88172645463325252u;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

/* Mostly whole instructions, so that the lie gets as far as it can; their order makes no sense. */
static void scribble_program(uint8_t *at, size_t bytes)
{
	static const struct {
		uint8_t count, at[8];
	} likely[] = {
		{ 3, { 0x0c, 7, 8 } },
		{ 3, { 0x0c, 6, 16 } },
		{ 3, { 0x0c, 3, 0 } },
		{ 2, { 0x0e, 24 } },
		{ 2, { 0x0d, 6 } },
		{ 2, { 0x86, 2 } },
		{ 2, { 0x90, 1 } },
		{ 1, { 0xc6 } },
		{ 1, { 0x42 } },
		{ 1, { 0x0a } },
		{ 1, { 0x0b } },
		{ 3, { 0x09, 6, 3 } },
		{ 2, { 0x07, 16 } },
		{ 3, { 0x11, 6, 0x70 } },
		{ 3, { 0x12, 7, 0x7e } },
		{ 6, { 0x0f, 4, 0x76, 0x78, 6, 6 } },
		{ 5, { 0x0f, 3, 0x77, 0, 6 } },
		{ 8, { 0x0f, 6, 0x77, 8, 0x16, 0x1c, 0x23, 8 } },
		{ 6, { 0x10, 6, 3, 0x77, 0x78, 6 } },
		{ 7, { 0x16, 16, 4, 0x34, 0x30, 0x1d, 6 } },
		{ 6, { 0x0f, 4, 0x31, 0x15, 3, 0x1e } },
	};
	for (size_t i = 0; i < bytes;) {
		uint64_t word = random_word();
		unsigned pick = (word >> 16) % PA_COUNT(likely);
		if (word % 32 == 0)
			at[i++] = (uint8_t)(word >> 8);
		else
			for (unsigned k = 0; k < likely[pick].count && i < bytes; k++)
				at[i++] = likely[pick].at[k];
	}
}

static void flip_bit(uint8_t *at, size_t bytes)
{
	uint64_t word = random_word();
	at[word % bytes] ^= (uint8_t)(1 << (word >> 32) % 8);
}

static void lying_information_never_crashes(void **arg)
{
	(void)arg;
	uint8_t *image = image_make(CIE_PLAIN, BYTES(0));
	uintptr_t text = (uintptr_t)image + IMAGE_TEXT_AT;
	unsigned good = 0;
	for (int i = 0; i < 20000; i++) {
		uint8_t program[64], cie[20];
		size_t longest = 1 + random_word() % sizeof(program);
		struct bytes lie = { random_word() % longest, program };
		scribble_program(program, sizeof(program));
		memcpy(cie, CIE_PLAIN.at, sizeof(cie));
		if (random_word() % 4 == 0)
			scribble_program(cie + 13, 7);
		image_fill(image, (struct bytes){ sizeof(cie), cie }, lie);
		for (uint64_t flips = random_word() % 3; flips; flips--)
			flip_bit(image + IMAGE_CIE_AT + (flips & 1) * 0x800, 64);
		struct pa_rule rule = pa_unwind_learn(text + random_word() % 64, i & 1);
		assert_in_range(rule.kind, PA_RULE_SP, PA_RULE_COMPLEX);
		good += rule.kind < PA_RULE_SIGNAL;
	}
	print_message("%u of 20000 became rules\n", good);
	image_drop(image);
	/* Else it was all refused early, and nothing was tried. */
	assert_true(good > 1000);
}

static void lying_headers_never_crash(void **arg)
{
	(void)arg;
	uint8_t *image = image_make(CIE_PLAIN, BYTES(0));
	uintptr_t text = (uintptr_t)image + IMAGE_TEXT_AT;
	for (int i = 0; i < 5000; i++) {
		image_fill(image, CIE_PLAIN, BYTES(0x0e, 16));
		for (uint64_t flips = 1 + random_word() % 4; flips; flips--)
			flip_bit(image + (flips & 1) * IMAGE_HEADER_AT, 180);
		struct pa_rule rule = pa_unwind_learn(text + 16, true);
		assert_in_range(rule.kind, PA_RULE_SP, PA_RULE_COMPLEX);
	}
	image_drop(image);
}

static void nothing(void)
{
}

static void first_function_of_a_context_ends_the_stack(void **arg)
{
	(void)arg;
	static char stack[16384];
	ucontext_t context;
	getcontext(&context);
	context.uc_stack.ss_sp = stack;
	context.uc_stack.ss_size = sizeof(stack);
	context.uc_link = NULL;
	makecontext(&context, nothing, 0);
	uintptr_t pc = *(uintptr_t *)context.uc_mcontext.gregs[REG_RSP];
	/* At each of its instructions, and where the first function returns to. */
	for (uintptr_t at = pc; at < pc + 20; at++) {
		assert_int_equal(pa_unwind_learn(at, false).kind, PA_RULE_END);
		assert_int_equal(pa_unwind_learn(at, true).kind, PA_RULE_END);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_function_of_a_context_ends_the_stack),
		cmocka_unit_test(leaf_has_the_row_of_its_own_pc),
		cmocka_unit_test(return_address_has_the_row_before_it),
		cmocka_unit_test(call_that_does_not_return_keeps_its_function),
		cmocka_unit_test(plt_entry_has_a_constant_rule_a_pc),
		cmocka_unit_test(code_without_information_is_a_chain),
		cmocka_unit_test(signal_trampoline_without_information_is_known_by_its_code),
		cmocka_unit_test(programs_become_rules),
		cmocka_unit_test(programs_that_no_rule_describes_are_complex),
		cmocka_unit_test(gccs_realigned_stack_has_a_rule),
		cmocka_unit_test(rows_after_the_pc_do_not_count),
		cmocka_unit_test(personality_routine_is_no_hindrance),
		cmocka_unit_test(signal_frames_are_known_by_their_shape),
		cmocka_unit_test(refused_information_is_complex),
		cmocka_unit_test(outermost_frame_of_main_is_the_end),
		cmocka_unit_test(entry_of_the_loader_is_the_end),
		cmocka_unit_test(start_of_a_thread_is_the_end),
		cmocka_unit_test(whole_of_libc_has_rules),
		cmocka_unit_test(lying_information_never_crashes),
		cmocka_unit_test(lying_headers_never_crash),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
