# SPDX-License-Identifier: Apache-2.0
"""What v_eintr calls, and how often each call came back early."""

# A signal ends these even when its handler has SA_RESTART (signal(7)); the others go on.
ENDED_BY_A_SIGNAL = {
    "recv_timeout", "send_timeout", "read_timeout", "recvmsg_timeout", "accept_timeout", "poll",
    "poll_timed", "ppoll", "select", "select_timed", "pselect", "epoll_wait", "epoll_wait_timed",
    "epoll_pwait", "epoll_pwait2", "nanosleep", "clock_nanosleep", "clock_nanosleep_abs",
    "usleep", "sleep", "thrd_sleep", "sem_timedwait", "sem_clockwait", "sigwaitinfo",
    "sigtimedwait", "sigsuspend", "pause", "semop", "semtimedop", "msgrcv", "msgsnd",
    "io_getevents", "syscall_futex_timed", "syscall_nanosleep",
}
NEVER_ENDED = {
    "read", "read_eventfd", "read_timerfd", "write", "recv", "accept", "open_fifo", "sem_wait",
    "mutex_lock", "mutex_timedlock", "rwlock_rdlock", "rwlock_timedwrlock", "cond_wait",
    "cond_timedwait", "join", "barrier", "wait4", "waitpid", "waitid", "flock", "fcntl_setlkw",
    "sigwait", "mq_receive", "mq_timedreceive", "syscall_futex",
}
CALLS = len(ENDED_BY_A_SIGNAL) + len(NEVER_ENDED)


def end(target):
    """{call: (how often it came back early, and how often at all)}: the end of the program."""
    target.ask("end", "end")
    assert target.finish() == 0
    table = target.out.split("\nend\n")[1].splitlines()
    rows = [line.split() for line in table]
    return {name: (int(early), int(calls)) for name, early, _, calls in rows}


def early(target):
    return {name: times[0] for name, times in end(target).items()}
