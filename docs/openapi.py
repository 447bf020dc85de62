#!/usr/bin/python3
"""Makes openapi.json, which the server sends, and the page api.html from openapi.yaml. Both are kept
in the tree, so that a build needs neither this nor a YAML parser; a check finds what is out of date.

usage: docs/openapi.py [--check]
"""

import html
import json
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is much faster
METHODS = ("get", "put", "patch", "post", "delete")


# --- JSON -----------------------------------------------------------------------------------------


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def to_json(doc):
    """A line for each path and component, so that a change is easy to see; the servers first, since
    the program puts its own in place of that line."""
    lines = ['{"servers":%s,' % compact(doc["servers"])]
    rest = [(k, v) for k, v in doc.items() if k != "servers"]
    for key, value in rest:
        if key == "components":
            value = {k: list(v.items()) for k, v in value.items()}
            parts = [f"{compact(k)}:{{\n" + ",\n".join(f"{compact(n)}:{compact(x)}" for n, x in v)
                     + "}" for k, v in value.items()]
            text = "{" + ",\n".join(parts) + "}"
        elif key == "paths":
            text = "{\n" + ",\n".join(f"{compact(k)}:{compact(v)}" for k, v in value.items()) + "}"
        else:
            text = compact(value)
        lines.append(f"{compact(key)}:{text}" + ("" if key == rest[-1][0] else ","))
    return "\n".join(lines) + "}\n"


# --- HTML -----------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; --back: #fff; --fore: #1c2024; --soft: #5b6570; --line: #d9dfe4;
  --tint: #f3f5f7; --link: #0b5cad }
@media (prefers-color-scheme: dark) { :root { --back: #14181c; --fore: #e4e8ec; --soft: #9aa5b0;
  --line: #333b43; --tint: #1d2329; --link: #7db8f2 } }
* { box-sizing: border-box }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--fore);
  background: var(--back); overflow-wrap: break-word }
a { color: var(--link); text-decoration: none }
a:hover, a:focus { text-decoration: underline }
nav { padding: 1rem 1.25rem; border-bottom: 1px solid var(--line); font-size: .875rem }
nav ul { list-style: none; margin: 0 0 .75rem; padding: 0 }
nav li { margin: .1rem 0 }
nav b { text-transform: capitalize }
main { max-width: 60rem; padding: 1rem 1.25rem 4rem }
@media (min-width: 70rem) {
  nav { position: fixed; inset: 0 auto 0 0; width: 19rem; overflow-y: auto;
    border: 0; border-right: 1px solid var(--line) }
  main { margin-left: 19rem; padding: 1rem 2.5rem 4rem }
}
h1 { margin: .5rem 0 0 }
h2 { margin: 3rem 0 0; text-transform: capitalize }
h3 { margin: 2.5rem 0 .25rem; padding-top: .75rem; border-top: 1px solid var(--line) }
h4 { margin: 1.25rem 0 .25rem; font-size: .875rem; color: var(--soft) }
.route, code, pre { font-family: ui-monospace, monospace; font-size: .875em }
.route { margin: .25rem 0 }
.route b { text-transform: uppercase }
pre { margin: .25rem 0; padding: .75rem; overflow-x: auto; background: var(--tint);
  border-radius: .375rem; line-height: 1.4 }
code { background: var(--tint); padding: .05em .25em; border-radius: .25rem }
table { border-collapse: collapse; width: 100%; font-size: .9375rem }
td, th { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0;
  border-bottom: 1px solid var(--line) }
