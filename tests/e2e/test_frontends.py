"""What front ends that exist already do: their calls as they make them, by what they rely on."""

import base64
import concurrent.futures
import json
import re

import pytest

from client import NEVER, PASSWORD, fresh_email, remember_secret

ATOB = re.compile(r"[A-Za-z0-9+/]*")  # of base64url, what a plain atob() takes
JSON = {"Content-Type": "application/json"}


def atob(text):
    """As browsers have it: no alphabet but base64's, padding or none; the bytes as Latin-1."""
    assert ATOB.fullmatch(text), text
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("latin-1")


class Page:
    """A page with a session: `fetch(url, { method, headers, body })`, then `.json()` at once."""

    def __init__(self, http, email=None, name=None):
        self.http = http
        self.email = email or fresh_email()
        self.headers = {}
        remember_secret(PASSWORD)
        body = {"email": self.email, "password": PASSWORD}
        a = self.fetch("POST", "/api/auth/register", {**body, "name": name} if name else body)
        self.status_was(a, 201)
        self.token = a.json["access_token"]
        self.id = a.json["user"]["id"]
        remember_secret(self.token)
        remember_secret(a.json["refresh_token"])
        self.headers = {"Authorization": f"Bearer {self.token}"}

    def fetch(self, method, path, body=None):
        """With the JSON header on every request, whether there is a body or not."""
        target = path if path.startswith("/api/") else f"/api/{self.id}{path}"
        data = None if body is None else json.dumps(body).encode()
        headers = {**self.headers, **JSON} if data is None else self.headers
        a = self.http.request(method, target, data, headers=headers)
        assert a.body, f"{a}: .json() of nothing throws"
        assert a.json is not None
        return a

    @staticmethod
    def status_was(a, status):
        assert a.status == status, a

    def add(self, title, **members):
        a = self.fetch("POST", "/tasks", {"title": title, "description": "", **members})
        self.status_was(a, 201)
        return a.json

    def titles(self, query=""):
        a = self.fetch("GET", f"/tasks{query}")
        self.status_was(a, 200)
        assert isinstance(a.json, list)  # .map(), .filter(), .length
        return [t["title"] for t in a.json]


@pytest.fixture
def page(http):
    return Page(http)


# --- sessions -----------------------------------------------------------------------------------


def test_the_token_is_under_access_token_and_the_user_has_an_id(http):
    page = Page(http, name="Ada")
    a = page.fetch("POST", "/api/auth/login", {"email": page.email, "password": PASSWORD})
    body = a.expect(200).json
    remember_secret(body["access_token"])
    remember_secret(body["refresh_token"])
    assert body["user"]["id"] == page.id and body["user"]["email"] == page.email
    assert body["user"]["name"] == "Ada" and body["token_type"].lower() == "bearer"
    a = http.request("GET", f"/api/{body['user']['id']}/tasks",
                     headers={"Authorization": f"Bearer {body['access_token']}"})
    assert a.expect(200).json == []


@pytest.mark.parametrize("email", [
    "a{}@example.org", "ab{}@example.org", "abc{}@example.org", "~~~{}@example.org",
    "xyz?{}@example.org",
    "{}{{|}}~?@example.org",
])
def test_the_sub_claim_is_read_by_a_plain_atob(http, email):
    """JSON.parse(atob(token.split('.')[1])).sub, whose alphabet lacks two letters of base64url."""
    page = Page(http, email.format(fresh_email("q").split("@")[0]))
    for _ in range(6):
        a = page.fetch("POST", "/api/auth/login",
                       {"email": page.email, "password": PASSWORD}).expect(200)
        remember_secret(a.json["access_token"])
        remember_secret(a.json["refresh_token"])
        claims = json.loads(atob(a.json["access_token"].split(".")[1]))
        assert claims["sub"] == claims["user_id"] == page.id
        assert claims["email"] == page.email and claims["exp"] > claims["iat"]


def test_logging_out_answers_json(page):
    a = page.fetch("POST", "/api/auth/logout").expect(200)
    assert a.json["success"] is True and isinstance(a.json["message"], str)
    a = page.fetch("GET", "/tasks").expect(401)
    assert isinstance(a.json["detail"], str)


# --- lists --------------------------------------------------------------------------------------


