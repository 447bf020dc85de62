"""Tasks as files: JSON, CSV and iCalendar, out and in again."""

import csv
import io
import json
import re
import uuid

import pytest

from client import check_form

MEDIA = {"json": "application/json", "csv": "text/csv", "ical": "text/calendar"}
NAMES = {"json": "tasks.json", "csv": "tasks.csv", "ical": "tasks.ics"}
FORMATS = sorted(MEDIA)
HOSTILE = [
    'quotes " and "" more', "comma, semicolon; colon:", "back\\slash \\n \\, \\", "two\nlines\n\nmore",
    "=1+1", "+1", "-1", "@x", "'=1", "'apostrophe", "''", "=HYPERLINK(\"http://x\";\"y\")", "\uff1d1",
    "\U0001f469\u200d\U0001f467 \U0001f600", "\u05e9\u05dc\u05d5\u05dd \u202eevil", "e\u0301",
    "tab\there", "END:VTODO\nBEGIN:VTODO", "</script>", "null", "x" * 200, "\U0001f600" * 200, "%00",
    "\ufffe\uffff", "'; drop table tasks; --",
]


def export(user, fmt, query=""):
    a = user.call("GET", f"tasks?{query}", headers={"Accept": MEDIA[fmt]}, check=False).expect(200)
    assert a.header("Content-Type").split(";")[0] == MEDIA[fmt]
    assert int(a.header("Content-Length")) == len(a.body)
    assert a.header("Cache-Control") == "private, no-cache" and a.header("Vary") == "Accept"
    return a.body


def load(user, fmt, data, query="", status=200):
    data = data if isinstance(data, bytes) else data.encode()
    return user.call("POST", f"tasks/import{query}", data, media=MEDIA[fmt]).expect(status)


def counts(report):
    return [report[k] for k in ("created", "changed", "unchanged", "failed")]


def content(tasks):
    """What a file says of tasks."""
    left_out = ("user_id", "version", "updated_at")
    return [{k: v for k, v in t.items() if k not in left_out} for t in tasks]


def fill(user):
    """Hostile texts in every field, and every other value there is."""
    for i, text in enumerate(HOSTILE):
        user.create(
            text, description=[None, "", text, f"\n {text} \n"][i % 4], completed=i % 3 == 0,
            priority=["none", "low", "medium", "high"][i % 4], tags=[text[:40].strip(), "second"],
            due_date=[None, "2026-03-01", "2026-03-01T10:00:00+02:00", "2026-03-01T10:00:00.5Z"][i % 4],
        )
    user.create("nothing else")
    return user.tasks()


@pytest.mark.parametrize("fmt", FORMATS)
def test_there_and_back(user, other, fmt):
    """A file gives another account the same tasks in the same order; a second time nothing."""
    tasks = fill(user)
    data = export(user, fmt)
    report = load(other, fmt, data).json
    assert counts(report) == [len(tasks), 0, 0, 0] and report["dry_run"] is False
    assert [(r["row"], r["id"], r["status"]) for r in report["rows"]] == [
        (i + 1, t["id"], "created") for i, t in enumerate(tasks)]
    copies = other.tasks()
    assert content(copies) == content(tasks)
    assert all(t["user_id"] == other.id for t in copies)
    for who, before in ((other, copies), (user, tasks)):
        assert counts(load(who, fmt, data).json) == [0, 0, len(tasks), 0]
        assert who.tasks() == before  # versions and all


def test_a_csv_file_as_others_read_it(user):
    tasks = fill(user)
    text = export(user, "csv").decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [r["id"] for r in rows] == [t["id"] for t in tasks]
    for row, task in zip(rows, tasks):
        for cell in row.values():
            assert not re.match(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]", cell), cell
        assert row["title"] in (task["title"], "'" + task["title"])
        assert row["completed"] == str(task["completed"]).lower()
        assert row["due_date"] == (task["due_date"] or "")


