# SPDX-License-Identifier: Apache-2.0
# Whether a program will be profiled, and what there is to do.

verdict=0

good() {
	printf '  ok    %s\n' "$1"
}

# note WHAT WHAT_TO_DO
note() {
	printf '  note  %s\n' "$1"
	[ -z "${2-}" ] || printf '        -> %s\n' "$2"
}

bad() {
	printf '  NO    %s\n' "$1"
	[ -z "${2-}" ] || printf '        -> %s\n' "$2"
	verdict=1
}

contains() {
	LC_ALL=C grep -q -e "$2" -- "$1" 2>/dev/null
}

# listed NAME GLOBS: comma list
listed() (
	IFS=,
	set -f
	for glob in $2; do
		# shellcheck disable=SC2254 # a glob
		case $1 in
		$glob) exit 0 ;;
		esac
	done
	exit 1
)

# The kernel's rule for scripts: the interpreter, and of env(1) the program that it starts.
check_script() {
	line=$(head -n 1 "$1" | LC_ALL=C tr -d '\000\r')
	case $line in
	'#!'*) ;;
	*)
		bad "no program that the kernel can start: no ELF file, and no #! line"
		return
		;;
	esac
	set -f
	# shellcheck disable=SC2086 # words
	set -- ${line#'#!'}
	set +f
	[ "${1##*/}" != env ] || shift
	while [ $# -gt 1 ]; do
		case $1 in
		-* | *=*) shift ;;
		*) break ;;
		esac
	done
	note "a script: what counts is its interpreter, ${1-}"
	if find_program "${1-}"; then
		check_file "$program" script
	else
		bad "the interpreter is not there"
	fi
}

check_loader() {
	case $interpreter in
	*/ld-musl*)
		bad "it uses another libc: musl ($interpreter)" "a program that is linked to glibc"
		return
		;;
	*/ld-linux* | */ld.so* | */ld64.so*) ;;
	*)
		bad "its loader is not that of glibc: $interpreter" \
			"a program that is linked to glibc"
		return
		;;
	esac
	if [ -e "$interpreter" ]; then
		good "dynamically linked, $(machine_name "$machine"), $interpreter"
	else
		bad "its loader is not there: $interpreter" "install the libc that it was made for"
	fi
}

check_kind() {
	its_class=$class its_machine=$machine
	is_go=$(! contains "$1" ' Go buildinf:' || echo yes)
	if [ -z "$interpreter" ]; then
		is_static=yes
		if [ -n "$is_go" ]; then
			bad "a static Go program: static programs ignore LD_PRELOAD" \
				"import _ \"net/http/pprof\" in it"
		else
			bad "statically linked: static programs ignore LD_PRELOAD" \
				"link it dynamically"
		fi
	else
		is_static=
		if [ -n "$is_go" ]; then
			note "Go with cgo: memory and locks of its C code are seen, not Go's" \
				"import _ \"net/http/pprof\" in it for those of Go"
		fi
	fi
	if [ -n "$library" ] && read_elf "$library" &&
		[ "$class$machine" != "$its_class$its_machine" ]; then
		its_machine="$(machine_name "$its_machine") ($its_class bits)"
		our_machine="$(machine_name "$machine") ($class bits)"
		bad "it is for $its_machine, the agent for $our_machine" \
			"a program of the agent's kind"
	fi
	read_elf "$1"
}

# Raised rights: the loader or the agent ignores the environment.
check_rights() {
	owner=$(stat -Lc '%u %g' -- "$1")
	if [ -u "$1" ] && [ "${owner% *}" != "$(id -u)" ]; then
		bad "setuid: the agent stays inert in it" "start it as user ${owner% *}"
	elif [ -g "$1" ] && [ "${owner#* }" != "$(id -g)" ]; then
		bad "setgid: the agent stays inert in it" "start it as group ${owner#* }"
	elif [ "$(id -u)" != 0 ] && [ -n "$(getcap "$1" 2>/dev/null)" ]; then
		bad "file capabilities: the agent stays inert in it" "start it as root"
	fi
}

