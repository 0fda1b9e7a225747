# SPDX-License-Identifier: Apache-2.0
"""Comments of C sources: threads and functions are no persons, and names in them exist.

Pronouns for persons are for people alone: users and clients. "whose" may belong to a noun that
stands before it ("a lock whose owner waits"), as in any English.
"""
import re

from lint_rules.common import PRODUCT, complain, sources

SELF = "scripts/lint_rules/words.py"
PERSONS = re.compile(r"\b(?:(?:some|any|every)(?:body|one)|nobody|who(?:ever|m|mever)?)\b|"
                     r"(?:[.:;]|/\*|\b(?:know|tell|see|say|i)s?|\b(?:and|or|by|of|for)) whose\b",
                     re.I)
# Of these it may be said.
PEOPLE = re.compile(r"\b(?:users?|people|person|operators?|administrators?|authors?),? "
                    r"(?:who|whom)\b", re.I)
NAME = re.compile(r"\b(?:pa|PA)_\w+")
COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.S)


def persons(text):
    """(line, word) of each pronoun for a person in the comments of a C source."""
    found = []
    for comment in COMMENT.finditer(text):
        if not comment.group().startswith("/"):
            continue
        plain = PEOPLE.sub(lambda people: "_" * len(people.group()), comment.group())
        for word in PERSONS.finditer(plain):
            found.append((text.count("\n", 0, comment.start() + word.start()) + 1, word.group()))
    return found


def lost_names(texts):
    """(path, line, name) of each pa_ or PA_ name in a comment that no name in code begins with."""
    code, comments = set(), []
    for path, text in texts:
        for part in COMMENT.finditer(text):
            if part.group().startswith("/"):
                comments.append((path, text.count("\n", 0, part.start()) + 1, part.group()))
        code |= set(NAME.findall(COMMENT.sub(
            lambda part: "" if part.group().startswith("/") else part.group(), text)))
    for path, line, comment in comments:
        for name in NAME.findall(comment):
            if "NAME" not in name and not any(known.startswith(name) for known in code):
                yield path, line, name


def check_names_in_comments():
    texts = [(path, path.read_text(encoding="utf-8"))
             for path in PRODUCT + sources("test", suffixes=(".c", ".h", ".cpp"))]
    for path, line, name in lost_names(texts):
        complain(f"{path}:{line}", f"{name} in a comment does not exist")
    for text, count in (("int pa_a_b; /* pa_a_b, pa_a_*, pa_NAME_x */", 0), ("/* pa_gone() */", 1)):
        if len(list(lost_names([("a.c", text)]))) != count:
            complain(SELF, f"does not find {count} names in {text!r}")


def check_words():
    for path in PRODUCT + sources("test", suffixes=(".c", ".h", ".cpp")):
        for line, word in persons(path.read_text(encoding="utf-8")):
            complain(f"{path}:{line}", f"\"{word}\" in a comment: name the thread, the function or "
                                       "the caller")
    for text, lines in (("/* a\n * b who\n */", [2]), ("int who; // Nobody", [1]),
                        ('char *s = "/* who */";', []), ("/* users who wait, whom? */", [1]),
                        ("/* whole, someone's */", [1]), ("/* a user who waits */", []),
                        ("/* a lock whose owner waits */", []), ("/* tells whose it is */", [1])):
        if [line for line, _ in persons(text)] != lines:
            complain(SELF, f"does not find the lines {lines} of {text!r}")
