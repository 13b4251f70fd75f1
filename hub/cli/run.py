"""`gridhub run`: the hub itself, until it is told to stop."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.errors import ConfigError


def register(app: typer.Typer) -> None:
    app.command("run")(run)


def run(
    config: Annotated[Path, typer.Option("--config", help="Configuration folder.")] = Path("config"),
    role: Annotated[str, typer.Option("--role", help="Parts of this process: ingest,rules,courier,api.")] = "",
) -> None:
    """Run the hub. SIGHUP reads the configuration again; Ctrl-C or SIGTERM stops it cleanly."""
    import uvicorn

    from hub.api.listening import BoundedProtocol, allow_descriptors
    from hub.app import ROLES, build
    from hub.settings import load_settings
    from hub.telemetry import configure_logging, log

    settings = load_settings(config)
    configure_logging(level=settings.log_level)
    allow_descriptors()
    roles = tuple(r.strip() for r in role.split(",")) if role else ROLES
    if "api" in roles:
        _port_must_be_free(settings.api.host, settings.api.port)
    hub = build(settings, roles)
    stop = threading.Event()
    server: Any = None
    if hub.web is not None:
        server = uvicorn.Server(
            uvicorn.Config(
                hub.web,
                host=settings.api.host,
                port=settings.api.port,
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
                http=BoundedProtocol,
                server_header=False,
            )
        )
        server.install_signal_handlers = lambda: None
        server.capture_signals = _nothing

    def end(number: int, frame: Any) -> None:
        stop.set()
        if server is not None:
            hub.notifier.close()
            server.should_exit = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, lambda number, frame: threading.Thread(target=hub.reload, name="reload").start())
    hub.start()
    log.info("hub.started", roles=",".join(roles), console=settings.public_url if server is not None else "")
    try:
        if server is not None:
            server.run()
        else:
            stop.wait()
    finally:
        hub.stop()
        log.info("hub.stopped")


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def _port_must_be_free(host: str, port: int) -> None:
    if port == 0:
        return
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as taken:
            raise ConfigError.one(
                "hub.yaml",
                f"the console cannot listen on {host}:{port}: {taken.strerror}",
                key="api.port",
                remedy="free the port or choose another",
            ) from taken
