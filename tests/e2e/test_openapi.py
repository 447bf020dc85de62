"""The contract that the server sends, and that the suite's look at every answer can fail."""

import copy
import email.message
import json

import pytest

import client
import fastcgi
from openapi import PROBLEM, contract
from stack import SOURCE, wait_for

ID = "019f7220-6b1c-7d3e-9f00-5a1d2c3b4e5f"
JSON = "application/json"


# --- the document ---------------------------------------------------------------------------------


def test_the_document_is_the_one_in_docs(http):
    a = http.request("GET", "/api/openapi.json").expect(200)
    assert a.json == json.loads((SOURCE / "docs/openapi.json").read_text(encoding="utf-8"))
    assert a.header("Cache-Control") == "public, max-age=300"
    head = http.request("HEAD", "/api/openapi.json").expect(200)
    assert head.header("ETag") == a.header("ETag")
    same = http.request("GET", "/api/openapi.json", headers={"If-None-Match": a.header("ETag")})
    assert same.expect(304).header("ETag") == a.header("ETag")
    other = http.request("GET", "/api/openapi.json", headers={"If-None-Match": '"x"'})
    assert other.expect(200).body == a.body
    http.request("POST", "/api/openapi.json").expect(405)


def test_the_document_names_the_mount(stack, make_stack):
    s = make_stack(with_nginx=False, mount="/todo", workers=1, auth_workers=1)
    path = s.settings["listen"]
    wait_for("the socket", lambda: s.answers(path))
    a = fastcgi.request(path, "GET", "/todo/api/openapi.json").expect(200)
    assert a.json["servers"] == [{"url": "/todo"}]
    at_root = fastcgi.request(stack.settings["listen"], "GET", "/api/openapi.json").expect(200)
    assert {**a.json, "servers": [{"url": "/"}]} == at_root.json
    assert a.header("ETag") != at_root.header("ETag")


# --- the look at every answer ---------------------------------------------------------------------


class Made:
    """An answer that no server has given."""

    def __init__(self, method, target, status, body, media, headers):
        self.method, self.target, self.status = method, target, status
        self.headers = email.message.Message()
        self.headers["X-Request-Id"] = "5cfe2f0c7a7c4c0f8a5b1c9d3e7f6a21"
        for name, value in [*headers, *([("Content-Type", media)] if media else [])]:
            self.headers[name] = value
        self.json = body
        self.body = b"" if body is None else json.dumps(body).encode()

    header = client.Answer.header


def good():
    """A fresh answer to GET of a task, in parts."""
    example = contract.doc["components"]["responses"]["Task"]["content"][JSON]["example"]
    return {"method": "GET", "target": f"/api/me/tasks/{ID}", "status": 200, "media": JSON,
            "body": copy.deepcopy(example), "headers": [("ETag", '"18"')]}


def problem(status, code, **more):
    return {"status": status, "media": PROBLEM, "headers": [], "body": {
        "type": "about:blank", "title": "A", "status": status, "detail": "A sentence.", "code": code,
        "request_id": "5cfe2f0c7a7c4c0f8a5b1c9d3e7f6a21", **more}}


def body(**members):
    return {"body": {**good()["body"], **members}}


def without(name):
    return {"body": {k: v for k, v in good()["body"].items() if k != name}}


RETRY, BEARER = ("Retry-After", "1"), ("WWW-Authenticate", 'Bearer realm="taskcell"')
PASS = {
    "as it is": {},
    "a trailing slash": {"target": f"/api/me/tasks/{ID}/?x=y"},
    "behind a mount": {"target": f"/todo/api/me/tasks/{ID}"},
    "head": {"method": "HEAD", "body": None},
    "304": {"status": 304, "body": None, "media": None},
    "options": {"method": "OPTIONS", "status": 204, "body": None, "media": None,
                "headers": [("Allow", "GET")]},
    "a problem": problem(404, "not_found"),
    "a token": {**problem(401, "token_expired"), "headers": [BEARER]},
    "of nginx": {**problem(502, "bad_gateway"), "headers": [RETRY]},
    "another method": {**problem(405, "method_not_allowed"), "method": "BREW"},
    "no such path": {**problem(404, "not_found"), "target": "/api/nowhere"},
    "a csv file": {"target": "/api/me/tasks", "media": "text/csv; charset=utf-8", "headers": []},
    "a long list": {"target": "/api/me/tasks", "body": [good()["body"]] * 3000},
}
FAIL = {
    "an undeclared status": {"status": 206},
    "an undeclared redirect": {"status": 302, "body": None, "media": None},
    "a status of another operation": problem(410, "gone"),
    "a code of another status": problem(404, "invalid_query"),
    "a code of another operation": {**problem(401, "invalid_credentials"), "headers": [BEARER]},
    "an unknown code": problem(404, "no_such_thing"),
    "another status in the problem": {**problem(503, "unavailable"), "status": 500},
    "an unknown code of a broken server": problem(500, "broken"),
    "an unknown code at no path": {**problem(404, "nowhere"), "target": "/api/nowhere"},
    "success at no path": {"target": "/api/nowhere"},
    "success of no method": {"method": "BREW"},
    "a member too many": body(colour="green"),
    "a member too many in a problem": problem(404, "not_found", hint="Look elsewhere."),
    "a time of deletion": body(deleted_at="2026-07-18T19:00:00.000Z"),
    "a member missing": without("version"),
    "another type": body(version="18"),
    "a number for a truth": body(completed=1),
    "an id that is none": body(id="18"),
    "a time in seconds": body(created_at="2026-07-17T08:16:19Z"),
    "an unknown word": body(priority="urgent"),
    "too long": body(title="x" * 201),
    "a tag twice": body(tags=["a", "a"]),
    "no object": {"body": [good()["body"]]},
    "one task of a list": {"target": "/api/me/tasks",
                           "body": [good()["body"], without("id")["body"]]},
    "another media type": {"media": "text/html"},
    "no media type": {"media": None},
    "a body of none": {"status": 204, "method": "DELETE", "headers": []},
    "a header missing": {"headers": []},
    "a header's form": {"headers": [("ETag", "18")]},
    "an undeclared header": {"headers": [("ETag", '"18"'), ("X-Powered-By", "C")]},
    "a cookie": {"headers": [("ETag", '"18"'), ("Set-Cookie", "a=b")]},
    "401 without a challenge": problem(401, "token_expired"),
    "options without methods": {"method": "OPTIONS", "status": 204, "body": None, "media": None},
    "an error that is no problem": {**problem(404, "not_found"), "media": JSON},
    "a page for an error": {**problem(502, "bad_gateway"), "media": "text/html"},
}


@pytest.mark.parametrize("name", PASS)
def test_what_the_contract_says_passes(name):
    contract.check(Made(**{**good(), **PASS[name]}))


@pytest.mark.parametrize("name", FAIL)
def test_what_it_does_not_say_fails(name):
    with pytest.raises(AssertionError, match="the contract"):
        contract.check(Made(**{**good(), **FAIL[name]}))


def test_it_is_asked_of_every_answer(monkeypatch, http):
    asked = []
    monkeypatch.setattr(contract, "check", asked.append)
    a = http.request("GET", "/api/health")
    b = fastcgi.request  # the other way in goes by the same function
    assert asked == [a] and b.__globals__["client"].check_form is client.check_form
