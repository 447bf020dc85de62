"""Ids that the client has chosen: what was made offline is made once, whoever asks how often."""

import uuid

import pytest

from client import NEVER, at_once

NONE = {"If-None-Match": "*"}


def new_id():
    return str(uuid.uuid4())


@pytest.mark.parametrize("chosen", [
    "01890000-0000-7000-8000-00000000000a", "9b2f6a0e-5f3c-4c8e-9d57-3f0a6c1d2e4b",
    "c232ab00-9414-11ec-b3c8-9f6bdeced846", "5df41881-3aed-3515-88a7-2f4a814cf09e",
    "2ed6657d-e927-568b-95e1-2665a8aea6a2", "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "00000000-0000-0000-0000-000000000001", "12345678-1234-1234-1234-123456789012",
])
@pytest.mark.parametrize("way", ["POST", "PUT"])
def test_ids_of_any_version(user, way, chosen):
    """Read in either case, written in lower case."""
    for given in (chosen, str(uuid.uuid4()).upper()):
        if way == "POST":
            a = user.call("POST", "tasks", {"title": "x", "id": given, "tags": ["t"]})
        else:
            a = user.call("PUT", f"tasks/{given}", {"title": "x", "tags": ["t"]}, headers=NONE)
        task = a.expect(201).json
        assert task["id"] == given.lower() and task["user_id"] == user.id and task["tags"] == ["t"]
        assert a.header("Location") == f"/api/{user.id}/tasks/{given.lower()}"
        assert a.header("ETag") == f'"{task["version"]}"'
        assert user.task(task) == task and user.tasks()[0] == task


def test_no_id_is_one_of_ours(user):
    for body in ({}, {"id": None}):
        task = user.call("POST", "tasks", {"title": "x", **body}).expect(201).json
        assert uuid.UUID(task["id"]).version == 7


@pytest.mark.parametrize("given,code", [
    ("", "invalid_value"), ("x", "invalid_value"), (5, "invalid_type"), (True, "invalid_type"),
    ([NEVER], "invalid_type"), (NEVER + "0", "too_long"),
    ("{" + NEVER[1:-1] + "}", "invalid_value"),
    (NEVER.replace("-", ""), "invalid_value"), (NEVER[:-1] + "g", "invalid_value"),
    ("00000000-0000-0000-0000-000000000000", "invalid_value"), (" " + NEVER[1:], "invalid_value"),
])
def test_what_is_no_id(user, given, code):
    a = user.call("POST", "tasks", {"title": "x", "id": given}).expect(422, "validation_failed")
    assert a.fields == {"id": {code}}
    assert user.tasks() == []


def test_taken_by_a_task(user):
    """409 and 412 show the task that is there; it stays as it is."""
    task = user.create("first", id=new_id(), tags=["x"])
    a = user.call("POST", "tasks", {"title": "second", "id": task["id"].upper()})
    assert a.expect(409, "task_exists").json["current"] == task
    a = user.call("PUT", f"tasks/{task['id']}", {"title": "second"}, headers=NONE)
    assert a.expect(412, "precondition_failed").json["current"] == task
    server_made = user.create("ours")
    a = user.call("POST", "tasks", {"title": "second", "id": server_made["id"]}).expect(409)
    assert a.json["current"] == server_made
    assert user.tasks() == [server_made, task]


def test_taken_by_the_trash(user):
    """Restoring would have nowhere to go: taken, and nothing to show."""
    task = user.create("first", id=new_id())
    user.call("DELETE", f"tasks/{task['id']}").expect(200)
    for purged in (False, True):
        a = user.call("POST", "tasks", {"title": "second", "id": task["id"]})
        assert "current" not in a.expect(409, "task_exists").json
        a = user.call("PUT", f"tasks/{task['id']}", {"title": "second"}, headers=NONE)
        assert "current" not in a.expect(412, "precondition_failed").json
        if not purged:
            user.call("DELETE", f"trash/{task['id']}").expect(204)
    assert user.tasks() == []


