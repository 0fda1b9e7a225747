# SPDX-License-Identifier: Apache-2.0
# Which processes there are: for people, and for Prometheus.

# The agent pages of the lines of describe_agents on stdin, in $work/PID: one curl for all that are
# in our network, sixteen at once and none for long. $1: our user id, whose agents get the token.
fetch_agent_pages() {
	own=$1 own_token=$token folder=$work c_awk -F '\t' '
		function option(name, value) {
			gsub(/[\\"]/, "\\\\&", value)
			print name " = \"" value "\""
		}
		$5 != "-" && $6 == "-" {
			if (count++)
				print "next"
			is_file = $5 ~ /^unix:/
			option("url", "http://" (is_file ? "localhost" : $5) "/debug/pprof/agent")
			if (is_file)
				option("unix-socket", substr($5, 6))
			if (ENVIRON["own_token"] != "" && $4 == ENVIRON["own"])
				option("header", "Authorization: Bearer " ENVIRON["own_token"])
			option("output", ENVIRON["folder"] "/" $1)
			option("noproxy", "*")
			print "globoff\nsilent"
			print "connect-timeout = 5\nspeed-limit = 1\nspeed-time = 2"
		}' | curl -q --parallel --parallel-max 16 -K - >/dev/null 2>&1 || true
}

# Lines of describe_agents with one more column before the name: the number of dropped events, or
# "-". Sixteen agents are asked at once, and not for long.
add_drops() {
	need_work
	find_client || true
	own=$(id -u)
	all_token=$token
	cat >"$work/agents"
	together=
	# Since 7.66.
	if [ -z "$why" ] && [ "$client" = curl ] && curl -q --parallel -V >/dev/null 2>&1; then
		together=yes
		fetch_agent_pages "$own" <"$work/agents"
	fi
	asked=0
	while IFS=$tab read -r pid _ _ user address network _; do
		token=$all_token
		[ "$user" = "$own" ] || token=
		if [ "$address" = - ] || { [ -n "$together" ] && [ "$network" = - ]; } ||
			! set_enter "$pid" "$network"; then
			continue
		fi
		set_base "$address"
		fetch "$base/debug/pprof/agent" "$work/$pid" 2 2>/dev/null &
		asked=$((asked + 1))
		[ $((asked % 16)) != 0 ] || wait
	done <"$work/agents"
	wait
	folder=$work c_awk -F '\t' -v OFS='\t' '
		function drops(file,    line, inside, pid, n) {
			n = "-"
			while ((getline line < file) > 0) {
				if (line ~ /^  pid: /)
					n = 0
				inside = line == "drops:" || (inside && line != "")
				if (inside && match(line, / [0-9]+$/))
					n += substr(line, RSTART + 1)
			}
			close(file)
			return n
		}
		{ $9 = drops(ENVIRON["folder"] "/" $1) "\t" $9; print }' "$work/agents"
}

# Lines of describe_agents, with drops if $1 is "drops".
print_list() {
	c_awk -F '\t' -v drops="${1-}" -v users="${2-}" '
		function age(s) {
			if (s >= 86400)
				return sprintf("%dd%02dh", s / 86400, s % 86400 / 3600)
			if (s >= 3600)
				return sprintf("%dh%02dm", s / 3600, s % 3600 / 60)
			return s >= 60 ? sprintf("%dm%02ds", s / 60, s % 60) : s "s"
		}
		function size(b) {
			b /= 1048576
			return b >= 1024 ? sprintf("%.1fG", b / 1024) : sprintf("%.1fM", b)
		}
		function padded(s, width) {
			return sprintf("%" width "s", s)
		}
		{
			pid[NR] = $1
			user[NR] = $4
			url[NR] = $5 == "-" ? "(no port)" : $5 ~ /^unix:/ ? $5 : "http://" $5
			if ($6 != "-")
				url[NR] = url[NR] " in " $6
			up[NR] = age($7)
			rss[NR] = size($8)
			lost[NR] = drops ? $9 : ""
			name[NR] = sprintf("%" $3 * 2 "s", "") (drops ? $10 : $9)
			if (length(name[NR]) > name_width)
				name_width = length(name[NR])
			if (length(url[NR]) > url_width)
				url_width = length(url[NR])
		}
		END {
			name_width = name_width < 4 ? 4 : name_width
			url_width = url_width < 3 ? 3 : url_width
			pid[0] = "PID"; name[0] = "NAME"; url[0] = "URL"; up[0] = "UPTIME"
			rss[0] = "RSS"; lost[0] = "DROPPED"; user[0] = "USER"
			for (i = 0; i <= NR; i++) {
				line = padded(pid[i], 7) (users ? padded(user[i], 7) : "") "  "
				line = line padded(name[i], -name_width) "  "
				line = line padded(url[i], -url_width)
				line = line padded(up[i], 8) padded(rss[i], 8)
				print line (drops ? padded(lost[i], 9) : "")
			}
		}'
}

print_list_json() {
	c_awk -F '\t' "$text_functions"'
		BEGIN { printf "[" }
		{
			printf "%s\n{\"pid\":%d,\"ppid\":%d,\"depth\":%d,\"uid\":%d,",
				(NR > 1 ? "," : ""), $1, $2, $3, $4
			printf "\"name\":%s,\"url\":%s,\"network\":%s,", json($10),
				$5 == "-" ? "null" : json(($5 ~ /^unix:/ ? "" : "http://") $5),
				$6 == "-" ? "null" : json($6)
			printf "\"uptime_seconds\":%d,\"rss_bytes\":%.0f,\"dropped\":%s}", $7, $8,
				$9 == "-" ? "null" : $9
		}
		END { print "\n]" }'
}

command_list() {
	form='' users=''
	while [ $# -gt 0 ]; do
		next_option "$@"
		case $option in
		--json) no_value && form=json ;;
		--all) no_value && users=yes ;;
		-*) unknown_option ;;
		*) bad_usage "list takes options only" ;;
		esac
		shift
	done
	need_work
	describe_agents "$([ -n "$users" ] || id -u)" >"$work/found"
	add_drops <"$work/found" >"$work/list"
	if [ "$form" = json ]; then
		print_list_json <"$work/list"
	elif [ -s "$work/list" ]; then
		print_list drops "$users" <"$work/list"
	else
		complain "no program runs under the agent${users:- of this user (--all: all users)}"
	fi
}

