"""Sources of a text in each protocol's format: Anthropic's citations, OpenAI's `url_citation` annotations."""

from typing import Any

import msgspec

from traffic.loose_json import Tree, index, text, tree, trees


class Citation(msgspec.Struct, frozen=True):
    """A source of one part of an answer's text."""

    url: str = ""
    """Empty for a document of the request."""
    title: str = ""
    quote: str = ""
    start: int = 0
    end: int = 0
    """Position of the part in the whole text, in characters."""
    native: Tree = {}
    """The original citation, if it is Anthropic's."""

    def as_annotation(self) -> Tree | None:
        """The annotation of a chat completion; None if OpenAI has no equivalent."""
        flat = self.as_response_annotation()
        return None if flat is None else {"type": flat.pop("type"), "url_citation": flat}

    def as_response_annotation(self) -> Tree | None:
        """The annotation of a Responses API text."""
        if not self.url:
            return None
        span = {"start_index": self.start, "end_index": self.end}
        return {"type": "url_citation", "url": self.url, "title": self.title, **span}

    def as_citation(self) -> Tree:
        """The citation of an Anthropic text block."""
        fields = {"url": self.url, "title": self.title, "cited_text": self.quote, "encrypted_index": ""}
        return self.native or {"type": "web_search_result_location", **fields}


def from_anthropic(citation: Any, start: int, end: int) -> Citation:
    """A citation of the text block at `start` to `end`."""
    native = tree(citation)
    # The source of a search result sent by the client may be a URL.
    source = text(native.get("url")) or text(native.get("source"))
    url = source if source.startswith(("http://", "https://")) else ""
    title = text(native.get("title")) or text(native.get("document_title"))
    return Citation(url, title, text(native.get("cited_text")), start, end, native)


def from_annotations(annotations: Any) -> list[Citation]:
    """OpenAI's annotations with a URL; some servers do not nest their fields."""
    citations = []
    for annotation in trees(annotations):
        fields = tree(annotation.get("url_citation")) or annotation
        if text(fields.get("url")):
            span = index(fields.get("start_index")) or 0, index(fields.get("end_index")) or 0
            citations.append(Citation(fields["url"], text(fields.get("title")), text(fields.get("content")), *span))
    return citations
