# SPDX-License-Identifier: Apache-2.0
# `pprofagent help`; 80 columns.

help_general() {
	cat <<-'TEXT'
		pprofagent COMMAND ...    profiles of programs under libpprofagent.so

		  run CMD...             start a program under the agent
		  list                   programs under the agent
		  top TARGET PROFILE     a profile as a table
		  flame TARGET PROFILE   as a flame graph (SVG)
		  folded TARGET PROFILE  as folded stacks, for other tools
		  get TARGET PROFILE     into a file, for go tool pprof and others
		  threads TARGET         the stacks of all threads
		  web TARGET             open the page with all of it in a browser
		  check PROG|PID         will it be profiled, and if not, why
		  targets                the programs, for Prometheus
		  env                    settings as lines for Docker and systemd

		  help COMMAND, --version, --lib (the path of the library)

		TARGET  a PID, the NAME of a program that runs once, a URL, or unix:/PATH
		PROFILE heap, allocs, profile (CPU), block, mutex, goroutine (threads),
		        threadcreate, fgprof (wall clock), trace, or one of the program
		PPROFAGENT_TOKEN is sent along when it is set.
	TEXT
}

help_run() {
	cat <<-'TEXT'
		pprofagent run [OPTION]... [--] CMD [ARGUMENT]...

		Starts CMD under the agent and prints where its profiles are, on stderr. An
		LD_PRELOAD that is set is kept. Settings that the agent refuses are refused.

		  --address A      HOST:PORT, :PORT (all interfaces), off; port 0: any free one
		                   (localhost:6053); other forms: man libpprofagent
		  --block[=NS]     record waits: one in NS nanoseconds of waiting (1: each)
		  --mutex[=N]      record contention: one in N (1: each)
		  --heap-rate N    bytes between two samples of the heap (524288; 1: each)
		  --only GLOB      programs to profile, comma list
		  --no-children    leave out what it starts

		All other settings are environment variables: man libpprofagent.
		Exit status: that of CMD; 2 bad usage or setting, 126 CMD cannot be executed,
		127 there is no CMD.
	TEXT
}

help_list() {
	cat <<-'TEXT'
		pprofagent list [--json] [--all]

		The programs of this user under the agent, as a tree. DROPPED: events that are
		missing from the profiles (/debug/pprof/agent says why), - where it is not
		known. URL: "in net:[N]" is another network namespace.

		  --all     of all users (root sees all of them)
		  --json    for programs
	TEXT
}

help_get() {
	cat <<-'TEXT'
		pprofagent get TARGET PROFILE [-s SECONDS] [-o FILE] [--tree]

		Writes a profile to FILE (NAME.PID.PROFILE.pb.gz), which is complete or not
		there, and prints its name. For `go tool pprof FILE`, `go tool trace FILE`.
		PROFILE may have parameters: 'heap?debug=1'.

		  -s SECONDS   how long; of heap, block ...: what changed in that time
		  -o FILE      - is stdout
		  --tree       of the process and all its descendants, in one
	TEXT
}

help_top() {
	cat <<-'TEXT'
		pprofagent top TARGET PROFILE [-s SECONDS] [-n ROWS] [-t TYPE]

		A table of functions: flat, cumulative, in the order of flat.

		  -s SECONDS   how long; of heap, block ...: what changed in that time
		  -n ROWS      how many (40)
		  -t TYPE      which value: alloc_space, inuse_objects, contentions ...
	TEXT
}

help_folded() {
	cat <<-'TEXT'
		pprofagent folded TARGET PROFILE [-s SECONDS] [-t TYPE]

		Lines "frame;frame;frame value", for flamegraph.pl, inferno, speedscope.

		  -s SECONDS   how long; of heap, block ...: what changed in that time
		  -t TYPE      which value: alloc_space, inuse_objects, contentions ...
	TEXT
}

help_flame() {
	cat <<-'TEXT'
		pprofagent flame TARGET PROFILE [-o FILE] [-s SECONDS] [-t TYPE]

		Draws a flame graph to FILE (NAME.PID.PROFILE.svg) and prints its name. The
		root is at the bottom; the title of a frame has its name, value and share.

		  -o FILE      - is stdout
		  -s SECONDS   how long; of heap, block ...: what changed in that time
		  -t TYPE      which value: alloc_space, inuse_objects, contentions ...
	TEXT
}

help_threads() {
	cat <<-'TEXT'
		pprofagent threads TARGET

		The stacks of all threads now, with what they wait for.
	TEXT
}

help_web() {
	cat <<-'TEXT'
		pprofagent web TARGET

		Prints the URL of the page with flame graphs, tables and threads, and opens it
		in $BROWSER, or the browser of the desktop.
	TEXT
}

help_check() {
	cat <<-'TEXT'
		pprofagent check PROG|PID

		Says whether PROG will be profiled, or PID is, what stands in the way and what
		to do. PROG is read, not started. Exit status: 0 it works, 1 it does not.
	TEXT
}

help_targets() {
	cat <<-'TEXT'
		pprofagent targets [-o FILE] [--watch SECONDS]

		The programs under the agent as file_sd JSON of Prometheus (Parca, Alloy): one
		target each, with the labels service_name and __meta_pprofagent_pid, _ppid,
		_program, _cmdline. Of this network namespace.

		  -o FILE          into a file, which is replaced as a whole
		  --watch SECONDS  again and again, when something changed
	TEXT
}

help_env() {
	cat <<-'TEXT'
		pprofagent env [OPTION]...

		Prints LD_PRELOAD and the settings as lines VAR=value, for `docker run
		--env-file` and EnvironmentFile= of systemd. The options are those of run.
	TEXT
}

command_help() {
	case ${1-} in
	'') help_general ;;
	run | list | get | top | folded | flame | threads | web | check | targets | env)
		"help_$1"
		;;
	help) help_general ;;
	*)
		command=
		bad_usage "no command: $1"
		;;
	esac
}
