"""Ways around a release's proof, each tried on a signed release and each refused: as it was left, after the list of
files was made anew over it, and by whoever loads the model."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from safetensors.torch import load_file, save_file

from burnish.errors import BurnishError, GateRefusal
from burnish.release.contents import digests_of
from burnish.release.load import load_release
from burnish.release.settings import ReleaseSettings
from burnish.release.signing import Signer, Trust, sign
from burnish.release.stage import release
from burnish.release.verify import verify
from burnish.run_folder import RunFolder
from burnish.statement import SIGNATURE, STATEMENT, Sha256, Statement, Subject

from .forgery import Keys, list_anew, make_keys, read, say_anew, tuned_once_more, write

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
DECISION, EVALUATION, TRAINED = "evidence/decision.json", "evidence/evaluation.json", "evidence/train.json"
VERDICTS, RECIPE, ATTEMPTS, BILL = (
    "evidence/verdicts.parquet", "evidence/recipe.yaml", "evidence/attempts.jsonl", "evidence/bom.cdx.json"
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """A signed release, another one of other weights and evidence with the same signer, and a stranger's keys."""

    folder: Path
    other: Path
    stranger: Keys


@dataclass(frozen=True)
class Way:
    """What is done, and what checking with the signer's public key must say of it, among other things."""

    name: str
    do: Callable[[World], None]
    said: str


def edit(name: str, change: Callable[[Any], object]) -> Callable[[World], None]:
    """Change a JSON file's content in place."""

    def do(world: World) -> None:
        path = world.folder / name
        value = json.loads(path.read_text(encoding="utf-8"))
        change(value)
        path.write_text(json.dumps(value), encoding="utf-8")

    return do


def rows(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[World], None]:
    """Change the table of verdicts."""

    def do(world: World) -> None:
        path = world.folder / VERDICTS
        change(pl.read_parquet(path)).write_parquet(path)

    return do


def text(name: str, old: str, new: str) -> Callable[[World], None]:
    """Change a text file."""

    def do(world: World) -> None:
        path = world.folder / name
        content = path.read_text(encoding="utf-8")
        assert old in content
        path.write_text(content.replace(old, new), encoding="utf-8")

    return do


def both(*steps: Callable[[World], None]) -> Callable[[World], None]:
    return lambda world: [step(world) for step in steps] and None


def take(*names: str) -> Callable[[World], None]:
    """Put files of the other release in place of these."""
    return lambda world: [shutil.copyfile(world.other / name, world.folder / name) for name in names] and None


def halve(world: World) -> None:
    path = world.folder / WEIGHTS
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path, {"format": "pt"})


def scale(world: World) -> None:
    path = world.folder / WEIGHTS
    save_file({name: 2 * tensor for name, tensor in load_file(path).items()}, path, {"format": "pt"})


def link_outside(world: World) -> None:
    path = world.folder / WEIGHTS
    shutil.move(path, world.folder.parent / "outside.safetensors")
    path.symlink_to(world.folder.parent / "outside.safetensors")


def link_folder(world: World) -> None:
    shutil.move(world.folder / "evidence", world.folder.parent / "evidence")
    (world.folder / "evidence").symlink_to(world.folder.parent / "evidence")


def hard_link(world: World) -> None:
    os.link(world.folder / WEIGHTS, world.folder.parent / "second-name.safetensors")


def pipe(world: World) -> None:
    (world.folder / "README.md").unlink()
    os.mkfifo(world.folder / "README.md")


def smuggle_pickle(world: World) -> None:
    (world.folder / "adapter_model.bin").write_bytes(pickle.dumps({"weights": [1.0]}))
    list_anew(world.folder)


def smuggle_code(world: World) -> None:
    (world.folder / "modeling_other.py").write_text("raise SystemExit", encoding="utf-8")
    list_anew(world.folder)


def case_twins(world: World) -> None:
    shutil.copyfile(world.folder / CONFIG, world.folder / CONFIG.upper().replace(".JSON", ".json"))
    list_anew(world.folder)


def point_to(name: str) -> Callable[[World], None]:
    def do(world: World) -> None:
        said = read(world.folder)
        more = Subject(name=name, digest=Sha256(sha256="0" * 64))
        write(world.folder, Statement(subject=(*said.subject, more), predicate=said.predicate))

    return do


def twice_in(name: str) -> Callable[[World], None]:
    """Let the verdict stand twice, so that two readers may take one value each."""
    return lambda world: text(name, '"verdict"', '"verdict": "BLOCK", "verdict"')(world)


