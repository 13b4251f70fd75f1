"""A mail server for tests: a real SMTP server on 127.0.0.1 with STARTTLS, logins, a size limit, and bad days."""

from __future__ import annotations

import base64
import email
import email.policy
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from typing import Any, Self

from tests.support.services.server import Call, FakeService, Reply


class FakeSmtp(FakeService):
    """`security`: starttls, tls or none. `stage`: where a failure happens, at the "greeting" or after the "data".

    `taken` are the mails. A Reply in `script` or `always` is what is said after the data, its status the code.
    """

    def __init__(self, tls: ssl.SSLContext | None, *, username: str, password: str, security: str = "starttls") -> None:
        super().__init__()
        self.tls, self.username, self.password, self.security = tls, username, password, security
        self.stage = "data"
        self.most_bytes = 100_000
        self.mailboxes: set[str] | None = None
        self.greylisted: set[str] = set()
        self.port = 0
        self.offers_starttls = security == "starttls"
        self.encrypted: list[bool] = []

    def refusal(self, words: str) -> Reply:
        return Reply(words.encode(), 550)

    def answer(self, call: Call) -> Reply:
        mail = email.message_from_bytes(call.body, policy=email.policy.SMTP)
        assert isinstance(mail, EmailMessage)
        self.taken.append(mail)
        return Reply(f"2.0.0 Ok: queued as {len(self.taken):08X}".encode(), 250)

    @contextmanager
    def running(self) -> Iterator[Self]:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.url = f"smtp://127.0.0.1:{self.port}"

        def accept() -> None:
            while not self._closing.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, name="fake smtp", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._closing.set()
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(5)

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(10)
            if self.security == "tls":
                assert self.tls is not None
                connection = self.tls.wrap_socket(connection, server_side=True)
            _Session(self, connection).run()
        except (OSError, ValueError):
            pass  # the client hung up
        finally:
            with suppress(OSError):
                connection.close()


class _Session:
    """One connection."""

    def __init__(self, server: FakeSmtp, connection: socket.socket) -> None:
        self.server, self.connection = server, connection
        self.file = connection.makefile("rb")
        self.secure = server.security == "tls"
        self.logged_in = False
        self.sender = ""
        self.receivers: list[str] = []

    def say(self, code: int, *lines: str) -> None:
        shown = [f"{code}{'-' if n < len(lines) - 1 else ' '}{line}\r\n" for n, line in enumerate(lines)]
        self.connection.sendall("".join(shown).encode())

    def run(self) -> None:
        if self.server.stage == "greeting" and (self.server.always or self.server.script):
            self._misbehave(self.server.took(Call("SMTP", "greeting", {}, "", {}, b"")))
            return
        self.say(220, "mail.example ESMTP")
        while line := self.file.readline():
            verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            if verb.upper() == "QUIT":
                self.say(221, "bye")
                return
            if verb.upper() == "DATA":
                if not self.receivers:
                    self.say(503, "need RCPT")
                    continue
                self.say(354, "go on")
                if self._data():
                    return
                continue
            getattr(self, f"_{verb.lower()}", self._unknown)(rest)

    def _unknown(self, rest: str) -> None:
        self.say(502, "not known")

    def _ehlo(self, rest: str) -> None:
        offers = ["mail.example", f"SIZE {self.server.most_bytes}"]
        if self.server.offers_starttls and not self.secure:
            offers.append("STARTTLS")
        if self.secure or self.server.security == "none":
            offers.append("AUTH PLAIN LOGIN")
        self.say(250, *offers)

    def _starttls(self, rest: str) -> None:
        assert self.server.tls is not None
        self.say(220, "go ahead")
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.file = self.connection.makefile("rb")
        self.secure = True

    def _auth(self, rest: str) -> None:
        kind, _, given = rest.partition(" ")
        if kind.upper() == "PLAIN":
            _, name, password = (self._told(given) if given else self._asked("")).split("\0")
        elif kind.upper() == "LOGIN":
            name = self._told(given) if given else self._asked("Username:")
            password = self._asked("Password:")
        else:
            self.say(504, "not known")
            return
        self.logged_in = (name, password) == (self.server.username, self.server.password)
        self.say(*((235, "2.7.0 good") if self.logged_in else (535, "5.7.8 authentication failed")))

    def _asked(self, question: str) -> str:
        self.say(334, base64.b64encode(question.encode()).decode())
        return self._told(self.file.readline().decode().strip())

    def _told(self, given: str) -> str:
        return base64.b64decode(given).decode()

    def _mail(self, rest: str) -> None:
        if self.server.username and not self.logged_in:
            self.say(530, "5.7.0 authentication required")
            return
        size = rest.lower().partition("size=")[2].split(" ")[0]
        if size.isdigit() and int(size) > self.server.most_bytes:
            self.say(552, "5.3.4 message size exceeds fixed limit")
            return
        self.sender = rest.partition("<")[2].partition(">")[0]
        self.say(250, "2.1.0 ok")

    def _rcpt(self, rest: str) -> None:
        to = rest.partition("<")[2].partition(">")[0]
        if self.server.mailboxes is not None and to not in self.server.mailboxes:
            self.say(550, f"5.1.1 <{to}>: no such mailbox")
        elif to in self.server.greylisted:
            self.server.greylisted.discard(to)
            self.say(450, "4.2.0 greylisted, come back later")
        else:
            self.receivers.append(to)
            self.say(250, "2.1.5 ok")

    def _rset(self, rest: str) -> None:
        self.receivers.clear()
        self.say(250, "2.0.0 ok")

    def _data(self) -> bool:
        """Takes the mail. Whether the connection has ended with it."""
        body = bytearray()
        while (line := self.file.readline()) not in (b".\r\n", b""):
            body += line[1:] if line.startswith(b"..") else line
        headers = {"from": self.sender, "to": ",".join(self.receivers)}
        self.server.encrypted.append(self.secure)
        how = self.server.took(Call("SMTP", "data", {}, "", headers, bytes(body)))
        if isinstance(how, Reply):
            self.say(how.status, how.content.decode().replace("\n", " "))
            return False
        self._misbehave(how)
        return True

    def _misbehave(self, how: str | Reply) -> None:
        send: Any = self.connection.sendall
        match how:
            case Reply():
                self.say(how.status, how.content.decode().replace("\n", " "))
            case "hangs":
                self.server._closing.wait(30)
            case "hangs up" | "answers nothing":
                self.connection.shutdown(socket.SHUT_RDWR)
            case "resets":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "stops in the middle" | "answers with half a JSON":
                send(b"25")
            case "talks nonsense":
                send(b"\x16\x03\x01 this is not SMTP\r\n")
            case "answers with a web page":
                send(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>no</html>\r\n")
            case "drips its body":
                send(b"250-")
                while not self.server._closing.wait(0.05):
                    send(b"x")
            case "answers 500":
                self.say(451, "4.3.0 local error in processing")
            case "answers 502":
                self.say(421, "4.3.2 closing")
            case "answers 503":
                self.say(452, "4.3.1 insufficient storage")
            case _:
                raise AssertionError(f"nobody knows how to {how!r}")
