"""`pycrust doctor`: what is wrong with this machine, this user's endpoints, and what they have left."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib import metadata
from typing import Any

import click

from pycrust._extension import PROTOCOL_VERSION
from pycrust.cli.command import Status, command, json_option, say, say_json
from pycrust.cli.doctor import endpoints, machine, packages, places
from pycrust.cli.doctor.finding import Finding
from pycrust.cli.names import EndpointName
from pycrust.text.statistics import counted


@command(
    "doctor",
    "find what is wrong, and say what mends it",
    "  pycrust doctor\n  pycrust doctor calculator\n  pycrust doctor --fix",
)
@click.argument("name", type=EndpointName(), required=False)
@click.option("--fix", is_flag=True, help="remove what dead workers have left; nothing that a living process has")
@json_option("write what was found as a JSON object")
def run(*, name: str | None, fix: bool, as_json: bool) -> Status:
    """Looks at this machine, at the runtime directory and at the endpoints of this user, or at one of them.

    Each thing that is wrong (✗) or worth knowing (·) is said with why it matters and what mends it. The exit status
    is 1 if something is wrong; notes alone leave it at 0.
    """
    own = {"version": _version(), "protocol": str(PROTOCOL_VERSION)}
    facts = {"pycrust": own["version"], "protocol": own["protocol"], "python": platform.python_version()}
    facts |= machine.facts()
    facts["runtime directory"] = ", ".join(map(str, places.directories())) or "none"
    left = list(places.leftovers())
    removed = places.remove(left) if fix else []
    gone = {finding.subject for finding in removed}
    found = [*machine.findings(), *places.runtime(), *(one for one in left if one.subject not in gone)]
    served = places.owners()
    facts["endpoints"] = ", ".join(owner["endpoint"] for owner in served) or "none"
    asked = [owner for owner in served if name in (None, owner["endpoint"])]
    for owner in asked:
        found += endpoints.findings(owner, own)
    found += packages.findings()
    if name is not None and not asked:
        found.append(_not_served(name, facts))
    _tell(facts, found, removed, as_json=as_json)
    if name is not None and not asked:
        return Status.NO_ENDPOINT
    return Status.DIFFERENT if any(finding.serious for finding in found) else Status.WELL


def _not_served(name: str, facts: dict[str, str]) -> Finding:
    return Finding(
        "not-served",
        name,
        f"nobody serves {name} in {facts['runtime directory']}; served are: {facts['endpoints']}",
        "its callers get UNAVAILABLE",
        "start it; if it runs, give both sides the same PYCRUST_RUNTIME_DIR and the same user",
    )


def _tell(facts: dict[str, str], found: list[Finding], removed: list[Finding], *, as_json: bool) -> None:
    found.sort(key=lambda finding: not finding.serious)
    if as_json:
        told: dict[str, Any] = {"facts": facts, "findings": [asdict(one) for one in found]}
        say_json({**told, "removed": [asdict(one) for one in removed]})
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        say(f"{key:{width}}  {value}")
    say("")
    for finding in removed:
        say(f"removed {finding.subject}: {finding.what}")
    for finding in found:
        say(str(finding))
    wrong = sum(finding.serious for finding in found)
    notes = f", {counted(len(found) - wrong, 'note')}" if len(found) > wrong else ""
    say(f"{counted(wrong, 'thing') + ' wrong' if wrong else 'nothing is wrong'}{notes}")


def _version() -> str:
    try:
        return metadata.version("pycrust")
    except metadata.PackageNotFoundError:
        return "?"
