# SPDX-License-Identifier: Apache-2.0
# A flame graph from folded stacks ("frame;frame;frame value"), without scripts. Frames narrower
# than a tenth of a pixel are left out. Negative values, of differences, are blue and as wide as
# positive ones.

# shellcheck disable=SC2016 # of awk
flame_functions='
function node_of(above, frame) {
	if (!((above, frame) in node)) {
		node[above, frame] = ++nodes
		name[nodes] = frame
		next_child[nodes] = first_child[above]
		first_child[above] = nodes
		if (depth[above] + 1 > deepest)
			deepest = depth[above] + 1
		depth[nodes] = depth[above] + 1
	}
	return node[above, frame]
}
function add(stack, value,    frames, n, i, at) {
	n = split(stack, frames, ";")
	at = 0
	size[0] += value < 0 ? -value : value
	total[0] += value
	for (i = 1; i <= n; i++) {
		at = node_of(at, frames[i])
		size[at] += value < 0 ? -value : value
		total[at] += value
	}
}
function number(n,    digits, out) {
	digits = sprintf("%.0f", n < 0 ? -n : n)
	while (length(digits) > 3) {
		out = "," substr(digits, length(digits) - 2) out
		digits = substr(digits, 1, length(digits) - 3)
	}
	return (n < 0 ? "-" : "") digits out
}
# As many characters as fit, at 7 pixels each.
function fitting(s, pixels,    room, i, n) {
	room = int((pixels - 6) / 7)
	if (room < 3)
		return ""
	if (length(s) <= room)
		return s
	for (i = 1; i <= length(s) && room > 2; room--) {
		n = char_bytes(s, i)
		i += n ? n : 1
	}
	return i > length(s) ? s : substr(s, 1, i - 1) ".."
}
function colour(s, is_negative,    i, h) {
	h = 0
	for (i = 1; i <= length(s); i++)
		h = (h * 31 + byte[substr(s, i, 1)]) % 9973
	if (is_negative)
		return sprintf("rgb(%d,%d,%d)", 110 + h % 60, 150 + h % 50, 230)
	return sprintf("rgb(%d,%d,%d)", 215 + h % 40, 110 + h % 120, 60 + h % 40)
}
function draw(at, left,    width, shown, top, text, child) {
	width = (size[0] ? size[at] / size[0] : 0) * (image_width - 20)
	if (width < 0.1)
		return
	shown = printable(name[at])
	top = 40 + (deepest - depth[at]) * row
	text = fitting(shown, width)
	printf "<g><title>%s: %s%s, %.2f%%</title><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" " \
		"height=\"%d\" fill=\"%s\"/>", xml(shown), number(total[at]), unit,
		100 * size[at] / size[0], left, top, width, row - 1, colour(shown, total[at] < 0)
	if (text != "")
		printf "<text x=\"%.1f\" y=\"%d\">%s</text>", left + 3, top + row - 5, xml(text)
	print "</g>"
	for (child = first_child[at]; child; child = next_child[child]) {
		draw(child, left)
		left += size[child] / size[0] * (image_width - 20)
	}
}
'

# Bytes, ns ... of the first type of each profile.
unit_of() {
	case ${type:-$profile} in
	*space | heap | allocs) echo ' bytes' ;;
	cpu | delay | profile | block | mutex) echo ' ns' ;;
	fgprof) echo ' us' ;;
	esac
}

# Folded stacks on stdin, the image on stdout; false: there are none.
draw_flames() {
	title=$1 c_awk -v unit="$(unit_of)" "$text_functions$flame_functions"'
		BEGIN { image_width = 1200; row = 17; name[0] = "all"; depth[0] = 0 }
		match($0, / -?[0-9]+$/) {
			add(substr($0, 1, RSTART - 1), substr($0, RSTART + 1) + 0)
		}
		END {
			if (!size[0])
				exit 1
			print "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
			image_height = 60 + (deepest + 1) * row
			printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" ",
				image_width, image_height
			printf "width=\"%d\" height=\"%d\" ", image_width, image_height
			print "font-family=\"monospace\" font-size=\"11\">"
			print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
			printf "<text x=\"10\" y=\"24\" font-size=\"15\">%s: %s%s</text>\n",
				xml(printable(ENVIRON["title"])), number(total[0]), unit
			draw(0, 10)
			print "</svg>"
		}'
}