def test_a_calendar_as_others_read_it(user):
    tasks = fill(user)
    data = export(user, "ical")
    lines = data.split(b"\r\n")
    assert lines[0] == b"BEGIN:VCALENDAR" and lines[-2:] == [b"END:VCALENDAR", b""]
    assert max(map(len, lines)) <= 75 and not any(b"\n" in line for line in lines)
    for line in lines:
        line.decode("utf-8")  # no character is cut
    unfolded = data.decode().replace("\r\n ", "").split("\r\n")
    assert [x[4:] for x in unfolded if x.startswith("UID:")] == [t["id"] for t in tasks]
    assert unfolded.count("DUE;VALUE=DATE:20260301") == sum(
        t["due_date"] == "2026-03-01" for t in tasks)


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_link_saves_a_file(user, fmt):
    user.create("M\u00fcll", tags=["a"])
    a = user.call("GET", f"tasks?format={fmt}", check=False).expect(200)
    assert a.header("Content-Disposition") == f'attachment; filename="{NAMES[fmt]}"'
    assert a.header("Content-Type").split(";")[0] == MEDIA[fmt]
    assert a.body.startswith(b"\xef\xbb\xbf") == (fmt == "csv")
    assert counts(load(user, fmt, a.body).json) == [0, 0, 1, 0]


def test_a_file_is_whole_and_filtered(stack, user):
    """Pages are inside; the list's limit is not."""
    stack.sql.run(f"""
        insert into taskcell.tasks (user_id, id, title, version, created_at, completed, completed_at)
        select '{user.id}', ('01890000-0000-7000-8000-' || lpad(to_hex(g), 12, '0'))::uuid,
               'task ' || g, g, now() - g * interval '1 s', g % 2 = 0,
               case when g % 2 = 0 then now() end
          from generate_series(1, 1501) g;
        update taskcell.users set revision = 1501 where id = '{user.id}'""")
    names = [t["title"] for t in json.loads(
        user.call("GET", "tasks?format=json", check=False).expect(200).body)]
    assert names == [f"task {g}" for g in range(1, 1502)]
    for fmt in ("csv", "ical"):
        found = re.findall(r"task \d+", export(user, fmt).decode())
        assert found == names
    oldest_first = export(user, "csv", "status=completed&sort=created_at")
    found = re.findall(r"task \d+", oldest_first.decode())
    assert found == names[1::2][::-1]
    assert b"task" not in export(user, "csv", "status=completed&completed=false")
    for query in ("limit=10&format=csv", "format=xml", "format=", "format=csv&sort=title",
                  "format=ical&sort_by=due_date&order=asc"):
        user.call("GET", f"tasks?{query}").expect(400, "invalid_query")


def test_a_page_stays_a_page(user):
    """Whoever does not ask for a file gets the list."""
    user.create("a")
    for accept in ("*/*", "text/html, */*;q=0.1", "application/json, text/csv", "nonsense",
                   "text/csv;q=0.1, application/json", "image/png"):
        a = user.call("GET", "tasks", headers={"Accept": accept}).expect(200)
        assert a.json[0]["title"] == "a" and a.header("ETag")
    a = user.call("HEAD", "tasks", headers={"Accept": "text/csv"}, check=False).expect(200)
    assert not a.body and a.header("Content-Type") == "text/csv; charset=utf-8"


def test_import_sets_all_fields(user):
    """As the file says: what is not in it is not there; and out of the trash."""
    task = user.create("before", description="x", priority="high", tags=["t"], due_date="2026-01-01",
                       completed=True)
    line = f"id,title\r\n{task['id']},after\r\n"
    dry = load(user, "csv", line, "?dry_run=true").json
    assert counts(dry) == [0, 1, 0, 0] and dry["dry_run"] is True
    assert user.task(task) == task
    assert counts(load(user, "csv", line).json) == [0, 1, 0, 0]
    got = user.task(task)
    assert got["title"] == "after" and got["version"] > task["version"]
    assert (got["description"], got["priority"], got["tags"], got["due_date"], got["completed"]) == (
        None, "none", [], None, False)
    assert got["created_at"] == task["created_at"]
    user.call("DELETE", f"tasks/{task['id']}").expect(200)
    report = load(user, "csv", line).json
    assert counts(report) == [0, 1, 0, 0] and report["rows"][0]["status"] == "restored"
    assert user.task(task)["title"] == "after"


def test_rows_without_an_id(user):
    data = b'{"tasks":[{"title":" a "},{"title":"b"}]}'
    dry = load(user, "json", data, "?dry_run=true").json
    assert [r["id"] for r in dry["rows"]] == [None, None] and user.tasks() == []
    report = load(user, "json", data, "?dry_run=false").json
    ids = [r["id"] for r in report["rows"]]
    assert {t["title"]: t["id"] for t in user.tasks()} == dict(zip("ab", ids))
    assert counts(load(user, "json", data).json) == [2, 0, 0, 0]


