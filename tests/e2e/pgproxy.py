"""Stands between taskcell and PostgreSQL on a unix socket and counts, without changing a byte."""

import selectors
import socket
import threading
import urllib.parse

import fastcgi


class Link:
    """One connection: how often its client has waited for the server."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.turns = 0  # times that the client spoke after the server, or first
        self.syncs = 0  # Sync and simple queries: what ends a round trip by the protocol
        self.answered = True
        self._rest = b""
        self._startup = True

    def from_client(self, data):
        if self.answered:
            self.turns += 1
            self.answered = False
        self._rest += data
        while True:
            head = 4 if self._startup else 5
            if len(self._rest) < head:
                return
            size = int.from_bytes(self._rest[head - 4:head], "big") + head - 4
            if len(self._rest) < size:
                return
            if not self._startup:
                self.syncs += self._rest[0] in b"SQ"
            # What asks for encryption comes before the real start-up message, both without a type.
            elif self._rest[4:8] not in (b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"):
                self._startup = False
            self._rest = self._rest[size:]


class Proxy:
    def __init__(self, directory, url):
        """`url`: of the real server, with ?host=<its directory>."""
        self.target = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["host"][0]
        self.url = url.replace(self.target, str(directory))
        assert self.url != url
        directory.mkdir()
        self.links = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(directory / ".s.PGSQL.5432"))
        self.listener.listen(64)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with selectors.DefaultSelector() as sel:
            sel.register(self.listener, selectors.EVENT_READ)
            while True:
                for key, _ in sel.select():
                    if key.fileobj is self.listener:
                        self.accept(sel)
                    else:
                        self.carry(sel, key)

    def accept(self, sel):
        client, _ = self.listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self.target}/.s.PGSQL.5432")
        link = Link(client, server)
        self.links.append(link)
        sel.register(client, selectors.EVENT_READ, link)
        sel.register(server, selectors.EVENT_READ, link)

    @staticmethod
    def carry(sel, key):
        link = key.data
        try:
            data = key.fileobj.recv(1 << 18)
        except OSError:
            data = b""
        try:
            if data and key.fileobj is link.client:
                link.from_client(data)
                link.server.sendall(data)
                return
            if data:
                link.answered = True
                link.client.sendall(data)
                return
        except OSError:
            pass
        for s in (link.client, link.server):
            try:
                sel.unregister(s)
            except (KeyError, ValueError):
                continue
            s.close()

    def counts(self):
        """Round trips by either way of counting; how many connections there have been."""
        return (sum(x.turns for x in self.links), sum(x.syncs for x in self.links),
                len(self.links))


class Counted:
    """A taskcell of one worker that reaches its database through the proxy."""

    def __init__(self, stack, proxy):
        self.stack, self.proxy = stack, proxy
        self.path = stack.settings["listen"]

    def send(self, method, uri, body=b"", token=None, **params):
        if token:
            params["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return fastcgi.request(self.path, method, uri, body, **params)

    def cost(self, *args, **kw):
        """The answer, and the round trips it took, counted in both ways."""
        before = self.proxy.counts()
        a = self.send(*args, **kw)
        after = self.proxy.counts()
        assert before[2] == after[2], "a new connection"
        turns, syncs = after[0] - before[0], after[1] - before[1]
        assert turns == syncs, (turns, syncs)
        return a, turns
