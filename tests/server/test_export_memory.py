"""An export does not grow the worker, however many tasks there are; and an import of it gives them
back."""

import json
import os
import re
import time

import client
from rig import sanitized

LONG = os.environ.get("TASKCELL_LONG") == "1"
TASKS = 100_000 if LONG else 10_000
ALLOWED_KIB = 8 * 1024
MEDIA = {"json": "application/json", "csv": "text/csv", "ical": "text/calendar"}
# Every field, and characters that each format has to write in another way.
FILL = """
insert into taskcell.tasks (user_id, id, title, description, version, created_at, completed,
       completed_at, priority, due_date, due_at, tags)
select '{user}', ('01890000-0000-7000-8000-' || lpad(to_hex(g), 12, '0'))::uuid,
       '=task "' || g || E'", \\\\ \\n\U0001f600', repeat('A description; ', g % 20), g,
       date_trunc('milliseconds', now()) - g * interval '1.5 s', g % 3 = 0,
       case when g % 3 = 0 then date_trunc('milliseconds', now()) end, g % 4,
       case when g % 2 = 0 then '2026-03-01' end,
       case when g % 2 = 0 then '2026-03-01T00:00Z' else 'infinity'::timestamptz end,
       array['home', 'a,b' || g % 7]
  from generate_series(1, {n}) g;
update taskcell.users set revision = {n} where id = '{user}'"""

TRASH = """
insert into taskcell.trash (user_id, id, title, description, version, created_at, updated_at,
       deleted_at)
select user_id, gen_random_uuid(), title, description, version + {n}, created_at, updated_at,
       created_at
  from taskcell.tasks where user_id = '{user}'"""


def peak_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmHWM:\s+(\d+) kB", f.read())[1])


def forget_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
        f.write("5")
    return peak_kib(pid)


def ask(user, method, target, body=b"", **headers):
    """One that may take its time."""
    headers["Authorization"] = f"Bearer {user.access}"
    headers["Content-Length"] = str(len(body))
    with user.http.connect(timeout=290) as s:
        s.sendall(user.http.head(method, f"/api/{target}", headers.items()) + body)
        return user.http.read(s, method, target, check=False).expect(200)


def tell_time(began):
    return f"{time.monotonic() - began:.1f} s"


def content(data):
    """Equal sets have equal contents, whoever's and however written."""
    left_out = ("user_id", "version", "updated_at")
    return [{k: v for k, v in t.items() if k not in left_out} for t in json.loads(data)]


def test_export_and_import_of_many(make, tell):
    s = make(workers=1, with_nginx=True)
    (worker,) = s.workers()
    user, other = client.register(s.http), client.register(s.http)
    user.create("for the first page of memory")
    user.tasks()
    s.sql.run(f"delete from taskcell.tasks where user_id = '{user.id}'")
    s.sql.run(FILL.format(user=user.id, n=TASKS))
    s.sql.run(TRASH.format(user=user.id, n=TASKS))

    def export(what, target):
        idle, began = forget_peak(worker), time.monotonic()
        a = ask(user, "GET", target)
        peak = peak_kib(worker)
        assert s.workers() == [worker]
        assert int(a.header("Content-Length")) == len(a.body)
        tell(f"{TASKS} tasks as {what}: {len(a.body) >> 10} KiB in {tell_time(began)}; "
             f"peak {peak} KiB, idle {idle} KiB")
        if not sanitized(s):
            assert peak - idle < ALLOWED_KIB
        return a.body

    files = {fmt: export(media, f"me/tasks?format={fmt}") for fmt, media in MEDIA.items()}
    account = json.loads(export("a part of the account", "auth/export"))
    assert len(account["tasks"]) == len(account["trash"]) == TASKS

    # all of them, or a quarter
    data = files["json"] if LONG else ask(user, "GET", "me/tasks?format=json&priority=high").body
    count = len(json.loads(data))
    assert count == (TASKS if LONG else TASKS // 4)
    began = time.monotonic()
    report = ask(other, "POST", "me/tasks/import", data, **{"Content-Type": MEDIA["json"]}).json
    assert (report["created"], report["failed"]) == (count, 0)
    tell(f"import of {count} tasks: {tell_time(began)}")
    assert content(ask(other, "GET", "me/tasks?format=json").body) == content(data)
    for fmt in ("csv", "ical"):  # part of the same set: nothing is to be changed
        part = ask(user, "GET", f"me/tasks?format={fmt}&priority=high&status=completed").body
        report = ask(other, "POST", "me/tasks/import", part, **{"Content-Type": MEDIA[fmt]}).json
        assert (report["unchanged"], report["failed"]) == ((TASKS + 9) // 12, 0)
