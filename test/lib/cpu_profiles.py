# SPDX-License-Identifier: Apache-2.0
"""CPU profiles that are taken while a test does something, and what they may hold."""
import http.client
import threading

from lib.harness import SIGNAL, sampling, until
from lib.profiles import Profile


def times(target):
    return {pair.split("=")[0]: int(pair.split("=")[1])
            for pair in target.ask("times", "times").split()[1:]}


class Background:
    """A CPU profile that is being taken: sampling has begun when the constructor returns."""

    def __init__(self, target, seconds, number=SIGNAL, query=""):
        self.answer = None
        self.thread = threading.Thread(target=self._run, args=(target, seconds, query))
        self.thread.start()
        until("sampling is on", lambda: sampling(target, number))

    def _run(self, target, seconds, query):
        try:
            self.answer = target.get(f"/profile?seconds={seconds}{query}")
        except (OSError, http.client.HTTPException) as error:
            self.answer = error

    def ended(self):
        """The answer, or the exception when the program went away."""
        self.thread.join(60)
        return self.answer

    def profile(self):
        answer = self.ended()
        assert answer.status == 200, answer
        return Profile(answer.body)


def assert_most_of(seen_ns, used_ns):
    """Never more than was used; less by what was used before and after the profile, which on a
    machine that is busy with other things is not nothing."""
    assert 0.75 * used_ns <= seen_ns <= 1.03 * used_ns, (seen_ns, used_ns)
