"""T077: everything at once, and nothing lost (tests/bench/storm.py; half an hour of it is
`make bench-soak`)."""

import os
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import storm  # noqa: E402  pylint: disable=wrong-import-position

SECONDS = 120 if os.environ.get("TASKCELL_LONG") else 20


def test_nothing_is_lost(make, postgres, tell):
    server = make(with_nginx=True, database=storm.database(postgres), workers=4, auth_workers=1)
    s = storm.Storm(server, SECONDS, hup=6, restart=8, logins=5, refresh=3, sample=SECONDS / 4)
    with server.expecting_errors("."):
        wrong = s.run()
    tell("\n" + s.report())
    assert not wrong, wrong
    assert s.made and all(s.done[x] for x in (
        "workers killed", "HUP", "PostgreSQL restarted", "storms of logins")), s.done
