# SPDX-License-Identifier: Apache-2.0
# The tools that this script starts are not to be profiled: `run` sets LD_PRELOAD again.
preload=${LD_PRELOAD-}
unset LD_PRELOAD

main() {
	command=${1-}
	[ $# = 0 ] || shift
	case $command in
	run | env) ;;
	*)
		for argument in "$@"; do
			case $argument in
			--help | -h) command_help "$command" && exit 0 ;;
			esac
		done
		;;
	esac
	case $command in
	run | env) case ${1-} in --help | -h) command_help "$command" && exit 0 ;; esac ;;
	esac
	case $command in
	run | list | get | top | folded | flame | threads | web | check | targets | env | help)
		"command_$command" "$@"
		;;
	--help | -h) command_help ;;
	--version) printf 'pprofagent %s\n' "$version" ;;
	--lib) set_library && printf '%s\n' "$library" ;;
	'')
		help_general >&2
		exit 2
		;;
	*)
		unknown=$command command=
		bad_usage "no command: $unknown"
		;;
	esac
}

main "$@"
