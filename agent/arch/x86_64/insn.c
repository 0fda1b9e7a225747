/* SPDX-License-Identifier: Apache-2.0 */
#include "insn.h"

#include <string.h>

/* ------------------------------------------------------------------ decoding */

/*
 * Operands by opcode: . none, 1 2 immediates of so many bytes, 4 of 4 or 2, 8 of 8 or as 4, r a
 * distance of 4, a address; m ModRM; with an immediate: b of 1, z as 4; f g: those of F6 and F7. x:
 * rejected. Prefixes and escapes are decoded before.
 */
/* clang-format off */
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
/* clang-format on */

/* Sign-extended. Bytes beyond the longest instruction count but are not read. */
static int64_t take_bytes(const uint8_t *code, struct pa_insn *insn, unsigned bytes)
{
	uint64_t value = 0;
	unsigned shift = 64 - 8 * bytes;
	if (bytes && insn->length + bytes <= PA_INSN_BYTES)
		memcpy(&value, code + insn->length, bytes);
	insn->length = (uint8_t)(insn->length + bytes);
	return bytes ? (int64_t)(value << shift) >> shift : 0;
}

static void take_modrm(const uint8_t *code, struct pa_insn *insn)
{
	insn->has_modrm = true;
	insn->modrm = (uint8_t)take_bytes(code, insn, 1);
	uint8_t mod = insn->modrm >> 6, rm = insn->modrm & 7;
	if (mod == 3)
		return;
	insn->has_sib = rm == 4;
	if (insn->has_sib)
		insn->sib = (uint8_t)take_bytes(code, insn, 1);
	insn->rip_relative = mod == 0 && rm == 5;
	bool no_base = mod == 0 && insn->has_sib && (insn->sib & 7) == 5;
	unsigned long_disp = mod == 2 || insn->rip_relative || no_base ? 4 : 0;
	insn->disp = take_bytes(code, insn, mod == 1 ? 1 : long_disp);
}

static bool take_operands(const uint8_t *code, struct pa_insn *insn, char kind)
{
	unsigned z = insn->operand_size && !(insn->rex & PA_INSN_REX_W) ? 2 : 4;
	if (strchr("mbzfg", kind))
		take_modrm(code, insn);
	bool tests = (insn->modrm >> 3 & 7) < 2; /* only test (/0, /1) has an immediate in this
						  * group */
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
		bytes = insn->rex & PA_INSN_REX_W ? 8 : z;
	else if (kind == 'a')
		bytes = 8;
	insn->immediate = take_bytes(code, insn, bytes);
	return insn->length <= PA_INSN_BYTES;
}

/* VEX and EVEX: prefix bytes, opcode, ModRM. Those of map 1 have the operands of 0F. */
static bool decode_vector(const uint8_t *code, struct pa_insn *insn)
{
	uint8_t escape = insn->opcode, map = 1;
	unsigned payload = escape == 0xc5 ? 1 : escape == 0xc4 ? 2 : 3;
	if (payload > 1)
		map = code[insn->length] & (payload == 2 ? 31 : 7);
	take_bytes(code, insn, payload);
	insn->opcode = (uint8_t)take_bytes(code, insn, 1);
	insn->rex = 0;
	insn->map = PA_INSN_VECTOR;
	insn->vector_map = map;
	if (map == 0 || map == 4 || map > 6)
		return false;
	char others = map == 1 ? two_operands[insn->opcode] : 'm';
	return take_operands(code, insn, map == 3 ? 'b' : others);
}

bool pa_insn_decode(const uint8_t *code, struct pa_insn *insn)
{
	*insn = (struct pa_insn){ .map = PA_INSN_ONE };
	/* operand and address size, rep, segments, lock */
	while (insn->length < PA_INSN_BYTES - 1 &&
		memchr("\x66\x67\xf2\xf3\x2e\x36\x3e\x26\x64\x65\xf0", code[insn->length], 11))
		insn->operand_size |= code[insn->length++] == 0x66;
	if ((code[insn->length] & 0xf0) == 0x40)
		insn->rex = (uint8_t)take_bytes(code, insn, 1);
	insn->opcode = (uint8_t)take_bytes(code, insn, 1);
	if (insn->opcode == 0xc4 || insn->opcode == 0xc5 || insn->opcode == 0x62)
		return decode_vector(code, insn);
	if (insn->opcode != 0x0f)
		return take_operands(code, insn, one_operands[insn->opcode]);
	insn->map = PA_INSN_0F;
	insn->opcode = (uint8_t)take_bytes(code, insn, 1);
	if (insn->opcode != 0x38 && insn->opcode != 0x3a)
		return take_operands(code, insn, two_operands[insn->opcode]);
	insn->map = insn->opcode == 0x38 ? PA_INSN_0F38 : PA_INSN_0F3A;
	insn->opcode = (uint8_t)take_bytes(code, insn, 1);
	return take_operands(code, insn, insn->map == PA_INSN_0F38 ? 'm' : 'b');
}

/* ------------------------------------------------------------------ registers that it writes */

/* Whether a one-byte opcode that apply does not handle writes reg, sp or bp. */
static bool one_writes(const struct pa_insn *insn, unsigned reg)
{
	uint8_t op = insn->opcode, n = insn->modrm >> 3 & 7;
	if (!insn->has_modrm)
		return (op == 0xb8 + reg || op == 0x90 + reg) && !(insn->rex & PA_INSN_REX_B);
	if ((op >= 0xd8 && op <= 0xdf) || (op & 0xfc) == 0x38 || (op & 0xfe) == 0x84 || op == 0x8e)
		return false; /* x87, cmp, test, mov to a segment */
	/* Without REX the byte registers 4 and 5 are ah and ch. */
	bool byte = !(op & 1) && !insn->rex && op != 0x8c;
	if ((op >= 0x80 && op <= 0x83 && n == 7) || ((op & 0xfe) == 0xf6 && n < 2) ||
		(op == 0xff && n >= 2))
		return false; /* cmp, test, calls and jumps */
	bool to_reg = (op < 0x40 && op & 2) || memchr("\x63\x69\x6b\x8a\x8b\x8d\x86\x87", op, 8);
	bool to_rm = !to_reg || (op & 0xfe) == 0x86;
	return !byte &&
		((to_reg && pa_insn_reg(insn) == reg) || (to_rm && pa_insn_rm(insn) == reg));
}

static bool two_writes(const struct pa_insn *insn, unsigned reg)
{
	uint8_t op = insn->opcode;
	if (pa_insn_is_0f(insn, 0xc8, 0xcf))
		return op == 0xc8 + reg && !(insn->rex & PA_INSN_REX_B);
	bool to_reg = pa_insn_is_0f(insn, 0x40, 0x50) ||
		memchr("\x02\x03\x2c\x2d\xaf\xb6\xb7\xb8\xbc\xbd\xbe\xbf\xc1\xc5\xd7", op, 15);
	bool to_rm = memchr("\x20\x21\x7e\xa4\xa5\xab\xac\xad\xb1\xb3\xba\xbb\xc1\xc7", op, 14);
	return (to_reg && pa_insn_reg(insn) == reg) || (to_rm && pa_insn_rm(insn) == reg);
}

bool pa_insn_writes(const struct pa_insn *insn, unsigned reg)
{
	return insn->map == PA_INSN_ONE ? one_writes(insn, reg) :
					  insn->map == PA_INSN_0F && two_writes(insn, reg);
}
