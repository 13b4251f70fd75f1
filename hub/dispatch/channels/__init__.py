"""The ways to tell somebody. One file each; the table below is all there is.

To add one: write `channels/<name>.py` with a `Config`, an `open_channel(config, tools)` and a class that keeps the promises of
`Channel`, then add its line to CHANNELS. `tests/contracts/test_channels.py` runs over every row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hub.dispatch.channels import (
    apprise,
    console,
    dingtalk_robot,
    email,
    feishu_robot,
    ntfy,
    siren,
    sms,
    telegram,
    voice,
    webhook,
    wecom_app,
    wecom_robot,
)
from hub.dispatch.channels.channel import Channel, ChannelConfig, Tools, secret_of
from hub.documents import Document, check
from hub.errors import Complaint, ConfigError


@dataclass(frozen=True, slots=True)
class Row:
    """A row of CHANNELS: how the channel's part of hub.yaml looks, and how it is opened."""

    config: type[ChannelConfig]
    open: Callable[[Any, Tools], Channel]


CHANNELS: Mapping[str, Row] = {
    "console": Row(console.Config, console.open_channel),
    "webhook": Row(webhook.Config, webhook.open_channel),
    "siren": Row(siren.Config, siren.open_channel),
    "wecom_app": Row(wecom_app.Config, wecom_app.open_channel),
    "wecom_robot": Row(wecom_robot.Config, wecom_robot.open_channel),
    "dingtalk_robot": Row(dingtalk_robot.Config, dingtalk_robot.open_channel),
    "feishu_robot": Row(feishu_robot.Config, feishu_robot.open_channel),
    "sms": Row(sms.Config, sms.open_channel),
    "voice": Row(voice.Config, voice.open_channel),
    "email": Row(email.Config, email.open_channel),
    "ntfy": Row(ntfy.Config, ntfy.open_channel),
    "telegram": Row(telegram.Config, telegram.open_channel),
    "apprise": Row(apprise.Config, apprise.open_channel),
}


def open_channels(sections: Mapping[str, Mapping[str, Any]], document: Document, tools: Tools) -> dict[str, Channel]:
    """Every channel that hub.yaml sets up (`sections`: its part `channels:`). One that works without being set up is opened too.

    `document` is the parsed hub.yaml, for the lines. Raises ConfigError with every complaint before anything is opened.
    """
    configs, complaints = check_channels(sections, document)
    if not complaints:
        for name, config in configs.items():
            complaints += [
                document.complain(("channels", name, *path), message, remedy)
                for path, message, remedy in config.missing(tools.environ)
            ]
    if complaints:
        raise ConfigError(complaints)
    return {name: CHANNELS[name].open(config, tools) for name, config in configs.items()}


def check_channels(
    sections: Mapping[str, Mapping[str, Any]], document: Document
) -> tuple[dict[str, ChannelConfig], list[Complaint]]:
    """The configuration of every channel, and all that is wrong with it. Opens nothing and reads no secret.

    A channel that is not mentioned has its defaults; where it cannot have them (it needs an account) it is left out.
    """
    complaints = [
        document.complain(("channels", name), "there is no such channel", f"use {', '.join(CHANNELS)}")
        for name in sections
        if name not in CHANNELS
    ]
    configs: dict[str, ChannelConfig] = {}
    for name, row in CHANNELS.items():
        config, wrong = check(row.config, document, sections.get(name) or {}, ("channels", name))
        if name in sections:
            complaints += wrong
        if config is not None:
            configs[name] = config
    return configs, complaints


def known_targets(configs: Mapping[str, ChannelConfig]) -> dict[str, frozenset[str]]:
    """Channel → the receivers that it can tell, for the planner; channels that take any target are left out.

    A channel that is not set up can tell nobody.
    """
    known = {name: targets for name, config in configs.items() if (targets := config.targets()) is not None}
    return {name: frozenset() for name in CHANNELS if name not in configs} | known


def callback_secrets(configs: Mapping[str, ChannelConfig], environ: Mapping[str, str]) -> dict[str, str]:
    """Channel → the secret of its gateway's callbacks, for those that have one."""
    found = {
        name: secret_of(config, "callback_secret", environ)
        for name, config in configs.items()
        if hasattr(config, "callback_secret_env")
    }
    return {name: secret for name, secret in found.items() if secret}


__all__ = [
    "callback_secrets",
    "CHANNELS",
    "Channel",
    "Row",
    "Tools",
    "check_channels",
    "known_targets",
    "open_channels",
]