@pytest.fixture
def full_page(page):
    page.add("Buy milk", priority="high", due_date="2026-03-02")
    page.add("Buy bread", priority="low")
    page.add("call Bob", priority="high", due_date="2026-03-01")
    done = page.add("milk the cow", priority="medium")
    page.fetch("PATCH", f"/tasks/{done['id']}/complete").expect(200)
    return page


@pytest.mark.parametrize("query,expected", [
    ("?status=all", ["milk the cow", "call Bob", "Buy bread", "Buy milk"]),
    ("?status=pending", ["call Bob", "Buy bread", "Buy milk"]),
    ("?status=completed", ["milk the cow"]),
    ("?search=milk", ["milk the cow", "Buy milk"]),
    ("?search=mil&status=pending", ["Buy milk"]),
    ("?priority=high", ["call Bob", "Buy milk"]),
    ("?sort_by=created_at&order=desc", ["milk the cow", "call Bob", "Buy bread", "Buy milk"]),
    ("?sort_by=created_at&order=asc", ["Buy milk", "Buy bread", "call Bob", "milk the cow"]),
    ("?sort_by=title&order=asc", ["Buy bread", "Buy milk", "call Bob", "milk the cow"]),
    ("?sort_by=priority&order=desc&priority=high", ["call Bob", "Buy milk"]),
    ("?sort_by=due_date&order=asc&status=pending", ["call Bob", "Buy milk", "Buy bread"]),
    ("?status=pending&search=buy&priority=high&sort_by=title&order=desc", ["Buy milk"]),
    ("?status=all&search=&sort_by=created_at&order=desc",
     ["milk the cow", "call Bob", "Buy bread", "Buy milk"]),
    ("?_=1712345678901", ["milk the cow", "call Bob", "Buy bread", "Buy milk"]),
    ("?page=1&per_page=2&skip=0", ["milk the cow", "call Bob", "Buy bread", "Buy milk"]),
])
def test_a_tool_bar_filters_and_sorts_on_the_server(full_page, query, expected):
    assert full_page.titles(query) == expected


def test_a_search_field_sends_every_key_stroke(full_page):
    typed = ["milk the"[:n].replace(" ", "%20") for n in range(9)]
    found = [len(full_page.titles(f"?search={text}")) for text in typed]
    assert found == [4, 2, 2, 2, 2, 2, 1, 1, 1]


def test_a_list_is_a_bare_array_with_all_that_is_there(page):
    assert page.titles() == []
    for i in range(60):
        page.add(f"task {i}")
    assert len(page.titles()) == 60


def test_a_trailing_slash_is_no_redirect(page):
    """A redirect would lose the Authorization header, or the method."""
    page.add("x")
    assert page.titles("/") == ["x"]
    assert page.fetch("POST", "/tasks/", {"title": "y"}).status == 201


# --- tasks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [
    {"title": "x"},
    {"title": "x", "description": None},
    {"title": "x", "description": "", "completed": False},
    {"title": "x", "user_id": "someone-else"},
    {"title": "x", "priority": "medium", "due_date": None, "tags": []},
    {"title": "x", "priority": None, "due_date": "2026-03-01", "tags": None},
    {"title": "x", "due_date": "2026-03-01T00:00:00.000Z"},
    {"title": "x", "category": "work", "recurring": False, "reminder_at": None},
])
def test_a_form_sends_what_it_has(page, body):
    task = page.fetch("POST", "/tasks", body).expect(201).json
    assert task["title"] == "x" and task["completed"] is False and task["user_id"] == page.id
    assert isinstance(task["id"], str) and task["due_date"] == body.get("due_date")
    for name in ("created_at", "updated_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", task[name])  # new Date(…)


def test_a_put_of_some_members_keeps_the_others(page):
    task = page.add("one", description="two", priority="high", due_date="2026-03-01", tags=["a"])
    at = f"/tasks/{task['id']}"
    for change in ({"title": "new", "description": "text"}, {"completed": True}, {"title": "only"},
                   {"description": ""}, {"priority": "low"}):
        now = page.fetch("PUT", at, change).expect(200).json
        kept = {k: v for k, v in task.items()
                if k not in change and k not in ("version", "updated_at", "completed_at")}
        assert {k: now[k] for k in kept} == kept and {k: now[k] for k in change} == change
        task = now


