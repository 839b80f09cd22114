"""Escapes control tokens of chat models in text: a typed `<|im_end|>` would end the user's turn.

Tokenizers parse them anywhere in a text, in training and in serving. The same function escapes them in the variable
parts of prompts in both cases; answers that contain one are not trained on.
"""

import re

_TOKEN = re.compile(
    r"<\|[^|<>\n]{1,64}\|>"  # ChatML, Llama 3, Phi, gpt-oss: <|im_start|>, <|eot_id|>
    r"|<｜[^｜<>\n]{1,64}｜>"  # DeepSeek
    r"|</?s>|<(?:bos|eos|pad|unk|mask|cls|sep)>"  # SentencePiece
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|IMG|PREFIX|SUFFIX|MIDDLE)\]"
    r"|<</?SYS>>"  # Llama 2, Mistral
    r"|<(?:start|end)_of_(?:turn|image)>"  # Gemma
    r"|</?tool_(?:call|response)>|<function=[\w.-]{1,64}>"  # Qwen, Hermes; in an answer a call that nobody parsed
    r"|\[(?:gMASK|CLS|SEP|PAD|UNK|MASK)\]|<sop>|<eop>"  # GLM, BERT
    r"|◁[a-z_/]{1,40}▷",  # Kimi
)


_ENDS = (
    "<|im_end|>", "<|end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>", "<|return|>",
    "<|end_of_solution|>", "<|END_OF_TURN_TOKEN|>", "<｜end▁of▁sentence｜>", "</s>", "<eos>", "<end_of_turn>", "[EOS]",
)  # fmt: skip
"""Tokens that end the model's turn, at the end of an answer from a server that does not skip special tokens."""


def without_end(answer: str) -> str:
    """The answer without the tokens that end its turn."""
    # By position: answers may end in thousands of them, and each copy of the rest would take linear time.
    end = kept = len(answer.rstrip())
    while answer.endswith(_ENDS, 0, end):
        end -= next(len(token) for token in _ENDS if answer.endswith(token, 0, end))
        while end and answer[end - 1].isspace():
            end -= 1
    return answer if end == kept else answer[:end]


def has_any(text: str) -> bool:
    """Whether a tokenizer would find a control token in the text."""
    # All begin with one of three characters, which most texts do not contain; checking for them is fast.
    return ("<" in text or "[" in text or "◁" in text) and _TOKEN.search(text) is not None


def escape(text: str) -> str:
    """The text with a space inside each control token, so that it is tokenized as text: `< |im_end|>`."""
    while has_any(text):
        text = _TOKEN.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
    return text
