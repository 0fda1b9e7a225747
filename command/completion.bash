# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of pprofagent for bash.

# Not by list: it asks all of them.
_pprofagent_targets() {
	pprofagent targets 2>/dev/null |
		sed -n 's/.*"service_name":"\([^"\\]*\)","__process_pid__":"\([0-9]*\)".*/\1 \2/p'
}

_pprofagent() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]-} words='' place=1 i
	local commands='run list get top flame folded threads web check targets env help'
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$commands --version --lib --help" -- "$word")
		return
	fi
	case $command:$before in
	run:--* | env:--*)
		[[ $before == --no-children || $before == --block || $before == --mutex ||
			$before == -- ]] || return
		;;
	*:-o | *:--output)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	*:-[snt] | *:--seconds | *:--rows | *:--type | *:--watch) return ;;
	esac
	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-[sont] | --seconds | --output | --rows | --type) ((i++)) ;;
		-*) ;;
		*) ((place++)) ;;
		esac
	done
	case $command in
	run) words='--address --block --mutex --heap-rate --only --no-children --' ;;
	env) words='--address --block --mutex --heap-rate --only --no-children' ;;
	list) words='--json --all' ;;
	get) words='-s -o --tree' ;;
	flame) words='-s -o -t' ;;
	top) words='-s -n -t' ;;
	folded) words='-s -t' ;;
	targets) words='-o --watch' ;;
	help) words=$commands ;;
	esac
	case $command:$word in
	*:-*) ;;
	run:*)
		mapfile -t COMPREPLY < <(compgen -c -- "$word")
		return
		;;
	check:*)
		mapfile -t COMPREPLY < <(compgen -c -W "$(_pprofagent_targets)" -- "$word")
		return
		;;
	get:* | top:* | flame:* | folded:* | threads:* | web:*)
		if ((place == 1)); then
			words=$(_pprofagent_targets)
		elif ((place == 2)) && [[ $command != threads && $command != web ]]; then
			words='heap allocs profile block mutex goroutine threadcreate fgprof trace'
		fi
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _pprofagent pprofagent
