"""README.md of a dataset: the contents of `dataset.yaml` for people, and front matter for the hub's dataset viewer."""

from collections.abc import Iterable

from pipeline import pages
from pipeline.dataset import SPLITS, TaskDataset
from pipeline.extract import charts
from traffic import config


def files(card: TaskDataset) -> dict[str, bytes]:
    """README.md and its charts by file name."""
    pictures = charts.svgs(card)
    return {"README.md": page(card, pictures).encode(), **pictures}


def page(card: TaskDataset, pictures: Iterable[str] = ()) -> str:
    """The page in Markdown; `pictures`: file names of its charts."""
    settings = config.dump(card.config).rstrip() if card.config else ""
    return pages.markdown("dataset.md.j2", d=card, splits=SPLITS, pictures=set(pictures), settings=settings)