# The targets of this network namespace: a scraper reaches no other by these addresses, and no unix
# sockets.
print_targets() {
	describe_agents '' | c_awk -F '\t' "$text_functions"'
		function command_line(pid,    command, line) {
			command = "tr \"\\000\\n\" \"  \" </proc/" pid "/cmdline 2>/dev/null"
			line = ""
			if ((command | getline line) < 0)
				line = ""
			close(command)
			sub(/ +$/, "", line)
			return line
		}
		function add_label(name, value) {
			printf ",\"__meta_pprofagent_%s\":%s", name, value
		}
		BEGIN { printf "[" }
		$5 !~ /^(-|unix:)/ && $6 == "-" {
			printf "%s\n{\"targets\":[\"%s\"],\"labels\":{", n++ ? "," : "", $5
			printf "\"service_name\":%s,\"__process_pid__\":\"%d\"", json($9), $1
			add_label("pid", "\"" $1 "\"")
			add_label("ppid", "\"" $2 "\"")
			add_label("program", json($9))
			add_label("cmdline", json(command_line($1)))
			printf "}}"
		}
		END { print "\n]" }'
}

write_targets() {
	begin_output
	print_targets >"$place" || fail "$output: cannot be written"
	if [ -n "$unfinished" ] && cmp -s "$unfinished" "$output"; then
		rm -f "$unfinished"
		unfinished=
	else
		end_output
	fi
}

command_targets() {
	output='' watch=''
	while [ $# -gt 0 ]; do
		next_option "$@"
		case $option in
		-o | --output) need_value && output=$value ;;
		--watch) need_value && watch=$value ;;
		-*) unknown_option ;;
		*) bad_usage "targets takes options only" ;;
		esac
		shift "$width"
	done
	if [ -n "$watch" ]; then
		if ! is_number "$watch" || [ "$watch" = 0 ]; then
			bad_usage "--watch: not a number of seconds: $watch"
		fi
		[ -n "$output" ] || bad_usage "--watch needs -o FILE"
	fi
	if [ -z "$output" ]; then
		print_targets
		return
	fi
	write_targets
	while [ -n "$watch" ]; do
		sleep "$watch" &
		waited=$!
		wait "$waited"
		waited=
		write_targets
	done
}
