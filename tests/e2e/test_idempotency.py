"""A create that is sent again makes no second task: Idempotency-Key."""

import json
import threading
import uuid

import pytest

from client import at_once, another
from frontends import FRONT

BODY = {"title": " Buy milk ", "description": "two\nlitres", "completed": True, "priority": "high",
        "due_date": "2026-03-01T10:00:00+02:00", "tags": ["home", "ü"]}


def key():
    return str(uuid.uuid4())


def send(user, k, body=None, path="tasks", **kw):
    return user.call("POST", path, BODY if body is None else body, headers={"Idempotency-Key": k},
                     **kw)


def same(first, second, names=("ETag", "Location", "Content-Type", "Cache-Control")):
    """The answer again, byte for byte, and a word that it is one."""
    first.expect(201)
    second.expect(201)
    assert first.header("Idempotency-Replayed") is None
    assert second.header("Idempotency-Replayed") == "true"
    assert second.body == first.body
    for name in names:
        assert second.header(name) == first.header(name)


def age(stack, user, interval):
    stack.sql.run("update taskcell.idempotency "
                  f"set created_at = created_at - interval '{interval}' "
                  f"where user_id = '{user.id}'")


def keys_kept(stack, user):
    return int(stack.sql.value(
        f"select count(*) from taskcell.idempotency where user_id = '{user.id}'"))


@pytest.mark.parametrize("body", [
    BODY, {"title": "x"}, {"title": "x", "description": "", "tags": []},
    {"title": "x", "due_date": "2026-03-01"},
    {"title": "\U0001f600" * 200, "description": "é" * 10000}, {"title": "x", "unknown": 1},
    {"title": "x", "id": "9b2f6a0e-5f3c-4c8e-9d57-3f0a6c1d2e4b"},
    {"title": "x", "user_id": "somebody", "completed": False},
])
def test_a_replay_is_the_first_answer(user, body):
    k = key()
    first = send(user, k, body)
    for _ in range(3):
        same(first, send(user, k, body))
    assert user.tasks() == [first.json]
    same(first, send(user, k, body, path="/api/me/tasks"), ("ETag",))
    same(first, send(another(user), k, body))  # a key is its user's, not a session's


def test_another_payload(user):
    """422, whatever differs; the same bytes only are the same request."""
    k = key()
    first = send(user, k, {"title": "x"})
    for body in ({"title": "y"}, {"title": "x", "tags": []}, b'{"title": "x"} ', b'{"title":"x"}',
                 {"title": "x "}, BODY):
        send(user, k, body).expect(422, "idempotency_key_reused")
    same(first, send(user, k, {"title": "x"}))
    assert user.tasks() == [first.json]


def test_other_keys_are_other_requests(user):
    k = key()
    made = [send(user, x).expect(201).json for x in (k, k.upper(), k + "x", k[:-1])]
    made.append(user.create())
    assert len({t["id"] for t in made}) == 5 and len(user.tasks()) == 5


def test_other_users_have_keys_of_their_own(user, other):
    k = key()
    mine, theirs = send(user, k), send(other, k)
    assert theirs.expect(201).header("Idempotency-Replayed") is None
    assert mine.json["id"] != theirs.json["id"] and theirs.json["user_id"] == other.id
    send(other, k, {"title": "another"}).expect(422, "idempotency_key_reused")
    same(mine, send(user, k))
    same(theirs, send(other, k))


@pytest.mark.parametrize("k", [
    "0", "x" * 255, "!", "~", '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "a,b;c=d", "';drop--",
    "%00",
    "\\", "{}",
])
def test_keys(user, k):
    """1 to 255 visible characters."""
    first = send(user, k)
    same(first, send(user, k))
    assert len(user.tasks()) == 1


@pytest.mark.parametrize("k", ["", "a b", "a\tb", "x" * 256, "ü", "\x7f", "x" * 4000])
def test_what_is_no_key(user, k):
    if not k and FRONT.drops_empty_headers:
        pytest.skip("never arrives")
    send(user, k).expect(400, "invalid_request")
    assert user.tasks() == []


def test_a_refusal_uses_up_no_key(user):
    k, taken = key(), user.create()
    send(user, k, {"title": ""}).expect(422, "validation_failed")
    send(user, k, b"{").expect(400, "invalid_json")
    send(user, k, {"title": "x", "id": taken["id"]}).expect(409, "task_exists")
    first = send(user, k)
    assert first.expect(201).header("Idempotency-Replayed") is None
    same(first, send(user, k))
    assert len(user.tasks()) == 2


def test_a_key_in_use_is_no_way_around_the_checks(user, other):
    k = key()
    first = send(user, k)
    send(user, k, {"title": ""}).expect(422, "validation_failed")
    user.http.request("POST", "/api/me/tasks", BODY, headers={"Idempotency-Key": k}).expect(401)
    send(other, k, path=f"/api/{user.id}/tasks").expect(404)
    same(first, send(user, k))


