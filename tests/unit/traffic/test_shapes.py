from traffic.callsites import CallSite, Registry, ShapeTemplate
from traffic.prompts import MessagePattern
from traffic.record import Message
from traffic.shapes import ShapeIndex


def template(name: str, *patterns: MessagePattern, tier: int | None = None) -> ShapeTemplate:
    return ShapeTemplate(id=name.ljust(8, "0"), messages=patterns, tier=tier)  # type: ignore[arg-type]


def asked(user: str, system: str | None = None) -> list[Message]:
    head = [Message("system", system)] if system is not None else []
    return [*head, Message("user", user)]


def test_an_untagged_request_is_matched_by_its_system_prompt_ignoring_whitespace() -> None:
    site = CallSite(name="a", tier=1, templates=(template("a", MessagePattern("system", "Sort the\npost.")),))
    index = ShapeIndex(Registry(call_sites=(site,)))
    assert index.entry(None, asked("x", "Sort the \r\npost. ")) == site
    assert index.entry(None, asked("x", "Sort the mail.")) is None
    assert index.entry(None, asked("x")) is None


def test_a_slot_may_hold_any_value_and_several_system_messages_count_as_one() -> None:
    pattern = MessagePattern("system", "You help the crew of the ship ", " today.", slot=True)
    site = CallSite(name="a", tier=2, templates=(template("a", pattern),))
    index = ShapeIndex(Registry(call_sites=(site,)))
    assert index.entry(None, asked("x", "You help the crew of the ship Elin today.")) == site
    assert index.entry(None, asked("x", "You help the crew of the ship Elin tomorrow.")) is None
    two = [Message("system", "You help the crew of the ship"), Message("system", "Elin today."), Message("user", "x")]
    joined = CallSite(name="b", templates=(template("b", MessagePattern("system", "One.\n\nTwo.")),))
    assert (
        ShapeIndex(Registry(call_sites=(joined,))).entry(None, [Message("system", "One."), Message("system", "Two.")])
        == joined
    )
    assert index.entry(None, two) is None


def test_shapes_with_the_same_system_prompt_are_distinguished_by_their_user_prompt() -> None:
    helper = MessagePattern("system", "You are a helpful assistant.")
    sort = template("s", helper, MessagePattern("user", "Sort this: ", slot=True), tier=1)
    prove = template("p", helper, MessagePattern("user", "Prove this: ", slot=True), tier=3)
    site = CallSite(name="help", tier=2, templates=(sort, prove))
    index = ShapeIndex(Registry(call_sites=(site,)))
    tiers = [
        index.entry(name, asked(text, "You are a helpful assistant."))
        for name in (None, "help")
        for text in ("Sort this: b a", "Prove this: 1=1")
    ]
    assert [entry.tier for entry in tiers if entry is not None] == [1, 3, 1, 3]
    other = index.entry("help", asked("Hello", "You are a helpful assistant."))
    assert other is not None
    assert other.tier == 2
    assert index.entry(None, asked("Hello", "You are a helpful assistant.")) is None


def test_a_registered_tag_takes_precedence_over_templates() -> None:
    one = CallSite(name="one", tier=1, templates=(template("1", MessagePattern("system", "Same text.")),))
    two = CallSite(name="two", tier=3)
    index = ShapeIndex(Registry(call_sites=(one, two)))
    assert index.entry("two", asked("x", "Same text.")) == two
    assert index.entry("unheard", asked("x", "Same text.")) == one


def test_a_request_without_a_system_prompt_is_matched_by_prefix_and_suffix() -> None:
    pattern = MessagePattern("user", "Which tray? ", "\nOne word.", slot=True)
    site = CallSite(name="tray", tier=1, templates=(template("t", pattern),))
    index = ShapeIndex(Registry(call_sites=(site,)))
    assert index.entry(None, asked("Which tray? the bag is gone\nOne word.")) == site
    assert index.entry(None, asked("Which tray? the bag is gone")) is None
    assert index.entry(None, asked("Which tray? x\nOne word.", "Be kind.")) is None


def test_an_unknown_tag_is_matched_by_its_prompt() -> None:
    standing = MessagePattern(role="system", prefix="Say which of the two it is.")
    known = CallSite(name="a", tier=1, templates=(ShapeTemplate(id="12345678", messages=(standing,)),))
    index = ShapeIndex(Registry(call_sites=(known,)))
    assert index.entry("new.this.week", [Message("system", standing.prefix), Message("user", "x")]) == known
    assert index.entry("new.this.week", [Message("system", "Another task."), Message("user", "x")]) is None


LABELS = "Choose the queue of a message: billing, delivery, account or other."
RULES = "Answer with the queue and nothing else.\nMessages about invoices belong to billing."


def test_a_system_prompt_with_one_more_rule_is_still_its_call_sites() -> None:
    queue = CallSite(name="queue", tier=1, templates=(template("q", MessagePattern("system", f"{LABELS}\n{RULES}")),))
    index = ShapeIndex(Registry(call_sites=(queue,)))
    assert index.entry(None, asked("Where is it?", f"{LABELS}\nRefunds belong to billing too.\n{RULES}")) == queue
    assert index.entry(None, asked("Where is it?", "Draft a reply to the customer. Keep to three sentences.")) is None


def test_an_edited_prompt_with_a_user_prompt_needs_that_too() -> None:
    pattern = MessagePattern("user", "Message: ", slot=True)
    queue = CallSite(
        name="queue", tier=1, templates=(template("q", MessagePattern("system", f"{LABELS}\n{RULES}"), pattern),)
    )
    index = ShapeIndex(Registry(call_sites=(queue,)))
    edited = f"{LABELS}\n{RULES}\nRefunds belong to billing too."
    assert index.entry(None, asked("Message: where is it?", edited)) == queue
    assert index.entry(None, asked("Where is it?", edited)) is None
