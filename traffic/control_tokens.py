"""Control tokens of chat models that stand in a text: `<|im_end|>` typed by a user would end the user's turn.

Tokenisers read them wherever they stand, in training and when serving. In what varies of a prompt they are therefore
broken up, by the same function in both; an answer that holds one is not trained on.
"""

import re

_TOKEN = re.compile(
    r"<\|[^|<>\n]{1,64}\|>"  # ChatML, Llama 3, Phi, gpt-oss: <|im_start|>, <|eot_id|>
    r"|<｜[^｜<>\n]{1,64}｜>"  # DeepSeek
    r"|</?s>|<(?:bos|eos|pad|unk|mask|cls|sep)>"  # SentencePiece
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|IMG|PREFIX|SUFFIX|MIDDLE)\]"
    r"|<</?SYS>>"  # Llama 2, Mistral
    r"|<(?:start|end)_of_(?:turn|image)>"  # Gemma
    r"|\[(?:gMASK|CLS|SEP|PAD|UNK|MASK)\]|<sop>|<eop>"  # GLM, BERT
    r"|◁[a-z_/]{1,40}▷",  # Kimi
)


def has_any(text: str) -> bool:
    """Would a tokeniser read a control token in this text?"""
    # Each begins with one of three characters, which most texts do not have: looking for them costs next to nothing.
    return ("<" in text or "[" in text or "◁" in text) and _TOKEN.search(text) is not None


def escape(text: str) -> str:
    """The text with a space inside every control token, so that it is read as text: `< |im_end|>`."""
    while has_any(text):
        text = _TOKEN.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
    return text
