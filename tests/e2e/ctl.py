"""Runs taskcellctl beside a server, with something on its standard input."""

import re
import subprocess

from client import PASSWORD, remember_secret


def run(stack, *args, line=None, path=None, **changes):
    """The finished process; `line` is what is typed."""
    env = stack.environment(**changes)
    if path:
        env["PATH"] = path
    return subprocess.run(
        [str(stack.build / "taskcellctl"), *map(str, args)], env=env, input=line or b"",
        capture_output=True, check=False, timeout=60,
    )


def done(stack, *args, **kw):
    """What it prints, having done what it was told."""
    p = run(stack, *args, **kw)
    assert p.returncode == 0 and not p.stderr, (args, p.stdout, p.stderr)
    return p.stdout.decode()


def refused(stack, *args, status=1, says="", **kw):
    """Without a change: that is for the caller to see."""
    p = run(stack, *args, **kw)
    assert p.returncode == status, (args, p.returncode, p.stdout, p.stderr)
    assert b"taskcellctl: " in p.stderr and says.encode() in p.stderr, (args, p.stderr)
    return p.stderr.decode()


def fields(text):
    """The entries of a list, the line of names left out: columns are two blanks apart at least."""
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines()[1:]]


def add_user(stack, email, password=PASSWORD, *options, **kw):
    remember_secret(password)
    return done(stack, "user", "add", email, *options, line=password.encode() + b"\n", **kw).strip()


def set_password(stack, who, password):
    remember_secret(password)
    return done(stack, "user", "password", who, line=password.encode() + b"\n")
