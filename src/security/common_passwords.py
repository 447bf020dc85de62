#!/usr/bin/python3
"""Adds to common_passwords.txt what Debian's python3-zxcvbn has, of 8 characters or more. What is
in the file already stays. Not part of the build.

usage: /usr/bin/python3 common_passwords.py
"""

import pathlib

from zxcvbn.frequency_lists import FREQUENCY_LISTS

FILE = pathlib.Path(__file__).with_suffix(".txt")

lines = FILE.read_text().splitlines()
head = [line for line in lines if line == "#" or line.startswith("# ")]
words = set(lines) - set(head)
words |= {word.lower() for word in FREQUENCY_LISTS["passwords"] if len(word) >= 8}
FILE.write_text("\n".join(head + sorted(words)) + "\n")
