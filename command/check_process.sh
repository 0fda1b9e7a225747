# SPDX-License-Identifier: Apache-2.0
# Whether the agent is in a process, and why it does nothing there.

# Why the agent is in a process and does nothing; by what is known from outside.
why_inert() {
	exe=$(readlink "/proc/$1/exe")
	exe=${exe##*/}
	programs=$(environ_of "$1" PPROFAGENT_PROGRAMS)
	case $(environ_of "$1" PPROFAGENT_ENABLED) in
	0 | false) echo "PPROFAGENT_ENABLED is false there" && return ;;
	esac
	if [ -n "$programs" ] && ! listed "$exe" "$programs"; then
		echo "PPROFAGENT_PROGRAMS=$programs does not name $exe"
	elif [ -z "$programs" ] && listed "$exe" "$launchers"; then
		echo "$exe starts other programs, which are profiled (PPROFAGENT_PROGRAMS='$exe')"
	elif [ "$(environ_of "$1" PPROFAGENT_CHILDREN)" = off ]; then
		echo "PPROFAGENT_CHILDREN=off: it is a child"
	elif awk '/^Max (address space|data size) / && $4 != "unlimited" && $4 < 2 ^ 29 { low = 1 }
		END { exit !low }' "/proc/$1/limits"; then
		echo "ulimit -v or -d is below 512 MiB"
	elif grep -q '^Seccomp:[[:space:]]*[12]' "/proc/$1/status"; then
		echo "filters of system calls (seccomp) are in force; PPROFAGENT_LOG=info says more"
	elif grep -q 'lib[atlm]san\|libhwasan' "/proc/$1/maps"; then
		echo "it was built with a sanitizer"
	else
		echo "raised rights, or limits of memory when it started; see PPROFAGENT_LOG=info"
	fi
}

environ_of() {
	tr '\000' '\n' <"/proc/$1/environ" 2>/dev/null | sed -n "s/^$2=//p" | head -n 1
}

check_process() {
	name=$(printable_lines <"/proc/$1/comm")
	printf 'process %s (%s)\n' "$1" "$name"
	if ! maps=$(cat "/proc/$1/maps" 2>/dev/null) || [ -z "$maps" ]; then
		bad "you may not look into it (it is of another user, or of the kernel)" "be root"
		return
	fi
	case $maps in
	*libpprofagent.so*) good "the agent is in it" ;;
	*)
		bad "the agent is not in it" "start it with \`pprofagent run\`"
		[ -z "$(environ_of "$1" LD_PRELOAD)" ] ||
			note "LD_PRELOAD was set when it started: $(environ_of "$1" LD_PRELOAD)"
		check_file "/proc/$1/exe"
		return
		;;
	esac
	line=$(describe_agents '' | grep "^$1$tab")
	if [ -z "$line" ]; then
		bad "the agent is inert: $(why_inert "$1")"
	else
		check_serving "$1" "$line"
	fi
}

check_serving() {
	IFS=$tab read -r pid _ _ _ address network _ <<-LINE
		$2
	LINE
	if [ "$address" = - ]; then
		address=$(environ_of "$1" PPROFAGENT_ADDRESS)
		bad "the agent records, and serves no port: PPROFAGENT_ADDRESS=$address" \
			"PPROFAGENT_LOG=error prints the reason when the program starts"
		return
	fi
	need_work
	find_client || true
	if ! set_enter "$pid" "$network"; then
		bad "it serves http://$address in $network, which you may not enter" "be root"
		return
	fi
	set_base "$address"
	if fetch "$base/debug/pprof/agent" "$work/agent" 10; then
		[ "$network" != - ] || network=
		good "it serves ${socket:-$base/debug/pprof/}${network:+ in $network}"
		check_page
	else
		bad "it serves ${socket:-$base}, and does not answer: $(cat "$work/agent.error")"
	fi
}

# part TITLE NAME: the lines of the agent page that are not "... : 0".
show_part() {
	lines=$(page_part "$2" | grep -v ': 0$' | printable_lines)
	[ -z "$lines" ] || printf '%s\n' "$lines" | sed "s/^ */  note  $1: /"
}

check_page() {
	page_part settings | sed -n 's/^ *\(.*(default .*)\)$/  ok    \1/p' | printable_lines
	show_part "dropped" drops
	show_part "hook not active" hooks_inactive
	show_part "allocator" allocators
}
