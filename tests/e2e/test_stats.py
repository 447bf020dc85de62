"""Numbers about the tasks."""

import datetime

import pytest

from client import NEVER, at_once

NOTHING = {"total": 0, "pending": 0, "completed": 0, "overdue": 0, "due_today": 0, "trash": 0}
DAY = "2090-06-15"


def stats(user, query=""):
    return user.call("GET", f"stats{query}").expect(200).json


def test_nothing(user):
    a = user.call("GET", "stats").expect(200)
    assert a.json == NOTHING and a.header("Cache-Control") == "private, no-cache"
    assert user.call("GET", "/api/me/stats").expect(200).json == NOTHING
    user.call("HEAD", "stats").expect(200)


def test_they_follow_every_write(user, other):
    other.create("theirs", completed=True, due_date="2001-01-01")
    a, b = user.create("a"), user.create("b", completed=True)
    assert stats(user) == {**NOTHING, "total": 2, "pending": 1, "completed": 1}
    user.call("PATCH", f"tasks/{a['id']}").expect(200)
    assert stats(user) == {**NOTHING, "total": 2, "completed": 2}
    user.call("DELETE", f"tasks/{a['id']}").expect(200)
    assert stats(user) == {**NOTHING, "total": 1, "completed": 1, "trash": 1}
    user.call("DELETE", "tasks?completed=true").expect(200)
    assert stats(user) == {**NOTHING, "trash": 2}
    user.call("POST", f"trash/{b['id']}/restore").expect(200)
    assert stats(user) == {**NOTHING, "total": 1, "completed": 1, "trash": 1}
    user.call("DELETE", f"trash/{a['id']}").expect(204)
    assert stats(user) == {**NOTHING, "total": 1, "completed": 1}


@pytest.mark.parametrize("due,overdue,due_today", [
    (None, 0, 0), ("2090-06-14", 1, 0), ("2090-06-15", 0, 1), ("2090-06-16", 0, 0),
    ("0001-01-01", 1, 0),
    ("9999-12-31", 0, 0),
    # a moment is over when it has passed, whatever the caller's date is
    ("2090-06-14T12:00:00Z", 0, 0), ("2001-01-01T00:00:00Z", 1, 0),
    ("2090-06-15T00:00:00Z", 0, 1), ("2090-06-15T23:59:59.999999Z", 0, 1),
    ("2090-06-16T00:00:00Z", 0, 0),
    ("2090-06-16T01:00:00+02:00", 0, 1), ("2090-06-15T01:00:00+02:00", 0, 0),
])
def test_due(user, due, overdue, due_today):
    """Of what is pending; a date is over with its day, in the caller's own calendar."""
    task = user.create(due_date=due)
    expected = {**NOTHING, "total": 1, "pending": 1, "overdue": overdue, "due_today": due_today}
    assert stats(user, f"?today={DAY}") == expected
    user.call("PATCH", f"tasks/{task['id']}").expect(200)
    assert stats(user, f"?today={DAY}") == {**NOTHING, "total": 1, "completed": 1}


def test_without_today_it_is_that_of_utc(user):
    def utc():
        return datetime.datetime.now(datetime.timezone.utc).date()

    while True:
        day = utc()
        for i in (-2, -1, 0, 1):
            user.create(due_date=(day + datetime.timedelta(i)).isoformat())
        found = stats(user)
        if utc() == day:
            break
        user.call("DELETE", "tasks?completed=true")
        for task in user.tasks():  # midnight has passed in between
            user.call("DELETE", f"tasks/{task['id']}").expect(200)
    assert (found["overdue"], found["due_today"]) == (2, 1)


@pytest.mark.parametrize("today", ["", "today", "2026", "2026-02-29", "2026-2-1",
                                   "2026-03-01T00:00:00Z",
                                   "20260301", "0000-01-01", "%00", "2026-03-01+"])
def test_bad_dates(user, today):
    a = user.call("GET", f"stats?today={today}").expect(400, "invalid_query")
    assert a.json["detail"].endswith(".")


def test_any_day(user):
    user.create(due_date="2026-03-01")
    for today, numbers in (("0001-01-01", (0, 0)), ("2026-02-28", (0, 0)), ("2026-03-01", (0, 1)),
                           ("2026-03-02", (1, 0)), ("2028-02-29", (1, 0)), ("9999-12-31", (1, 0))):
        found = stats(user, f"?today={today}&unknown=1")
        assert (found["overdue"], found["due_today"]) == numbers


def test_of_others(user, other):
    other.create()
    never = user.call("GET", f"/api/{NEVER}/stats").expect(404, "not_found")
    for who in (other.id, other.id.upper(), "x", "ME"):
        assert user.call("GET", f"/api/{who}/stats").bare() == never.bare()
    assert user.call("GET", f"/api/{other.id}/stats?today=x").bare() == never.bare()
    assert stats(user) == NOTHING


def test_they_are_of_one_moment(user):
    """While tasks are finished and deleted: what is pending and what is done add up."""
    tasks = [user.create(str(i)) for i in range(12)]

    def one(i):
        for k in range(12):
            if i == 0:
                user.call("PATCH", f"tasks/{tasks[k]['id']}").expect(200)
                user.call("DELETE", f"tasks/{tasks[k]['id']}").expect(200)
            else:
                found = stats(user)
                assert found["pending"] + found["completed"] == found["total"]
                assert found["total"] + found["trash"] == 12

    at_once(3, one)
