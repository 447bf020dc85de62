"""pgbouncer in transaction mode between taskcell and PostgreSQL, all on unix sockets."""

import os
import shutil
import signal
import subprocess
import urllib.parse

# The settings of docs/operations.md, with a pool small enough for clients to share connections.
SETTINGS = """\
[databases]
* = host={server}

[pgbouncer]
unix_socket_dir = {directory}
listen_port = 5432
auth_type = trust
auth_file = {directory}/users
pool_mode = transaction
default_pool_size = 4
max_client_conn = 1000
server_login_retry = 1
query_wait_timeout = 4
logfile = {directory}/log
"""
ROLES = ("taskcell", "postgres", "sneaky", "spoilt")


def server_of(url):
    return urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["host"][0]


class Pooler:
    def __init__(self, directory, url, **changes):
        """`url`: of the real server, with ?host=<its directory>. A change of None is no setting."""
        self.dir = directory
        self.server = server_of(url)
        directory.mkdir()
        lines = SETTINGS.format(server=self.server, directory=directory).splitlines()
        lines = [line for line in lines if line.split(" = ")[0] not in changes]
        lines += [f"{key} = {value}" for key, value in changes.items() if value is not None]
        (directory / "pgbouncer.ini").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (directory / "users").write_text("".join(f'"{r}" ""\n' for r in ROLES), encoding="utf-8")
        self.url = self.through(url)
        self.start()

    def through(self, url):
        """The same database by way of the pooler, "host" and all."""
        return url.replace(self.server, str(self.dir))

    def start(self):
        from stack import die_with_parent, socket_of, wait_for  # which makes poolers itself
        program = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        assert program, "pgbouncer is not installed"
        with open(self.dir / "out", "ab") as out:
            self.process = subprocess.Popen(
                [program, "-q", str(self.dir / "pgbouncer.ini")], stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True, preexec_fn=die_with_parent,
            )

        def listens():
            if self.process.poll() is not None:
                raise RuntimeError(f"pgbouncer ended:\n{(self.dir / 'out').read_text()}")
            try:
                socket_of(self.dir / ".s.PGSQL.5432").close()
                return True
            except OSError:
                return False

        wait_for("pgbouncer", listens)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)  # at once, as an outage of it would be
            self.process.wait(20)
