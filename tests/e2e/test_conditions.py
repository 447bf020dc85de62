"""If-Match and versions."""

import pytest

from client import NEVER, at_once, check_task, register
from frontends import CHOSEN, FRONT


def writes(task):
    at = f"tasks/{task['id']}"
    return [("PUT", at, {"title": "new"}), ("PATCH", at, {"title": "new"}), ("PATCH", at, None),
            ("PATCH", at + "/complete", None), ("POST", at + "/complete", {"completed": True}),
            ("DELETE", at, None)]


@pytest.mark.parametrize("form", [
    '"{v}"', 'W/"{v}"', '"{v}-gzip"', 'W/"{v}-gzip"', '"1000000", "{v}"', '"x" , W/"{v}","y"',
    "*", '  "{v}"  ', '"{v}", "{v}"',
])
@pytest.mark.parametrize("which", range(6))
def test_match(user, form, which):
    """Also as web servers rewrite what they compress."""
    task = user.create("old")
    method, path, body = writes(task)[which]
    user.call(method, path, body, headers={"If-Match": form.format(v=task["version"])}).expect(200)


@pytest.mark.parametrize("form", [
    '"{old}"', 'W/"{old}"', '"{old}-gzip"', '"{old}", "999999999"', '"x"', '""', '"-1"', '"{v}0"',
    '"0{v}"', '"{v}x"', '"{v} "', '"99999999999999999999999"', '"*"', '"{v}-br2"',
])
@pytest.mark.parametrize("which", range(6))
def test_stale(user, form, which):
    """412 with the task as it is; nothing is changed."""
    task = user.create("old")
    now = user.call("PATCH", f"tasks/{task['id']}", {"description": "second"}).expect(200).json
    header = form.format(v=now["version"], old=task["version"])
    method, path, body = writes(task)[which]
    a = user.call(method, path, body, headers={"If-Match": header})
    a.expect(412, "precondition_failed")
    assert check_task(a.json["current"]) == now
    assert user.task(task) == now


def test_stale_when_the_change_would_change_nothing(user):
    task = user.create("old")
    now = user.call("PATCH", f"tasks/{task['id']}").expect(200).json
    same = {"title": "old", "completed": True}
    a = user.call("PUT", f"tasks/{task['id']}", same, headers={"If-Match": f'"{task["version"]}"'})
    assert a.expect(412).json["current"] == now


def test_stale_with_prefer_minimal(user):
    task = user.create()
    a = user.call("DELETE", f"tasks/{task['id']}",
                  headers={"If-Match": '"0"', "Prefer": "return=minimal"}).expect(412)
    assert a.json["current"] == task


def test_garbage_never_matches(user):
    task = user.create()
    for header in (str(task["version"]), "'1'", "w/\"1\"", '"', '"1', ",,,", "nonsense", "**"):
        a = user.call("PATCH", f"tasks/{task['id']}", headers={"If-Match": header})
        assert a.status in (400, 412), (header, a)
    many = ", ".join(f'"{n}"' for n in range(1_000_000, 1_000_100))
    a = user.call("PATCH", f"tasks/{task['id']}", headers={"If-Match": many})
    assert a.status in (400, 412), a
    assert user.task(task) == task


def test_without_a_row_it_is_404(user):
    """Row first, then its precondition."""
    for method, path, body in writes({"id": NEVER}):
        for header in ('"1"', "*"):
            user.call(method, path, body, headers={"If-Match": header}).expect(404, "not_found")


def test_fields_come_before_the_precondition(user):
    task = user.create()
    a = user.call("PATCH", f"tasks/{task['id']}", {"title": ""}, headers={"If-Match": '"0"'})
    a.expect(422)


def test_a_chain_of_etags(user):
    """Each answer's ETag is good for the next write."""
    a = user.call("POST", "tasks", {"title": "x"}).expect(201)
    at = f"tasks/{a.json['id']}"
    for _ in range(3):
        a = user.call("PATCH", at, headers={"If-Match": a.header("ETag")}).expect(200)
        a = user.call("PUT", at, {"title": a.request_id},
                      headers={"If-Match": a.header("ETag")}).expect(200)
    a = user.call("GET", at, headers={"Accept-Encoding": "gzip"}).expect(200)
    user.call("DELETE", at, headers={"If-Match": a.header("ETag")}).expect(200)


@pytest.mark.skipif(CHOSEN == "lighttpd", reason="its module is a package of its own")
def test_etags_that_the_web_server_has_rewritten(make_stack):
    """A compressing web server makes them weak, or others; they serve all the same."""
    s = make_stack(
        workers=1, auth_workers=1,
        nginx={"server_tokens off;": "gzip on; gzip_types application/json; gzip_min_length 1;"},
        apache={"MaxRanges none": "MaxRanges none\nAddOutputFilterByType DEFLATE application/json"})
    user = register(s.http)
    task = user.create("x" * 100)
    at = f"tasks/{task['id']}"
    a = user.call("GET", at, headers={"Accept-Encoding": "gzip"}, check=False).expect(200)
    assert a.header("Content-Encoding") == "gzip"
    assert a.header("ETag") == FRONT.compressed_tag.format(task["version"])
    user.call("PATCH", at, headers={"If-Match": a.header("ETag")}).expect(200)
    user.call("PATCH", at, headers={"If-Match": a.header("ETag")}).expect(412)


def test_12_parallel_patches(user):
    """With one If-Match: one 200, eleven 412 that carry the winner's task."""
    for _ in range(4):
        task = user.create("start")
        header = {"If-Match": f'"{task["version"]}"'}
        answers = at_once(12, lambda i: user.call(  # noqa: B023
            "PATCH", f"tasks/{task['id']}", {"title": f"racer {i}"}, headers=header))
        won = [a for a in answers if a.status == 200]
        lost = [a for a in answers if a.status == 412]
        assert (len(won), len(lost)) == (1, 11), answers
        assert all(a.json["current"] == won[0].json for a in lost)
        assert user.task(task) == won[0].json


def test_parallel_flips_are_all_counted(user):
    task = user.create()
    answers = at_once(11, lambda _: user.call("PATCH", f"tasks/{task['id']}"))
    assert [a.status for a in answers] == [200] * 11
    assert len({a.json["version"] for a in answers}) == 11
    by_version = sorted(answers, key=lambda a: a.json["version"])
    assert [a.json["completed"] for a in by_version] == [i % 2 == 0 for i in range(11)]
    assert user.task(task) == by_version[-1].json


def test_parallel_patch_and_delete(user):
    """The row goes once; who comes later sees 404, nobody sees a 5xx."""
    for _ in range(4):
        task = user.create()
        at = f"tasks/{task['id']}"
        answers = at_once(8, lambda i: user.call(  # noqa: B023
            "DELETE" if i % 2 else "PATCH", at))
        assert sum(a.status == 200 for a in answers if a.method == "DELETE") == 1
        assert {a.status for a in answers} <= {200, 404}
        user.call("GET", at).expect(404)


def test_parallel_creates_have_different_versions(user):
    tasks = at_once(10, lambda i: user.create(f"task {i}"))
    assert len({t["version"] for t in tasks}) == 10
    assert len(user.tasks()) == 10
