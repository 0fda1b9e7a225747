# SPDX-License-Identifier: Apache-2.0
# A flame graph from folded stacks ("frame;frame;frame value"), without scripts. Frames narrower
# than a tenth of a pixel are left out. Negative values, of differences, are blue and as wide as
# positive ones.

# shellcheck disable=SC2016 # of awk
flame_functions='
# Of the boxes that are open, one at each depth: name, and where sizes and values began.
function open_box(d, frame) {
	name[d] = frame
	left[d] = size
	before[d] = value
	if (d > deepest)
		deepest = d
}
function close_boxes(from,    d) {
	for (d = depth; d >= from; d--)
		if ((size - left[d]) / total_size * (image_width - 20) >= 0.1)
			keep_box(d, size - left[d], value - before[d])
	depth = from - 1
}
function keep_box(d, its_size, its_value,    width, shown, text, x) {
	width = its_size / total_size * (image_width - 20)
	x = 10 + left[d] / total_size * (image_width - 20)
	shown = printable(name[d])
	text = fitting(shown, width)
	box_depth[++boxes] = d
	box_head[boxes] = sprintf("<g><title>%s: %s, %.2f%%</title><rect x=\"%.1f\" y=\"",
		xml(shown), amount(its_value), 100 * its_size / total_size, x)
	box_tail[boxes] = sprintf("\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", width, row - 1,
		colour(shown, its_value < 0))
	box_text[boxes] = text == "" ? "" : sprintf("<text x=\"%.1f\" y=\"%%d\">%s</text>", x + 3,
		replaced(xml(text), "%", "%%"))
}
function add(frames, n,    d) {
	for (d = 1; d <= depth && d <= n && frames[d] == name[d]; d++)
		;
	close_boxes(d)
	for (; d <= n; d++)
		open_box(d, frames[d])
	depth = n
}
function print_boxes(    i, y) {
	for (i = 1; i <= boxes; i++) {
		y = 40 + (deepest - box_depth[i]) * row
		print box_head[i] y box_tail[i] sprintf(box_text[i], y + row - 5) "</g>"
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
function scaled(n, large, middle, small, step,    a) {
	a = n < 0 ? -n : n
	if (a >= step * step * step)
		return sprintf("%.2f %s", n / step / step / step, large)
	if (a >= step * step)
		return sprintf("%.2f %s", n / step / step, middle)
	return sprintf("%.2f %s", n / step, small)
}
function amount(n) {
	if (unit == "bytes" && (n >= 1024 || n <= -1024))
		return scaled(n, "GiB", "MiB", "KiB", 1024)
	if (unit == "us" && n)
		return scaled(n * 1000, "s", "ms", "us", 1000)
	if (unit == "ns" && (n >= 1000 || n <= -1000))
		return scaled(n, "s", "ms", "us", 1000)
	return number(n) (unit == "" ? "" : " " unit)
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
'

# Bytes, ns ... of the first type of each profile.
unit_of() {
	case ${type:-$profile} in
	*space | heap | allocs) echo bytes ;;
	cpu | delay | profile | block | mutex) echo ns ;;
	fgprof) echo us ;;
	esac
}

# Lines that sort so that each frame stands together, and below it all that it calls: \001, the
# least byte, for ";", and \002 before the value. The first line has the sum of all sizes.
sorted_stacks() {
	c_awk '
		match($0, / -?[0-9]+$/) {
			value = substr($0, RSTART + 1)
			size += value < 0 ? -value : value
			stack = substr($0, 1, RSTART - 1)
			gsub(/;/, "\001", stack)
			printf "1%s\002%s\n", stack, value
		}
		END { printf "0\002%.0f\n", size }' | LC_ALL=C sort
}

# Folded stacks on stdin, the image on stdout; false: there are none.
draw_flames() {
	sorted_stacks | title=$1 c_awk -F '\002' -v unit="$(unit_of)" \
		"$text_functions$flame_functions"'
		BEGIN { image_width = 1200; row = 17; name[0] = "all" }
		NR == 1 { total_size = $2; next }
		{
			add(frames, split(substr($1, 2), frames, "\001"))
			size += $2 < 0 ? -$2 : $2
			value += $2
		}
		END {
			if (!total_size)
				exit 1
			close_boxes(0)
			image_height = 60 + (deepest + 1) * row
			print "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
			printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" ",
				image_width, image_height
			printf "width=\"%d\" height=\"%d\" ", image_width, image_height
			print "font-family=\"monospace\" font-size=\"11\">"
			print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
			printf "<text x=\"10\" y=\"24\" font-size=\"15\">%s: %s</text>\n",
				xml(printable(ENVIRON["title"])), amount(value)
			print_boxes()
			print "</svg>"
		}'
}
