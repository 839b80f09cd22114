"""The dataset's card as a page: `README.md` beside the rows, with the facts of `dataset.yaml` for people and for the
hub's dataset viewer, which reads its front matter.
"""

from collections.abc import Iterable

from pipeline import pages
from pipeline.dataset import SPLITS, TaskDataset
from pipeline.extract import charts
from traffic import config


def files(card: TaskDataset) -> dict[str, bytes]:
    """README.md and its charts, by file name."""
    pictures = charts.svgs(card)
    return {"README.md": page(card, pictures).encode(), **pictures}


def page(card: TaskDataset, pictures: Iterable[str] = ()) -> str:
    """The page; `pictures`: names of the chart files beside it."""
    settings = config.dump(card.config).rstrip() if card.config else ""
    return pages.markdown("dataset.md.j2", d=card, splits=SPLITS, pictures=set(pictures), settings=settings)
