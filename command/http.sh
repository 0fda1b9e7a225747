# SPDX-License-Identifier: Apache-2.0
# Requests, by curl or wget. A token never stands on a command line, which all users may see.

socket=  # the path of a unix socket; empty: the address is in the URL
enter=   # the command that enters the network namespace of the process; empty: it is in ours
outside= # the address may be behind a proxy
token=${PPROFAGENT_TOKEN-}

# Sets client; false: there is none that can be used, for the reason in why.
find_client() {
	why=
	if command -v curl >/dev/null; then
		client=curl
	elif ! command -v wget >/dev/null; then
		why="neither curl nor wget is here"
	elif wget --version 2>/dev/null | grep -q GNU; then
		client=wget
	else
		client=small_wget
		[ -z "$token" ] || why="this wget cannot be given a token in secret: install curl"
	fi
	! has_line_break "$token" || why="PPROFAGENT_TOKEN has a line break"
	[ -z "$why" ]
}

set_client() {
	find_client || fail "$why"
}

quote_for_curl() {
	printf '%s\n' "$1" | sed 's/[\\"]/\\&/g; s/^/"/; s/$/"/'
}

curl_config() {
	printf 'url = %s\n' "$(quote_for_curl "$1")"
	[ -z "$socket" ] || printf 'unix-socket = %s\n' "$(quote_for_curl "$socket")"
	[ -z "$token" ] || printf 'header = %s\n' "$(quote_for_curl "Authorization: Bearer $token")"
	[ -n "$outside" ] || printf 'noproxy = "*"\n'
}

# What the clients answer: the body in FILE; on stdout the status, or a line that says what failed.
# $enter is a list of words. URL FILE SECONDS, the longest silence.
# shellcheck disable=SC2086
request_curl() {
	curl_config "$1" | $enter curl -q -sS -g --connect-timeout 5 --speed-limit 1 \
		--speed-time "$3" -o "$2" -w '%{http_code}' -K - 2>&1
}

# shellcheck disable=SC2086
request_wget() {
	{
		[ -z "$token" ] || printf 'header = Authorization: Bearer %s\n' "$token"
		[ -n "$outside" ] || printf 'use_proxy = off\n'
	} >"$2.wgetrc"
	said=$(printf '%s\n' "$1" | $enter wget -nv -t 1 --connect-timeout=5 --read-timeout="$3" \
		--content-on-error --config="$2.wgetrc" -i - -O "$2" 2>&1)
	wget_status $?
}

# busybox 1.35 crashes with -T.
# shellcheck disable=SC2086
request_small_wget() {
	said=$($enter timeout "$(($3 * 10))" wget -q -O "$2" "$1" 2>&1)
	wget_status $?
}

# In the words of GNU's and of busybox's: "ERROR 404: Not Found", "HTTP/1.1 404 Not Found".
wget_status() {
	code=$(printf '%s\n' "$said" |
		sed -n 's/.*\(ERROR\|HTTP\/1\.[01]\) \([1-5][0-9][0-9]\).*/\2/p')
	if [ "$1" = 0 ]; then
		printf 200
	elif [ "$1" = 6 ] && [ "$client" = wget ]; then
		printf 401
	elif [ -n "$code" ]; then
		printf '%s' "${code%%
*}"
	else
		printf '%s' "$said"
	fi
}

# fetch URL FILE SECONDS, of the longest silence: the body in FILE, which is in $work; false: the
# reason in FILE.error.
fetch() {
	if [ -n "$why" ]; then
		printf '%s\n' "$why" >"$2.error"
		return 1
	elif [ -n "$socket" ] && [ "$client" != curl ]; then
		echo 'for a unix socket curl is needed' >"$2.error"
		return 1
	fi
	answer=$("request_$client" "$1" "$2" "$3")
	case $answer in
	200) return 0 ;;
	[1-5][0-9][0-9])
		text=$(head -c 300 "$2" 2>/dev/null | tr -d '\000' | head -n 1 | printable_lines)
		case $answer$text in
		401) text='the token is missing or wrong' ;; # for wget an answer without text
		esac
		printf '%s\n' "${text:+$answer: }${text:-status $answer}" >"$2.error"
		;;
	*) printf '%s\n' "${answer%000}" | printable_lines | sed '/^$/d' | tail -n 1 >"$2.error" ;;
	esac
	return 1
}

# fetch_shown WHAT TOTAL_SECONDS URL FILE: the same; a line on a terminal shows how far it is.
fetch_shown() {
	if [ -t 2 ] && [ "$2" != 0 ]; then
		show_progress "$1" "$2" &
		waited=$!
	fi
	if fetch "$3" "$4" $(($2 + 60)); then
		set -- 0
	else
		set -- 1
	fi
	if [ -n "$waited" ]; then
		kill "$waited" 2>/dev/null
		wait "$waited"
		waited=
		printf '\r\033[K' >&2
	fi
	return "$1"
}

seconds_now() {
	read -r up _ </proc/uptime
	printf '%s' "${up%.*}"
}

# Until it is stopped, or left alone. The request is not in the background: an interrupt ends it.
show_progress() {
	trap 'exit 0' TERM
	began=$(seconds_now)
	while kill -0 $$ 2>/dev/null; do
		passed=$(($(seconds_now) - began))
		if [ "$passed" -lt "$2" ]; then
			printf '\r\033[K%s: %s of %s s' "$1" "$passed" "$2" >&2
		else
			printf '\r\033[K%s: waiting for the answer, %s s' "$1" "$passed" >&2
		fi
		sleep 0.2 2>/dev/null || sleep 1
	done
}