def test_taken_by_somebody_else(user, other):
    """No business of mine, and nothing to learn from."""
    theirs = other.create("theirs", id=new_id())
    trashed = other.create("theirs too", id=new_id())
    other.call("DELETE", f"tasks/{trashed['id']}").expect(200)
    for i, task in enumerate((theirs, trashed)):
        if i:
            mine = user.call("PUT", f"tasks/{task['id']}", {"title": "mine"}, headers=NONE)
        else:
            mine = user.call("POST", "tasks", {"title": "mine", "id": task["id"]})
        mine = mine.expect(201).json
        assert mine["id"] == task["id"] and mine["user_id"] == user.id
        assert user.call("DELETE", f"tasks/{mine['id']}").expect(200).json["title"] == "mine"
    assert other.tasks() == [theirs]
    assert [t["id"] for t in other.call("GET", "trash").expect(200).json] == [trashed["id"]]


def test_put_makes_nothing_unless_told(user):
    """A late save of a deleted task does not bring it back."""
    user.call("PUT", f"tasks/{new_id()}", {"title": "x"}).expect(404, "not_found")
    user.call("PUT", f"tasks/{new_id()}", {"title": "x"}, headers={"If-Match": "*"}).expect(404)
    task = user.create()
    user.call("DELETE", f"tasks/{task['id']}").expect(200)
    user.call("PUT", f"tasks/{task['id']}", {"title": "x"}).expect(404, "not_found")
    assert user.tasks() == []


def test_put_of_a_new_task_is_judged_as_a_post(user):
    at = f"tasks/{new_id()}"
    a = user.call("PUT", at, {"priority": "low"}, headers=NONE).expect(422)
    assert a.fields == {"title": {"required"}}
    a = user.call("PUT", at, {"title": "x", "tags": ["a", "a"]}, headers=NONE).expect(422)
    assert a.fields == {"tags[1]": {"duplicate"}}
    user.call("PUT", at, headers=NONE).expect(400, "invalid_json")
    a = user.call("PUT", at, {"title": "x"}, headers={**NONE, "If-Match": '"1"'})
    a.expect(400, "invalid_request")
    user.call("PUT", "tasks/x", {"title": "x"}, headers=NONE).expect(404, "not_found")
    user.call("PUT", "tasks/00000000-0000-0000-0000-000000000000", {"title": "x"},
              headers=NONE).expect(422)
    assert user.tasks() == []


def test_the_path_names_the_task(user, other):
    """Whatever the body says of id and owner."""
    chosen = new_id()
    a = user.call("PUT", f"tasks/{chosen}", {"title": "x", "id": new_id(), "user_id": other.id},
                  headers={**NONE, "Prefer": "handling=strict"}).expect(201)
    assert a.json["id"] == chosen and a.json["user_id"] == user.id
    assert other.tasks() == []


def test_somebody_elses_path(user, other):
    chosen = new_id()
    a = user.call("PUT", f"/api/{other.id}/tasks/{chosen}", {"title": "x"}, headers=NONE)
    b = user.call("PUT", f"/api/{NEVER}/tasks/{chosen}", {"title": "x"}, headers=NONE)
    assert a.expect(404).bare() == b.bare()
    assert other.tasks() == [] and user.tasks() == []


@pytest.mark.parametrize("way", ["POST", "PUT"])
def test_12_at_once(user, way):
    """One makes it; the others are shown it."""
    for _ in range(4):
        chosen = new_id()

        def one(i, chosen=chosen):
            if way == "POST":
                return user.call("POST", "tasks", {"title": f"racer {i}", "id": chosen})
            return user.call("PUT", f"tasks/{chosen}", {"title": f"racer {i}"}, headers=NONE)

        answers = at_once(12, one)
        won = [a for a in answers if a.status == 201]
        lost = [a for a in answers if a.status == (409 if way == "POST" else 412)]
        assert (len(won), len(lost)) == (1, 11), answers
        assert all(a.json["current"] == won[0].json for a in lost)
        assert user.task(won[0].json) == won[0].json
    assert len(user.tasks()) == 4
