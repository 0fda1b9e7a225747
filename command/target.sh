# SPDX-License-Identifier: Apache-2.0
# What a command is asked about: PID, NAME or URL.

tab='	'

# Sets base and socket, enter, pid and label, for file names and titles.
set_target() {
	set_client
	pid='' label=''
	case $1 in
	http://* | https://*) set_target_url "$1" ;;
	unix:/*)
		set_base "$1"
		label=${socket##*/}
		;;
	*://*) bad_usage "$1: http:// or https://" ;;
	'') bad_usage "an empty name" ;;
	*[!0-9]*) set_target_name "$1" ;;
	*) set_target_pid "$1" ;;
	esac
}

# set_base ADDRESS: as describe_agents has it.
set_base() {
	case $1 in
	unix:*) socket=${1#unix:} base=http://localhost ;;
	*) socket='' base=http://$1 ;;
	esac
}

set_target_url() {
	socket=''
	base=${1%%\?*}
	base=${base%%/debug/*}
	base=${base%/}
	case $base in
	*[[:space:][:cntrl:]]*) bad_usage "blanks in a URL" ;;
	*://localhost* | *://127.* | *://\[::1\]*) outside='' ;;
	*) outside=yes ;;
	esac
	label=${base#*://}
}

set_target_pid() {
	[ -d "/proc/$1" ] || fail "no process has the pid $1"
	line=$(describe_agents '' | grep "^$1$tab") ||
		fail "process $1 has no agent that runs: \`pprofagent check $1\` says why"
	set_target_line "$line"
}

# As the kernel keeps it: 15 bytes.
set_target_name() {
	name=$(printf '%s\n' "$1" | printable_lines)
	for user in "$(id -u)" ''; do
		lines=$(describe_agents "$user" | name=$1 c_awk -F '\t' "$text_functions"'
			$9 == printable(substr(ENVIRON["name"], 1, 15)) && $5 != "-"')
		[ -z "$lines" ] || break
	done
	[ -n "$lines" ] || fail "no program under the agent is called $name: \`pprofagent list\`"
	if has_line_break "$lines"; then
		complain "several programs are called $name; say which by its PID:"
		printf '%s\n' "$lines" | print_list >&2
		exit 2
	fi
	set_target_line "$lines"
}

set_target_line() {
	IFS=$tab read -r pid _ _ _ address network _ _ name <<-LINE
		$1
	LINE
	[ "$address" != - ] ||
		fail "process $pid ($name) serves on no port: \`pprofagent check $pid\` says why"
	set_base "$address"
	label=$name.$pid
	set_enter "$pid" "$network" ||
		fail "process $pid ($name) is in $network, which you may not enter:" \
			"be root, or ask from inside"
}

# set_enter PID NETWORK: false if it may not be entered.
set_enter() {
	enter=''
	[ "$2" != - ] || return 0
	for enter in "nsenter -t $1 -n" "nsenter -t $1 -U --preserve-credentials -n"; do
		! $enter true 2>/dev/null || return 0
	done
	return 1
}
