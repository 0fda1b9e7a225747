#include "launchers.h"

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
	"dbus-run-session,dbus-daemon,systemd-inhibit,systemd-cat,tee,logger,multilog,svlogd,"
	"s6-log,rotatelogs,cronolog,strace,ltrace,gdb,gdbserver,lldb,lldb-server,rr,perf,"
	"valgrind*,*-amd64-linux,*-arm64-linux";

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
