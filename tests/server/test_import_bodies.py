"""Imports and exports that need a file: cut ones change nothing, and a full disk is told."""

import contextlib
import signal

import client
from rig import Steady
from wire import message

IMPORT = "/api/me/tasks/import"
ROWS = 8000
FILE = b"title\r\n" + b"".join(b"task %05d of a file\r\n" % i for i in range(ROWS))
LARGE = 64 * 1024


@contextlib.contextmanager
def no_room(server):
    """Nothing can be made in the folder; what is open there stays so."""
    server.spool_dir.chmod(0o555)
    try:
        yield
    finally:
        server.spool_dir.chmod(0o755)


def test_an_import_that_is_cut_changes_nothing(plain):
    user = client.register(plain.http)
    data = message("POST", IMPORT, FILE, user.access, CONTENT_TYPE="text/csv")
    assert len(FILE) > 2 * LARGE
    with Steady(plain):
        for at in (LARGE // 2, LARGE + 100, LARGE + 2000, len(data) - 100, len(data) - 4):
            for half_closed in (False, True):
                with plain.connect() as c:
                    c.send(data[:at])
                    if half_closed:
                        c.end_sending()
                        c.answer("POST", IMPORT).expect(400, "invalid_request")
    assert user.tasks() == []


def test_an_import_shorter_than_it_says_changes_nothing(plain):
    user = client.register(plain.http)
    for n in (len(FILE) - 1, len(FILE) + 1):
        with plain.connect() as c:
            c.send(message("POST", IMPORT, FILE, user.access, CONTENT_TYPE="text/csv",
                           CONTENT_LENGTH=str(n)))
            c.answer("POST", IMPORT).expect(400, "invalid_request")
    assert user.tasks() == []


def test_no_room_for_a_file(plain):
    """503, as for anything that may be better in a moment; what needs no file goes on."""
    user = client.register(plain.http)
    with plain.expecting_errors("event=(spool|spill) "), no_room(plain):
        a = user.call("POST", "tasks/import", FILE, media="text/csv").expect(503, "unavailable")
        assert a.header("Retry-After")
        assert user.tasks() == []
        small = FILE[:LARGE // 2].rpartition(b"\r\n")[0]
        user.call("POST", "tasks/import", small, media="text/csv").expect(200)
        assert len(user.call("GET", "tasks?format=csv").expect(200).body) > LARGE // 2
    with Steady(plain):
        report = user.call("POST", "tasks/import", FILE, media="text/csv").expect(200).json
        assert report["created"] == ROWS
    with plain.expecting_errors("event=(spool|spill) "), no_room(plain):
        user.call("GET", "tasks?format=json").expect(503, "unavailable")
    with Steady(plain):
        assert len(user.call("GET", "tasks?format=json").expect(200).body) > 1 << 20
    assert not list(plain.spool_dir.iterdir())


def test_a_folder_that_is_not_there(make):
    """The reload fails, and not the first large request."""
    s = make(workers=1)
    with s.expecting_errors("event=(worker|reload_failed|worker_ended) "):
        pids, mark = s.workers(), s.log_size()
        s.configure(spool_dir=s.spool_dir / "none")
        s.signal(signal.SIGHUP)
        s.wait_event("reload_failed", mark)
        assert f"cannot make files in {s.spool_dir}/none: " in s.log_text(mark)
        assert s.workers() == pids
