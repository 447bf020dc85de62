"""Priority, due date and tags: what is taken, how it is given back, what each refusal says."""

import pytest

SMILE = "\U0001f600"
NOTHING = {"priority": "none", "due_date": None, "tags": []}
EVERYTHING = {"priority": "high", "due_date": "2026-03-29", "tags": ["home", "Über", "a b"]}
STRICT = {"Prefer": "handling=strict"}


def fields(task):
    return {k: task[k] for k in NOTHING}


def test_defaults(user):
    task = user.create()
    assert fields(task) == NOTHING and user.task(task) == task
    task = user.create(priority=None, due_date=None, tags=None)
    assert fields(task) == NOTHING and fields(user.create(tags=[])) == NOTHING


def test_everything(user):
    """The same from every route that shows a task."""
    task = user.create(**EVERYTHING)
    assert fields(task) == EVERYTHING
    assert user.task(task) == task and user.tasks() == [task]
    done = user.call("POST", f"tasks/{task['id']}/complete").expect(200).json
    assert fields(done) == EVERYTHING
    assert fields(user.call("DELETE", f"tasks/{task['id']}").expect(200).json) == EVERYTHING
    assert fields(user.call("GET", "trash").expect(200).json[0]) == EVERYTHING


@pytest.mark.parametrize("word", ["none", "low", "medium", "high"])
def test_priorities(user, word):
    assert user.task(user.create(priority=word))["priority"] == word


# --- due dates ----------------------------------------------------------------------------------

DATES = [
    "2026-03-01", "0001-01-01", "9999-12-31", "1969-12-31", "1970-01-01", "2024-02-29",
    "2000-02-29", "1600-02-29", "2026-12-31", "2026-03-29", "2026-10-25",
]
MOMENTS = [
    "2026-03-01T10:00:00Z", "2026-03-01t10:00:00z", "2026-03-01T10:00:00+02:00",
    "2026-03-01T23:59:59-11:30", "2026-03-01T00:00:00+00:00", "2026-03-01T00:00:00-00:00",
    "2026-03-01T10:00:00.5Z", "2026-03-01T10:00:00.123456789Z", "2026-03-01T10:00:00.000+14:00",
    "2024-02-29T12:00:00+23:59", "2016-12-31T23:59:60Z", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z", "2026-03-01T10:00:00." + "1" * 43 + "Z",
]


@pytest.mark.parametrize("text", DATES + MOMENTS)
def test_due_dates_are_echoed_as_given(user, text):
    """A date stays a date, an offset stays that offset, whatever the zone of whoever looks."""
    task = user.create(due_date=text)
    assert task["due_date"] == text
    assert user.task(task) == task and user.tasks() == [task]
    for method in ("PUT", "PATCH"):
        assert user.call(method, f"tasks/{task['id']}", {"due_date": text}).expect(200).json == task
    # once more, over another one
    other = user.create(due_date="2001-01-01")
    now = user.call("PATCH", f"tasks/{other['id']}", {"due_date": text}).expect(200).json
    assert now["due_date"] == text and user.task(other) == now


NO_DATES = [
    "", " ", "tomorrow", "2026", "2026-03", "2026-3-1", "20260301", "2026-03-01 ", " 2026-03-01",
    "2026-02-29", "1900-02-29", "2100-02-29", "2023-02-29", "2024-02-30", "2026-04-31",
    "2026-13-01",
    "2026-00-10", "2026-01-00", "2026-01-32", "0000-01-01", "-001-01-01", "+2026-01-1",
    "2026/03/01",
    "01.03.2026", "10000-01-01", "2026-W10-1", "2026-060", "٢٠٢٦-03-01", "2026-03-01T", "infinity",
    "2026-03-01Z", "2026-03-01T10:00", "2026-03-01T10:00:00", "2026-03-01T10:00Z", "now", "epoch",
    "2026-03-01 10:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T10:60:00Z", "2026-03-01T10:00:61Z",
    "2026-03-01T10:00:00+24:00", "2026-03-01T10:00:00+02:60", "2026-03-01T10:00:00+0200",
    "2026-03-01T10:00:00+02", "2026-03-01T10:00:00.Z", "2026-03-01T10:00:00,5Z", "1772359200",
    "2026-03-01T10:00:00 Z", "2026-03-01T10:00:00UTC", "2026-02-29T10:00:00Z",
    "2026-03-01T10:00:00Z[Europe/Berlin]", "2026-03-01T1:00:00Z",
    "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
]


