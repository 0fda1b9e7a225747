# SPDX-License-Identifier: Apache-2.0
# Settings: options of run and env, and what the agent itself says about them.

# Sets names, the variables that options have set, and used, the number of arguments they take.
take_settings() {
	names='' used=0
	while [ $# -gt 0 ]; do
		case $1 in
		--)
			used=$((used + 1))
			break
			;;
		-?*) ;;
		*) break ;;
		esac
		next_option "$@"
		take_setting
		used=$((used + width))
		shift "$width"
	done
}

take_setting() {
	case $option in
	--address) need_value && setting ADDRESS "$value" ;;
	--block) rate_setting BLOCK_RATE ;;
	--mutex) rate_setting MUTEX_FRACTION ;;
	--heap-rate) need_value && setting HEAP_RATE "$value" ;;
	--only) need_value && setting PROGRAMS "$value" ;;
	--no-children) no_value && setting CHILDREN off ;;
	*) unknown_option ;;
	esac
}

# Without a value: each one is recorded.
rate_setting() {
	if [ -n "$joined" ]; then
		[ -n "$value" ] || bad_usage "$option= needs a value; $option alone records all"
		setting "$1" "$value"
	else
		no_value
		setting "$1" 1
	fi
}

setting() {
	! has_line_break "$2" || bad_usage "$option: the value has a line break"
	export "PPROFAGENT_$1=$2"
	case "$names " in
	*" PPROFAGENT_$1 "*) ;;
	*) names="$names PPROFAGENT_$1" ;;
	esac
}

set_preload() {
	case $library in
	*[\ :]*) fail "$library: LD_PRELOAD can hold no path with a blank or a colon" ;;
	esac
	case ":$preload:" in
	*":$library:"* | *[:\ /]libpprofagent.so[:\ ]*) ;;
	*) preload=$library${preload:+:$preload} ;;
	esac
}

# For env(1): a program of ours under the agent leaves no files.
no_files='-u PPROFAGENT_CPUPROFILE -u PPROFAGENT_HEAPPROFILE -u PPROFAGENT_ALLOCSPROFILE
	-u PPROFAGENT_BLOCKPROFILE -u PPROFAGENT_MUTEXPROFILE'

# What the agent says in a program that ends at once. An unknown setting of our own shows that it
# speaks at all. It would be silent in a process of the wrong name, or if it is switched off.
# shellcheck disable=SC2086 # words
agent_on_settings() {
	true=/bin/true
	[ -x "$true" ] || true=/usr/bin/true
	[ -z "${PPROFAGENT_LOG-}${PPROFAGENT_ENABLED-}" ] ||
		env $no_files "LD_PRELOAD=$library" "$true"
	env $no_files -u PPROFAGENT_ENABLED "LD_PRELOAD=$library" PPROFAGENT_LOG=info \
		"PPROFAGENT_PROGRAMS=${PPROFAGENT_PROGRAMS:+$PPROFAGENT_PROGRAMS,}*" \
		PPROFAGENT_COMMAND_ASKS=yes "$true"
}

# Sets said, the agent's complaints; false: the agent cannot run here.
ask_about_settings() {
	said=$(agent_on_settings 2>&1 | awk '!seen[$0]++')
	case $said in
	*PPROFAGENT_COMMAND_ASKS*) ;;
	*) return 1 ;;
	esac
	said=$(printf '%s\n' "$said" | sed /PPROFAGENT_COMMAND_ASKS/d)
}

check_settings() {
	if ! ask_about_settings; then
		[ -z "$said" ] || printf '%s\n' "$said" >&2
		complain "the agent does not run here: \`pprofagent check ${1:-true}\` says why"
	elif [ -n "$said" ]; then
		printf '%s\n' "$said" >&2
		exit 2
	fi
}

# The address is one that the agent has accepted.
say_url() {
	address=${PPROFAGENT_ADDRESS:-localhost:6053}
	case $address in
	off) complain "no port: PPROFAGENT_ADDRESS is off" ;;
	unix:*) complain "serving on $address" ;;
	*:0) complain "serving on a free port: \`pprofagent list\` shows it" ;;
	:* | 0.0.0.0:* | '[::]:'*) complain "http://localhost:${address##*:}/debug/pprof/" ;;
	*) complain "http://$address/debug/pprof/" ;;
	esac
}

# Sets program, the file that a name means.
find_program() {
	case $1 in
	*/*) program=$1 ;;
	*) program=$(find_in_path "$1" -x || find_in_path "$1" -f) ;;
	esac
	[ -n "$program" ] && [ -e "$program" ]
}

find_in_path() (
	IFS=:
	set -f
	for folder in $PATH; do
		file=${folder:-.}/$1
		if [ -f "$file" ] && test "$2" "$file"; then
			printf '%s\n' "$file"
			exit 0
		fi
	done
	exit 1
)

command_run() {
	take_settings "$@"
	shift "$used"
	[ $# -gt 0 ] || bad_usage "which program?"
	set_library
	set_preload
	if ! find_program "$1"; then
		complain "$1: no such program"
		exit 127
	elif [ -d "$program" ] || [ ! -x "$program" ]; then
		complain "$1: cannot be executed"
		exit 126
	fi
	check_settings "$1"
	say_url
	LD_PRELOAD=$preload
	export LD_PRELOAD
	trap - HUP INT TERM EXIT
	exec "$@"
}

command_env() {
	take_settings "$@"
	[ "$used" = $# ] || bad_usage "env takes options only"
	set_library
	set_preload
	check_settings
	printf 'LD_PRELOAD=%s\n' "$preload"
	for name in $names; do
		eval "printf '%s=%s\n' \"\$name\" \"\$$name\""
	done
}
