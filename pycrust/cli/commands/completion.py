"""`pycrust completion`: what makes a shell complete commands, options and the names of what is served."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from pycrust.cli.command import Status, command, json_option, say, say_json

#: How each shell is told to use it.
_INSTALL = {
    "bash": 'add to ~/.bashrc: eval "$(pycrust completion bash)"',
    "zsh": 'add to ~/.zshrc: eval "$(pycrust completion zsh)"',
    "fish": "run once: pycrust completion fish > ~/.config/fish/completions/pycrust.fish",
}
_EXAMPLE = """\
  eval "$(pycrust completion bash)"    # in ~/.bashrc; zsh is told the same way in ~/.zshrc
  pycrust completion fish > ~/.config/fish/completions/pycrust.fish"""


@command("completion", "print what makes a shell complete the command line", _EXAMPLE)
@click.argument("shell", type=click.Choice(list(_INSTALL)))
@json_option()
def run(shell: str, *, as_json: bool) -> Status:
    """Prints a script with which a shell completes commands, options, live endpoints and their methods."""
    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 - click has these three
    script = made(click.get_current_context().find_root().command, {}, "pycrust", "_PYCRUST_COMPLETE").source()
    if as_json:
        say_json({"shell": shell, "install": _INSTALL[shell], "script": script})
    else:
        say(f"# To install it, {_INSTALL[shell]}\n{script}")
    return Status.WELL