def test_24_at_once(user):
    """One task, and everybody has the same answer."""
    for _ in range(3):
        k = key()
        answers = at_once(24, lambda _, k=k: send(user, k))
        assert {a.status for a in answers} == {201}
        assert len({a.body for a in answers}) == 1
        replayed = [a.header("Idempotency-Replayed") for a in answers]
        assert sorted(map(str, replayed)) == ["None"] + ["true"] * 23
    assert len(user.tasks()) == 3


def test_two_payloads_at_once(user):
    """One of them made the task; who sent the other is told so."""
    for _ in range(3):
        k = key()
        answers = at_once(12, lambda i, k=k: send(user, k, {"title": f"payload {i % 2}"}))
        made = [a for a in answers if a.status == 201]
        assert len(made) == 6 and len({a.body for a in made}) == 1
        assert {(a.status, a.code) for a in answers if a not in made} == {
            (422, "idempotency_key_reused")}
    assert len(user.tasks()) == 3


def test_the_loser_waits_for_the_winner(stack, user):
    """Duplicates while the first is under way: none fails, none makes a second task."""
    k = key()
    answers = []
    with stack.sql.holding(f"select from taskcell.users where id = '{user.id}' for update") as held:
        threads = [threading.Thread(target=lambda: answers.append(send(user, k))) for _ in range(3)]
        for t in threads:
            t.start()
        held.release()
        for t in threads:
            t.join()
    assert {a.status for a in answers} == {201} and len({a.body for a in answers}) == 1
    assert len(user.tasks()) == 1


# --- whatever becomes of the task ---------------------------------------------------------------


def changed(user, task):
    user.call("PUT", f"tasks/{task['id']}",
              {"title": "new", "tags": [], "due_date": None}).expect(200)


def flipped(user, task):
    user.call("PATCH", f"tasks/{task['id']}/complete").expect(200)


def deleted(user, task):
    user.call("DELETE", f"tasks/{task['id']}").expect(200)


def cleared(user, task):
    assert user.call("DELETE", "tasks?completed=true").expect(200).json == {"deleted": 1}


def purged(user, task):
    deleted(user, task)
    user.call("DELETE", f"trash/{task['id']}").expect(204)


def restored(user, task):
    deleted(user, task)
    user.call("POST", f"trash/{task['id']}/restore").expect(200)


@pytest.mark.parametrize("act", [changed, flipped, deleted, cleared, purged, restored],
                         ids=lambda f: f.__name__)
def test_a_replay_tells_how_it_was(user, act):
    k = key()
    first = send(user, k)
    act(user, first.json)
    before = (user.tasks(), user.call("GET", "trash").expect(200).json)
    same(first, send(user, k))
    assert (user.tasks(), user.call("GET", "trash").expect(200).json) == before
    send(user, k, {"title": "another"}).expect(422, "idempotency_key_reused")


def test_a_replay_moves_no_version(user):
    k = key()
    send(user, k).expect(201)
    tag = user.call("GET", "tasks").expect(200).header("ETag")
    send(user, k).expect(201)
    user.call("GET", "tasks", headers={"If-None-Match": tag}).expect(304)


# --- expiry -------------------------------------------------------------------------------------


def test_a_key_is_kept_for_24_hours(stack, user):
    k = key()
    first = send(user, k)
    age(stack, user, "23 hours 59 minutes")
    second = send(user, k).expect(201)
    assert second.json["id"] == first.json["id"] and second.header("Idempotency-Replayed") == "true"
    age(stack, user, "1 minute")
    third = send(user, k, {"title": "another payload"})
    assert third.expect(201).header("Idempotency-Replayed") is None
    assert third.json["id"] != first.json["id"]
    same(third, send(user, k, {"title": "another payload"}))
    assert len(user.tasks()) == 2 and keys_kept(stack, user) == 1


def test_old_keys_go_with_later_ones(stack, user):
    """Some at a time; what was kept of others stays."""
    for _ in range(25):
        send(user, key()).expect(201)
    age(stack, user, "24 hours")
    kept = key()
    first = send(user, kept)
    for _ in range(5):
        send(user, key()).expect(201)
    assert keys_kept(stack, user) <= 8
    same(first, send(user, kept))


def test_no_body_is_kept(stack, user):
    """What was written must be possible to erase."""
    k = key()
    task = send(user, k, {"title": "a very private thing"}).expect(201).json
    purged(user, task)
    rows = stack.sql.run(
        f"select to_jsonb(i) from taskcell.idempotency i where user_id = '{user.id}'")
    assert len(rows) == 1 and "private" not in json.dumps(rows)


def test_keys_go_with_the_account(stack, user):
    send(user, key()).expect(201)
    assert keys_kept(stack, user) == 1
    user.call("DELETE", "/api/auth/account", {"password": user.password}).expect(204)
    assert keys_kept(stack, user) == 0


def test_tasks_made_without_a_key_leave_none(stack, user):
    user.create()
    assert keys_kept(stack, user) == 0
