# SPDX-License-Identifier: Apache-2.0
"""What our threads change for a program of one thread: fork, copies, descriptors, keys."""
import os
import subprocess

import pytest

from lib.fault_rows import PYTHON, program, row


class Busy:
    """Loops that leave the program a share of each processor: what it does takes many turns."""

    def __enter__(self):
        self._loops = [subprocess.Popen([PYTHON, "-c", "while True: pass"])
                       for _ in range(os.cpu_count())]

    def __exit__(self, *_):
        for loop in self._loops:
            loop.kill()
            loop.wait()


# ------------------------------------------------------------------ signal handlers and fork

@row("F30", "a handler that allocates and forks comes in the middle of fork", severity=1,
     naive="waits for malloc's lock", fast=True)
def test_handler_in_fork_of_parent(case):
    _, under = case.same([program("f_forkheld"), "parent", "200"])
    assert under.out == b"done\n"


@row("F30b", "a child that is signalled before it came out of fork", severity=1,
     naive="waits for malloc's lock", fast=True)
def test_handler_in_fork_of_child(case):
    _, under = case.same([program("f_forkheld"), "child", "200"])
    assert under.out == b"done\n"


@row("F30c", "such a child jumps out of its handler", severity=1, fast=True)
def test_handler_jumps_out_of_fork(case):
    _, under = case.same([program("f_forkheld"), "jump", "200"])
    assert under.out == b"done\n"


@row("F30d", "the signal masks of children, and of the parent after", severity=1, fast=True)
def test_masks_after_fork(case):
    _, under = case.same([program("f_forkheld"), "mask"])
    assert under.out.count(b"4 children, parent as before") == 3


@row("F30e", "fork handlers of the program, and signals", severity=1, fast=True)
def test_signals_in_fork_handlers(case):
    _, under = case.same([program("f_forkheld"), "atfork"])
    assert under.out == b"prepare 3 parent 3\ndone\n"


@row("F30f", "handlers in fork, on a machine that is busy", severity=1)
@pytest.mark.parametrize("how", ["parent", "child", "jump"])
def test_handlers_in_fork_under_load(case, how):
    for _ in range(10):
        case.same([program("f_forkheld"), how, "100"])
    with Busy():
        for _ in range(10):
            case.same([program("f_forkheld"), how, "100"], again=True)


# ------------------------------------------------------------------ copies without fork handlers

COPIES = ["clone", "_Fork", "syscall", "clone3", "stack", "stack3"]


@row("F31", "copies by clone and its like while the agent opens its libraries", severity=1,
     naive="waits for the loader's lock", fast=True)
@pytest.mark.parametrize("how", COPIES)
def test_copies_at_start(case, how):
    _, under = case.same([program("f_copies"), how, "300"])
    assert under.out == b"wrong 0\n"


@row("F31b", "such copies many times, also of a forked child and on a busy machine", severity=1)
@pytest.mark.parametrize("how", COPIES)
def test_copies_under_load(case, how):
    def runs():
        for delay_us in (0, 200000, 245000):
            for _ in range(4):
                case.same([program("f_copies"), how, "200"] + ([str(delay_us)] if delay_us else []),
                          again=True)
    runs()
    with Busy():
        runs()


# ------------------------------------------------------------------ what closing a copy undoes

@row("F32", "mq_notify and file locks of the first moment, also in a child", severity=1,
     naive="the kernel forgets them")
def test_message_queue(case):
    _, under = case.same([program("f_queue")])
    assert under.out == b"first notified 1 locked 1\nchild notified 1 locked 1\n"


# ------------------------------------------------------------------ what is limited


@row("F33", "all keys of thread-specific data", severity=2, naive="1023", fast=True)
@pytest.mark.parametrize("how", ["pthread", "c11"])
def test_all_keys(case, how):
    _, under = case.same([program("f_keys"), how])
    assert under.out == b"1024 keys, 4096 destroyed, 0 wrong\n"


@row("F34", "processes of browsers that make sure that they have one thread", severity=1,
     naive="2", fast=True)
@pytest.mark.parametrize("arguments", ["--type=zygote", "--type=gpu-process --lang=en",
                                       "-contentproc 1 forkserver"])
def test_one_thread(case, arguments):
    _, under = case.same([program("f_onethread"), *arguments.split()],
                         settings={"programs": "f_onethread"})
    assert under.out == b"threads 1, in the child 1\n"
