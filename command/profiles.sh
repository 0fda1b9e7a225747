# SPDX-License-Identifier: Apache-2.0
# Profiles: into a file, and as text or as a picture.

# Sets target, profile and what the options say. ARGUMENTS of a command that allows these OPTIONS.
take_request() {
	allowed=$1
	shift
	target='' profile='' seconds='' output='' tree='' rows='' type='' words=0
	while [ $# -gt 0 ]; do
		case $1 in
		-?*)
			next_option "$@"
			take_request_option
			shift "$width"
			continue
			;;
		esac
		take_word "$1"
		shift
	done
	[ -n "$target" ] || bad_usage "which process?"
}

take_word() {
	words=$((words + 1))
	case $words in
	1) target=$1 ;;
	2) profile=$1 ;;
	*) bad_usage "one argument too many: $1" ;;
	esac
}

take_request_option() {
	case " $allowed " in
	*" $option "*) ;;
	*) unknown_option ;;
	esac
	case $option in
	--tree)
		no_value
		tree=yes
		return
		;;
	esac
	need_value
	case $option in
	-s | --seconds)
		is_seconds "$value" || bad_usage "$option: not a number of seconds: $value"
		;;
	-n | --rows) is_number "$value" || bad_usage "$option: not a number: $value" ;;
	*) [ -n "$value" ] || bad_usage "$option: the value is empty" ;;
	esac
	case $option in
	-s | --seconds) seconds=$value ;;
	-o | --output) output=$value ;;
	-n | --rows) rows=$value ;;
	-t | --type) type=$value ;;
	esac
}

# Sets path and query of the profile, and total, the seconds that it takes.
set_path() {
	[ -n "$profile" ] || bad_usage "which profile? heap, profile (CPU), goroutine (threads) ..."
	query='' path=${profile%%\?*} total=$seconds
	case $profile in
	*[!]A-Za-z0-9._~:/?\&=%+,@[-]* | /*) bad_usage "no name of a profile: $profile" ;;
	*\?*) add_query "${profile#*\?}" ;;
	esac
	case $path in
	cpu | profile) path=profile total=${total:-30} ;;
	threads) path=goroutine ;;
	wall | fgprof) path=fgprof total=${total:-30} ;;
	trace) total=${total:-1} ;;
	esac
	profile=$path
	[ "$path" = fgprof ] || path=pprof/$path
	[ -z "$seconds" ] || add_query "seconds=$seconds"
	[ -z "$tree" ] || add_query tree=1
	[ -z "$rows" ] || add_query "n=$rows"
	[ -z "$type" ] || add_query "type=$type"
	total=${total:-0}
	total=${total%.*}
	total=${total:-0}
}

add_query() {
	query=$query${query:+&}$1
}

# fetch_profile FILE: false after a complaint.
fetch_profile() {
	url=$base/debug/$path${query:+?$query}
	! fetch_shown "$profile of $label" "$total" "$url" "$1" || return 0
	complain "$(cat "$1.error")"
	return 1
}

# Sets body, a temporary file that has the answer.
fetch_text() {
	need_work
	body=$work/body
	fetch_profile "$body" || exit 1
}

# Sets output where it is not given: in the current folder.
name_output() {
	[ -z "$output" ] || return 0
	output=$(printf '%s.%s%s' "$label" "$profile" "$1" | LC_ALL=C tr -c 'A-Za-z0-9._-' _)
}

# Sets place, where to write what takes the name $output when it is complete. Devices and pipes are
# written to, and files behind links are replaced.
begin_output() {
	case $output in
	-*) output=./$output ;;
	esac
	[ ! -d "$output" ] || fail "$output is a folder"
	[ ! -L "$output" ] || output=$(readlink -f -- "$output")
	place=$output
	if [ ! -e "$output" ] || [ -f "$output" ]; then
		unfinished=$(mktemp "$output.XXXXXX" 2>/dev/null) ||
			fail "$output: cannot be written there"
		place=$unfinished
	fi
}

end_output() {
	[ -n "$unfinished" ] || return 0
	chmod '=rw' "$unfinished" # as umask has it: mktemp gives 0600
	mv -f -- "$unfinished" "$output" || fail "$output: cannot be written"
	unfinished=
}

# By what the answer is, not by what was asked for.
ending_of() {
	case $(od -An -tx1 -N2 "$1" | tr -d ' \n') in
	1f8b) echo .pb.gz ;;
	676f) echo .trace ;; # "go 1.22 trace"
	*) echo .txt ;;
	esac
}

command_get() {
	take_request "-s --seconds -o --output --tree" "$@"
	set_path
	set_target "$target"
	fetch_text
	if [ "$output" = - ]; then
		[ ! -t 1 ] || [ "$(ending_of "$body")" = .txt ] ||
			fail "it is not text: -o FILE"
		cat "$body"
		return
	fi
	name_output "$(ending_of "$body")"
	begin_output
	cat "$body" >"$place" || fail "$output: cannot be written"
	end_output
	printf '%s\n' "$output"
}

command_top() {
	take_request "-s --seconds -n --rows -t --type" "$@"
	set_path
	add_query format=top
	set_target "$target"
	fetch_text
	printable_lines <"$body"
}

command_folded() {
	take_request "-s --seconds -t --type" "$@"
	set_path
	add_query format=folded
	set_target "$target"
	fetch_text
	cat "$body"
}

command_flame() {
	take_request "-s --seconds -o --output -t --type" "$@"
	set_path
	add_query format=folded
	set_target "$target"
	name_output .svg
	[ "$output" = - ] || begin_output
	fetch_text
	draw_flames "$profile${type:+ ($type)} of $label" <"$body" >"$work/image" ||
		fail "$profile of $label has no stacks"
	if [ "$output" = - ]; then
		cat "$work/image"
		return
	fi
	cat "$work/image" >"$place" || fail "$output: cannot be written"
	end_output
	printf '%s\n' "$output"
}

command_threads() {
	take_request "" "$@"
	[ -z "$profile" ] || bad_usage "one argument too many: $profile"
	profile=goroutine
	set_path
	add_query debug=2
	set_target "$target"
	fetch_text
	printable_lines <"$body"
}

command_web() {
	take_request "" "$@"
	[ -z "$profile" ] || bad_usage "one argument too many: $profile"
	set_target "$target"
	[ -z "$enter" ] ||
		fail "a browser does not reach process $pid in $network: publish its port"
	[ -z "$socket" ] || fail "a browser does not reach the unix socket $socket of process $pid"
	url=$base/debug/pprof/ui
	printf '%s\n' "$url"
	for browser in ${BROWSER:+"$BROWSER"} xdg-open; do
		if [ -n "${BROWSER-}${DISPLAY-}${WAYLAND_DISPLAY-}" ] &&
			command -v "$browser" >/dev/null; then
			exec "$browser" "$url" >/dev/null 2>&1
		fi
	done
}
