"""The adapter's card for people and hubs: `README.md`, and the NOTICE that the base model's licence asks for."""

from pipeline.dataset import TaskDataset
from pipeline.rights import BaseModelLicence
from traffic.adapters import Adapter, CallSitePrompts

README, NOTICE = "README.md", "NOTICE"


def files(adapter: Adapter, licence: BaseModelLicence | None, dataset: TaskDataset) -> dict[str, str]:
    """Texts by file name. `licence` is the base model's row of `configs/rights.yaml`; None where it has none."""
    made = {README: page(adapter, licence, dataset)}
    if licence is not None and licence.notice:
        made[NOTICE] = licence.notice + "\n"
    return made


def public_name(adapter: Adapter, licence: BaseModelLicence | None) -> str:
    """Under which the adapter may be passed on; inside the company it is `adapter.name`."""
    prefix = licence.name_prefix if licence is not None else ""
    return adapter.name if not prefix or adapter.name.startswith(prefix) else f"{prefix}-{adapter.name}"


def page(adapter: Adapter, licence: BaseModelLicence | None, dataset: TaskDataset) -> str:
    """The card as Markdown, with the front matter of the hub's model cards."""
    built_with = ["**Built with Llama**", ""] if licence is not None and licence.name_prefix == "Llama" else []
    lines = [
        "---",
        f"base_model: {adapter.base_model.name}",
        "base_model_relation: adapter",
        "library_name: peft",
        f"license: {licence.licence_id if licence is not None else 'other'}",
        "pipeline_tag: text-generation",
        "tags: [lora]",
        "---",
        "",
        f"# {public_name(adapter, licence)}",
        "",
        *built_with,
        (
            f"A LoRA adapter of rank {adapter.rank} on `{adapter.base_model.name}` (revision "
            f"`{adapter.base_model.revision}`), trained by fasttier for {len(adapter.call_sites)} call site(s). "
            "`adapter.yaml` has the same facts for machines, `parity.jsonl` checks a server against the training."
        ),
        "",
        "## Use",
        "",
        (
            "Only requests that match a template in `adapter.yaml`, asked with its pruned prompt and the chat template "
            "beside this file; anything else the adapter never saw."
        ),
        "",
        "| call site | type | templates | answers | longest answer, tokens |",
        "|---|---|---|---|---|",
        *(_site(name, prompts) for name, prompts in adapter.call_sites.items()),
        "",
        "## Training data",
        "",
        *_data(adapter, dataset),
        "",
        "## Training",
        "",
        "| metric | value |",
        "|---|---|",
        *(f"| {name} | {value:,.6g} |" for name, value in adapter.metrics.items()),
        "",
        "These are the training's own; how it compares is for `fasttier evaluate` and `fasttier decide` to say.",
        "",
        "Made with " + ", ".join(f"{name} {version}" for name, version in adapter.libraries.items()) + ".",
        "",
        *_untested(adapter),
        "## Licence of the base model",
        "",
        *_duties(adapter, licence),
    ]
    return "\n".join(lines).rstrip() + "\n"


def merged_page(model: Adapter, licence: BaseModelLicence | None) -> str:
    """The card of an adapter that was merged into its base model."""
    built_with = ["**Built with Llama**", ""] if licence is not None and licence.name_prefix == "Llama" else []
    lines = [
        "---",
        f"base_model: {model.base_model.name}",
        "base_model_relation: finetune",
        "library_name: transformers",
        f"license: {licence.licence_id if licence is not None else 'other'}",
        "pipeline_tag: text-generation",
        "---",
        "",
        f"# {public_name(model, licence)}",
        "",
        *built_with,
        (
            f"`{model.base_model.name}` (revision `{model.base_model.revision}`) with the LoRA adapter "
            f"`{model.source}` merged into its bfloat16 weights by fasttier. `adapter.yaml` has the adapter's facts "
            "for machines; `parity.jsonl` is the adapter's, and checks that this model answers as it does."
        ),
        "",
        (
            "Only for requests that match a template in `adapter.yaml`, asked with its pruned prompt and the chat "
            "template beside this file; anything else it never saw."
        ),
        "",
        "## Licence of the base model",
        "",
        *_duties(model, licence),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _untested(adapter: Adapter) -> list[str]:
    if not adapter.untested:
        return []
    paths = ", ".join(adapter.untested)
    return [f"Code paths behind this adapter that fasttier's authors have not run on such hardware: {paths}.", ""]


def _site(name: str, prompts: CallSitePrompts) -> str:
    checks = prompts.checks
    answers = "free text"
    if checks.labels:
        answers = f"one of {len(checks.labels)} labels"
    elif checks.json_schema is not None:
        answers = "JSON under a schema"
    elif checks.json:
        answers = "a JSON object"
    return f"| `{name}` | {prompts.request_type} | {len(prompts.templates)} | {answers} | {prompts.max_tokens} |"


def _data(adapter: Adapter, dataset: TaskDataset) -> list[str]:
    splits = ", ".join(f"{name} {part.rows:,}" for name, part in dataset.splits.items())
    sources = ", ".join(f"{name} {n:,}" for name, n in dataset.label_sources.items())
    said = [
        (
            f"`{adapter.dataset}`: logged requests of {dataset.source_first[:10]} to {dataset.source_last[:10]}; rows "
            f"by split: {splits}; answers by source: {sources}. Its own card says what was left out and why."
        )
    ]
    for terms in dataset.rights.confirmed:
        rows = dataset.rights.answers.get(terms.name, 0)
        day = f" on {terms.confirmed_on}" if terms.confirmed_on else ""
        said += [
            "",
            (
                f"{rows:,} answers are under terms of {terms.name} ({terms.source}), published as: {terms.clause} "
                f"That this use is allowed was confirmed by whoever made the dataset{day}."
            ),
        ]
    return said


def _duties(adapter: Adapter, licence: BaseModelLicence | None) -> list[str]:
    if licence is None:
        stated = f" Its training configuration says: {adapter.licence}" if adapter.licence else ""
        return [f"`{adapter.base_model.name}` is not in configs/rights.yaml: look its licence up first.{stated}"]
    return [
        f"{licence.licence} ({licence.source}, {licence.verified}, {licence.read}). It also holds for this adapter:",
        "",
        *(f"- {duty}" for duty in licence.duties),
    ]
