"""Started as root: as_root.py, which needs to be root."""

import os
import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).parent / "as_root.py"


def test_started_as_root(build):
    sudo = ["sudo", "-n", "env", f"TASKCELL_BUILD={build}"]
    try:
        may = subprocess.run([*sudo, "true"], check=False, capture_output=True, timeout=20)
    except OSError:
        may = None
    if may is None or may.returncode:
        pytest.skip(f"needs root: there is no sudo without a password here. "
                    f"As root: TASKCELL_BUILD={build} {SCRIPT}")
    done = subprocess.run([*sudo, str(SCRIPT), str(os.getuid())], check=False, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
