#!/usr/bin/python3
"""What only root can try: that taskcell binds and then becomes an ordinary user for good.

    TASKCELL_BUILD=/path/of/the/build tests/server/as_root.py

Needs no database: the workers go on looking for it. Any ordinary user of the machine will do."""

import grp
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
sys.dont_write_bytecode = True

import wire  # noqa: E402
from stack import children_of, die_with_parent, wait_for  # noqa: E402


class Try:
    def __init__(self, directory, build):
        self.dir = directory
        self.origin = build / "taskcell"
        self.program = directory / "taskcell"
        self.install()
        self.log = directory / "log"
        self.settings = {
            "listen": directory / "run/t.sock", "auth_workers": 0, "workers": 2,
            "run_dir": directory / "run", "database": "host=/nonexistent dbname=none",
            "jwt_secret_file": directory / "secret", "log_level": "info", "connect_timeout": 100,
        }
        secret = directory / "secret"
        secret.write_text("s" * 40, encoding="ascii")
        secret.chmod(0o600)

    def install(self):
        fresh = self.dir / "fresh"
        shutil.copy(self.origin, fresh)
        fresh.rename(self.program)

    def start(self, **changes):
        env = {"PATH": os.environ["PATH"], "TASKCELL_CONFIG": "/dev/null"}
        for k, v in {**self.settings, **changes}.items():
            env["TASKCELL_" + k.upper()] = str(v)
        with open(self.log, "wb") as log:
            return subprocess.Popen([str(self.program)], env=env, stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, preexec_fn=die_with_parent)

    def refused(self, why, **changes):
        status = self.start(**changes).wait(20)
        text = self.log.read_text(encoding="utf-8")
        assert status == 1 and why in text, (status, text)
        print(f"refused: {why}")


def identity(pid):
    """Real, effective, saved and file system ids, the groups, and the capabilities."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    return (lines["Uid"].split(), lines["Gid"].split(), sorted(map(int, lines["Groups"].split())),
            {lines["CapEff"], lines["CapPrm"]})


def serve(trial, user, group):
    """The sockets and run_dir are made, the master and its workers are the user's, reload works."""
    gid = grp.getgrnam(group).gr_gid if group else user.pw_gid
    shutil.rmtree(trial.settings["run_dir"], ignore_errors=True)
    log_file = trial.dir / "own/log"
    process = trial.start(user=user.pw_name, group=group or "", log_file=log_file,
                          pid_file=trial.dir / "own/pid")
    try:
        wait_for("workers", lambda: len(children_of(process.pid)) == 2)
        http = wire.Direct(trial.settings["listen"])
        http.request("GET", "/api/health").expect(200)
        http.request("GET", "/api/ready").expect(503)
        groups = sorted(set(os.getgrouplist(user.pw_name, gid)))
        for pid in [process.pid, *children_of(process.pid)]:
            assert identity(pid) == ([str(user.pw_uid)] * 4, [str(gid)] * 4, groups,
                                     {"0" * 16}), identity(pid)
        assert os.stat(trial.settings["run_dir"]).st_uid == user.pw_uid
        assert os.stat(log_file).st_uid == user.pw_uid
        old = children_of(process.pid)
        process.send_signal(signal.SIGHUP)
        text = wait_for("the outcome of a reload", lambda: (
            t := log_file.read_text(encoding="utf-8")) and ("event=reloaded" in t
                                                            or "event=reload_failed" in t) and t)
        # The secret is root's own, so the user cannot read it again: the old workers stay.
        assert "reload_failed" in text and "secret" in text, text
        assert children_of(process.pid) == old
        os.chown(trial.dir / "secret", user.pw_uid, -1)
        process.send_signal(signal.SIGHUP)
        wait_for("a reload", lambda: "event=reloaded" in log_file.read_text(encoding="utf-8"))
        http.request("GET", "/api/health").expect(200)
        trial.install()
        process.send_signal(signal.SIGHUP)
        wait_for("an upgrade", lambda: "event=upgraded" in log_file.read_text(encoding="utf-8"))
        wait_for("the old workers are gone", lambda: len(children_of(process.pid)) == 1)
        (successor,) = children_of(process.pid)
        for pid in [successor, *children_of(successor)]:
            assert identity(pid) == ([str(user.pw_uid)] * 4, [str(gid)] * 4, groups,
                                     {"0" * 16}), identity(pid)
        http.request("GET", "/api/health").expect(200)
    finally:
        process.terminate()
        status = process.wait(20)
        os.chown(trial.dir / "secret", 0, -1)
    assert status == 0
    # What was bound by root in a folder of the user's is gone again.
    assert not os.path.exists(trial.settings["listen"])
    assert not os.path.exists(trial.dir / "own/pid")
    print(f"served as {user.pw_name}:{group or '(own group)'}")


def main():
    if os.geteuid() != 0:
        print("SKIPPED: this needs root")
        return 0
    build = pathlib.Path(os.environ["TASKCELL_BUILD"])
    uid = int(sys.argv[1]) if len(sys.argv) > 1 else pwd.getpwnam("nobody").pw_uid
    user = pwd.getpwuid(uid)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tc-root-", dir="/tmp"))
    try:
        directory.chmod(0o755)
        (directory / "own").mkdir()
        os.chown(directory / "own", user.pw_uid, user.pw_gid)
        trial = Try(directory, build)
        trial.refused("set `user`")
        trial.refused("not an ordinary user", user="root")
        trial.refused("not an ordinary user", user="no-such-user-here")
        trial.refused("no group", user=user.pw_name, group="no-such-group-here")
        serve(trial, user, None)
        serve(trial, user, grp.getgrgid(1).gr_name)
    finally:
        shutil.rmtree(directory)
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
