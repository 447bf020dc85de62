"""Holds answers against the contract, docs/openapi.json: the status is declared for the operation, the
body matches its schema, nothing is there that is not declared."""

import json
import pathlib
import urllib.parse

import jsonschema

FILE = pathlib.Path(__file__).resolve().parents[2] / "docs/openapi.json"
PROBLEM = "application/problem+json"
MOUNT = "/todo"  # of the tests that have one
MANY = 1000  # of a longer array so many entries are looked at
# Headers that any answer may have: of HTTP itself, of every answer, of other origins' pages.
COMMON = {
    "date", "server", "status", "connection", "transfer-encoding", "content-type", "content-length",
    "content-encoding", "x-request-id", "cache-control", "x-content-type-options", "vary",
    "access-control-allow-origin", "access-control-expose-headers", "access-control-allow-methods",
    "access-control-allow-headers", "access-control-max-age",
}


def matches(template, segments):
    parts = template.split("/")
    return len(parts) == len(segments) and all(
        p == s or p.startswith("{") and s for p, s in zip(parts, segments))


class Contract:
    def __init__(self, doc):
        self.doc = doc
        self.memo = {}
        self.validators = {}
        self.entries = set()
        # a literal segment beats a parameter
        self.paths = sorted(doc["paths"].items(), key=lambda entry: entry[0].count("{"))
        self.any_problem = doc["components"]["responses"]["AnyProblem"]
        responses = doc["components"]["responses"].values()
        schemas = [r["content"][PROBLEM]["schema"] for r in responses if PROBLEM in r.get("content", {})]
        self.pairs = {(one["properties"]["status"]["const"], code)
                      for s in schemas for one in s.get("oneOf", [s])
                      for code in one["properties"]["code"]["enum"]}

    # --- finding

    def resolve(self, ref):
        at = self.doc
        for part in ref.removeprefix("#/").split("/"):
            at = at[part]
        return at

    def response(self, given):
        return self.resolve(given["$ref"]) if "$ref" in given else given

    def item(self, target):
        """Template and path item of a target as it was sent, None when there is none."""
        path = target.partition("?")[0].removeprefix(MOUNT)
        if path.endswith("/"):
            path = path[:-1]  # one is accepted
        segments = [urllib.parse.unquote(s, errors="replace") for s in path.split("/")]
        return next(((p, item) for p, item in self.paths if matches(p, segments)), (None, None))

    # --- schemas

    def inline(self, schema):
        """The schema without references, which are slow to follow. None of ours is recursive."""
        if isinstance(schema, list):
            return [self.inline(s) for s in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" not in schema:
            return {k: self.inline(v) for k, v in schema.items()}
        rest = {k: self.inline(v) for k, v in schema.items() if k not in ("$ref", "description")}
        ref = schema["$ref"]
        if ref not in self.memo:
            self.memo[ref] = self.inline(self.resolve(ref))
        if rest.pop("unevaluatedProperties", True):
            return {"allOf": [self.memo[ref]], **rest} if rest else self.memo[ref]
        # members more than another's, and no others; said in one place, since what is evaluated
        # takes long to find out
        base = self.memo[ref]
        assert set(rest) <= {"properties", "required"}, ref
        assert set(base) <= {"type", "properties", "required", "description"}, ref
        return {**base, "additionalProperties": False,
                "required": base["required"] + rest.get("required", []),
                "properties": {**base["properties"], **rest.get("properties", {})}}

    def validator(self, schema):
        if id(schema) not in self.validators:
            checker = jsonschema.FormatChecker(("uuid", "date"))
            whole = self.inline(schema)
            jsonschema.Draft202012Validator.check_schema(whole)
            self.validators[id(schema)] = jsonschema.Draft202012Validator(
                whole, format_checker=checker)
        return self.validators[id(schema)]

    def is_new(self, entry, schema):
        """The same entries come in many lists."""
        known = len(self.entries)
        self.entries.add((id(schema), json.dumps(entry)))
        return len(self.entries) > known

    def hold(self, value, schema, where):
        if isinstance(value, list):
            value = [v for v in value[::len(value) // MANY + 1] if self.is_new(v, schema)]
        error = jsonschema.exceptions.best_match(self.validator(schema).iter_errors(value))
        assert error is None, f"{where}: {error.json_path}: {error.message}"

    # --- answers

    def check(self, a):
        """`a`: method, target ("?": not known), status, headers, body, json."""
        if a.target == "?" and a.status < 400:
            return
        name, item = self.item(a.target)
        where = f"the contract, {a.method} {name or a.target}, {a.status}"
        method = "get" if a.method == "HEAD" else a.method.lower()
        if item is None:
            self.check_problem(a, where)
        elif method == "options" and a.status == 204:
            assert a.header("Allow"), where
            assert not a.body, where
        elif method not in item:
            self.check_response(a, self.any_problem, where)
        else:
            responses = item[method]["responses"]
            declared = responses.get(str(a.status))
            assert declared or a.status >= 400, f"{where}: the status is not declared"
            self.check_response(a, self.response(declared or responses["default"]), where)

    def check_problem(self, a, where):
        """Of a path that is not there, or was never read."""
        assert a.status >= 400, f"{where}: the path is not declared"
        assert a.header("Content-Type") == PROBLEM, where
        if a.method != "HEAD":
            self.hold(a.json, self.doc["components"]["schemas"]["Problem"], where)
            assert (a.status, a.json["code"]) in self.pairs, f"{where}: {a.json['code']}"

    def check_response(self, a, response, where):
        self.check_headers(a, response.get("headers", {}), where)
        content, media = response.get("content"), a.header("Content-Type")
        if content is None:
            assert media is None and not a.body, f"{where}: no body is declared"
            return
        media = (media or "").partition(";")[0]
        assert media in content, f"{where}: {media!r} is not declared"
        if a.method == "HEAD":
            return
        if media.endswith("json"):
            self.hold(a.json, content[media]["schema"], where)
            if media == PROBLEM:
                assert a.json["status"] == a.status, where
        else:
            self.hold(a.body.decode("utf-8"), content[media]["schema"], where)

    def check_headers(self, a, declared, where):
        declared = {k.lower(): self.response(h) for k, h in declared.items()}
        for name, h in declared.items():
            value = a.header(name)
            assert value is not None or not h.get("required"), f"{where}: {name} is absent"
            if value is not None:
                self.hold(value, h["schema"], f"{where}: {name}")
        extra = {k.lower() for k in a.headers.keys()} - COMMON - set(declared)
        assert not extra, f"{where}: {extra} is not declared"


contract = Contract(json.loads(FILE.read_text(encoding="utf-8")))
