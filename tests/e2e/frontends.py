"""The web servers that taskcell can stand behind, each with the files that are shipped for it."""

import os
import pathlib
import shutil

CONF = pathlib.Path(__file__).resolve().parents[2] / "conf"
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
MODULES = "/usr/lib/apache2/modules"


class Frontend:
    """`files` are rendered into a stack's folder; the first one is the server's own."""
    kind = program = log_name = None
    files = ()
    spawns = False  # it starts taskcell's processes, and no master does
    site = None
    refuses = ()  # methods that taskcell never sees
    needs_length = False  # of a POST, also without a body
    drops_empty_headers = False
    request_id = "[0-9a-f]{32}"
    compressed_tag = 'W/"{}"'
    lost = (502, "bad_gateway")  # what a client hears when its worker has died
    gone = (502, "bad_gateway")  # when nobody listens
    says_when_to_retry = True

    @staticmethod
    def has_own_form(answer):
        """Whether it may say this in its own words instead of a problem document."""
        return False

    def __init__(self, directory):
        self.dir = directory
        self.log = directory / self.log_name

    def render(self, port, places, changes):
        """The files that are shipped, with nothing changed but where things are, and what a test
        asks for."""
        places = {"@PORT@": str(port), "@STATE@": str(self.dir), "@MODULES@": MODULES,
                  "@SITE@": self.site, **places}
        for name in self.files:
            text = (CONF / name).read_text(encoding="utf-8")
            for old, new in [*places.items(), *changes.items()]:
                text = text.replace(str(old), str(new))
            (self.dir / name).write_text(text, encoding="utf-8")
        (self.dir / "www").mkdir(exist_ok=True)

    def command(self):
        path = shutil.which(self.program, path=PATH)
        assert path, f"{self.program} is not installed"
        return [path, *self.arguments()]

    def arguments(self):
        raise NotImplementedError


class Nginx(Frontend):
    kind, program, log_name = "nginx", "nginx", "nginx.log"
    files = ("nginx.conf", "nginx-site.conf", "nginx-web.conf")

    def arguments(self):
        return ["-e", str(self.log), "-p", str(self.dir), "-c", str(self.dir / "nginx.conf")]


class Apache(Frontend):
    kind, program, log_name = "apache", "apache2", "apache.log"
    request_id = "[0-9A-Za-z_@-]{24,32}"
    compressed_tag = '"{}-gzip"'
    lost = gone = (503, "unavailable")

    @staticmethod
    def has_own_form(answer):
        """When it could not read the request, it does not know of what path it is."""
        return answer.status in (400, 405, 414) or answer.status == 404 and "%00" in answer.target

    @property
    def files(self):
        return ("apache.conf", "apache-errors.conf", "apache-web.conf", self.site)

    def arguments(self):
        return ["-DFOREGROUND", "-f", str(self.dir / "apache.conf")]


class ModFcgid(Apache):
    site = "apache-mod_fcgid.conf"
    spawns = True
    lost = (500, "internal_error")


class ProxyFcgi(Apache):
    site = "apache-proxy_fcgi.conf"


class Lighttpd(Frontend):
    kind, program, log_name = "lighttpd", "lighttpd", "lighttpd.log"
    compressed_tag = '"{}-gzip"'
    lost, gone = (500, None), (503, None)
    says_when_to_retry = False
    files = ("lighttpd.conf", "lighttpd-site.conf", "lighttpd-web.conf")
    refuses = ("BREW",)
    needs_length = drops_empty_headers = True

    @staticmethod
    def has_own_form(answer):
        return True

    def arguments(self):
        return ["-D", "-f", str(self.dir / "lighttpd.conf")]


FRONTENDS = {"nginx": Nginx, "mod_fcgid": ModFcgid, "proxy_fcgi": ProxyFcgi, "lighttpd": Lighttpd}
CHOSEN = os.environ.get("TASKCELL_SERVER") or "nginx"
FRONT = FRONTENDS[CHOSEN]


def is_own_form(answer):
    """What the web server says itself, in a form that is its own."""
    return answer.status >= 400 and answer.headers["X-Request-Id"] is None and \
        (answer.headers["Content-Type"] or "").startswith("text/html") and \
        FRONT.has_own_form(answer)
