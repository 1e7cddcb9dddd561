"""`burnish verify`: is a release what it was when it was written, and whose is it?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from burnish import __version__
from burnish.cli.options import EXIT_CODES
from burnish.cli.visible import visible
from burnish.logs import say


def verify(
    folder: Annotated[Path, typer.Argument(help="The release's folder.", show_default=False)],
    public_key: Annotated[
        Path | None,
        typer.Option(help="Demand a signature by this key (PEM).", show_default=False),
    ] = None,
    identity: Annotated[
        str, typer.Option(help="Demand a keyless signature by this identity: a mail address or a workflow's URL.")
    ] = "",
    issuer: Annotated[str, typer.Option(help="Who vouches for the identity: the URL of an OpenID provider.")] = "",
    trust_config: Annotated[
        Path | None, typer.Option(help="A file with Sigstore's roots of trust, to check offline.", show_default=False)
    ] = None,
    allow_waived: Annotated[
        bool, typer.Option("--allow-waived", help="Exit code 0 for a release that was let out against its verdict.")
    ] = False,
) -> None:
    """Find any changed, added or missing byte of a release, make its decision again, and check its signature.

    Exit code 0 when it is whole and PASS; 1 on a fault; 10 (BLOCK) or 11 (HOLD) when it is whole, but was let out
    against that verdict.
    """
    from burnish.release.signing import Trust
    from burnish.release.verify import VerifyReport
    from burnish.release.verify import verify as check

    if bool(identity) != bool(issuer):
        raise typer.BadParameter("--identity and --issuer go together: an identity is only what its issuer vouches for")
    if identity and public_key:
        raise typer.BadParameter("--public-key and --identity are two ways of signing; give the one that was used")
    report: VerifyReport = check(folder, Trust(public_key, identity, issuer, trust_config))
    console = Console(highlight=False)
    for fault in report.faults:
        console.print(Text(f"{visible(fault.path)}: {visible(fault.what)}", style="red"), soft_wrap=True)
    if report.faults or report.verdict is None:
        console.print(Text(f"not as released; faults: {len(report.faults)}", style="bold red"))
        if report.written_by not in ("", __version__):
            say(
                f"hint: written by Burnish {visible(report.written_by)}, this is {__version__}; check with that one too"
            )
        raise typer.Exit(1)
    if report.waiver:
        said = f"WAIVED by {visible(report.waiver.by)}: {visible(report.waiver.reason)}"
        console.print(Text(said, style="bold yellow"), soft_wrap=True)
    style = "bold green" if report.ok else "bold yellow"
    console.print(Text(f"{report.files} files as released; the evidence gives {report.verdict}", style=style))
    console.print(_signature(report.signature, str(public_key or visible(identity))), soft_wrap=True)
    console.print(Text(f"release digest: {report.digest}"), soft_wrap=True)
    raise typer.Exit(0 if allow_waived else EXIT_CODES[report.verdict])


def _signature(state: str, whose: str) -> Text:
    if state == "good":
        return Text(f"signed, as demanded: {whose}", style="bold green")
    if state == "unchecked":
        return Text(
            "SIGNED, BUT NOT CHECKED: say whose signature it must be, with --public-key PUB.pem", style="yellow"
        )
    return Text("NOT SIGNED: the files belong together, but nothing shows who made them", style="bold yellow")
