#include "prologue.h"

#include <string.h>

#include "maps.h"

#define INSN_BYTES 15 /* no instruction is longer */
#define REG_SP 4
#define REG_BP 5

/* Bits of a REX prefix. */
enum { REX_B = 1, REX_R = 4, REX_W = 8 };

enum map { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A, MAP_VECTOR };

struct insn {
	uint8_t length, opcode, rex, modrm;
	uint8_t map;       /* enum map */
	bool operand_size; /* prefix 66 */
	bool has_modrm, has_sib, rip_relative;
	uint8_t sib;
	int64_t disp, immediate; /* immediate: also the distance of a jump or call */
};

/*
 * A stand: what sp and bp are in front of an instruction, in a word so that it can be compared. The
 * bytes that sp is below where it was at the function's start, a multiple of 8, and in the low bits
 * what is known of bp. 0: not reached.
 */
enum {
	STAND_KNOWN = 4,
	STAND_SAVED = 1,  /* push %rbp was the first push */
	STAND_FRAMED = 2, /* and bp points to it */
	STAND_BP = 3
};
#define DEPTH_LIMIT ((int64_t)1 << 30)

/* The function that is being followed. Offsets are from its start. */
static struct {
	uint8_t code[PA_PROLOGUE_BYTES + INSN_BYTES + 1];
	uint32_t at[PA_PROLOGUE_BYTES];
	uint8_t length[PA_PROLOGUE_BYTES]; /* of a decoded instruction; 0: not decoded */
	uint16_t todo[PA_PROLOGUE_BYTES];  /* offsets that were jumped to */
	size_t size, todo_count, pc;
	uint32_t found;    /* at the call that ends at pc */
	uint32_t body;     /* the least depth at calls with a frame: nothing is pushed for them */
	uint32_t indirect; /* at indirect jumps */
	bool differs;      /* indirect jumps do not all stand alike */
} state;

/* ------------------------------------------------------------------ decoding */

/*
 * Operands by opcode: . none, 1 2 immediates of so many bytes, 4 of 4 or 2, 8 of 8 or as 4, r a
 * distance of 4, a address; m ModRM; with an immediate: b of 1, z as 4; f g: those of F6 and F7.
 * x: refused. Prefixes and escapes are taken before.
 */
static const char one_operands[] =
	"mmmm14xxmmmm14xx" "mmmm14xxmmmm14xx" "mmmm14xxmmmm14xx" "mmmm14xxmmmm14xx" /* 00 */
	"xxxxxxxxxxxxxxxx" "................" "xxxmxxxx4z1b...." "1111111111111111" /* 40 */
	"bzxbmmmmmmmmmmmm" "..........x....." "aaaa....14......" "1111111188888888" /* 80 */
	"bb2.xxbzx.2..1x." "mmmmxxx.mmmmmmmm" "11111111rrx1...." "x.xx..fg......mm"; /* c0 */

static const char two_operands[] =
	"mmmmx.....x.xm.b" "mmmmmmmmmmmmmmmm" "mmmmxxxxmmmmmmmm" "......x.xxxxxxxx" /* 00 */
	"mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "bbbbmmm.mmxxmmmm" /* 40 */
	"rrrrrrrrrrrrrrrr" "mmmmmmmmmmmmmmmm" "...mbmxx...mbmmm" "mmmmmmmmmmbmmmmm" /* 80 */
	"mmbmbbbm........" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm"; /* c0 */

/* Sign-extended. What is too long for an instruction counts on and is not read. */
static int64_t take(const uint8_t *code, struct insn *insn, unsigned bytes)
{
	uint64_t value = 0;
	unsigned shift = 64 - 8 * bytes;
	if (bytes && insn->length + bytes <= INSN_BYTES)
		memcpy(&value, code + insn->length, bytes);
	insn->length = (uint8_t)(insn->length + bytes);
	return bytes ? (int64_t)(value << shift) >> shift : 0;
}

static void take_modrm(const uint8_t *code, struct insn *insn)
{
	insn->has_modrm = true;
	insn->modrm = (uint8_t)take(code, insn, 1);
	uint8_t mod = insn->modrm >> 6, rm = insn->modrm & 7;
	if (mod == 3)
		return;
	insn->has_sib = rm == 4;
	if (insn->has_sib)
		insn->sib = (uint8_t)take(code, insn, 1);
	insn->rip_relative = mod == 0 && rm == 5;
	bool no_base = mod == 0 && insn->has_sib && (insn->sib & 7) == 5;
	insn->disp = take(code, insn, mod == 1 ? 1 :
		mod == 2 || insn->rip_relative || no_base ? 4 : 0);
}

