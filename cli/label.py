"""`fasttier label`: export items for human labelling, import the labels."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Dataset, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def export_items(
    *,
    task: Dataset = None,
    split: Annotated[str, Parameter(help="Split to label.")] = "test",
    disagreements: Annotated[
        bool, Parameter(negative="", help="Only items on which two evaluated candidates differ.")
    ] = False,
    suspects: Annotated[
        bool, Parameter(negative="", help="Only rows whose logged answer is probably wrong (suspects.csv).")
    ] = False,
    items: Annotated[
        Path | None, Parameter(help="Only the ids of this CSV file, such as the .ask.csv of a decision.")
    ] = None,
    sample: Annotated[int | None, Parameter(help="Maximum number of items, drawn at random.")] = None,
    common: Common = DEFAULTS,
) -> int:
    """Write items to label, with the candidates' answers, to the file of --out.

    FILE.csv is a table with an empty column `label`; FILE.json has tasks for Label Studio.
    """

    def stage(home: "Home") -> Summary:
        from pipeline.labels import export
        from traffic.errors import ConfigError

        if common.out is None:
            raise ConfigError("name the file to write: --out FILE.csv, or FILE.json for Label Studio")
        chosen = {"disagreements": disagreements, "suspects": suspects}
        return export.run(task, common.out, home=home, split=split, sample=sample, only=items, **chosen)

    # Here --out is the file of the items, not of the summary.
    return run_stage(replace(common, out=None), stage)


def import_labels(
    file: Annotated[
        Path, Parameter(help="The exported CSV file with its label column filled in, or Label Studio's JSON.")
    ],
    *,
    common: Common = DEFAULTS,
) -> int:
    """Import the labels of a completed CSV file or a Label Studio export; importing twice changes nothing."""

    def stage(home: "Home") -> Summary:
        from pipeline.labels import imports

        return imports.run(file, home=home)

    return run_stage(common, stage)
