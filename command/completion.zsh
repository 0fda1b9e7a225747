#compdef pprofagent
# SPDX-License-Identifier: Apache-2.0
# Completion of pprofagent for zsh.

# Not by list: it asks all of them.
_pprofagent_targets() {
	local -a targets
	targets=(${(f)"$(pprofagent targets 2>/dev/null | sed -n \
		's/.*"service_name":"\([^":\\]*\)","__process_pid__":"\([0-9]*\)".*/\2:\1 \1:\2/p' |
		tr ' ' '\n')"})
	_describe target targets
}

_pprofagent_programs() {
	_pprofagent_targets
	compadd -- ${(k)commands}
	_files
}

_pprofagent_profiles() {
	local -a profiles
	profiles=(heap allocs profile:CPU block mutex goroutine:threads threadcreate
		'fgprof:wall clock' trace)
	_describe profile profiles
}

_pprofagent() {
	local -a subcommands settings request
	subcommands=(
		'run:start a program under the agent'
		'list:programs under the agent'
		'top:a profile as a table'
		'flame:a profile as a flame graph'
		'folded:a profile as folded stacks'
		'get:a profile into a file'
		'threads:the stacks of all threads'
		'web:open the page in a browser'
		'check:will it be profiled, and if not, why'
		'targets:the programs, for Prometheus'
		'env:settings as lines for Docker and systemd'
		'help:how a command is used'
	)
	settings=('--address[where to serve]:address:' '--block=-[record waits]::nanoseconds:'
		'--mutex=-[record contention]::one in:'
		'--heap-rate[bytes between two samples]:bytes:'
		'--only[programs to profile]:globs:' '--no-children[leave out what it starts]')
	request=('-s[how long]:seconds:'
		'1:target:_pprofagent_targets' '2:profile:_pprofagent_profiles')
	if ((CURRENT == 2)); then
		_describe command subcommands
		_values option --version --lib --help
		return
	fi
	local command=$words[2]
	shift words
	((CURRENT--))
	case $command in
	run) _arguments $settings '*:: :_normal' ;;
	env) _arguments $settings ;;
	list) _arguments --json --all ;;
	get) _arguments $request '-o[file]:file:_files' '--tree[with all descendants]' ;;
	flame) _arguments $request '-o[file]:file:_files' '-t[which value]:type:' ;;
	top) _arguments $request '-n[rows]:number:' '-t[which value]:type:' ;;
	folded) _arguments $request '-t[which value]:type:' ;;
	threads | web) _arguments '1:target:_pprofagent_targets' ;;
	check) _arguments '1:target:_pprofagent_programs' ;;
	targets) _arguments '-o[file]:file:_files' '--watch[again and again]:seconds:' ;;
	help) _describe command subcommands ;;
	esac
}

_pprofagent "$@"