static bool take_operands(const uint8_t *code, struct insn *insn, char kind)
{
	unsigned z = insn->operand_size && !(insn->rex & REX_W) ? 2 : 4;
	if (strchr("mbzfg", kind))
		take_modrm(code, insn);
	bool tests = (insn->modrm >> 3 & 7) < 2; /* of their group, only they have one */
	unsigned bytes = 0;
	if (kind == 'x')
		return false;
	if (kind == '1' || kind == 'b' || (kind == 'f' && tests))
		bytes = 1;
	else if (kind == '2')
		bytes = 2;
	else if (kind == 'r')
		bytes = 4;
	else if (kind == '4' || kind == 'z' || (kind == 'g' && tests))
		bytes = z;
	else if (kind == '8')
		bytes = insn->rex & REX_W ? 8 : z;
	else if (kind == 'a')
		bytes = 8;
	insn->immediate = take(code, insn, bytes);
	return insn->length <= INSN_BYTES;
}

/* VEX and EVEX: prefix bytes, opcode, ModRM. Those of map 1 have the operands of 0F. */
static bool decode_vector(const uint8_t *code, struct insn *insn)
{
	uint8_t escape = insn->opcode, map = 1;
	unsigned payload = escape == 0xc5 ? 1 : escape == 0xc4 ? 2 : 3;
	if (payload > 1)
		map = code[insn->length] & (payload == 2 ? 31 : 7);
	take(code, insn, payload);
	insn->opcode = (uint8_t)take(code, insn, 1);
	insn->rex = 0;
	insn->map = MAP_VECTOR;
	if (map == 0 || map == 4 || map > 6)
		return false;
	return take_operands(code, insn, map == 3 ? 'b' : map == 1 ? two_operands[insn->opcode] :
		'm');
}

static bool decode(const uint8_t *code, struct insn *insn)
{
	*insn = (struct insn){ .map = MAP_ONE };
	/* operand and address size, rep, segments, lock */
	while (insn->length < INSN_BYTES - 1 &&
		memchr("\x66\x67\xf2\xf3\x2e\x36\x3e\x26\x64\x65\xf0", code[insn->length], 11))
		insn->operand_size |= code[insn->length++] == 0x66;
	if ((code[insn->length] & 0xf0) == 0x40)
		insn->rex = (uint8_t)take(code, insn, 1);
	insn->opcode = (uint8_t)take(code, insn, 1);
	if (insn->opcode == 0xc4 || insn->opcode == 0xc5 || insn->opcode == 0x62)
		return decode_vector(code, insn);
	if (insn->opcode != 0x0f)
		return take_operands(code, insn, one_operands[insn->opcode]);
	insn->map = MAP_0F;
	insn->opcode = (uint8_t)take(code, insn, 1);
	if (insn->opcode != 0x38 && insn->opcode != 0x3a)
		return take_operands(code, insn, two_operands[insn->opcode]);
	insn->map = insn->opcode == 0x38 ? MAP_0F38 : MAP_0F3A;
	insn->opcode = (uint8_t)take(code, insn, 1);
	return take_operands(code, insn, insn->map == MAP_0F38 ? 'm' : 'b');
}

static bool is_one(const struct insn *insn, uint8_t low, uint8_t high)
{
	return insn->map == MAP_ONE && insn->opcode >= low && insn->opcode <= high;
}

static bool is_0f(const struct insn *insn, uint8_t low, uint8_t high)
{
	return insn->map == MAP_0F && insn->opcode >= low && insn->opcode <= high;
}

/* The ModRM fields, with the bits of REX: 0..15. */
static unsigned reg_of(const struct insn *insn)
{
	return (insn->modrm >> 3 & 7) | (insn->rex & REX_R ? 8 : 0);
}

/* 16: memory. */
static unsigned rm_of(const struct insn *insn)
{
	if (insn->modrm >> 6 != 3)
		return 16;
	return (insn->modrm & 7) | (insn->rex & REX_B ? 8 : 0);
}

/* /n of a group. */
static bool is_group(const struct insn *insn, uint8_t opcode, unsigned n)
{
	return is_one(insn, opcode, opcode) && (insn->modrm >> 3 & 7) == n;
}

static bool is_padding(const struct insn *insn)
{
	return is_one(insn, 0x90, 0x90) || is_one(insn, 0xcc, 0xcc) || is_0f(insn, 0x1f, 0x1f);
}

static bool is_call(const struct insn *insn)
{
	return is_one(insn, 0xe8, 0xe8) || is_group(insn, 0xff, 2);
}