def strip_signature(world: World) -> None:
    (world.folder / SIGNATURE).unlink()


def strip_and_say_so(world: World) -> None:
    (world.folder / SIGNATURE).unlink()
    list_anew(world.folder, signing="none")


def sign_as_stranger(world: World) -> None:
    (world.folder / SIGNATURE).unlink()
    sign(world.folder, Signer(world.stranger.private))


def hide_attempts(world: World) -> None:
    (world.folder / ATTEMPTS).write_text("", encoding="utf-8")
    say_anew(world.folder)


def a_rule(key: str, value: object) -> Callable[[World], None]:
    return edit(DECISION, lambda decision: decision["rules"][0].update({key: value}))


def rename(world: World) -> None:
    (world.folder / WEIGHTS).rename(world.folder / "other.safetensors")


TUNED_HARM = (pl.col("kind") == "harmful") & (pl.col("arm") == "tuned")
COMPLY = pl.when(TUNED_HARM).then(pl.lit("compliance")).otherwise(pl.col("verdict")).alias("verdict")
WAYS = (
    Way("edited decision", a_rule("tuned_rate", 0.001), "isn't the decision that the evidence gives"),
    Way("edited decision, covered up", both(a_rule("margin", 0.5), lambda w: say_anew(w.folder)), "isn't the decision"),
    Way("NaN rate", a_rule("tuned_rate", float("nan")), "NaN isn't a number"),
    Way("infinite rate", a_rule("tuned_rate", 1e999), "Infinity isn't a number"),
    Way("verdict twice in the decision", twice_in(DECISION), "'verdict' stands twice"),
    Way("verdict twice in the statement", twice_in(STATEMENT), "'verdict' stands twice"),
    Way("edited verdict rows", rows(lambda t: t.with_columns(COMPLY)), "the evidence gives BLOCK"),
    Way("deleted rows", rows(lambda t: t.filter(pl.col("kind") != "over_refusal")), "the evidence gives HOLD"),
    Way("one row deleted", rows(lambda t: t.head(t.height - 1)), "isn't the decision that the evidence gives"),
    Way("doubled rows", rows(lambda t: pl.concat([t, t.head(1)])), "a prompt stands twice"),
    Way("exchanged prompts", rows(lambda t: t.with_columns(prompt_sha256=pl.lit("0" * 64))), "says of suites"),
    Way("exchanged replies", rows(lambda t: t.with_columns(reply_sha256=pl.lit("0" * 64))), "says of verdicts"),
    Way("stale suite", edit(EVALUATION, lambda e: e["suite_digests"].update(harm="e" * 64)), "isn't the decision"),
    Way("another judge", edit(EVALUATION, lambda e: e.update(judge_digest="e" * 64)), "isn't the decision"),
    Way("swapped adapter", take(WEIGHTS), "adapter_model.safetensors: its bytes were changed"),
    Way("swapped adapter, listed anew", both(take(WEIGHTS), lambda w: list_anew(w.folder)), "isn't the file that was"),
    Way("swapped adapter, covered up", both(take(WEIGHTS), lambda w: say_anew(w.folder)), "names other weights"),
    Way("another base", edit(TRAINED, lambda t: t["base"].update(digest="e" * 64)), "measured a base model"),
    Way("changed scale", text(CONFIG, '"lora_alpha": ', '"lora_alpha": 9'), "adapter_config.json: its bytes"),
    Way("doubled weights", scale, "adapter_model.safetensors: its bytes"),
    Way("requantised weights", halve, "adapter_model.safetensors: its bytes"),
    Way("replayed statement", take(STATEMENT), "names other weights"),
    Way("replayed statement and signature", take(STATEMENT, SIGNATURE), "names other weights"),
    Way("replayed signature", take(SIGNATURE), "isn't the demanded one over this folder"),
    Way("replayed evidence", take(DECISION, EVALUATION, TRAINED, VERDICTS, ATTEMPTS), "names other weights"),
    Way("eased margins", text(RECIPE, '"gate": {}', '"gate": {"lost_refusals_margin": 0.5}'), "isn't the decision"),
    Way("earlier attempts left out", hide_attempts, "doesn't have this decision as number 1"),
    Way("edited bill of materials", text(BILL, '"base-0"', '"base-x"'), "isn't the bill of what the evidence names"),
    Way("edited statement", lambda w: list_anew(w.folder, judge="a kinder judge"), "what it says of judge"),
    Way("edited card", text("README.md", "## Verdict: PASS", "## Verdict: PASS, twice"), "doesn't tell the verdict"),
    Way("renamed file", rename, "adapter_model.safetensors: is missing"),
    Way("missing file", lambda w: (w.folder / CONFIG).unlink(), "adapter_config.json: is missing"),
    Way("extra file", lambda w: (w.folder / "notes.md").write_text("x") and None, "notes.md: was added"),
    Way("extra file of git's", lambda w: (w.folder / ".gitattributes").write_text("x") and None, "was added"),
    Way("extra folder", lambda w: (w.folder / "more").mkdir(), "a folder that was added"),
    Way("link out of the folder", link_outside, "is a link, expected a file of the release's own"),
    Way("linked folder", link_folder, "is a link"),
    Way("hard link", hard_link, "has a second name"),
    Way("pipe", pipe, "is neither file nor folder"),
    Way("pickle, listed", smuggle_pickle, "adapter_model.bin: is no kind of file"),
    Way("code, listed", smuggle_code, "modeling_other.py: is no kind of file"),
    Way("names that differ in case", case_twins, "has the same name as"),
    Way("path out of the folder", point_to("../outside.json"), "lies outside the release"),
    Way("absolute path", point_to("/etc/hostname.json"), "lies outside the release"),
    Way("path by another way", point_to("evidence/../README.md"), "lies outside the release"),
    Way("unsigned copy", strip_signature, "is missing, though the statement says that the release is signed"),
    Way("unsigned copy that says so", strip_and_say_so, "isn't there, though a signature is demanded"),
    Way("another's signature", sign_as_stranger, "isn't the demanded one over this folder"),
    Way("broken signature", text(SIGNATURE, "payload", "load"), "isn't the demanded one"),
)  # fmt: skip


