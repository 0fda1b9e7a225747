# SPDX-License-Identifier: Apache-2.0
"""What block and mutex profiles gained while a program did something."""
from lib.harness import pairs
from lib.profiles import contention

# The functions of v_locks that wait, and for how many ms at least (main holds out for 20 ms, and
# where the call has a limit, that is 10).
V_LOCKS_WAITS = {
    "take_mutex": 19, "take_recursive": 19, "take_timed": 19, "take_timed_for": 9,
    "take_timed_until": 9, "take_recursive_timed": 9, "take_shared": 19, "take_to_read": 19,
    "take_shared_for": 9, "take_to_read_for": 9, "take_c11": 19, "take_rwlock": 19,
    "take_spin": 19, "wait_condition": 19, "wait_condition_for": 19, "wait_condition_any": 19,
    "wait_c11": 19, "wait_semaphore": 19, "wait_barrier": 19,
}


class Turn:
    """What a program did on a line of its input: its own figures, and what both profiles gained."""

    def __init__(self, target, line):
        before = {name: contention(target, name) for name in ("block", "mutex")}
        self.truth = pairs(target.ask(line, line.split()[0]))
        self.now = {name: contention(target, name) for name in before}
        self.before = before

    def gained_by(self, name, value, counts):
        """Over the samples of which counts says so."""
        return sum(sign * s.values[value]
                   for sign, profile in ((1, self.now[name]), (-1, self.before[name]))
                   for s in profile.samples if counts(s))
