"""The router's address and its requirements at start."""

import socket
from pathlib import Path
from typing import Any

import pytest

from router import server
from router.process import Deps
from tests.fakes.router import endpoint, routing
from traffic.artifacts import Home
from traffic.callsites import Registry
from traffic.errors import ConfigError, MissingSecret
from traffic.prices import PriceTable


def run(tmp_path: Path, *, serving: dict[str, Any] | None = None, **address: Any) -> server.RouteSummary:
    config = routing([endpoint("a", "https://api.openai.com/v1")], serving=serving or {})
    deps = Deps(config=config, registry=Registry(), home=Home(tmp_path), prices=PriceTable(), environ={})
    return server.run(deps, **address)


def test_listening_beyond_loopback_requires_client_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can be reached from other machines"):
        run(tmp_path, host="0.0.0.0")  # noqa: S104 - refused is what is tested
    with pytest.raises(ConfigError, match="can be reached from other machines"):
        run(tmp_path, serving={"host": "192.168.1.5"})
    with pytest.raises(MissingSecret, match="CLIENT_KEYS is not set"):
        run(tmp_path, serving={"host": "0.0.0.0", "client_keys_env": "CLIENT_KEYS"})  # noqa: S104


def test_a_key_instead_of_a_variable_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be the name of an environment variable"):
        run(tmp_path, serving={"client_keys_env": "sk-proj-1234567890"})


def test_a_port_in_use_is_a_config_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
            run(tmp_path, port=port)
