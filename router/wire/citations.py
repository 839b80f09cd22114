"""Where a text comes from, as each protocol says it: Anthropic's citations, OpenAI's `url_citation` annotations."""

from typing import Any

import msgspec

from traffic.loose_json import Tree, index, text, tree, trees


class Citation(msgspec.Struct, frozen=True):
    """A source of a part of an answer's text."""

    url: str = ""
    """Empty: a document of the request."""
    title: str = ""
    quote: str = ""
    start: int = 0
    end: int = 0
    """Of the part, in characters of the whole text."""
    native: Tree = {}
    """As Anthropic wrote it."""

    def as_annotation(self) -> Tree | None:
        """Of a chat completion; None where OpenAI has no word for it."""
        flat = self.as_response_annotation()
        return None if flat is None else {"type": flat.pop("type"), "url_citation": flat}

    def as_response_annotation(self) -> Tree | None:
        """Of a response's text."""
        if not self.url:
            return None
        place = {"start_index": self.start, "end_index": self.end}
        return {"type": "url_citation", "url": self.url, "title": self.title, **place}

    def as_citation(self) -> Tree:
        """Of a text block of Anthropic's."""
        found = {"url": self.url, "title": self.title, "cited_text": self.quote, "encrypted_index": ""}
        return self.native or {"type": "web_search_result_location", **found}


def from_anthropic(said: Any, start: int, end: int) -> Citation:
    """A citation of a text block that stands at `start` to `end`."""
    native = tree(said)
    # A search result of the client's own has a source that may be a URL.
    source = text(native.get("url")) or text(native.get("source"))
    url = source if source.startswith(("http://", "https://")) else ""
    title = text(native.get("title")) or text(native.get("document_title"))
    return Citation(url, title, text(native.get("cited_text")), start, end, native)


def from_annotations(said: Any) -> list[Citation]:
    """Those of OpenAI's annotations that name a URL; some servers write their fields flat."""
    found = []
    for annotation in trees(said):
        fields = tree(annotation.get("url_citation")) or annotation
        if text(fields.get("url")):
            place = index(fields.get("start_index")) or 0, index(fields.get("end_index")) or 0
            found.append(Citation(fields["url"], text(fields.get("title")), text(fields.get("content")), *place))
    return found
