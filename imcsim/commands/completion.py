"""``imcsim completion``: completion in the shell, and what names it offers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from imcsim.base.errors import ImcsimError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMPLETE_VARIABLE = "_IMCSIM_COMPLETE"

# Click's own script for bash forgets names where files are offered beside them, offers no file where nothing
# else fits, does not know --option=value (bash cuts it at the equals sign), and ends KEY= with a blank.
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' response type value i word=$COMP_CWORD joined=""
    local -a words=()
    for i in "${!COMP_WORDS[@]}"; do
        if [[ $joined ]]; then
            words[-1]+=${COMP_WORDS[i]} joined=""
            (( i > COMP_CWORD || word-- ))
        elif [[ ${COMP_WORDS[i]} == "=" && ${words[-1]} == --* ]]; then
            if (( i == COMP_CWORD )); then words+=(""); else (( i > COMP_CWORD || word-- )); fi
        elif [[ ${COMP_WORDS[i]} == "=" ]]; then
            words[-1]+="=" joined=yes
            (( i > COMP_CWORD || word-- ))
        else
            words+=("${COMP_WORDS[i]}")
        fi
    done
    response=$(env COMP_WORDS="${words[*]}" COMP_CWORD=$word %(complete_var)s=bash_complete $1)
    COMPREPLY=()
    while IFS=',' read -r type value; do
        if [[ $type == 'plain' ]]; then
            COMPREPLY+=("$value")
            if [[ $value == *= ]]; then compopt -o nospace; fi
        elif [[ ${#COMPREPLY[@]} -gt 0 ]]; then
            compopt -o filenames
            COMPREPLY+=($(compgen -f -- "${words[word]//\\\\/}"))
        fi
    done <<< "$response"
    return 0
}
complete -o nosort -o default -F %(complete_func)s %(prog_name)s
"""

# Click's own script for zsh needs compinit, which a bare ~/.zshrc does not call, and ends KEY= with a blank.
_ZSH = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local type key descr
    local -a names keys described response
    (( ! $+commands[%(prog_name)s] )) && return 1

    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete %(prog_name)s)}")
    for type key descr in ${response}; do
        case "$type" in
            plain)
                if [[ "$key" == *= ]]; then keys+=("$key")
                elif [[ "$descr" == "_" ]]; then names+=("$key")
                else described+=("$key":"$descr")
                fi ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done
    (( ! $#described )) || _describe -V unsorted described -U
    (( ! $#names )) || compadd -U -V unsorted -a names
    (( ! $#keys )) || compadd -U -S "" -V unsorted -a keys
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit; compinit }
    compdef %(complete_func)s %(prog_name)s
fi
"""

# Click has none for PowerShell. A blank after the last word does not come here, so its place is sent too.
_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.StartOffset -lt $cursorPosition } |
        ForEach-Object { $_.ToString() })
    $before = @{
        %(complete_var)s = $env:%(complete_var)s; COMP_WORDS = $env:COMP_WORDS; COMP_CWORD = $env:COMP_CWORD
    }
    $env:%(complete_var)s = "powershell_complete"
    $env:COMP_WORDS = $words -join "`n"
    $env:COMP_CWORD = if ($wordToComplete) { $words.Count - 1 } else { $words.Count }
    try {
        & %(prog_name)s | ForEach-Object {
            $kind, $value, $text = $_ -split "`t", 3
            if ($kind -eq "plain") {
                [System.Management.Automation.CompletionResult]::new($value, $value, "ParameterValue", $text)
            }
        }
    } finally {
        foreach ($name in $before.Keys) { [Environment]::SetEnvironmentVariable($name, $before[$name]) }
    }
}
"""

_OURS = {"bash": _BASH, "zsh": _ZSH}


class _Shell(click.Choice[str]):
    """A shell; PowerShell may go by the name of its program too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert("powershell" if value == "pwsh" else value, param, ctx)


@click.command(short_help="Print what makes a shell complete commands, options and names.")
@click.argument("shell", type=_Shell(["bash", "zsh", "fish", "powershell"]), metavar="SHELL")
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands, options, and names of chips, networks and inputs.

    \b
    bash: echo 'eval "$(imcsim completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(imcsim completion zsh)"' >> ~/.zshrc
    fish: imcsim completion fish > ~/.config/fish/completions/imcsim.fish
    PowerShell, a line for $PROFILE:
        imcsim completion powershell | Out-String | Invoke-Expression
    """
    from click.shell_completion import get_completion_class

    offer_powershell()
    kind = get_completion_class(shell)
    assert kind is not None
    if shell in _OURS:
        kind = type(shell.title(), (kind,), {"source_template": _OURS[shell]})
    click.echo(kind(context.find_root().command, {}, "imcsim", COMPLETE_VARIABLE).source())


def offer_powershell() -> None:
    """Make click know PowerShell."""
    from click.shell_completion import ShellComplete, add_completion_class

    class PowerShell(ShellComplete):
        name = "powershell"
        source_template = _POWERSHELL

        def get_completion_args(self) -> tuple[list[str], str]:
            words, at = os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"])
            return words[1:at], words[at] if at < len(words) else ""

        def format_completion(self, item: CompletionItem) -> str:
            return f"{item.type}\t{item.value}\t{item.help or item.value}"

    add_completion_class(PowerShell)


def _offered(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Names that begin so, and files."""
    from click.shell_completion import CompletionItem

    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return [*found, CompletionItem(incomplete, type="file")]


def complete_hardware(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Chips that come with imcsim, and files."""
    import imcsim.hardware

    return _offered(imcsim.hardware.names(), incomplete)


def complete_model(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Networks that come with imcsim, and folders."""
    import imcsim.network

    return _offered(imcsim.network.names(), incomplete)


def complete_inputs(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Inputs that come with imcsim, and files."""
    import imcsim.inputs

    return _offered(imcsim.inputs.names(), incomplete)


def complete_setting(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Keys of the chip that the command has, as ``adc.bits=``."""
    from click.shell_completion import CompletionItem

    import imcsim.hardware

    given = context.params
    chip = given.get("hardware") or given.get("name") or given.get("file") or "dtsnn_32nm"
    try:
        keys = list(imcsim.hardware.load(chip).provenance)
    except ImcsimError:
        return []
    return [CompletionItem(f"{key}=") for key in keys if key.startswith(incomplete)]
