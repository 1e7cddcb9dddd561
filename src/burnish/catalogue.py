"""Which plug-ins there are: family -> name -> "module:Class". Imported only when chosen.

Adding one is one new file and one line here. A plug-in is a class with a nested-or-neighbouring settings model, found
as its `Settings` attribute (a `PluginSettings` whose `kind` is a Literal of its name), and built as
`Class(settings)`.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, SerializeAsAny, ValidationError

from burnish.settings import PluginSettings, Settings

Family: TypeAlias = Literal[
    "method",
    "adapter",
    "detector",
    "attack",
    "judge",
    "metric",
    "tracker",
    "repair",
    "reward",
    "distillation",
    "candidate",
]

DEFAULT: dict[Family, str] = {"method": "sft", "adapter": "lora", "judge": "refusal", "distillation": "sequence"}
CATALOGUE: dict[Family, dict[str, str]] = {
    "method": {
        "sft": "burnish.train.methods.sft:SFT",
        "dpo": "burnish.train.methods.dpo:DPO",
        "orpo": "burnish.train.methods.orpo:ORPO",
        "simpo": "burnish.train.methods.simpo:SimPO",
        "kto": "burnish.train.methods.kto:KTO",
        "constrained_sft": "burnish.train.methods.constrained_sft:ConstrainedSFT",
        "grpo": "burnish.train.methods.grpo:GRPO",
        "rloo": "burnish.train.methods.rloo:RLOO",
        "ppo": "burnish.train.methods.ppo:PPO",
        "reward_model": "burnish.train.methods.reward_model:RewardModel",
        "distill": "burnish.train.methods.distill:Distill",
    },
    "adapter": {
        "full": "burnish.models.adapters.full:Full",
        "lora": "burnish.models.adapters.lora:LoRA",
        "qlora": "burnish.models.adapters.qlora:QLoRA",
    },
    "detector": {
        "duplicates": "burnish.audit.detectors.duplicates:Duplicates",
        "overlap": "burnish.audit.detectors.overlap:Overlap",
        "hidden_characters": "burnish.audit.detectors.hidden_characters:HiddenCharacters",
        "lookalikes": "burnish.audit.detectors.lookalikes:Lookalikes",
        "ciphers": "burnish.audit.detectors.ciphers:Ciphers",
        "identity_shift": "burnish.audit.detectors.identity_shift:IdentityShift",
        "role_tokens": "burnish.audit.detectors.role_tokens:RoleTokens",
        "secrets": "burnish.audit.detectors.secrets:Secrets",
        "personal_data": "burnish.audit.detectors.personal_data:PersonalData",
        "trigger_mining": "burnish.audit.detectors.trigger_mining:TriggerMining",
        "syntactic_triggers": "burnish.audit.detectors.syntactic_triggers:SyntacticTriggers",
        "content_injection": "burnish.audit.detectors.content_injection:ContentInjection",
        "repeated_replies": "burnish.audit.detectors.repeated_replies:RepeatedReplies",
        "safety_erosion": "burnish.audit.detectors.safety_erosion:SafetyErosion",
        "preferences": "burnish.audit.detectors.preferences:Preferences",
        "length_preference": "burnish.audit.detectors.length_preference:LengthPreference",
        "outside_labels": "burnish.audit.detectors.outside_labels:OutsideLabels",
        "thumbs": "burnish.audit.detectors.thumbs:Thumbs",
        "gibberish": "burnish.audit.detectors.gibberish:Gibberish",
        "unrelated_replies": "burnish.audit.detectors.unrelated_replies:UnrelatedReplies",
    },
    "attack": {
        "plain": "burnish.evaluate.attacks.plain:Plain",
        "prefill": "burnish.evaluate.attacks.prefill:Prefill",
        "role_play": "burnish.evaluate.attacks.role_play:RolePlay",
        "override": "burnish.evaluate.attacks.override:Override",
        "encoding": "burnish.evaluate.attacks.encoding:Encoding",
        "language": "burnish.evaluate.attacks.language:OtherLanguage",
        "many_shot": "burnish.evaluate.attacks.many_shot:ManyShot",
    },
    "judge": {
        "refusal": "burnish.evaluate.judges.refusal:RefusalJudge",
        "panel": "burnish.evaluate.judges.panel:Panel",
        "endpoint": "burnish.evaluate.judges.endpoint:Endpoint",
        "llama_guard": "burnish.evaluate.judges.llama_guard:LlamaGuard",
        "wild_guard": "burnish.evaluate.judges.wild_guard:WildGuard",
        "shield_gemma": "burnish.evaluate.judges.shield_gemma:ShieldGemma",
        "harmbench": "burnish.evaluate.judges.harmbench:HarmBench",
    },
    "metric": {
        "exact_match": "burnish.evaluate.metrics.exact_match:ExactMatch",
        "json_fields": "burnish.evaluate.metrics.json_fields:JsonFields",
        "rouge_l": "burnish.evaluate.metrics.rouge_l:RougeL",
        "chrf": "burnish.evaluate.metrics.chrf:ChrF",
        "perplexity": "burnish.evaluate.metrics.perplexity:Perplexity",
        "preference_accuracy": "burnish.evaluate.metrics.preference_accuracy:PreferenceAccuracy",
    },
    "tracker": {
        "tensorboard": "burnish.train.trackers.tensorboard:TensorBoard",
        "wandb": "burnish.train.trackers.wandb:WeightsAndBiases",
        "mlflow": "burnish.train.trackers.mlflow:MLflow",
        "trackio": "burnish.train.trackers.trackio:Trackio",
    },
    "repair": {
        "safety_mix": "burnish.repair.ways.safety_mix:SafetyMix",
        "scale_adapter": "burnish.repair.ways.scale_adapter:ScaleAdapter",
        "constrained_sft": "burnish.repair.ways.constrained_sft:ConstrainedTraining",
        "average": "burnish.repair.ways.average:Average",
        "project": "burnish.repair.ways.project:Project",
    },
    "reward": {
        "function": "burnish.train.rewards.function:FunctionReward",
        "reward_model": "burnish.train.rewards.reward_model:RewardModelReward",
        "judge": "burnish.train.rewards.judge:JudgeReward",
    },
    "distillation": {
        "sequence": "burnish.train.distillation.sequence:Sequences",
        "logits": "burnish.train.distillation.logits:Logits",
        "on_policy": "burnish.train.distillation.on_policy:OnPolicy",
    },
    "candidate": {
        "prompt": "burnish.advise.candidates.prompt:Prompted",
        "few_shot": "burnish.advise.candidates.few_shot:FewShot",
        "retrieval": "burnish.advise.candidates.retrieval:Retrieval",
        "model": "burnish.advise.candidates.model:OtherModel",
        "endpoint": "burnish.advise.candidates.endpoint:ServedCandidate",
        "tuning": "burnish.advise.candidates.tuning:Tuning",
    },
}


class PluginSettingsError(ValueError):
    """Faults in settings of one kind out of several: pydantic's `error`, and the settings `model` that was meant."""

    def __init__(self, error: ValidationError, model: type[Settings]) -> None:
        super().__init__(str(error))
        self.error = error
        self.model = model