def test_a_dry_run_knows_the_file(user):
    """What an earlier row would have made is there for a later one; one that fails makes nothing."""
    one, two, three = (str(uuid.uuid4()) for _ in range(3))
    rows = [{"id": one, "title": ""}, {"id": one, "title": "a"}, {"id": two, "title": "b"},
            {"id": one.upper(), "title": "c"}, {"title": "d"}, {"title": "d"},
            {"id": two, "title": "e"}, {"id": three, "title": "f"}]
    data = json.dumps(rows)
    dry = load(user, "json", data, "?dry_run=true").json
    assert user.tasks() == []
    real = load(user, "json", data).json
    expected = ["failed", "created", "created", "changed", "created", "created", "changed",
                "created"]
    assert [r["status"] for r in real["rows"]] == [r["status"] for r in dry["rows"]] == expected
    assert counts(dry) == counts(real) == [5, 2, 0, 1]
    calendar = "".join(f"BEGIN:VTODO\r\nUID:mine\r\nSUMMARY:{t}\r\nEND:VTODO\r\n" for t in "ab")
    calendar = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{calendar}END:VCALENDAR\r\n"
    for query in ("?dry_run=true", ""):
        assert counts(load(user, "ical", calendar, query).json) == [1, 1, 0, 0]


def test_a_row_that_fails_stops_no_other(user):
    rows = [
        {"title": "first"}, {"title": " \u2003 "}, {}, {"title": "x" * 201}, {"title": 5}, 17,
        {"title": "x", "tags": ["a", " a "]}, {"title": "x", "tags": ["t" * 41]},
        {"title": "x", "tags": [str(i) for i in range(21)]}, {"title": "x", "due_date": "2026-02-30"},
        {"title": "x", "description": "d" * 10001}, {"title": "x", "id": "17"},
        {"title": "x", "priority": "urgent"}, {"title": "x", "created_at": "1900-01-01T00:00:00Z"},
        {"title": "last", "description": "d" * 10000, "tags": ["t" * 40]},
    ]
    report = load(user, "json", json.dumps(rows)).json
    assert counts(report) == [2, 0, 0, len(rows) - 2]
    for i, row in enumerate(report["rows"]):
        assert row["row"] == i + 1
        if i in (0, len(rows) - 1):
            assert row["status"] == "created" and "detail" not in row
        else:
            assert row["status"] == "failed" and re.fullmatch(r"[A-Z].*\.", row["detail"]), row
    assert {t["title"] for t in user.tasks()} == {"first", "last"}


def test_calendars_of_other_programs(user, other):
    data = ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:no task\nEND:VEVENT\n"
            "BEGIN:VTODO\nUID:abc@x\nSUMMARY:M\u00fcll\\, heute\nDUE;TZID=Europe/Berlin:20260701T080000\n"
            "PRIORITY:2\nBEGIN:VALARM\nDESCRIPTION:alarm\nEND:VALARM\nEND:VTODO\n"
            "BEGIN:VTODO\nUID:abc@x\nRECURRENCE-ID:20260708\nSUMMARY:again\nSTATUS:CANCELLED\nEND:VTODO\n"
            "BEGIN:VTODO\nUID:bad\nSUMMARY:x\nDUE;TZID=Mars/Base:20260701T080000\nEND:VTODO\n"
            "END:VCALENDAR\n")
    report = load(user, "ical", data).json
    assert counts(report) == [2, 0, 0, 1]
    ids = [r["id"] for r in report["rows"]]
    assert len(set(ids)) == 3 and all(uuid.UUID(i).version == 8 for i in ids)
    task = user.task({"id": ids[0]})
    assert (task["title"], task["due_date"], task["priority"], task["description"]) == (
        "M\u00fcll, heute", "2026-07-01T08:00:00+02:00", "high", None)
    assert user.task({"id": ids[1]})["completed"] is True
    assert counts(load(user, "ical", data).json) == [0, 0, 2, 1]  # the same tasks
    theirs = [r["id"] for r in load(other, "ical", data).json["rows"]]
    assert not set(theirs) & set(ids)


def test_ids_of_others(user, other):
    """The same id is another task with another user."""
    task = user.create("mine")
    assert counts(load(other, "csv", f"id,title\n{task['id']},theirs\n").json) == [1, 0, 0, 0]
    assert user.task(task) == task
    other.call("POST", f"/api/{user.id}/tasks/import", b"title\na\n", media="text/csv").expect(404)


