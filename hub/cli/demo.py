"""`gridhub demo`: broker, hub and a simulated community on this machine, by one command, gone without a trace at the end."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal, cast

import typer
from rich.console import Console
from rich.markup import escape

from devices.simulators.embedded_broker import BrokerPlan, plan_broker
from hub.cli.children import Child, stop_all
from hub.cli.demo_hub import (
    HOST,
    Plan,
    configuration_news,
    environment_of,
    hub_settings,
    ledger_url,
    plain_environment,
    write_config,
)
from hub.cli.phones import Phones
from hub.clock import monotonic_s, now_ms
from hub.settings import load_settings

BROKER_PORT, CONSOLE_PORT = 1883, 8080
START_WITHIN_S = 60.0
STOP_WITHIN_S = 3.5
CALM_FOR_S = 4.0
"""How long the community is calm at least before the fire, so that one can see the difference."""
_PREFIX = "gridhub-demo-"


class _Failed(Exception):
    """The demonstration cannot go on; the text says why."""


class _Asked(Exception):
    """Somebody asked us to stop."""


@dataclass(slots=True)
class _Stop:
    """Set by Ctrl-C, SIGTERM, or a closed terminal."""

    asked: bool = False
    terminals: tuple[int, ...] = ()

    def check(self) -> None:
        # A hang-up is signalled to the leader of the session only (a shell passes it on, make does not): look for ourselves.
        if self.asked or not all(map(os.isatty, self.terminals)):
            raise _Asked


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    config: Annotated[Path, typer.Option(help="Configuration folder of the place to show.")] = Path("config"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the data under ./data/demo; else it is removed at the end.")
    ] = False,
    fire_after: Annotated[
        float, typer.Option(min=0, help="Seconds from now to the kitchen fire (but not before the community is up).")
    ] = 20.0,
    no_fire: Annotated[bool, typer.Option("--no-fire", help="A calm day only.")] = False,
    speed: Annotated[float, typer.Option(min=0.1, max=600, help="How much faster than the clock the day runs.")] = 1.0,
    broker: Annotated[str, typer.Option(help="auto, mosquitto or amqtt.")] = "auto",
    broker_port: Annotated[int, typer.Option(min=0, max=65_535, help="0 = 1883, or a free port if that is taken.")] = 0,
    console_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="0 = 8080, or a free port if that is taken.")
    ] = 0,
    duration: Annotated[float | None, typer.Option(min=1, help="Stop by itself after so many seconds.")] = None,
) -> None:
    """Show GridHub at work: starts a broker, the hub and a simulated community, and a kitchen fire. Ctrl-C stops it all."""
    if broker not in ("auto", "mosquitto", "amqtt"):
        typer.echo(f"gridhub demo: --broker {broker} is none of auto, mosquitto, amqtt", err=True)
        raise typer.Exit(2)
    load_settings(config)  # a wrong configuration is said before anything is started
    stop = _listen_for_the_end()
    screen = Console(highlight=False, soft_wrap=True)
    fire = None if no_fire else fire_after
    try:
        with _data_folder(keep) as data, Phones() as phones:
            plan = Plan(
                config=config.resolve(),
                data=data,
                broker_kind=cast(Literal["auto", "mosquitto", "amqtt"], broker),
                broker_port=_choose_port(broker_port, BROKER_PORT, "--broker-port"),
                console_port=_choose_port(console_port, CONSOLE_PORT, "--console-port"),
                fire_after_s=fire,
                speed=speed,
                keep=keep,
            )
            _Demo(plan, screen, stop, phones).run(duration)
    except _Asked:
        pass
    except _Failed as failed:
        _show(
            Console(stderr=True, highlight=False, soft_wrap=True), f"[bold red]gridhub demo:[/] {escape(str(failed))}"
        )
        raise typer.Exit(1) from failed


class _Demo:
    """Starts the children one after the other, watches them, and stops them in reverse."""

    def __init__(self, plan: Plan, screen: Console, stop: _Stop, phones: Phones) -> None:
        self.plan, self.screen, self.stop, self.phones = plan, screen, stop, phones
        self.children: list[Child] = []
        self.began_s = monotonic_s()
        self.fire_in_s: float | None = None
        self.broker: BrokerPlan = plan_broker(plan.data / "broker", plan.broker_port, kind=plan.broker_kind)

    def run(self, duration_s: float | None) -> None:
        try:
            self._start()
            until_s = None if duration_s is None else monotonic_s() + duration_s
            while until_s is None or monotonic_s() < until_s:
                self._tell_news()
                self._watch()
                time.sleep(0.2)
        finally:
            self._end()

    def _start(self) -> None:
        plan = self.plan
        with self.screen.status("starting the broker …") as status:
            self._child("broker", self.broker.command, plain_environment())
            self._wait_for(lambda: _answers(plan.broker_port), "the broker")
            status.update("preparing the ledger …")
            settings = hub_settings(plan, self.broker.protocol, self.phones.url)
            environment = environment_of(settings)
            write_config(plan, settings)
            token = _make_token(plan.data)
            status.update("starting the hub …")
            self._child("hub", (sys.executable, "-m", "hub", "run", "--config", str(plan.looking)), environment)
            self._wait_for(lambda: _ready(plan.console_url), "the hub", lambda: _not_ready(plan.console_url))
            status.update("starting the simulated community …")
            if plan.fire_after_s is not None:
                self.fire_in_s = max(CALM_FOR_S, plan.fire_after_s - (monotonic_s() - self.began_s))
            self._child("simulator", self._simulate(), environment)
        self._introduce(token)

    def _simulate(self) -> list[str]:
        plan = self.plan
        command = [sys.executable, "-m", "hub", "simulate", "--config", str(plan.config)]
        command += ["--broker", f"{HOST}:{plan.broker_port}", "--protocol", self.broker.protocol]
        command += ["--speed", str(plan.speed)]
        if self.fire_in_s is not None:
            command += ["--kitchen-fire", "auto", "--at", f"{self.fire_in_s:.1f}"]
        return command

    def _introduce(self, token: str) -> None:
        plan = self.plan
        fire = "no fire today"
        if self.fire_in_s is not None:
            fire = f"a kitchen fire breaks out in about {self.fire_in_s:.0f} s"
        rows = {
            "console": f"{plan.console_url}/sign-in#token={token}",
            "token": token,
            "broker": f"mqtt://{HOST}:{plan.broker_port} ({self.broker.name})",
            "data": f"{plan.data}" + ("" if plan.keep else " (removed at the end)"),
            "rules": f"{plan.looking / 'rules'} (a copy: edit these, {plan.config.name}/rules stays as it is)",
            "look": f"{_command()} selftest --config {shlex.quote(str(plan.looking))}",
            "next": fire,
        }
        _show(self.screen, "\n[bold green]GridHub is up.[/] Open the console:\n")
        for name, value in rows.items():
            _show(self.screen, f"  [dim]{name:<8}[/] {escape(value)}")
        _show(self.screen, "\nCtrl-C stops everything.\n")

    def _tell_news(self) -> None:
        for child in self.children:
            if child.name == "simulator":
                for line in child.new_lines():
                    told = "[bold red]" if "fire" in line else "[dim]"
                    _show(self.screen, f"{time.strftime('%H:%M:%S')} {told}{escape(line)}[/]")
            elif child.name == "hub":
                for line in configuration_news(child.new_lines()):
                    _show(self.screen, f"{time.strftime('%H:%M:%S')} [bold yellow]configuration:[/] {escape(line)}")
        for call in self.phones.calls():
            _show(self.screen, f"{time.strftime('%H:%M:%S')} [bold]phone of {escape(call.to)}:[/] {escape(call.title)}")

    def _child(self, name: str, command: tuple[str, ...] | list[str], environment: dict[str, str]) -> None:
        self.stop.check()
        output = self.plan.data / f"{name}.log"
        self.children.append(Child(name, command, output=output, environment=environment))

    def _wait_for(
        self, happens: Callable[[], bool], what: str, why: Callable[[], str] = lambda: "it does not answer"
    ) -> None:
        give_up_s = monotonic_s() + START_WITHIN_S
        while not happens():
            self._watch()
            if monotonic_s() > give_up_s:
                raise _Failed(f"{what} did not start within {START_WITHIN_S:g} s: {why()}\n{self._last_words()}")
            time.sleep(0.1)

    def _watch(self) -> None:
        """Raises when we are asked to stop or a child has ended."""
        self.stop.check()
        for child in self.children:
            if child.ended is not None:
                raise _Failed(f"the {child.name} {child.how_it_ended()}; its last lines:\n{_indented(child)}")

    def _last_words(self) -> str:
        return "\n".join(f"last lines of the {c.name}:\n{_indented(c)}" for c in self.children[-1:])

    def _end(self) -> None:
        if self.children:
            _show(self.screen, "[dim]stopping …[/]")
        killed = stop_all(self.children, within_s=STOP_WITHIN_S)
        if killed:
            _show(self.screen, f"[yellow]did not stop by themselves and were killed: {', '.join(killed)}[/]")


def _listen_for_the_end() -> _Stop:
    stop = _Stop(terminals=tuple(fd for fd in (0, 1, 2) if os.isatty(fd)))

    def asked(_number: int, _frame: FrameType | None) -> None:
        stop.asked = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, asked)
    return stop


@contextmanager
def _data_folder(keep: bool) -> Iterator[Path]:
    if keep:
        folder = Path("data/demo").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Removes what a demonstration left behind that was killed without a chance to tidy up."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        found = re.fullmatch(rf"{_PREFIX}(\d+)-\w+", folder.name)
        if found and not Path(f"/proc/{found[1]}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _choose_port(wanted: int, usual: int, option: str) -> int:
    """`wanted` if given (and free), else the usual port if free, else any free one."""
    for port in (wanted,) if wanted else (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as taken:
                if wanted:
                    raise _Failed(f"port {wanted} is taken ({taken.strerror}); choose another {option}") from taken
                continue
            return int(probe.getsockname()[1])
    raise _Failed("this machine has no free port")


def _command() -> str:
    """How one calls us from here: the command of this very environment."""
    script = Path(sys.executable).with_name("gridhub")
    if not script.exists():
        return f"{shlex.quote(sys.executable)} -m hub"
    folder = Path.cwd()
    return shlex.quote(str(script.relative_to(folder) if script.is_relative_to(folder) else script))


def _make_token(data: Path) -> str:
    """A token for the console, made in the ledger before the hub opens it."""
    from hub.stores.ledger import Ledger
    from hub.stores.tokens import Tokens

    ledger = Ledger.open(ledger_url(data))
    try:
        return Tokens(ledger).create("demo", "admin", ("*",), ("*",), now_ms=now_ms())
    finally:
        ledger.close()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=0.5):
            return True
    except OSError:
        return False


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:  # refused, not yet ready (503), timed out
        return False


def _not_ready(url: str) -> str:
    """Which parts of the hub are not ready, as it says itself."""
    try:
        urllib.request.urlopen(f"{url}/readyz", timeout=2)
    except urllib.error.HTTPError as answer:
        try:
            parts = json.load(answer)["parts"].items()
            return "; ".join(f"{name} is {p['state']} ({p['detail']})" for name, p in parts if p["state"] != "ok")
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"HTTP {answer.code}"
    except OSError as error:
        return f"it does not answer ({error})"
    return "it became ready too late"


def _indented(child: Child) -> str:
    return "\n".join(f"  | {line}" for line in child.last_lines()) or "  (none)"


def _show(screen: Console, what: object) -> None:
    try:
        screen.print(what)
    except OSError:
        pass  # the terminal is gone; the children must still be stopped