# Asks the loader, which starts nothing of the program.
check_libraries() {
	libraries=
	case $interpreter in
	/lib/* | /lib64/* | /usr/lib/* | /usr/lib64/*)
		libraries=$(LD_TRACE_LOADED_OBJECTS=1 "$interpreter" "$1" 2>&1)
		;;
	esac
	missing=$(printf '%s\n' "$libraries" | sed -n 's/^[[:space:]]*\(.*\) => not found.*/\1/p')
	[ -z "$missing" ] || bad "libraries that it needs are not found:" "install ${missing}"
	case $libraries in
	*lib[atlm]san.so* | *libhwasan.so*) sanitizer=yes ;;
	*) sanitizer=$(has_sanitizer "$1") ;;
	esac
	[ -z "$sanitizer" ] || bad "built with a sanitizer: the agent stays inert in it" \
		"a build without -fsanitize"
	check_shared_allocators
}

has_sanitizer() {
	if command -v readelf >/dev/null; then
		readelf -W --dyn-syms "$1" 2>/dev/null |
			grep -E ' __(asan|tsan|msan|hwasan|lsan)_init$' |
			grep -v ' WEAK .* UND ' | head -n 1
	elif contains "$1" '__[atmlhw]*san_init'; then
		echo maybe
	fi
}

check_shared_allocators() {
	case $libraries in
	*libjemalloc.so* | *libtcmalloc*.so* | *libmimalloc.so*)
		note "an allocator as a shared library: malloc is seen, operator new of C++ not" \
			"the part allocators of /debug/pprof/agent names it"
		;;
	esac
}

check_own_allocator() {
	if contains "$1" '<jemalloc>'; then
		note "jemalloc is linked into it: past the agent's malloc" \
			"heap?seconds=N sees it; always: PPROFAGENT_ALLOCATOR_HOOKS=on"
	elif contains "$1" 'tc_malloc\|src/tcmalloc\.cc'; then
		note "tcmalloc is linked into it: past the agent's malloc" \
			"gperftools: heap?seconds=N sees it; always: PPROFAGENT_ALLOCATOR_HOOKS=on"
	elif contains "$1" 'mimalloc: '; then
		note "mimalloc is linked into it: the heap profile does not see it" \
			"a build with the allocator of libc"
	elif contains "$1" RUST_BACKTRACE; then
		note "a Rust program: allocations, threads and locks (std, parking_lot) are seen"
	fi
}

check_names() {
	if ! command -v readelf >/dev/null; then
		note "names of functions: not looked at, readelf is not here"
		return
	fi
	sections=$(readelf -SW "$1" 2>/dev/null)
	case $sections in
	*\ .debug_info\ * | *\ .zdebug_info\ *)
		good "functions have names and lines"
		return
		;;
	esac
	id=$(readelf -nW "$1" 2>/dev/null | sed -n 's/.*Build ID: //p')
	rest=${id#??}
	file=/usr/lib/debug/.build-id/${id%"$rest"}/$rest.debug
	if [ -n "$id" ] && [ -e "$file" ]; then
		good "stripped, and its debug file is there: $file"
		return
	fi
	case $sections in
	*\ .symtab\ *)
		note "functions have names, and no lines" \
			"build it with -g, or install its debug file${id:+: $file}"
		;;
	*\ .gnu_debugdata\ *) note "stripped; functions have names by .gnu_debugdata" ;;
	*)
		note "stripped, without a debug file: functions are called FILE+0xOFFSET" \
			"install its debug package${id:+: $file}"
		;;
	esac
}