/* ------------------------------------------------------------------ what it does to sp */

/* One-byte opcodes that are not among those of apply. reg: sp or bp. */
static bool one_writes(const struct insn *insn, unsigned reg)
{
	uint8_t op = insn->opcode, n = insn->modrm >> 3 & 7;
	if (!insn->has_modrm)
		return (op == 0xb8 + reg || op == 0x90 + reg) && !(insn->rex & REX_B);
	if ((op >= 0xd8 && op <= 0xdf) || (op & 0xfc) == 0x38 || (op & 0xfe) == 0x84 || op == 0x8e)
		return false; /* x87, cmp, test, mov to a segment */
	/* Without REX the byte registers 4 and 5 are ah and ch. */
	bool byte = !(op & 1) && !insn->rex && op != 0x8c;
	if ((op >= 0x80 && op <= 0x83 && n == 7) || ((op & 0xfe) == 0xf6 && n < 2) ||
		(op == 0xff && n >= 2))
		return false; /* cmp, test, calls and jumps */
	bool to_reg = (op < 0x40 && op & 2) || memchr("\x63\x69\x6b\x8a\x8b\x8d\x86\x87", op, 8);
	bool to_rm = !to_reg || (op & 0xfe) == 0x86;
	return !byte && ((to_reg && reg_of(insn) == reg) || (to_rm && rm_of(insn) == reg));
}

static bool two_writes(const struct insn *insn, unsigned reg)
{
	uint8_t op = insn->opcode;
	if (is_0f(insn, 0xc8, 0xcf))
		return op == 0xc8 + reg && !(insn->rex & REX_B);
	bool to_reg = is_0f(insn, 0x40, 0x50) ||
		memchr("\x02\x03\x2c\x2d\xaf\xb6\xb7\xb8\xbc\xbd\xbe\xbf\xc1\xc5\xd7", op, 15);
	bool to_rm = memchr("\x20\x21\x7e\xa4\xa5\xab\xac\xad\xb1\xb3\xba\xbb\xc1\xc7", op, 14);
	return (to_reg && reg_of(insn) == reg) || (to_rm && rm_of(insn) == reg);
}

static bool writes(const struct insn *insn, unsigned reg)
{
	return insn->map == MAP_ONE ? one_writes(insn, reg) :
		insn->map == MAP_0F && two_writes(insn, reg);
}

static int64_t depth_of(uint32_t stand)
{
	return stand & ~(uint32_t)(STAND_KNOWN | STAND_BP);
}

/* False: no depth that a function has. */
static bool set_stand(uint32_t *stand, int64_t depth, uint32_t bp)
{
	*stand = STAND_KNOWN | bp | (uint32_t)depth;
	return depth >= 0 && depth < DEPTH_LIMIT && depth % 8 == 0;
}

/* Pushes and pops. *grows: bytes that sp goes down. */
static bool is_push_or_pop(const struct insn *insn, int *grows)
{
	if (is_one(insn, 0x50, 0x57) || is_one(insn, 0x68, 0x68) || is_one(insn, 0x6a, 0x6a) ||
		is_one(insn, 0x9c, 0x9c) || is_group(insn, 0xff, 6) || is_0f(insn, 0xa0, 0xa0) ||
		is_0f(insn, 0xa8, 0xa8))
		*grows = 8;
	else if (is_one(insn, 0x58, 0x5f) || is_one(insn, 0x8f, 0x8f) ||
		is_one(insn, 0x9d, 0x9d) || is_0f(insn, 0xa1, 0xa1) || is_0f(insn, 0xa9, 0xa9))
		*grows = -8;
	else
		return false;
	return true;
}

static bool push_or_pop(const struct insn *insn, uint32_t *stand, int grows)
{
	uint32_t bp = *stand & STAND_BP;
	bool is_bp = (insn->opcode & ~8) == 0x55 && !(insn->rex & REX_B);
	bool to_sp = is_one(insn, 0x5c, 0x5c) && !(insn->rex & REX_B);
	/* Of 2 bytes; of sp itself; AMD's XOP, that shares its opcode with pop. */
	if (insn->operand_size || to_sp ||
		(is_one(insn, 0x8f, 0x8f) && (insn->modrm & 0x38 || rm_of(insn) == REG_SP)))
		return false;
	if (is_one(insn, 0x50, 0x5f) && is_bp)
		bp = grows > 0 && depth_of(*stand) == 0 ? STAND_SAVED : grows > 0 ? bp : 0;
	return set_stand(stand, depth_of(*stand) + grows, bp);
}

