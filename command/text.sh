# SPDX-License-Identifier: Apache-2.0
# Names that programs choose: what is not printable UTF-8 becomes "?". Functions for awk, which
# counts bytes (LC_ALL=C).

# shellcheck disable=SC2016 # of awk
text_functions='
function learn_bytes(    i) {
	for (i = 1; i < 256; i++)
		byte[sprintf("%c", i)] = i
}
# The length of the character at s[i] when it is printable, else 0. Surrogates and C1 controls are
# not, nor the two code points that XML forbids.
function char_bytes(s, i,    a, b, c, n, k, more) {
	a = byte[substr(s, i, 1)]
	if (a < 128)
		return a >= 32 && a != 127
	n = a >= 240 && a < 245 ? 4 : a >= 224 && a < 240 ? 3 : a >= 194 && a < 224 ? 2 : 0
	b = byte[substr(s, i + 1, 1)]
	c = byte[substr(s, i + 2, 1)]
	for (k = 1; k < n; k++) {
		more = byte[substr(s, i + k, 1)]
		if (more < 128 || more > 191)
			return 0
	}
	if ((a == 194 && b < 160) || (a == 224 && b < 160) || (a == 237 && b > 159) ||
		(a == 239 && b == 191 && c > 189) || (a == 240 && b < 144) || (a == 244 && b > 143))
		return 0
	return n
}
function printable(s,    out, i, n, last) {
	if (s !~ /[^ -~]/)
		return s
	last = length(s)
	for (i = 1; i <= last; i += n ? n : 1) {
		n = char_bytes(s, i)
		out = out (n ? substr(s, i, n) : "?")
	}
	return out
}
function replaced(s, from, to,    out, at) {
	while ((at = index(s, from)) > 0) {
		out = out substr(s, 1, at - 1) to
		s = substr(s, at + length(from))
	}
	return out s
}
function json(s) {
	return "\"" replaced(replaced(printable(s), "\\", "\\\\"), "\"", "\\\"") "\""
}
function xml(s) {
	s = replaced(replaced(s, "&", "&amp;"), "<", "&lt;")
	return replaced(replaced(s, ">", "&gt;"), "\"", "&quot;")
}
BEGIN { learn_bytes() }
'

c_awk() {
	LC_ALL=C awk "$@"
}

printable_lines() {
	c_awk "$text_functions"'{ print printable($0) }'
}
