"""The adapter's card for people and model hubs: `README.md`, and the NOTICE that the base model's licence requires."""

from pipeline import pages
from pipeline.dataset import TaskDataset
from pipeline.rights import BaseModelLicence
from traffic.adapters import Adapter

README, NOTICE = "README.md", "NOTICE"
TEMPLATE = "adapter.md.j2"


def files(adapter: Adapter, licence: BaseModelLicence | None, dataset: TaskDataset) -> dict[str, str]:
    """Texts by file name. `licence`: the base model's row of `configs/rights.yaml`, if any."""
    name = public_name(adapter, licence)
    texts = {README: pages.markdown(TEMPLATE, a=adapter, name=name, licence=licence, dataset=dataset)}
    if licence is not None and licence.notice:
        texts[NOTICE] = licence.notice + "\n"
    return texts


def merged_page(model: Adapter, licence: BaseModelLicence | None) -> str:
    """The card of a merged model."""
    return pages.markdown(TEMPLATE, a=model, name=public_name(model, licence), licence=licence)


def public_name(adapter: Adapter, licence: BaseModelLicence | None) -> str:
    """Name under which the adapter may be published; inside the company it is `adapter.name`."""
    prefix = licence.name_prefix if licence is not None else ""
    return adapter.name if not prefix or adapter.name.startswith(prefix) else f"{prefix}-{adapter.name}"