/* sp from bp, plus a number: the end of a frame. */
static bool sp_from_bp(uint32_t *stand, int64_t disp)
{
	return (*stand & STAND_BP) == STAND_FRAMED && set_stand(stand, 8 - disp, STAND_FRAMED);
}

/* mov between registers of 8 bytes, either encoding. */
static bool is_move(const struct insn *insn, unsigned from, unsigned to)
{
	unsigned reg = reg_of(insn), rm = rm_of(insn);
	return insn->rex & REX_W && ((is_one(insn, 0x89, 0x89) && reg == from && rm == to) ||
		(is_one(insn, 0x8b, 0x8b) && rm == from && reg == to));
}

static bool lea_sp(const struct insn *insn, uint32_t *stand)
{
	if ((insn->rex & (REX_W | REX_B)) != REX_W || insn->modrm >> 6 == 0)
		return false;
	/* 24: rsp, without an index. */
	if (insn->has_sib && insn->sib == 0x24 && !(insn->rex & 2))
		return set_stand(stand, depth_of(*stand) - insn->disp, *stand & STAND_BP);
	return !insn->has_sib && (insn->modrm & 7) == REG_BP && sp_from_bp(stand, insn->disp);
}

/* What stands behind the instruction. False: nobody knows. */
static bool apply(const struct insn *insn, uint32_t *stand)
{
	int64_t depth = depth_of(*stand);
	uint32_t bp = *stand & STAND_BP;
	int grows;
	if (is_push_or_pop(insn, &grows))
		return push_or_pop(insn, stand, grows);
	if (is_one(insn, 0xc9, 0xc9)) /* leave */
		return sp_from_bp(stand, 0) && set_stand(stand, 0, 0);
	if (is_move(insn, REG_SP, REG_BP))
		return set_stand(stand, depth, bp == STAND_SAVED && depth == 8 ? STAND_FRAMED : 0);
	if (is_move(insn, REG_BP, REG_SP))
		return sp_from_bp(stand, 0);
	bool add = is_group(insn, 0x81, 0) || is_group(insn, 0x83, 0);
	bool sub = is_group(insn, 0x81, 5) || is_group(insn, 0x83, 5);
	if ((add || sub) && rm_of(insn) == REG_SP && insn->rex & REX_W)
		return set_stand(stand, depth + (sub ? insn->immediate : -insn->immediate), bp);
	if (is_one(insn, 0x8d, 0x8d) && reg_of(insn) == REG_SP)
		return lea_sp(insn, stand);
	return !writes(insn, REG_SP) && set_stand(stand, depth, writes(insn, REG_BP) ? 0 : bp);
}

/* ------------------------------------------------------------------ following the code */

/* A jump, or the way on. False: another way came here with another stack. */
static bool reach(uint64_t offset, uint32_t stand, bool jumped)
{
	if (state.at[offset])
		return state.at[offset] == stand;
	state.at[offset] = stand;
	if (jumped)
		state.todo[state.todo_count++] = (uint16_t)offset;
	return true;
}

/* A frame's code that goes elsewhere could come back with another stack. */
static bool is_over(uint32_t stand)
{
	return depth_of(stand) == 0 && !(stand & STAND_BP);
}

/* offset: of the instruction after it. */
static bool jump(const struct insn *insn, uint64_t offset, uint32_t stand)
{
	uint64_t target = offset + (uint64_t)insn->immediate;
	return target < state.size ? reach(target, stand, true) : is_over(stand);
}

static void note_body(uint32_t stand)
{
	if ((stand & STAND_BP) == STAND_FRAMED && (!state.body || stand < state.body))
		state.body = stand;
}

static void note_indirect(uint32_t stand)
{
	state.differs |= state.indirect && state.indirect != stand;
	state.indirect = stand;
	note_body(stand);
}

/* Where the way goes after the instruction that ends at end. *on: to the next one. */
static bool leave(const struct insn *insn, uint64_t end, uint32_t stand, bool *on)
{
	*on = false;
	if (is_one(insn, 0xe9, 0xe9) || is_one(insn, 0xeb, 0xeb))
		return jump(insn, end, stand);
	if (is_group(insn, 0xff, 4)) {
		note_indirect(stand);
		return true;
	}
	if (is_one(insn, 0xc2, 0xc3))
		return depth_of(stand) == 0 && insn->opcode == 0xc3;
	if (is_one(insn, 0xcc, 0xcc) || is_one(insn, 0xf4, 0xf4) || is_0f(insn, 0x0b, 0x0b))
		return true; /* int3, hlt, ud2 */
	/* Far calls and jumps, returns from interrupts, transactions. */
	if (is_group(insn, 0xff, 3) || is_group(insn, 0xff, 5) || is_one(insn, 0xca, 0xcb) ||
		is_one(insn, 0xcf, 0xcf) || is_group(insn, 0xc6, 7) || is_group(insn, 0xc7, 7))
		return false;
	*on = true;
	if (is_one(insn, 0x70, 0x7f) || is_one(insn, 0xe0, 0xe3) || is_0f(insn, 0x80, 0x8f))
		return jump(insn, end, stand);
	if (is_call(insn) || is_0f(insn, 0x05, 0x05)) {
		note_body(stand);
		if (end == state.pc)
			state.found = stand;
	}
	/* A call of what comes next, to get its address. */
	uint64_t target = end + (uint64_t)insn->immediate;
	return !is_one(insn, 0xe8, 0xe8) || target == 0 || target >= state.size;
}

