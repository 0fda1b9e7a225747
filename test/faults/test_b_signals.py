"""B: signals, masks and dispositions."""
from kit import program, row


@row("F20", "sigwait program", severity=1, naive="rc 138", fast=True)
def test_sigwait(case):
    _, under = case.same([program("f_sigwait")])
    assert under.out == b"got 5\n"
