# SPDX-License-Identifier: Apache-2.0
# Processes under the agent: found by the name of the thread that serves, pprof:PORT. Any program
# can name a thread so: the port counts if a socket of the process' user, or of root, listens on it.
# On a unix socket its name is pprofagent, as that of the agent's other threads.

# Lines "PID TID PORT" of threads; PORT is empty where the name has none. An agent never runs in the
# first thread of a program, which may have the name of this script.
find_agents() {
	printf '%s\n' /proc/[0-9]*/task/[0-9]*/comm |
		xargs grep -sE '^pprof(:[1-9][0-9]*|agent)$' /dev/null |
		sed -n '/^\/proc\/\([0-9]*\)\/task\/\1\//d
			s|^/proc/\([0-9]*\)/task/\([0-9]*\)/comm:pprof\(agent\)*:*|\1 \2 |p'
}

# shellcheck disable=SC2016 # of awk
process_functions='
function first_line(path,    line) {
	line = ""
	if ((getline line < path) < 0)
		line = ""
	close(path)
	return line
}
# The kernel writes a line break as \n, and most kernels a backslash twice.
function unescaped(s,    out, at, next_byte) {
	while ((at = index(s, "\\")) > 0) {
		next_byte = substr(s, at + 1, 1)
		out = out substr(s, 1, at - 1) (next_byte == "n" ? "\n" : "\\")
		s = substr(s, at + (next_byte == "n" || next_byte == "\\" ? 2 : 1))
	}
	return out s
}
function read_stat(pid,    line, fields) {
	line = first_line("/proc/" pid "/stat")
	if (!match(line, /.*\)/))
		return 0
	program[pid] = unescaped(substr(line, index(line, "(") + 1, RLENGTH - index(line, "(") - 1))
	split(substr(line, RLENGTH + 2), fields, " ")
	parent[pid] = fields[2]
	started[pid] = fields[20]
	pages[pid] = fields[22]
	return 1
}
function read_user(pid,    path, line, fields) {
	path = "/proc/" pid "/status"
	while ((getline line < path) > 0)
		if (split(line, fields, "[ \t]+") > 2 && fields[1] == "Uid:")
			user[pid] = fields[3]
	close(path)
}
# The nearest ancestor that is in the list, or 0.
function listed_ancestor(pid) {
	while ((pid = parent[pid]) > 1)
		if (pid in wanted)
			return pid
		else if (!(pid in parent) && !read_stat(pid))
			return 0
	return 0
}
function hex(s,    i, n) {
	n = 0
	for (i = 1; i <= length(s); i++)
		n = n * 16 + index("0123456789ABCDEF", substr(s, i, 1)) - 1
	return n
}
# Words of the machine, as the kernel prints them: little endian.
function host_v4(s) {
	if (s == "00000000")
		return "127.0.0.1"
	return hex(substr(s, 7, 2)) "." hex(substr(s, 5, 2)) "." hex(substr(s, 3, 2)) "." \
		hex(substr(s, 1, 2))
}
function host_v6(s,    i, out, group) {
	if (s == "00000000000000000000000000000000")
		return "[::1]"
	if (s ~ /^0000000000000000FFFF0000/)
		return host_v4(substr(s, 25))
	for (i = 0; i < 8; i++) {
		group = substr(s, int(i / 2) * 8 + (i % 2 ? 3 : 7), 2)
		group = group substr(s, int(i / 2) * 8 + (i % 2 ? 1 : 5), 2)
		out = out (i ? ":" : "") sprintf("%x", hex(group))
	}
	if (match(out, /(^|:)0(:0)+(:|$)/))
		out = substr(out, 1, RSTART - 1) "::" substr(out, RSTART + RLENGTH)
	return "[" out "]"
}
# The sockets that listen, once for each table: uid and address of each, by port.
function read_listeners(table,    line, row, at, key) {
	was_read[table] = 1
	while ((getline line < table) > 0) {
		split(line, row, " ")
		if (row[4] != "0A")
			continue
		at = index(row[2], ":")
		key = table " " substr(row[2], at + 1)
		listening[key] = listening[key] " " row[8] " " substr(row[2], 1, at - 1)
	}
	close(table)
}
function listener(table, port, uid, is_v6,    i, n, sockets) {
	if (!(table in was_read))
		read_listeners(table)
	n = split(listening[table " " sprintf("%04X", port)], sockets, " ")
	for (i = 1; i < n; i += 2)
		if (sockets[i] == uid || sockets[i] == 0)
			return (is_v6 ? host_v6(sockets[i + 1]) : host_v4(sockets[i + 1])) ":" port
	return ""
}
function address_in(folder, port, uid,    found) {
	found = listener(folder "/net/tcp", port, uid, 0)
	return found != "" ? found : listener(folder "/net/tcp6", port, uid, 1)
}
function read_sockets(folder, found,    command, line) {
	command = "ls -l " folder " 2>/dev/null"
	while ((command | getline line) > 0)
		if (match(line, /socket:\[[0-9]+\]$/))
			found[substr(line, RSTART + 8, RLENGTH - 9)] = 1
	close(command)
}
# The path of a unix socket that listens and is in the table of an agent only, or nothing.
function unix_socket(pid,    i, n, threads, theirs, own, table, line, row, path) {
	split("", theirs)
	split("", own)
	n = split(tids[pid], threads, " ")
	for (i = 1; i <= n; i++)
		read_sockets("/proc/" pid "/task/" threads[i] "/fd", theirs)
	read_sockets("/proc/" pid "/fd", own)
	path = ""
	table = "/proc/" pid "/net/unix"
	while ((getline line < table) > 0)
		if (split(line, row, " ") >= 8 && row[4] == "00010000" && (row[7] in theirs) &&
			!(row[7] in own) && row[8] ~ /^\//)
			path = substr(line, index(line, " /") + 1)
	close(table)
	if (path == "" || path != printable(path))
		return ""
	# The same path in another mount namespace is another file.
	if (namespace_of(pid, "mnt") != own_files)
		path = "/proc/" pid "/" "root" path
	return "unix:" path
}
# The network namespaces of all processes of the list, by few commands: each starts two processes.
function read_networks(    i, line, paths, part) {
	for (i = 1; i <= count; i++) {
		paths = paths " /proc/" order[i] "/ns/net"
		if (i % 500 && i < count)
			continue
		while ((("ls -l" paths " 2>/dev/null") | getline line) > 0)
			if (match(line, /\/proc\/[0-9]+\/ns\/net -> /)) {
				part = substr(line, RSTART + 6)
				net_of[part + 0] = substr(line, RSTART + RLENGTH)
			}
		close("ls -l" paths " 2>/dev/null")
		paths = ""
	}
}
function namespace_of(pid, kind,    command, link) {
	command = "readlink /proc/" pid "/ns/" kind " 2>/dev/null"
	link = ""
	if ((command | getline link) < 0)
		link = ""
	close(command)
	return link
}
# network[pid]: empty when it is ours. Of processes of other users it may be secret: then the socket
# tells.
function place(pid) {
	network[pid] = net_of[pid]
	address[pid] = address_in("/proc/" (network[pid] == "" ? "self" : pid), port[pid],
		user[pid])
	if (network[pid] == "" && address[pid] == "") {
		address[pid] = address_in("/proc/" pid, port[pid], user[pid])
		network[pid] = address[pid] == "" ? "" : "unknown"
	} else if (network[pid] == own_network)
		network[pid] = ""
}
function look_at(pid) {
	if (!read_stat(pid))
		return 0
	read_user(pid)
	return only_user == "" || user[pid] == only_user
}
function emit(pid, depth,    i) {
	# Empty columns would vanish where the shell reads them.
	printf "%d\t%d\t%d\t%s\t%s\t%s\t%.0f\t%.0f\t%s\n", pid, parent[pid], depth, user[pid],
		address[pid] == "" ? "-" : address[pid], network[pid] == "" ? "-" : network[pid],
		int(uptime - started[pid] / ticks), pages[pid] * page_bytes, printable(program[pid])
	for (i = 1; i <= count; i++)
		if (above[order[i]] == pid)
			emit(order[i], depth + 1)
}
'

# Lines of tabs: PID PPID DEPTH UID ADDRESS NETWORK UPTIME RSS NAME, as a tree of processes with an
# agent. ADDRESS: HOST:PORT, unix:/PATH, or "-" if it serves nothing. NETWORK: "-" if it is ours.
# $1: only those of this user id.
describe_agents() {
	ticks=$(getconf CLK_TCK 2>/dev/null || echo 100)
	page_bytes=$(getconf PAGESIZE 2>/dev/null || echo 4096)
	find_agents | sort -n -k 1,1 | c_awk -v only_user="$1" -v ticks="$ticks" \
		-v page_bytes="$page_bytes" \
		"$text_functions$process_functions"'
		{ port[$1] = $3 == "" ? port[$1] : $3; tids[$1] = tids[$1] " " $2 }
		!($1 in wanted) && look_at($1) { wanted[$1] = 1; order[++count] = $1 }
		END {
			uptime = first_line("/proc/uptime") + 0
			own_network = namespace_of("self", "net")
			own_files = namespace_of("self", "mnt")
			read_networks()
			for (i = 1; i <= count; i++) {
				above[order[i]] = listed_ancestor(order[i])
				if (port[order[i]] != "")
					place(order[i])
				else
					address[order[i]] = unix_socket(order[i])
			}
			for (i = 1; i <= count; i++)
				if (!above[order[i]])
					emit(order[i], 0)
		}'
}
