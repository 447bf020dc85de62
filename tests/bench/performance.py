"""docs/performance.md: what a run has found stands between marks; the rest is written by hand."""

import pathlib
import re
import textwrap

FILE = pathlib.Path(__file__).resolve().parents[2] / "docs/performance.md"


def put(text, mark, content):
    """The text with this between <!-- mark --> and <!-- end mark -->."""
    found = re.sub(rf"(<!-- {mark} -->\n).*?(<!-- end {mark} -->)",
                   lambda m: f"{m[1]}{content}\n{m[2]}", text, count=1, flags=re.S)
    if found == text and f"<!-- {mark} -->" not in text:
        raise RuntimeError(f"{FILE} has no place for {mark}")
    return found


def write(**contents):
    text = FILE.read_text(encoding="utf-8")
    for mark, content in contents.items():
        if mark in ("table", "soak"):
            content = f"```\n{content}\n```"
        elif mark == "missed":
            content = "\n".join(wrapped(line) for line in content.split("\n"))
        text = put(text, mark, content)
    FILE.write_text(text, encoding="utf-8")


def wrapped(line):
    return "\n".join(textwrap.wrap(line, 100, subsequent_indent="  " if line[:2] == "- " else ""))