def test_a_task_is_sent_back_as_it_was_read_with_one_member_changed(page):
    """{...task, title}: with id, owner, times and version, which are not the client's to set."""
    task = page.add("one", tags=["a"], due_date="2026-03-01")
    for method in ("PUT", "PATCH"):
        now = page.fetch(method, f"/tasks/{task['id']}", {**task, "title": method}).expect(200).json
        assert now["title"] == method and now["created_at"] == task["created_at"]
        assert {**now, "title": 0, "version": 0, "updated_at": 0} == {
            **task, "title": 0, "version": 0, "updated_at": 0}


def test_a_check_box_patches_complete_without_a_body(page):
    """With the JSON header all the same; each click turns it over."""
    task = page.add("x")
    for expected in (True, False, True):
        now = page.fetch("PATCH", f"/tasks/{task['id']}/complete").expect(200).json
        assert now["completed"] is expected and now["id"] == task["id"]
    assert page.fetch("PATCH", f"/tasks/{task['id']}/complete",
                      {}).expect(200).json["completed"] is False


def test_a_check_box_says_what_it_wants(page):
    task = page.add("x")
    for method in ("PATCH", "POST"):
        for _ in range(2):
            now = page.fetch(method, f"/tasks/{task['id']}/complete", {"completed": True})
            assert now.expect(200).json["completed"] is True


def test_a_deletion_answers_json(page):
    task = page.add("x")
    assert page.fetch("DELETE", f"/tasks/{task['id']}").expect(200).json["id"] == task["id"]
    assert page.titles() == []


# --- errors -------------------------------------------------------------------------------------


def test_detail_is_a_string_that_can_be_shown(page):
    """throw new Error(body.detail): on every status, a sentence and not an object."""
    task = page.add("x")
    answers = [
        page.fetch("GET", f"/tasks/{NEVER}"), page.fetch("GET", f"/api/{NEVER}/tasks"),
        page.fetch("GET", "/nothing/here"), page.fetch("POST", "/tasks", {"title": ""}),
        page.fetch("POST", "/tasks", {}), page.fetch("POST", "/tasks", []),
        page.fetch("POST", "/tasks", {"title": "x", "priority": "urgent"}),
        page.fetch("POST", "/tasks", {"title": "x", "due_date": "03/01/2026"}),
        page.fetch("POST", "/tasks", {"title": "x", "id": task["id"]}),
        page.fetch("POST", "/tasks", {"title": "x" * 70000}),
        page.fetch("PUT", "/tasks", {"title": "x"}),
        page.fetch("GET", "/tasks?status=nonsense"), page.fetch("GET", "/tasks?limit=0"),
        page.fetch("POST", "/api/auth/login",
                   {"email": page.email, "password": "not the password"}),
        page.fetch("POST", "/api/auth/register", {"email": page.email, "password": PASSWORD}),
        page.fetch("POST", "/api/auth/register", {"email": "no address", "password": "short"}),
    ]
    page.headers = {}
    answers.append(page.fetch("GET", "/tasks"))
    page.headers = {"Authorization": "Bearer null"}
    answers.append(page.fetch("GET", "/tasks"))
    assert {a.status for a in answers} == {400, 401, 404, 405, 409, 413, 422}
    for a in answers:
        assert isinstance(a.json["detail"], str) and a.json["detail"].endswith("."), a
        assert a.header("Content-Type") == "application/problem+json"  # .json() does not look


def test_a_401_means_the_token_and_nothing_else(page):
    """Front ends log out on it: a mistyped field or a wrong path must not."""
    for method, path, body in (("POST", "/tasks", {}), ("GET", f"/tasks/{NEVER}", None),
                               ("GET", f"/api/{NEVER}/tasks", None),
                               ("GET", "/tasks?limit=x", None)):
        assert page.fetch(method, path, body).status != 401
    page.headers = {"Authorization": "Bearer undefined"}
    assert page.fetch("GET", "/tasks").status == 401


def test_many_calls_at_once(page):
    """A page that loads everything when it opens."""
    for i in range(5):
        page.add(str(i))
    calls = ["/tasks", "/tasks?status=pending", "/tasks?status=completed", "/stats", "/trash"] * 4
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        assert {a.status for a in pool.map(lambda c: page.fetch("GET", c), calls)} == {200}