@pytest.fixture
def world(
    passed_run: Callable[..., RunFolder], lora_model: Any, keys: Keys, tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path, request: pytest.FixtureRequest,
) -> World:  # fmt: skip
    """Copies of two releases that are made once."""
    store = tmp_path_factory.getbasetemp() / "signed-releases"
    signed = ReleaseSettings(signing="key", key=str(keys.private))
    if not (store / "stranger").exists():
        release(signed, passed_run(lora_model), store / "release")
        other = tuned_once_more(lora_model, store / "weights" / "adapter")
        release(signed, passed_run(other, name="other"), store / "other")
        make_keys(store / "stranger")
    for name in ("release", "other"):
        shutil.copytree(store / name, tmp_path / "world" / name)
    stranger = Keys(store / "stranger/key.pem", store / "stranger/pub.pem")
    return World(tmp_path / "world/release", tmp_path / "world/other", stranger)


def said_of(folder: Path, trust: Trust | None) -> str:
    return "\n".join(f"{fault.path}: {fault.what}" for fault in verify(folder, trust).faults)


def test_the_two_releases_are_good(world: World, keys: Keys, lora_model: Any) -> None:
    for folder in (world.folder, world.other):
        report = verify(folder, Trust(public_key=keys.public))
        assert report.ok, report.faults
        assert report.signature == "good"
    loaded = load_release(world.folder, base=lora_model.base, trust=Trust(public_key=keys.public), device="cpu")
    assert loaded.identity.base is not None
    assert (world.folder / WEIGHTS).read_bytes() != (world.other / WEIGHTS).read_bytes()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_it_is_refused_in_these_words(way: Way, world: World, keys: Keys, lora_model: Any) -> None:
    way.do(world)
    trust = Trust(public_key=keys.public)
    assert re.search(re.escape(way.said), said_of(world.folder, trust)), said_of(world.folder, trust)
    with pytest.raises(GateRefusal, match="nothing was loaded"):
        load_release(world.folder, base=lora_model.base, trust=trust)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_covering_it_up_does_not_help_without_the_key(way: Way, world: World, keys: Keys) -> None:
    """Whatever is left of it breaks the signature. Where only the statement was touched, saying all anew gives the very
    bytes that were signed, and nothing is left."""
    signed = digests_of(world.folder)
    way.do(world)
    try:
        say_anew(world.folder)
    except (BurnishError, ValueError, OSError):
        return  # it can't even be covered up: the evidence can't be read
    found = said_of(world.folder, Trust(public_key=keys.public))
    assert f"{SIGNATURE}: isn't" in found or digests_of(world.folder) == signed, found


def test_another_key_is_refused(world: World) -> None:
    assert "isn't the demanded one" in said_of(world.folder, Trust(public_key=world.stranger.public))
