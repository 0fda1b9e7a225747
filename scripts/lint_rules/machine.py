# SPDX-License-Identifier: Apache-2.0
"""No word of an architecture outside agent/arch/: the seam is arch.h.

Names of architectures and registers, inline assembly (but for names of symbols), instructions of
one machine, and system calls that newer machines lack.
"""
import re

from lint_rules.common import PRODUCT, complain, folder_of

WORDS = [
    r"\b(x86|x86_64|amd64|i386|aarch64|arm64|riscv)\b", r"\b__(x86_64|aarch64|i386)__\b",
    r"\bREG_R[A-Z0-9]+\b", r"\bgregs\b", r"%r(ip|sp|bp|ax|[a-d]x|[sd]i|\d+)\b",
    r"__asm__ volatile\s*\(\s*\"[^\"]", r"__builtin_ia32_\w+", r"\bAUDIT_ARCH_\w+",
    r"\bUNW_(X86|AARCH64)\w*", r"\bGLIBC_\d", r"\bcmpxchg\w*", r"\b[ew]?rdfsbase\b",
    r"\bSYS_(poll|select|epoll_wait|pause|fork|vfork|open|pipe|dup2|access|stat|arch_prctl)\b",
]
# Where a word is part of a name that is not ours to choose.
EXCEPTIONS = {
    "agent/base/launchers.c": r"-amd64-linux,\*-arm64-linux",  # valgrind's tools
}


def words_in(text):
    return [match.group(0) for pattern in WORDS for match in re.finditer(pattern, text)]


def check_machine():
    for path in PRODUCT:
        if folder_of(path).startswith("agent/arch") or path.suffix not in (".c", ".h"):
            continue
        text = path.read_text(encoding="utf-8")
        if str(path) in EXCEPTIONS:
            text = re.sub(EXCEPTIONS[str(path)], "", text)
        for word in words_in(text):
            complain(path, f"has {word!r}, which belongs to agent/arch/")
    for bad in ("#ifdef __x86_64__", "mov %rip", '__asm__ volatile("int3")', "SYS_poll",
                "context->gregs[0]", "AUDIT_ARCH_X86_64"):
        if not words_in(bad):
            complain("scripts/lint_rules/machine.py", f"does not find {bad!r}")
    if words_in('__asm__("poll") SYS_ppoll __asm__ volatile("" ::: "memory")'):
        complain("scripts/lint_rules/machine.py", "finds words where there are none")