check_launcher() {
	name=${1##*/}
	if [ -n "${PPROFAGENT_PROGRAMS-}" ]; then
		listed "$name" "$PPROFAGENT_PROGRAMS" ||
			bad "PPROFAGENT_PROGRAMS does not name $name: it passes the agent on"
	elif listed "$name" "$launchers"; then
		bad "$name starts other programs: it is not profiled itself, they are" \
			"PPROFAGENT_PROGRAMS='$name', or run --only '$name'"
	fi
}

# check_file FILE [script]
check_file() {
	[ -n "${2-}" ] || printf '%s\n' "$1"
	if [ ! -r "$1" ]; then
		bad "you may not read $1: not looked at"
	elif read_elf "$1"; then
		check_kind "$1"
		[ -n "$is_static" ] || check_loader
		check_rights "$1"
		check_launcher "$(readlink -f -- "$1")"
		if [ "$verdict" = 0 ]; then
			check_libraries "$1"
			check_own_allocator "$1"
			check_names "$1"
		fi
	elif [ -z "${2-}" ]; then
		check_script "$1"
	else
		bad "the interpreter is no program: $1"
	fi
}

# Runs the agent in a process that does nothing, on a free port, until it serves or says why not.
# Its line that it serves is in $work/serves, all others in $work/said, its page about itself in
# $work/agent.
# shellcheck disable=SC2086 # words
try_agent() {
	need_work
	find_client || true
	: >"$work/said"
	{
		env $no_files -u PPROFAGENT_ENABLED "LD_PRELOAD=$library" PPROFAGENT_LOG=info \
			PPROFAGENT_ADDRESS=127.0.0.1:0 PPROFAGENT_PROGRAMS='*' "$program" 3 2>&1 &
		echo "process $!"
		wait
	} 2>/dev/null | while read -r line; do
		case $line in
		process\ *) child=${line#* } ;;
		*serving\ http*)
			printf '%s\n' "$line" >"$work/serves"
			fetch "http${line##*serving http}agent" "$work/agent" 10
			;;
		*) printf '%s\n' "$line" | printable_lines >>"$work/said" ;;
		esac
		case $line in
		*serving*) kill "$child" 2>/dev/null ;;
		esac
	done
}

# Sets program, one that sleeps and is dynamically linked to glibc; false: there is none.
find_sleeper() {
	for program in /bin/sleep /usr/bin/sleep; do
		read_elf "$program" || continue
		case $interpreter in
		*/ld-linux* | */ld64.so*) return 0 ;;
		esac
	done
	return 1
}

check_agent() {
	printf '%s\n' "$library"
	if ! find_sleeper; then
		note "not tried: there is no sleep(1) here that could be profiled"
		return
	fi
	try_agent
	if [ -s "$work/serves" ]; then
		good "the agent starts in a program of this machine"
	else
		bad "the agent does not start here" "$(agent_remedy)"
	fi
}

agent_remedy() {
	if [ -s "$work/said" ]; then
		head -n 1 "$work/said"
	else
		echo "it says nothing: limits of memory (ulimit -v, -d), or a sandbox"
	fi
}

# The lines of a part of the agent page.
page_part() {
	[ ! -f "$work/agent" ] || sed -n "/^$1:\$/,/^\$/p" "$work/agent" | sed '1d; /^$/d'
}

check_settings_of_environment() {
	if ask_about_settings && [ -n "$said" ]; then
		bad "settings that the agent refuses:" "$said"
	fi
	case ${PPROFAGENT_ENABLED-} in
	0 | false) bad "PPROFAGENT_ENABLED=$PPROFAGENT_ENABLED: the agent does nothing" ;;
	esac
	[ "${PPROFAGENT_ADDRESS-}" != off ] || note "PPROFAGENT_ADDRESS=off: no port"
	others=$(page_part settings | grep '(default ' | sed 's/^ */, /' |
		grep -v '_\(ADDRESS\|LOG\|PROGRAMS\|PEERS\): ' | tr -d '\n')
	good "settings: PPROFAGENT_ADDRESS: ${PPROFAGENT_ADDRESS:-localhost:6053}$others"
}

command_check() {
	case ${1-} in
	-*) bad_usage "check takes no option" ;;
	'') bad_usage "which program or process?" ;;
	esac
	[ $# = 1 ] || bad_usage "one argument too many: $2"
	set_library
	case $1 in
	*[!0-9]*) is_process= ;;
	*) is_process=$([ ! -d "/proc/$1" ] || echo yes) ;;
	esac
	if [ -n "$is_process" ]; then
		check_process "$1"
	else
		if ! find_program "$1" || [ -d "$program" ]; then
			fail "$1: no such program"
		fi
		check_file "$program"
		if [ "$verdict" = 0 ]; then
			check_agent
			check_settings_of_environment
		fi
	fi
	if [ "$verdict" = 0 ]; then
		echo "It works."
	else
		echo "It does not work."
	fi
	exit "$verdict"
}