BROKEN = {
    "empty json": ("json", b"", "invalid_json"),
    "an object": ("json", b"{}", "invalid_json"),
    "cut json": ("json", b'[{"title":"a"},{"title":"b"', "invalid_json"),
    "behind json": ("json", b'[{"title":"a"}] x', "invalid_json"),
    "deep json": ("json", b"[" * 1_000_000, "invalid_json"),
    "empty csv": ("csv", b"", "invalid_request"),
    "no title": ("csv", b"name\na\n", "invalid_request"),
    "unclosed": ("csv", b'title\na\n"b\nc\n', "invalid_request"),
    "UTF-16": ("csv", "title\na\n".encode("utf-16"), "invalid_request"),
    "no calendar": ("ical", b"title\na\n", "invalid_request"),
    "cut calendar": ("ical", b"BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:a\nEND:VTODO\n", "invalid_request"),
    "deep calendar": ("ical", b"BEGIN:VCALENDAR\n" * 1_000_000, "invalid_request"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_changes_nothing(user, name):
    fmt, data, code = BROKEN[name]
    a = load(user, fmt, data, status=400)
    assert a.code == code and a.json["detail"] != "The request could not be read."
    assert user.tasks() == []


def test_hostile_bytes(user):
    """What is no text or too long is told row by row."""
    for fmt, rows in {
        "csv": b"title\na\n\xff\n" + b"y" * 1_000_000 + b"\nb\0\nc\n",
        "json": b'[{"title":"a"},{"title":"\xff"},{"title":"%s"},{"title":"\\u0000"},{"title":"c"}]' % (
            b"y" * 1_000_000),
        "ical": b"BEGIN:VCALENDAR\n" + b"".join(
            b"BEGIN:VTODO\nSUMMARY:%s\nEND:VTODO\n" % s
            for s in (b"a", b"\xff", b"y" * 1_000_000, b"b\0", b"c")) + b"END:VCALENDAR\n",
    }.items():
        report = load(user, fmt, rows, "?dry_run=true").json
        assert [r["status"] for r in report["rows"]] == [
            "created", "failed", "failed", "failed", "created"], (fmt, report)


def test_what_is_not_a_file(user):
    for media in (None, "text/plain", "application/x-www-form-urlencoded", "text/csvx", ""):
        user.call("POST", "tasks/import", b"title\na\n", media=media).expect(
            415, "unsupported_media_type")
    user.call("POST", "tasks/import", b"title\na\n", media="TEXT/CSV ; charset=utf-8").expect(200)
    for word in ("", "yes", "1", "TRUE"):
        load(user, "csv", "title\nb\n", f"?dry_run={word}", 400).expect(400, "invalid_query")
    user.call("POST", "tasks/import", b"title\na\n", media="text/csv", token="x.y.z").expect(401)
    user.call("GET", "tasks/import").expect(405)
    assert [t["title"] for t in user.tasks()] == ["a"]


def test_sizes(user):
    """Up to 64 MiB and 200,000 tasks; what is larger is refused, and whole."""
    a = load(user, "json", b"[" + b"{}," * 200_000 + b"{}]", status=413)
    assert a.code == "body_too_large" and a.json["detail"] == "A file may have at most 200000 tasks."
    line = b"title\nfirst\n" + b"y" * (60 << 20) + b"\nlast\n"
    assert counts(load(user, "csv", line).json) == [2, 0, 0, 1]
    assert load(user, "csv", b"y" * (65 << 20), status=413).code == "body_too_large"
    assert {t["title"] for t in user.tasks()} == {"first", "last"}


def test_the_report_is_as_every_answer(user):
    check_form(load(user, "csv", "title\na\n"))
    a = user.call("POST", "tasks/import", b"title\na\n", media="text/csv").expect(200)
    assert set(a.json) == {"dry_run", "created", "changed", "unchanged", "failed", "rows"}


def test_the_account_s_document_is_a_file_too(user, other):
    tasks = [user.create(str(i)) for i in range(3)][::-1]
    gone = user.create("gone")
    user.call("DELETE", f"tasks/{gone['id']}").expect(200)
    data = user.call("GET", "/api/auth/export").expect(200).body
    assert counts(load(other, "json", data).json) == [3, 0, 0, 0]
    assert content(other.tasks()) == content(tasks)