@pytest.mark.parametrize("text", NO_DATES)
def test_what_is_no_due_date(user, text):
    task = user.create(**EVERYTHING)
    for method, path in (("POST", "tasks"), ("PUT", f"tasks/{task['id']}"),
                         ("PATCH", f"tasks/{task['id']}")):
        a = user.call(method, path, {"title": "x", "due_date": text}).expect(422)
        assert a.fields == {"due_date": {"invalid_value"}}
    assert user.tasks() == [task]


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("body,expected", [
    ({"priority": 1}, {"priority": {"invalid_type"}}),
    ({"priority": True}, {"priority": {"invalid_type"}}),
    ({"priority": ["low"]}, {"priority": {"invalid_type"}}),
    ({"priority": ""}, {"priority": {"invalid_value"}}),
    ({"priority": "High"}, {"priority": {"invalid_value"}}),
    ({"priority": "urgent"}, {"priority": {"invalid_value"}}),
    ({"priority": " low"}, {"priority": {"invalid_value"}}),
    ({"due_date": 20260301}, {"due_date": {"invalid_type"}}),
    ({"due_date": False}, {"due_date": {"invalid_type"}}),
    ({"due_date": {"date": "2026-03-01"}}, {"due_date": {"invalid_type"}}),
    ({"due_date": "2026-03-01T10:00:00." + "1" * 44 + "Z"}, {"due_date": {"too_long"}}),
    ({"tags": "home"}, {"tags": {"invalid_type"}}),
    ({"tags": "home,work"}, {"tags": {"invalid_type"}}),
    ({"tags": {"0": "home"}}, {"tags": {"invalid_type"}}),
    ({"tags": 0}, {"tags": {"invalid_type"}}),
    ({"tags": [1]}, {"tags[0]": {"invalid_type"}}),
    ({"tags": ["a", None]}, {"tags[1]": {"invalid_type"}}),
    ({"tags": ["a", ["b"]]}, {"tags[1]": {"invalid_type"}}),
    ({"tags": [""]}, {"tags[0]": {"too_short"}}),
    ({"tags": ["a", "b", "\u2003\t"]}, {"tags[2]": {"too_short"}}),
    ({"tags": ["x" * 41]}, {"tags[0]": {"too_long"}}),
    ({"tags": [SMILE * 41, "ok", ""]}, {"tags[0]": {"too_long"}, "tags[2]": {"too_short"}}),
    ({"tags": [str(i) for i in range(21)]}, {"tags": {"too_many"}}),
    ({"tags": ["a"] * 3000}, {"tags": {"too_many"}}),
    ({"tags": ["a", "b", "a"]}, {"tags[2]": {"duplicate"}}),
    ({"tags": ["a", " a\n"]}, {"tags[1]": {"duplicate"}}),
    ({"tags": ["a", "a", "b", "b", "a"]},
     {"tags[1]": {"duplicate"}, "tags[3]": {"duplicate"}, "tags[4]": {"duplicate"}}),
    ({"due_date": "soon", "tags": ["a", "a"]},
     {"due_date": {"invalid_value"}, "tags[1]": {"duplicate"}}),
    ({"priority": 3, "due_date": 5, "tags": [7], "completed": "no", "description": 1},
     {k: {"invalid_type"} for k in ("priority", "due_date", "tags[0]", "completed",
                                    "description")}),
])
def test_refusals(user, body, expected):
    """Each with its field and its code, and nothing changes."""
    task = user.create(**EVERYTHING)
    for method, path in (("POST", "tasks"), ("PUT", f"tasks/{task['id']}"),
                         ("PATCH", f"tasks/{task['id']}")):
        a = user.call(method, path, {"title": "new", **body}).expect(422, "validation_failed")
        assert a.fields == expected, method
        assert all(e["detail"].endswith(".") for e in a.json["errors"])
    assert user.tasks() == [task]


# --- tags ---------------------------------------------------------------------------------------


