/* SPDX-License-Identifier: Apache-2.0 */
#include "launchers.h"

#include <string.h>

#include "parse.h"

static const char shells[] = "sh,bash,rbash,dash,ash,zsh,ksh,ksh93,mksh,fish,csh,tcsh,busybox";

/*
 * Programs that start other programs or store their output. They pass the agent on and are not
 * profiled: an agent thread changes what they may do (unshare(2), setpriv(1)), and since they start
 * first they would take the port.
 */
static const char launchers[] =
	"coreutils,env,timeout,"
	"nice,ionice,chrt,taskset,numactl,prlimit,setarch,nohup,setsid,stdbuf,xargs,flock,time,"
	"watch,script,setpriv,capsh,unshare,nsenter,chroot,bwrap,sudo,su,runuser,doas,pkexec,"
	"gosu,su-exec,tini,tini-static,dumb-init,catatonit,systemd-run,start-stop-daemon,"
	"daemonize,pg_ctl,runsv,runsvdir,supervise,svscan,s6-supervise,s6-svscan,chpst,softlimit,"
	"setuidgid,envdir,setlock,choom,newgrp,cpulimit,firejail,faketime,ssh-agent,"
	"runc,crun,youki,conmon,minijail0,nsjail,systemd-nspawn,lxc-*,apptainer,singularity,"
	"rootlesskit,slirp4netns,criu,"
	"dbus-run-session,dbus-daemon,systemd-inhibit,systemd-cat,tee,logger,multilog,svlogd,"
	"s6-log,rotatelogs,cronolog,strace,ltrace,gdb,gdbserver,lldb,lldb-server,rr,perf,"
	"valgrind*,*-amd64-linux,*-arm64-linux";

/*
 * Process types of Chromium and its derivatives (Electron, QtWebEngine), by --type=. They enter a
 * sandbox, which needs one thread: unless the number of links of /proc/self/task is 3 they abort,
 * and a gpu-process continues without its sandbox. A zygote forks its children without exec.
 */
static const char one_thread_types[] =
	"zygote,renderer,gpu-process,utility,ppapi,ppapi-broker,nacl-loader,nacl-broker";

/* Firefox's fork server for content processes: firefox -contentproc ... forkserver */
static bool is_fork_server(char *const *argv)
{
	bool content = false, forks = false;
	for (; *argv; argv++) {
		content |= !strcmp(*argv, "-contentproc");
		forks |= !strcmp(*argv, "forkserver");
	}
	return content && forks;
}

bool pa_launchers_one_thread(char *const *argv)
{
	static const char type[] = "--type=";
	for (char *const *arg = argv; *arg; arg++)
		if (!strncmp(*arg, type, sizeof(type) - 1) &&
			pa_parse_listed(one_thread_types, *arg + sizeof(type) - 1))
			return true;
	return is_fork_server(argv);
}

bool pa_launchers_is_shell(const char *exe)
{
	return pa_parse_listed(shells, exe);
}

bool pa_launchers_have(const char *programs, const char *exe)
{
	if (*programs)
		return !pa_parse_listed(programs, exe);
	return pa_parse_listed(shells, exe) || pa_parse_listed(launchers, exe);
}