td:first-child { width: 1%; min-width: 11rem }
td p, li p, td ul { margin: 0 }
.soft { color: var(--soft) }
summary { cursor: pointer; color: var(--soft); font-size: .875rem; margin-top: .5rem }
:target { scroll-margin-top: 1rem }
"""


def inline(text):
    """One line of the Markdown that the descriptions use: code, bold, emphasis."""
    parts = re.split(r"(`[^`]+`)", text)
    for i, part in enumerate(parts):
        if part.startswith("`"):
            parts[i] = f"<code>{html.escape(part[1:-1])}</code>"
        else:
            part = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", html.escape(part, False))
            parts[i] = re.sub(r"\*([^*]+)\*", r"<em>\1</em>", part)
    return "".join(parts)


def prose(text):
    """Paragraphs and one level of lists."""
    out = []
    for block in re.split(r"\n\s*\n", (text or "").strip()):
        if block.startswith("- "):
            items = [inline(" ".join(x.split())) for x in re.split(r"(?:^|\n)- ", block) if x]
            out.append("<ul>" + "".join(f"<li>{x}</li>" for x in items) + "</ul>")
        elif block:
            out.append(f"<p>{inline(' '.join(block.split()))}</p>")
    return "".join(out)


def link(kind, name):
    return f'<a href="#{kind}-{name}">{html.escape(name)}</a>'


def code(value):
    return f"<code>{html.escape(value)}</code>"


def word(value):
    return code(value if isinstance(value, str) else compact(value))


def pre(value):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return f"<pre>{html.escape(text.replace(chr(13), ''))}</pre>"


def table(rows):
    return "<table>" + "".join(f"<tr><td>{a}</td><td>{b}</td></tr>" for a, b in rows) + "</table>"


def ref_name(schema):
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else None


class Page:
    def __init__(self, doc):
        self.doc = doc
        self.parts = doc["components"]

    def find(self, thing):
        """What a reference stands for; schemas stay links."""
        while "$ref" in thing:
            _, _, kind, name = thing["$ref"].split("/")
            thing = self.parts[kind][name]
        return thing

    def kind(self, schema):
        """A schema in a few words."""
        if "$ref" in schema:
            return link("schema", ref_name(schema))
        for of in ("oneOf", "anyOf"):
            if of in schema:
                return " or ".join(map(self.kind, schema[of]))
        if "const" in schema:
            return word(schema["const"])
        if "enum" in schema:
            return " ".join(map(word, schema["enum"]))
        types = schema.get("type", "any")
        words = " or ".join(types) if isinstance(types, list) else types
        if words == "array":
            words = "array of " + self.kind(schema["items"])
        if "format" in schema:
            words += f" ({schema['format']})"
        return words + self.bounds(schema)

    @staticmethod
    def bounds(schema):
        found = ""
        for low, high, unit in (("minLength", "maxLength", " characters"), ("minimum", "maximum", ""),
                                ("minItems", "maxItems", " entries")):
            if low in schema and high in schema:
                found += f", {schema[low]} to {schema[high]}{unit}"
            elif high in schema:
                found += f", at most {schema[high]}{unit}"
            elif low in schema:
                found += f", at least {schema[low]}{unit}"
        if schema.get("uniqueItems"):
            found += ", all different"
        if "pattern" in schema:
            found += f", as {code(schema['pattern'])}"
        if "default" in schema:
            found += f", default {word(schema['default'])}"
        return found

    def members(self, schema):
        """A row for each member of an object."""
        required = schema.get("required", ())
        rows = []
        for name, part in schema.get("properties", {}).items():
            must = "" if name in required else ' <span class="soft">optional</span>'
            rows.append((code(name) + must, self.kind(part) + prose(part.get("description"))))
        return table(rows) if rows else ""

    # --- operations

    def parameters(self, path, op):
        rows = []
        for p in map(self.find, path.get("parameters", []) + op.get("parameters", [])):
            must = "" if p.get("required") else ", optional"
            example = f", such as {code(p['example'])}" if "example" in p else ""
            where = f'<span class="soft">{p["in"]}{must}</span>'
            rows.append((f"{code(p['name'])} {where}",
                         self.kind(p["schema"]) + example + prose(p.get("description"))))
        return "<h4>Parameters</h4>" + table(rows) if rows else ""

    def body(self, op):
        if "requestBody" not in op:
            return ""
        body = op["requestBody"]
        rows, examples = [], []
        for media, content in body["content"].items():
            rows.append((code(media), self.kind(content["schema"])))
            examples.append(pre(content["example"]))
        return ("<h4>Body</h4>" + prose(body.get("description")) + table(rows) +
                "<details><summary>Example</summary>" + "".join(examples) + "</details>")

    def answers(self, op):
        rows, examples = [], []
        for status, given in op["responses"].items():
            r = self.find(given)
            text = prose(r["description"])
            if status == "default":
                rows.append(('<a href="#any-other-status">any other</a>', text))
                continue
            codes = []
            for media, content in r.get("content", {}).items():
                if media == "application/problem+json":
                    codes = content["schema"]["properties"]["code"]["enum"]
                    continue
                text += f"<p>{code(media)}: {self.kind(content['schema'])}</p>"
                if "example" in content:
                    examples.append(pre(content["example"]))
            text += f"<p>{' '.join(map(code, codes))}</p>" if codes else ""
            headers = [code(h) for h in r.get("headers", {}) if h != "X-Request-Id"]
            if headers:
                text += f'<p class="soft">Headers: {", ".join(headers)}</p>'
            rows.append((status, text))
        shown = "".join(examples)
        return ("<h4>Answers</h4>" + table(rows) +
                (f"<details><summary>Example</summary>{shown}</details>" if shown else ""))

    def access(self, op):
        ways = op.get("security", self.doc["security"])
        names = [" and ".join(link("security", n) for n in w) or "nothing" for w in ways]
        return f'<p class="soft">Needs {" or ".join(names) or "nothing"}.</p>'

    def operation(self, path, method):
        op = self.doc["paths"][path][method]
        return (f'<h3 id="{op["operationId"]}">{inline(op["summary"])}</h3>'
                f'<p class="route"><b>{method}</b> {html.escape(path)}</p>'
                + prose(op.get("description")) + self.access(op)
                + self.parameters(self.doc["paths"][path], op) + self.body(op) + self.answers(op))

    # --- the rest

    def problems(self):
        r = self.parts["responses"]["AnyProblem"]
        content = r["content"]["application/problem+json"]
        rows = [(str(one["properties"]["status"]["const"]),
                 " ".join(map(code, one["properties"]["code"]["enum"])))
                for one in content["schema"]["oneOf"]]
        return ('<h2 id="any-other-status">Any other status</h2>' + prose(r["description"])
                + table(rows) + pre(content["example"]))

    def headers(self):
        rows = [(code(re.sub("^(Maybe|List|Start)", "", n).replace("RetryA", "Retry-A")),
                 prose(h["description"]) + code(h["example"]))
                for n, h in self.parts["headers"].items()]
        return '<h2 id="headers">Headers of answers</h2>' + table(rows)

    def security(self):
        out = ['<h2 id="security">Access</h2>']
        for name, s in self.parts["securitySchemes"].items():
            form = "Authorization: Bearer …" if s["type"] == "http" else f"Cookie: {s['name']}=…"
            out.append(f'<h3 id="security-{name}">{name}</h3><p>{code(form)}</p>'
                       + prose(s["description"]))
        return "".join(out)

    def schemas(self):
        out = ['<h2 id="schemas">Schemas</h2>']
        for name, s in self.parts["schemas"].items():
            whole = "properties" not in s and "$ref" not in s
            base = f"<p>All of {self.kind({'$ref': s['$ref']})}.</p>" if "$ref" in s else ""
            out.append(f'<h3 id="schema-{name}">{name}</h3>' + prose(s.get("description")) + base
                       + (f"<p>{self.kind(s)}</p>" if whole else self.members(s)))
        return "".join(out)

    def whole(self):
        doc, menu, content = self.doc, [], []
        for tag in doc["tags"]:
            ops = [(p, m) for p, item in doc["paths"].items() for m in METHODS
                   if m in item and tag["name"] in item[m]["tags"]]
            links = "".join(
                f'<li><a href="#{doc["paths"][p][m]["operationId"]}">'
                f'{inline(doc["paths"][p][m]["summary"])}</a></li>' for p, m in ops)
            menu.append(f"<b>{tag['name']}</b><ul>{links}</ul>")
            content.append(f'<h2 id="{tag["name"]}">{tag["name"]}</h2>' + prose(tag["description"]))
            content += [self.operation(p, m) for p, m in ops]
        menu.append('<b>reference</b><ul><li><a href="#any-other-status">Any other status</a></li>'
                    '<li><a href="#headers">Headers of answers</a></li>'
                    '<li><a href="#security">Access</a></li>'
                    '<li><a href="#schemas">Schemas</a></li></ul>')
        content += [self.problems(), self.headers(), self.security(), self.schemas()]
        info = doc["info"]
        page = (
            '<!doctype html>\n<!-- Made from openapi.yaml by openapi.py. -->\n<html lang="en">'
            '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f'<title>{info["title"]}: HTTP API</title><style>{STYLE}</style>'
            f'<nav>{"".join(menu)}</nav><main><h1>{info["title"]} {info["version"]}</h1>'
            f'<p>{inline(info["summary"])}</p>{prose(info["description"])}{"".join(content)}</main>'
            "</html>\n")
        return re.sub(r"(<(?:h[1-4]|table|tr|details|pre|p|ul|li)\b)", r"\n\1", page)


def main(arguments):
    doc = yaml.load((HERE / "openapi.yaml").read_text(encoding="utf-8"), LOADER)
    made = {"openapi.json": to_json(doc), "api.html": Page(doc).whole()}
    stale = [n for n, text in made.items()
             if not (HERE / n).exists() or (HERE / n).read_text(encoding="utf-8") != text]
    if arguments == ["--check"]:
        for name in stale:
            print(f"docs/{name} is not what docs/openapi.py makes: run it", file=sys.stderr)
        return bool(stale)
    if arguments:
        print(__doc__.rpartition("\n\n")[2].strip(), file=sys.stderr)
        return 2
    for name in stale:
        (HERE / name).write_text(made[name], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
