"""Two PostgreSQL servers: a primary and its synchronous hot standby, which can be frozen, killed
and promoted."""

import contextlib
import os
import signal
import subprocess

from stack import Database, children_of, die_with_parent, wait_for

CONF = """
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 60
shared_buffers = 16MB
fsync = off
full_page_writes = off
wal_receiver_status_interval = 1s
"""


class Node:
    """One server. Both have the same port, and sockets in folders of their own."""

    def __init__(self, name, directory, postgres):
        self.name, self.dir, self.bin = name, directory / name, postgres.bin
        self.data = self.dir / "data"
        self.dir.mkdir()
        self.process = None
        self.admin = Database(postgres, f"host={self.dir} user=postgres dbname=postgres")
        self.sql = Database(postgres, f"host={self.dir} user=postgres dbname=taskcell")

    def tool(self, name, *args):
        done = subprocess.run([f"{self.bin}/{name}", *map(str, args)], capture_output=True,
                              stdin=subprocess.DEVNULL, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def init(self):
        self.tool("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                  "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync", "--no-instructions")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as f:
            f.write(CONF)

    def copy_of(self, primary):
        self.tool("pg_basebackup", "-D", self.data, "-R", "-C", "-S", self.name, "-c", "fast",
                  "--no-sync", "-d", f"host={primary.dir} user=postgres application_name=b")

    def start(self):
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                [f"{self.bin}/postgres", "-D", str(self.data), "-k", str(self.dir)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=die_with_parent,
            )
        wait_for(f"server {self.name}", self.answers, 60)

    def answers(self):
        assert self.process.poll() is None, (self.dir / "log").read_text()
        with contextlib.suppress(AssertionError):
            return self.admin.value("select 1") == "1"

    def setting(self, name, value):
        """For new transactions, of connections that are open as well."""
        self.admin.run(f"alter system set {name} = '{value}'")
        self.admin.run("select pg_reload_conf()")
        wait_for(name, lambda: self.admin.value(f"show {name}") == value)

    def promote(self):
        """As an operator does: nobody is left to confirm a write."""
        self.tool("pg_ctl", "promote", "-D", self.data, "-s", "-w")

    def signal(self, signo):
        """To all of its processes. The first makes the others, so it goes first."""
        if self.process.poll() is None:
            self.process.send_signal(signo)
            for pid in children_of(self.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signo)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        children = children_of(self.process.pid)
        self.process.kill()
        self.process.wait(20)
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.kill()


class Pair:
    """a is the primary, and a write counts when b has it, too."""

    def __init__(self, directory, postgres):
        directory.mkdir()
        self.a, self.b = (Node(name, directory, postgres) for name in "ab")
        self.url = (f"host={self.a.dir},{self.b.dir} user=taskcell dbname=taskcell "
                    "target_session_attrs=read-write")

    def start(self):
        self.a.init()
        self.a.start()
        self.a.admin.run("create role taskcell login")
        self.a.admin.run("create database taskcell owner taskcell")
        self.b.copy_of(self.a)
        self.b.start()
        self.a.setting("synchronous_standby_names", "b")
        wait_for("a synchronous standby", lambda: self.a.admin.run(
            "select sync_state from pg_stat_replication") == [["sync"]])
        return self

    def is_whole(self):
        return all(n.process.poll() is None and n.admin.value("select pg_is_in_recovery()") == is_b
                   for n, is_b in ((self.b, "t"), (self.a, "f")))

    def stop(self):
        self.a.stop()
        self.b.stop()
