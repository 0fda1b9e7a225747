#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pprofagent: programs under libpprofagent.so, their profiles, and why there are none. Needs /proc
# and curl or wget. Made of command/*.sh; `pprofagent help` lists what it does.
#
# Exit status: 0; 1 it could not be done; 2 bad usage or a bad setting; of `run` that of the
# program, 126 it cannot be executed, 127 it is not there.
set -u

version='@VERSION@'
installed='@LIBDIR@'
# Programs that pass the agent on and are not profiled themselves (agent/base/launchers.c).
launchers='@LAUNCHERS@'

command=
work=    # folder for temporary files, made at its first use
waited= # process that is being waited for
unfinished=

complain() {
	printf 'pprofagent: %s\n' "$*" >&2
}

fail() {
	complain "$*"
	exit 1
}

bad_usage() {
	complain "$*"
	complain "\`pprofagent help${command:+ $command}\` says how it is used"
	exit 2
}

clean_up() {
	[ -z "$waited" ] || kill "$waited" 2>/dev/null
	[ -z "$unfinished" ] || rm -f "$unfinished"
	[ -z "$work" ] || rm -rf "$work"
	work='' unfinished='' waited=''
}

trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Not in a subshell: the trap of this one removes it.
need_work() {
	[ -n "$work" ] || work=$(mktemp -d "${TMPDIR:-/tmp}/pprofagent.XXXXXX") ||
		fail "no folder for temporary files: ${TMPDIR:-/tmp}"
}

# For arithmetic, too: no sign, and no leading zero.
is_number() {
	case $1 in
	'' | *[!0-9]* | 0?* | ????????????*) return 1 ;;
	esac
}

is_seconds() {
	case $1 in
	'' | . | *[!0-9.]* | *.*.* | ???????????*) return 1 ;;
	esac
}

has_line_break() {
	case $1 in
	*'
'*) return 0 ;;
	esac
	return 1
}

# next_option ARGUMENTS...: sets option and value, and width, how many arguments they are. An option
# without "=" has the next argument as its value, unless no_value follows.
next_option() {
	case $1 in
	--*=*) option=${1%%=*} value=${1#*=} width=1 joined=yes ;;
	*) option=$1 value=${2-} width=$(($# > 1 ? 2 : 1)) joined= ;;
	esac
}

need_value() {
	[ -n "$joined" ] || [ "$width" = 2 ] || bad_usage "$option needs a value"
}

no_value() {
	[ -z "$joined" ] || bad_usage "$option takes no value"
	width=1
}

unknown_option() {
	bad_usage "unknown option $option"
}

set_library() {
	self=$0
	case $self in
	*/*) ;;
	*) self=$(command -v -- "$self") || self=$0 ;;
	esac
	here=$(dirname -- "$(readlink -f -- "$self")")
	for library in "$here/libpprofagent.so" "$here/../lib/pprofagent/libpprofagent.so" \
		"$installed/pprofagent/libpprofagent.so"; do
		[ ! -f "$library" ] || break
	done
	[ -f "$library" ] || fail "no libpprofagent.so in $here or $here/../lib/pprofagent"
	library=$(readlink -f -- "$library")
}
