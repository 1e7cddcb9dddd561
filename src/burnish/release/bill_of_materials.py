"""The release's bill of materials in CycloneDX 1.6: the model with its card, the models that it was made on, the files
of its weights, the data, the suites, the judge, and the libraries that took part, each with its digest.

The same evidence gives the same bill, so that an edited one shows. The library doesn't know the format's `modelCard`
yet; that part is added here by the format's schema.

Source: CycloneDX 1.6, ECMA-424 (https://cyclonedx.org/docs/1.6/json/).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType, Pedigree
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.spdx import fixup_id
from packageurl import PackageURL

from burnish.artefacts import ModelIdentity, RuleResult
from burnish.models.builtin import builtin_of
from burnish.release.proof import Proof
from burnish.statement import Predicate

MODEL = "model"


def bill_of_materials(name: str, predicate: Predicate, proof: Proof) -> str:
    """The bill as JSON text; `name` is the release's."""
    model = _model(name, predicate, proof)
    bases = list(_bases(predicate.base))
    parts = [*_weights(predicate), *_data(proof), *_suites(predicate), _judge(predicate), *_libraries(proof)]
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"{predicate.tuned}:{predicate.decision}"),
        metadata=BomMetaData(component=model, timestamp=_time(proof)),
        components=[*bases, *parts],
    )
    bom.register_dependency(model, [*bases[:1], *parts])
    for one, next_one in pairwise(bases):
        bom.register_dependency(one, [next_one])
    value = json.loads(JsonV1Dot6(bom).output_as_string())
    if not proof.measured_at:
        del value["metadata"]["timestamp"]
    value["metadata"]["component"]["modelCard"] = _card(proof)
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def facts(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a bill with the place it stands at, the order in lists aside. Which tool wrote it is no fact of the
    model's."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if (where, key) != (".metadata", "tools") and key != "$schema":
                yield from facts(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for inner in value:
            mark = inner.get("bom-ref") or inner.get("name") or "" if isinstance(inner, dict) else ""
            yield from facts(inner, f"{where}[{mark}]")
    else:
        yield where, str(value)


def is_same(one: Any, other: Any) -> bool:
    """Whether two bills, as read from JSON, say the same."""
    return sorted(facts(one)) == sorted(facts(other))


def _model(name: str, predicate: Predicate, proof: Proof) -> Component:
    said = {
        "tuned-digest": predicate.tuned,
        "verdict": predicate.verdict,
        "attempt": str(predicate.attempt),
        "decision-sha256": predicate.decision,
        "verdicts-digest": predicate.verdicts,
        "recipe-sha256": predicate.recipe,
        "training-flops": "not known" if predicate.flops is None else f"{predicate.flops:.3g}",
    }
    if predicate.waiver:
        said |= {"waived-by": predicate.waiver.by, "waived-because": predicate.waiver.reason}
    trained = proof.evidence.trained
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=name,
        bom_ref=MODEL,
        description=f"tuned with {trained.method} ({trained.adapter}); released as {predicate.form}",
        properties=_properties(said),
        pedigree=Pedigree(ancestors=[_base(predicate.base, "ancestor")]),
    )


def _bases(identity: ModelIdentity) -> Iterator[Component]:
    """The base, and what it was made on, down to the root."""
    found: ModelIdentity | None = identity
    number = 0
    while found is not None:
        yield _base(found, f"base-{number}")
        found, number = found.base, number + 1


def _base(identity: ModelIdentity, reference: str) -> Component:
    builtin = builtin_of(identity) if identity.base is None else None
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=builtin.hub_id if builtin else identity.name,
        version=identity.commit or None,
        bom_ref=reference,
        licenses=[DisjunctiveLicense(id=_spdx(builtin.licence))] if builtin else [],
        properties=_properties({"model-digest": identity.digest}),
    )


def _spdx(licence: str) -> str:
    """The identifier as the list of SPDX writes it."""
    return fixup_id(licence) or licence


def _weights(predicate: Predicate) -> Iterator[Component]:
    for name, digest in sorted(predicate.weights.items()):
        yield Component(
            type=ComponentType.FILE,
            name=name,
            bom_ref=f"weights:{name}",
            description="measured by the gate",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        )


def _data(proof: Proof) -> Iterator[Component]:
    for number, file in enumerate(proof.dataset.files if proof.dataset else ()):
        yield Component(
            type=ComponentType.DATA,
            name=file.name,
            bom_ref=f"data:{number}",
            description=f"{file.taken} of {file.rows} rows ({file.format})",
            properties=_properties({"digest": file.digest}),
        )


def _suites(predicate: Predicate) -> Iterator[Component]:
    for suite in predicate.suites:
        yield Component(
            type=ComponentType.DATA,
            name=suite.name,
            bom_ref=f"suite:{suite.name}",
            description=f"{suite.prompts} prompts that the gate decided on ({suite.kind})",
            properties=_properties({"digest": suite.digest, "asked": suite.asked}),
        )


def _judge(predicate: Predicate) -> Component:
    said = {"judge-digest": predicate.judge_digest, "calibration-sha256": predicate.calibration or "not calibrated"}
    return Component(
        type=ComponentType.APPLICATION, name=predicate.judge, bom_ref="judge", properties=_properties(said)
    )


def _libraries(proof: Proof) -> Iterator[Component]:
    for name, version in sorted(proof.versions.items()):
        if name not in ("python", "platform"):
            yield Component(
                type=ComponentType.LIBRARY,
                name=name,
                version=version,
                bom_ref=f"library:{name}",
                purl=PackageURL("pypi", name=name, version=version),
            )


def _properties(said: dict[str, str]) -> list[Property]:
    return [Property(name=f"burnish:{key}", value=text) for key, text in said.items()]


def _time(proof: Proof) -> datetime:
    text = proof.measured_at or "1970-01-01T00:00:00Z"
    return datetime.fromisoformat(text).astimezone(UTC)


def _card(proof: Proof) -> dict[str, Any]:
    """The model's card, by the format's schema."""
    datasets = [{"ref": f"data:{number}"} for number in range(len(proof.dataset.files if proof.dataset else ()))]
    return {
        "modelParameters": {"approach": {"type": "supervised"}, "task": "text-generation", "datasets": datasets},
        "quantitativeAnalysis": {"performanceMetrics": [_metric(rule) for rule in proof.decision.rules]},
        "considerations": {
            "technicalLimitations": [
                "The verdict compares this model with its base on the suites named; it doesn't say that it is safe.",
                "Verdicts on replies were given by an automatic judge.",
            ]
        },
    }


def _metric(rule: RuleResult) -> dict[str, Any]:
    found: dict[str, Any] = {"type": f"{rule.rule}, tuned minus base", "value": str(rule.estimate), "slice": rule.suite}
    if rule.interval:
        found["confidenceInterval"] = {"lowerBound": str(rule.interval[0]), "upperBound": str(rule.interval[1])}
    return found