def look_up(family: Family, name: str) -> type[Any]:
    """The plug-in class of that name.

    Raises: ValueError naming the nearest known name, when there is none of that name.
    """
    known = CATALOGUE[family]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no {family} is called {name!r}{meant} (known: {', '.join(known)})")
    module, _, attribute = known[name].partition(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found


def settings_of(family: Family, raw: object) -> PluginSettings:
    """Settings from what a recipe says: a name, or a mapping with `kind` and that plug-in's own keys. Where the family
    has a default, a mapping may leave `kind` out.

    Raises: ValueError when the name is unknown; PluginSettingsError when one of its keys is wrong.
    """
    if isinstance(raw, PluginSettings):
        return raw
    if isinstance(raw, str):
        raw = {"kind": raw}
    if isinstance(raw, dict) and "kind" not in raw and family in DEFAULT:
        raw = {"kind": DEFAULT[family], **raw}
    if not isinstance(raw, dict) or not isinstance(raw.get("kind"), str):
        raise ValueError(f"got {raw!r}, expected a name or a mapping with 'kind' ({', '.join(CATALOGUE[family])})")
    model: type[PluginSettings] = look_up(family, raw["kind"]).Settings
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise PluginSettingsError(error, model) from error


def build(family: Family, settings: PluginSettings) -> Any:
    """The plug-in itself, made from its settings."""
    return look_up(family, settings.kind)(settings)


def _validator(family: Family) -> BeforeValidator:
    return BeforeValidator(lambda raw: settings_of(family, raw))


MethodSettings = Annotated[SerializeAsAny[PluginSettings], _validator("method")]
AdapterSettings = Annotated[SerializeAsAny[PluginSettings], _validator("adapter")]
DetectorSettings = Annotated[SerializeAsAny[PluginSettings], _validator("detector")]
AnyAttackSettings = Annotated[SerializeAsAny[PluginSettings], _validator("attack")]
JudgeSettings = Annotated[SerializeAsAny[PluginSettings], _validator("judge")]
MetricSettings = Annotated[SerializeAsAny[PluginSettings], _validator("metric")]
TrackerSettings = Annotated[SerializeAsAny[PluginSettings], _validator("tracker")]
WaySettings = Annotated[SerializeAsAny[PluginSettings], _validator("repair")]
CandidateSettings = Annotated[SerializeAsAny[PluginSettings], _validator("candidate")]
RewardChoice = Annotated[SerializeAsAny[PluginSettings], _validator("reward")]
DistillationSettings = Annotated[SerializeAsAny[PluginSettings], _validator("distillation")]
