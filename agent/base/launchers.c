#include "launchers.h"

#include <string.h>

#include "value.h"

static const char shells[] = "sh,bash,rbash,dash,ash,zsh,ksh,ksh93,mksh,fish,csh,tcsh,busybox";

/*
 * Programs that start others or keep what those say. They hand the agent on: a thread of ours
 * changes what they may do (unshare, setpriv), and the port is not theirs, often as they are first.
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
 * Processes of Chromium and what is made of it (Electron, QtWebEngine), by --type=. They go into a
 * sandbox, but only with one thread: the number of links of /proc/self/task is 3, or they abort; a
 * gpu-process goes on without its sandbox. What a zygote forks is not started by exec.
 */
static const char one_thread_types[] =
	"zygote,renderer,gpu-process,utility,ppapi,ppapi-broker,nacl-loader,nacl-broker";

/* Firefox's process that forks its content processes: firefox -contentproc ... forkserver */
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
		    pa_value_listed(one_thread_types, *arg + sizeof(type) - 1))
			return true;
	return is_fork_server(argv);
}

bool pa_launchers_is_shell(const char *exe)
{
	return pa_value_listed(shells, exe);
}

bool pa_launchers_have(const char *programs, const char *exe)
{
	if (*programs)
		return !pa_value_listed(programs, exe);
	return pa_value_listed(shells, exe) || pa_value_listed(launchers, exe);
}
