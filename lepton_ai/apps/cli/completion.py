"""`lepton completion`: the script that makes a shell complete commands and options."""

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  lepton completion bash > ~/.local/share/bash-completion/completions/lepton
    zsh:   lepton completion zsh > "${fpath[1]}/_lepton"
    fish:  lepton completion fish > ~/.config/fish/completions/lepton.fish
    """
    found = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(found(root, {}, "lepton", "_LEPTON_COMPLETE").source())
