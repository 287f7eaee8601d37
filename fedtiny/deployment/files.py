"""The files of a deployment: a Flower app, unit files for systemd, commands. Nothing here is written to disk."""

import json
import re
import shlex
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path, PurePosixPath
from typing import Any, Final

import jinja2

from fedtiny.deployment.nodes import NodeClass
from fedtiny.errors import InputError

_TEMPLATES: Final = Path(__file__).parent / "templates"
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_HOME: Final = re.compile(r"(/[A-Za-z0-9_.-]+)+")
_MOST_PORT: Final = 65535


@dataclass(frozen=True)
class Deployment:
    """What is deployed where."""

    name: str
    scenario: str
    """The scenario in YAML, with every default."""
    devices: int
    """Of the whole fleet, those that do not train among them."""
    classes: tuple[NodeClass, ...]
    host: str
    port: int
    secure: bool
    """TLS, and SuperNodes that show who they are."""
    home: PurePosixPath
    """Where the folder is copied to, on every machine; FedTiny is in its `venv`."""
    user: str
    run_ahead: int | None
    """Of trainers that work while messages travel; None: stock SuperNodes."""
    files: tuple[str, ...] = ()
    """What the scenario reads, which must be on every node."""

    def __post_init__(self) -> None:
        for given, allowed, what in (
            (self.user, _USER, "--user: a user of the nodes' systems, such as fedtiny"),
            (str(self.home), _HOME, "--home: an absolute folder of letters, digits, dots and dashes, such as /opt/fedtiny"),
        ):
            if not allowed.fullmatch(given) or ".." in given:
                raise InputError(f"{what}; found {given!r}")

    @property
    def numbers(self) -> tuple[int, ...]:
        """The partition ids of all nodes, ascending."""
        return tuple(sorted(number for one in self.classes for number in one.numbers))

    @property
    def address(self) -> str:
        """Where nodes and `flwr` find the SuperLink."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def alternative_name(self) -> str:
        """The host as a certificate names it."""
        try:
            return f"IP:{ip_address(self.host)}"
        except ValueError:
            return f"DNS:{self.host}"


def superlink_address(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT or [IPV6]:PORT. Raises InputError where it is none."""
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not port.isdecimal() or not 0 < int(port) <= _MOST_PORT or not (_HOST.fullmatch(bare) or _is_address(bare)):
        raise InputError(f"--superlink: HOST:PORT, such as server.example.org:8000 or 192.168.1.10:8000, found {text!r}")
    return bare, int(port)


def deployment_files(deployment: Deployment) -> dict[str, str]:
    """The text of every file, by its path in the folder; those that end in .sh are for executing."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=False,  # noqa: S701 - no HTML is written
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"shell": shlex.quote, "quoted": json.dumps}

    def made(template: str, **more: Any) -> str:
        return environment.get_template(template).render(it=deployment, **more)

    files = {
        "README.md": made("README.md.jinja"),
        "try_here.sh": made("try_here.sh.jinja"),
        "app/pyproject.toml": made("pyproject.toml.jinja"),
        "app/scenario.yaml": deployment.scenario,
        "app/federation/__init__.py": '"""The scenario beside this folder, as a Flower app."""\n',
        "app/federation/server_app.py": made("server_app.py.jinja"),
        "app/federation/client_app.py": made("client_app.py.jinja"),
        "superlink/config.toml": made("config.toml.jinja"),
        "superlink/fedtiny-superlink.service": made("superlink.service.jinja"),
    }
    if deployment.secure:
        files["make_keys.sh"] = made("make_keys.sh.jinja")
    for one in deployment.classes:
        files[f"nodes/{one.label}/fedtiny-supernode@.service"] = made("supernode.service.jinja", nodes=one)
        if deployment.run_ahead is not None:
            files[f"nodes/{one.label}/fedtiny-trainer@.service"] = made("trainer.service.jinja", nodes=one)
    return files


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False
