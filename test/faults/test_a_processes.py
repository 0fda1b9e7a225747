"""A: processes that make processes."""
from kit import row


@row("F01", "command substitution", severity=1, naive="hangs", fast=True)
def test_command_substitution(case):
    _, under = case.same(["bash", "-c", "x=$(echo hi); echo $x"])
    assert under.out == b"hi\n"