/* From an offset whose stand is known to where the way ends, or joins one that was gone before. */
static bool follow(uint64_t offset)
{
	/* Ends: each turn decodes an instruction for the first time. */
	while (!state.length[offset]) {
		struct insn insn;
		uint32_t after = state.at[offset];
		bool on;
		if (!decode(state.code + offset, &insn) || offset + insn.length > state.size)
			return false;
		state.length[offset] = insn.length;
		uint64_t end = offset + insn.length;
		if (!apply(&insn, &after) || !leave(&insn, end, after, &on))
			return false;
		/* Nothing comes after a call that does not return. */
		if (!on || (end == state.size && is_call(&insn)))
			return true;
		if (end == state.size || !reach(end, after, false))
			return false;
		offset = end;
	}
	return true;
}

static bool follow_all(uint64_t offset, uint32_t stand)
{
	if (!reach(offset, stand, true))
		return false;
	while (state.todo_count)
		if (!follow(state.todo[--state.todo_count]))
			return false;
	return true;
}

/*
 * Code that no jump leads to: the cases of a switch, which stand as its indirect jump, and what
 * exceptions jump to, with nothing pushed for any call.
 */
static bool follow_rest(void)
{
	bool any = false;
	for (uint64_t offset = 0; offset < state.size;) {
		struct insn insn;
		if (state.length[offset]) {
			offset += state.length[offset];
		} else if (decode(state.code + offset, &insn) && is_padding(&insn)) {
			offset += insn.length;
		} else {
			any = true;
			if (!state.body || !follow_all(offset, state.body))
				return false;
		}
	}
	return !any || !state.indirect || (!state.differs && state.indirect == state.body);
}

bool pa_prologue_find(uintptr_t start, uintptr_t limit, uintptr_t pc, uintptr_t *bytes)
{
	if (pc <= start || pc > limit || limit - start > PA_PROLOGUE_BYTES)
		return false;
	size_t size = limit - start;
	if (!pa_maps_read_cached(state.code, start, size))
		return false;
	memset(state.code + size, 0, INSN_BYTES + 1);
	memset(state.at, 0, size * sizeof(state.at[0]));
	memset(state.length, 0, size);
	state.size = size;
	state.pc = pc - start;
	state.todo_count = 0;
	state.found = state.body = state.indirect = 0;
	state.differs = false;
	if (!follow_all(0, STAND_KNOWN) || !follow_rest() ||
		(state.found & STAND_BP) != STAND_FRAMED)
		return false;
	*bytes = (uintptr_t)depth_of(state.found) - 8;
	return true;
}

/* ------------------------------------------------------------------ calls */

/* Prefixes do not matter: the instruction ends where it ends. Not through the cache of pages: a JIT
 * may write this code at any time. */
bool pa_prologue_call_before(uintptr_t return_address, struct pa_prologue_call *call)
{
	static const uint8_t lengths[] = { 5, 2, 3, 4, 6, 7 };
	for (size_t i = 0; i < PA_COUNT(lengths); i++) {
		uint8_t code[INSN_BYTES] = { 0 };
		struct insn insn;
		uintptr_t at = return_address - lengths[i];
		if (!pa_maps_read_memory(code, at, lengths[i]) || !decode(code, &insn) ||
			insn.length != lengths[i] || !is_call(&insn) ||
			(code[0] != 0xe8 && code[0] != 0xff))
			continue;
		*call = (struct pa_prologue_call){ .target = 0 };
		if (insn.rip_relative)
			call->word_at = return_address + (uintptr_t)insn.disp;
		else if (insn.opcode == 0xe8)
			call->target = return_address + (uintptr_t)insn.immediate;
		/* The end of an indirect call can look like a direct one, that leads nowhere. */
		if (!call->target || pa_maps_find(call->target))
			return true;
	}
	return false;
}
