"""What each file of the browser client comes with, whichever web server sends it."""

import gzip

import stack as stacks

WEB = stacks.SOURCE / "web"
FILES = sorted(f.name for f in WEB.iterdir())
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml",
         "png": "image/png", "webmanifest": "application/manifest+json"}
HEADERS = {
    "Content-Security-Policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; trusted-types taskcell; "
        "require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), "
                          "payment=(), serial=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
NONE = ["nothing", "app.jsx", ".git/config", "index.html/x"]
OUTSIDE = ["../conf/nginx.conf", "%2e%2e/dev"]


def get(http, path, **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    return http.request("GET", path, headers=headers, check=False)


def check_headers(a):
    assert {name: a.header(name) for name in HEADERS} == HEADERS, a


def check_file(http, name, at="/"):
    """One file, `name` being empty for the page: as it is, as it was before, and compressed."""
    a = get(http, f"{at}{name}").expect(200)
    content = (WEB / (name or "index.html")).read_bytes()
    assert a.body == content
    assert a.header("Content-Type").split(";")[0] == TYPES[(name or ".html").rpartition(".")[2]]
    check_headers(a)
    again = get(http, f"{at}{name}", if_none_match=a.header("ETag")).expect(304)
    assert again.body == b""
    check_headers(again)
    get(http, f"{at}{name}", if_none_match='"0"').expect(200)
    if len(content) > 1000 and not name.endswith("png"):
        small = get(http, f"{at}{name}", accept_encoding="gzip").expect(200)
        assert small.header("Content-Encoding") == "gzip"
        assert small.header("Vary") == "Accept-Encoding"
        assert gzip.decompress(small.body) == content
        assert len(small.body) < len(content)
        check_headers(small)
        again = get(http, f"{at}{name}", accept_encoding="gzip",
                    if_none_match=small.header("ETag")).expect(304)
        check_headers(again)


def check_client(http, at="/"):
    """All of its files, nothing else, and the API beside it."""
    for name in ["", *FILES]:
        check_file(http, name, at)
    for path in NONE:
        a = get(http, at + path)
        assert a.status in (403, 404), a
        check_headers(a)
    for path in OUTSIDE:
        assert get(http, at + path).status in (400, 404), path
    for a in get(http, f"{at}api/health"), get(http, f"{at}api/nothing"):
        assert a.header("Cache-Control") == "no-store"
        found = {name for name in HEADERS if a.header(name) is not None}
        assert found == {"Cache-Control", "X-Content-Type-Options"}, a
