"""For each channel that talks to a service: the fake service, a section of hub.yaml that leads to it, and a good target.

The contract tests run the same promises over every row of STANDS, and fail for a channel without one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.receivers import certificate
from tests.support.services.aliyun import FakeSms, FakeVoice
from tests.support.services.dingtalk import FakeDingtalk
from tests.support.services.feishu import FakeFeishu
from tests.support.services.ntfy import FakeNtfy
from tests.support.services.server import FakeService
from tests.support.services.smtp import FakeSmtp
from tests.support.services.telegram import FakeTelegram
from tests.support.services.wecom import FakeWecomApp, FakeWecomRobots


@dataclass
class Stand:
    """`texts` gives what people would read of a message that the service took. `secrets` must be told nowhere."""

    service: FakeService
    section: dict[str, Any]
    target: str
    environ: dict[str, str]
    texts: Callable[[Any], str]
    bad_targets: tuple[str, ...] = ("", "no such target", "\0", "x" * 10_000)
    receipt: bool = True
    more_targets: tuple[str, ...] = ()
    private: tuple[str, ...] = field(default=())  # of a send, beside the secrets: a phone number

    @property
    def secrets(self) -> tuple[str, ...]:
        return (*self.environ.values(), *self.private)


KEY = "7a6ff8e1-5b1e-4a36-9c1d-b0a6c5d4e3f2"


@contextmanager
def wecom_robot() -> Iterator[Stand]:
    with FakeWecomRobots(KEY, KEY[::-1]).running() as service:
        yield Stand(
            service=service,
            section={
                "base_url": service.url,
                "robots": {"crew": {"key_env": "ROBOT"}, "other": {"key_env": "OTHER"}},
            },
            environ={"ROBOT": KEY, "OTHER": KEY[::-1]},
            target="crew",
            more_targets=("other",),
            texts=lambda body: str(body["text"]["content"]),
            receipt=False,
        )


@contextmanager
def wecom_app() -> Iterator[Stand]:
    secret = "app-secret-Zq8_x1Yv3TnW"
    with FakeWecomApp("ww1234567890abcdef", secret, 1_000_002, "zhang", "li").running() as service:
        yield Stand(
            service=service,
            section={
                "base_url": service.url,
                "corp_id": "ww1234567890abcdef",
                "agent_id": 1_000_002,
                "secret_env": "APP_SECRET",
            },
            environ={"APP_SECRET": secret},
            target="zhang",
            more_targets=("li", "party:2", "tag:7"),
            bad_targets=(*Stand.bad_targets, "@all", "zhang|li", "party:", "user:zhang"),
            texts=lambda body: (
                f"{body['textcard']['title']}\n{body['textcard']['description']}"
                if "textcard" in body
                else str(body["text"]["content"])
            ),
        )


DING = "3f1c5b7e9d2a4c6f8e0b1d3a5c7e9f2b4d6a8c0e1f3b5d7a9c2e4f6b8d0a1c3e"
DING_SECRET = "SEC0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"
FEISHU = "1d2c3b4a-5f6e-4789-a0b1-c2d3e4f50617"
FEISHU_SECRET = "Ht3kQz8vWn5pLr2yBx7mCd"


@contextmanager
def dingtalk_robot() -> Iterator[Stand]:
    with FakeDingtalk(**{DING: DING_SECRET, DING[::-1]: ""}).running() as service:
        robots = {"crew": {"token_env": "TOKEN", "secret_env": "SECRET"}, "other": {"token_env": "OTHER"}}
        yield Stand(
            service=service,
            section={"base_url": service.url, "robots": robots},
            environ={"TOKEN": DING, "SECRET": DING_SECRET, "OTHER": DING[::-1]},
            target="crew",
            more_targets=("other",),
            texts=lambda body: str(body["text"]["content"]),
            receipt=False,
        )


@contextmanager
def feishu_robot() -> Iterator[Stand]:
    with FakeFeishu(**{FEISHU: FEISHU_SECRET, FEISHU[::-1]: ""}).running() as service:
        robots = {"crew": {"token_env": "TOKEN", "secret_env": "SECRET"}, "other": {"token_env": "OTHER"}}
        yield Stand(
            service=service,
            section={"base_url": service.url, "robots": robots},
            environ={"TOKEN": FEISHU, "SECRET": FEISHU_SECRET, "OTHER": FEISHU[::-1]},
            target="crew",
            more_targets=("other",),
            texts=lambda body: str(body["content"]["text"]),
            receipt=False,
        )


ALIYUN_ID, ALIYUN_SECRET = "LTAI5tFakeFakeFakeFake00", "kR7fQ2xW9bM4nV6cZ1sD8gH3jL5pT0"
PHONE, OTHER_PHONE = "13812345678", "+86 139-8765-4321"
BAD_NUMBERS = (*Stand.bad_targets, "110a", "1234", "13812345678,13812345679", "+", "１３８１２３４５６７８")


@contextmanager
def sms() -> Iterator[Stand]:
    templates = {"SMS_1": ("danger", "place", "device", "action"), "SMS_2": ("danger", "place", "device", "action")}
    with FakeSms(ALIYUN_ID, ALIYUN_SECRET, templates).running() as service:
        yield Stand(
            service=service,
            section={
                "base_url": service.url,
                "access_key_id": ALIYUN_ID,
                "access_key_secret_env": "ALIYUN",
                "sign_name": "幸福里微站",
                "template": "SMS_1",
                "template_en": "SMS_2",
            },
            environ={"ALIYUN": ALIYUN_SECRET},
            private=(PHONE,),
            target=PHONE,
            more_targets=(OTHER_PHONE,),
            bad_targets=BAD_NUMBERS,
            texts=lambda given: " ".join(json.loads(given["TemplateParam"]).values()),
        )


@contextmanager
def voice() -> Iterator[Stand]:
    with FakeVoice(ALIYUN_ID, ALIYUN_SECRET, {"TTS_1": ("danger", "place", "action")}).running() as service:
        yield Stand(
            service=service,
            section={
                "base_url": service.url,
                "access_key_id": ALIYUN_ID,
                "access_key_secret_env": "ALIYUN",
                "template": "TTS_1",
            },
            environ={"ALIYUN": ALIYUN_SECRET},
            private=(PHONE,),
            target=PHONE,
            more_targets=(OTHER_PHONE,),
            bad_targets=BAD_NUMBERS,
            texts=lambda given: " ".join(json.loads(given["TtsParam"]).values()),
        )


@contextmanager
def ntfy() -> Iterator[Stand]:
    token = "tk_agq3kx8d5b2f7v1m9z4w6c0y8h3n5j"
    with FakeNtfy(token).running() as service:
        yield Stand(
            service=service,
            section={"base_url": service.url, "token_env": "NTFY"},
            environ={"NTFY": token},
            target="crew-north",
            more_targets=("crew-south",),
            bad_targets=(*Stand.bad_targets, "a/b", "crew?x=1", "微站"),
            texts=lambda body: f"{body['title']}\n{body['message']}",
        )


@contextmanager
def telegram() -> Iterator[Stand]:
    token = "123456789:AAF8kQ2xW9bM4nV6cZ1sD8gH3jL5pT0uYe"
    with FakeTelegram(token, "42", "-1001234567890", "@north").running() as service:
        yield Stand(
            service=service,
            section={"base_url": service.url, "token_env": "BOT"},
            environ={"BOT": token},
            target="42",
            more_targets=("-1001234567890", "@north"),
            bad_targets=(*Stand.bad_targets, "north", "4 2", "--4", "@", "４２"),
            texts=lambda body: str(body["text"]),
        )


@contextmanager
def email() -> Iterator[Stand]:
    password = "mail-Zq8x1Yv3TnW-password"
    with TemporaryDirectory() as folder:
        cert, tls = certificate(Path(folder))
        with FakeSmtp(tls, username="alarm@example.com", password=password).running() as service:
            yield Stand(
                service=service,
                section={
                    "host": "127.0.0.1",
                    "port": service.port,
                    "username": "alarm@example.com",
                    "password_env": "MAIL",
                    "sender": "GridHub <alarm@example.com>",
                    "ca": str(cert),
                },
                environ={"MAIL": password},
                target="crew.north@example.com",
                more_targets=("crew.south@example.com",),
                bad_targets=(
                    *Stand.bad_targets,
                    "a@b@c",
                    "a@b\r\nRCPT TO:<x@y>",
                    "a b@c.d",
                    "<a@b.c>",
                    "岗@例.cn",
                    "@x.y",
                ),
                texts=lambda mail: f"{mail['Subject']}\n{mail.get_content()}",
                private=("crew.north@example.com",),
            )


STANDS: Mapping[str, Callable[[], AbstractContextManager[Stand]]] = {
    "wecom_robot": wecom_robot,
    "wecom_app": wecom_app,
    "dingtalk_robot": dingtalk_robot,
    "feishu_robot": feishu_robot,
    "sms": sms,
    "voice": voice,
    "ntfy": ntfy,
    "telegram": telegram,
    "email": email,
}