def test_tags_at_their_limits(user):
    """20 of 40 characters, which are code points; kept in order, and in their case."""
    tags = [chr(ord("z") - i) + SMILE * 39 for i in range(20)]
    task = user.create(tags=tags)
    assert task["tags"] == tags and user.task(task) == task
    task = user.create(tags=["B", "b", "a", "A"])
    assert user.task(task)["tags"] == ["B", "b", "a", "A"]


@pytest.mark.parametrize("tag", [
    "NULL", "null", "a,b", "{a}", "{}", '"', '"a"', "\\", "\\\\", "a b", "a\tb", "a\nb", "'", "a=b",
    "%", "_", "e\u0301", "é", "\u0001", "\u200b", "\U0010ffff", "--", "$1", "true", "0",
])
def test_tags_are_kept_as_sent(user, tag):
    """Whatever they are to a database or a file; each is found again."""
    task = user.create(tags=["first", tag, "last"])
    assert task["tags"] == ["first", tag, "last"] and user.task(task) == task
    user.create("another", tags=["first", "last"])
    found = user.call("GET", "tasks?tag=" + "".join(f"%{b:02x}" for b in tag.encode())).expect(200)
    assert found.json == [task]


def test_tags_are_trimmed(user):
    task = user.create(tags=[" a ", "\u3000b c\u00a0"])
    assert task["tags"] == ["a", "b c"]


# --- changes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_what_is_not_named_is_kept(user, method):
    task = user.create("one", description="two", completed=True, **EVERYTHING)
    at = f"tasks/{task['id']}"
    expected = dict(task)
    for change in ({"title": "new"}, {"priority": "low"}, {"due_date": "2030-01-01T00:00:00Z"},
                   {"tags": ["x"]}, {"description": "d"}, {"completed": False}):
        now = user.call(method, at, change).expect(200).json
        expected.update(change)
        moving = ("version", "updated_at", "completed_at")
        assert {k: v for k, v in now.items() if k not in moving} == {
            k: v for k, v in expected.items() if k not in moving}
        assert now["version"] > expected["version"]
        expected["version"] = now["version"]
        assert user.task(task) == now


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_null_clears(user, method):
    for name, empty in NOTHING.items():
        task = user.create(**EVERYTHING)
        now = user.call(method, f"tasks/{task['id']}", {name: None}).expect(200).json
        assert fields(now) == {**EVERYTHING, name: empty}
        assert user.task(task) == now
    task = user.create(**EVERYTHING)
    now = user.call(method, f"tasks/{task['id']}", {"tags": []}).expect(200).json
    assert fields(now) == {**EVERYTHING, "tags": []}


def test_put_strict_resets(user):
    task = user.create("one", description="two", completed=True, **EVERYTHING)
    now = user.call("PUT", f"tasks/{task['id']}", {"title": "one"}, headers=STRICT).expect(200).json
    assert fields(now) == NOTHING and now["description"] is None and now["completed"] is False
    now = user.call("PUT", f"tasks/{task['id']}", {"title": "one", "tags": ["kept"]},
                    headers=STRICT).expect(200).json
    assert fields(now) == {**NOTHING, "tags": ["kept"]}
    user.call("PATCH", f"tasks/{task['id']}", EVERYTHING, headers=STRICT).expect(200)
    now = user.call("PATCH", f"tasks/{task['id']}", {"title": "z"}, headers=STRICT).expect(200).json
    assert fields(now) == EVERYTHING


def test_a_change_of_nothing_keeps_the_version(user):
    task = user.create("same", **EVERYTHING)
    for body in (EVERYTHING, {"priority": "high"}, {"tags": [" home", "Über", "a b "]},
                 {"due_date": EVERYTHING["due_date"]}):
        for method in ("PUT", "PATCH"):
            assert user.call(method, f"tasks/{task['id']}", body).expect(200).json == task


@pytest.mark.parametrize("name,value", [
    ("tags", ["Über", "home", "a b"]), ("tags", ["home", "über", "a b"]),
    ("tags", ["home", "Über"]),
    ("due_date", "2026-03-29T00:00:00Z"), ("due_date", "2026-03-29T02:00:00+02:00"),
])
def test_a_small_change_is_a_change(user, name, value):
    """The order of tags and their case; another text for the same moment."""
    task = user.create(**EVERYTHING)
    now = user.call("PATCH", f"tasks/{task['id']}", {name: value}).expect(200).json
    assert now[name] == value and now["version"] > task["version"]
    assert user.task(task) == now
