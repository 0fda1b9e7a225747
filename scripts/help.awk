# SPDX-License-Identifier: Apache-2.0
# Prints the targets of makefiles with their help, for `make help`: comments with ## directly above a
# target, grouped by heading (##@) in order of first appearance.

/^##@ / {
	heading = substr($0, 5)
	if (!(heading in body))
		order[++headings] = heading
	body[heading] = body[heading] ""
	next
}

/^## / {
	text[++lines] = substr($0, 4)
	next
}

/^[a-z0-9_-]+:/ && lines {
	sub(/:.*/, "")
	row = sprintf("  make %-18s %s\n", $0, text[1])
	for (i = 2; i <= lines; i++)
		row = row sprintf("%26s%s\n", "", text[i])
	body[heading] = body[heading] row
}

{
	lines = 0
}

END {
	for (i = 1; i <= headings; i++)
		printf "%s%s\n%s", (i > 1 ? "\n" : ""), order[i], body[order[i]]
}
