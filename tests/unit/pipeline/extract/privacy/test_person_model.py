from pathlib import Path

import pytest
import spacy

from pipeline.extract.config import PrivacyConfig
from pipeline.extract.privacy.person_model import versions
from pipeline.extract.privacy.scan import Finder
from traffic.errors import NotFound

pytestmark = pytest.mark.slow


def test_a_spacy_pipeline_finds_names_without_context(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Ana Li"}])  # type: ignore[attr-defined]
    nlp.to_disk(tmp_path)
    text = "the parcel that Ana Li ordered"
    spans = Finder(PrivacyConfig(ner_model=str(tmp_path))).find(text)
    assert [(span.type, text[span.start : span.end]) for span in spans] == [("PERSON", "Ana Li")]
    assert {"spacy", "en_pipeline"} <= versions(str(tmp_path)).keys()


def test_a_pipeline_that_is_not_installed_is_refused_by_name() -> None:
    with pytest.raises(NotFound, match=r"privacy\.ner_model: no spaCy pipeline 'xx_no_such'"):
        Finder(PrivacyConfig(ner_model="xx_no_such"))
