"""Which tool, if any: the choice of a model that is too small for tool calling of its own.

The model completes "The caller wants to …" behind a few examples, and only the probabilities of the next token are
read: of each tool's label and of some labels that mean *answer*. How far apart they must be depends on the tools, so
it is measured once per set of tools, on sentences that are surely for a tool and surely for none. The arguments are
then copied from what was said; what was not said is missing, never made up.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from antiphon.models.llm.chatml import clean, split
from antiphon.models.llm.contract import ToolSpec
from antiphon.models.llm.facts import is_question
from antiphon.models.llm.grammar import arguments_grammar, choices, read_arguments
from antiphon.models.llm.messages import Message

ALTERNATIVES: Final = 60
"""Tokens whose probability is asked for; labels beyond them are as good as impossible."""

Alternatives = Callable[[str], Awaitable[Mapping[str, float]]]
"""From a prompt to the log probabilities of its next token."""

_ANSWERS: Final[Mapping[str, Sequence[str]]] = {
    "ask a question": ("What time is it open?", "How much is it?", "Where are you?"),
    "greet": ("Hello.", "Good morning."),
    "talk": ("Okay, great.", "Can I ask you something?", "Thank you."),
}
_SURELY_NONE: Final = (
    *("Are you there on holidays?", "Where can I find you?", "Good evening.", "How long does it take?"),
    *("Alright, thanks.", "Who am I talking to?", "Which one is better?", "I have a question."),
)
_REQUESTS: Final = ("Please {}.", "I would like to {}.")
_SURELY_FOR: Final = ("Could you {} for me?", "I want to {}.", "I need to {}.")
_GOODBYES: Final = ("Thank you, goodbye.", "That is all, bye.")
_SURELY_GOODBYE: Final = ("Okay, bye.", "Thanks, bye bye.")
_GREETING: Final = "Agent: How can I help you?"
_LEAD: Final = "The caller wants to"
_IMPOSSIBLE: Final = -20.0
_SHARE: Final = 0.4
"""Where between them a threshold lies. A call too many costs a question, a call too few a booking."""
_PENDING: Final = 3.0
"""How much likelier a tool is that has just asked the caller for something."""
_ASKING: Final = "Sure. Could you tell me"
_DEEPEST: Final = 4
_LINES: Final = 3
"""How much of the conversation the choice looks at; older lines mislead more than they help."""

_FILLING: Final = """Write down what the caller said. Write none for what the caller did not say.

Asked for: flower (rose, tulip), how many, name, day, phone number
Caller: Please send two red roses to Anna on Friday.
flower: rose
how many: 2
name: Anna
day: Friday
phone number: none

Asked for: car (small, large), day, time
Caller: I would like to rent a car, please.
car: none
day: none
time: none

Asked for: room, day, time
Caller: What does the hall cost?
Agent: The hall costs 20 dollars.
Caller: Then I would like it tomorrow at six.
room: hall
day: tomorrow
time: six

Asked for: people, day, time, name
Caller: I need a table for two on Monday.
Agent: We are closed on Monday. Which other day would you like?
Caller: Then on Friday.
people: 2
day: Friday
time: none
name: none

"""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """By tool, how much likelier than an answer it must be, as a difference of log probabilities."""

    margins: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Filled:
    """The arguments that were said, and the names of required ones that were not."""

    values: Mapping[str, Any]
    missing: Sequence[str]

    @property
    def says_nothing(self) -> bool:
        """The tool needs arguments, and none was said."""
        return bool(self.missing) and not self.values

    @property
    def arguments(self) -> str:
        """The values as JSON."""
        return msgspec.json.encode(dict(self.values)).decode()


def preamble(tools: Sequence[ToolSpec]) -> str:
    """The part of the routing prompt that all turns share: the labels and the examples."""
    labels = [label(tool) for tool in tools]
    examples = [(said, label(tool)) for tool in tools for said in _examples(tool, _GOODBYES, _REQUESTS)]
    examples += [(said, answer) for answer, all_said in _ANSWERS.items() for said in all_said]
    listed = "".join(f"- {each}\n" for each in [*labels, *_ANSWERS])
    shown = "".join(f"Caller: {said}\n{_LEAD} {wanted}.\n\n" for said, wanted in examples)
    return f"What does the caller want?\n{listed}\n{shown}"


def label(tool: ToolSpec) -> str:
    """What a caller wants who wants this tool: its description's first clause, as in "book an appointment"."""
    first = clean(tool.description).strip().split("\n")[0]
    for mark in (". ", ", ", ": ", "; "):
        first = first.split(mark)[0]
    first = first.strip(" .,:;")
    return first[:1].lower() + first[1:] if first else tool.name.replace("_", " ")


async def measure(tools: Sequence[ToolSpec], alternatives: Alternatives) -> Thresholds:
    """Find the thresholds of these tools: between what is surely no call, and what surely is one."""
    nothing = [await _scores(tools, [_GREETING, f"Caller: {said}"], alternatives) for said in _SURELY_NONE]
    margins: dict[str, float] = {}
    for tool in tools:
        said = _examples(tool, _SURELY_GOODBYE, _SURELY_FOR)
        wanted = [await _scores(tools, [_GREETING, f"Caller: {each}"], alternatives) for each in said]
        highest = max(scores[tool.name] for scores in nothing)
        lowest = min(scores[tool.name] for scores in wanted)
        margins[tool.name] = highest + _SHARE * (lowest - highest)
    return Thresholds(margins)


async def choose(
    tools: Sequence[ToolSpec],
    messages: Sequence[Message],
    *,
    thresholds: Thresholds,
    alternatives: Alternatives,
    required: bool = False,
) -> ToolSpec | None:
    """The tool that the caller's last words ask for; None for a plain answer.

    Args:
        tools: The tools.
        messages: The conversation.
        thresholds: Of the same tools.
        alternatives: The model.
        required: Give the likeliest tool in any case.
    """
    lines = _lines(messages)[-_LINES:]
    scores = await _scores(tools, lines if len(lines) > 1 else [_GREETING, *lines], alternatives)
    over = {tool.name: scores[tool.name] - thresholds.margins[tool.name] for tool in tools}
    if _awaits_words(messages):
        over |= {tool.name: over[tool.name] + _PENDING for tool in tools if tool.parameters.get("required")}
    best = max(tools, key=lambda tool: over[tool.name])
    return best if required or over[best.name] > 0 else None


def beginning(tools: Sequence[ToolSpec], messages: Sequence[Message]) -> str:
    """What the prompt of the next choice begins with, before the caller's next words are known."""
    lines = _lines(messages)[1 - _LINES :] or [_GREETING]
    return preamble(tools) + "\n".join(lines) + "\nCaller:"


def filling_prompt(tool: ToolSpec, messages: Sequence[Message]) -> tuple[str, str]:
    """The prompt that has the arguments written down, and the grammar of what is written."""
    parameters = tool.parameters.get("properties", {})
    lines = _lines(_unfinished(messages))
    said = [line.partition(": ")[2] for line in lines if line.startswith("Caller: ") or line.endswith("?")]
    hints = [
        f"{name} ({', '.join(map(str, listed))})" if (listed := choices(schema)) else name
        for name, schema in parameters.items()
    ]
    asked = f"Asked for: {', '.join(hints)}\n"
    return _FILLING + asked + "\n".join(lines) + "\n", arguments_grammar(parameters, said)


def fill(tool: ToolSpec, text: str, messages: Sequence[Message]) -> Filled:
    """Read what was written; what is not in it, but was in the same call that could not be done, still counts."""
    values = _refused(tool, messages) | read_arguments(text, tool.parameters.get("properties", {}))
    return Filled(values, [name for name in tool.parameters.get("required", ()) if name not in values])


def question_for(missing: Sequence[str]) -> str:
    """Ask the caller for what is missing."""
    named = [f"the {name.replace('_', ' ')}" for name in missing]
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return f"{_ASKING} {listed}, please?"


async def _scores(tools: Sequence[ToolSpec], lines: Sequence[str], alternatives: Alternatives) -> dict[str, float]:
    """By tool, how much likelier it is than an answer."""
    prompt = preamble(tools) + "\n".join(lines) + f"\n{_LEAD}"
    weights = await _weigh(prompt, [f" {each}" for each in (*_ANSWERS, *map(label, tools))], alternatives)
    floor = math.exp(_IMPOSSIBLE)
    nothing = math.log(max(sum(weights.get(f" {each}", 0.0) for each in _ANSWERS), floor))
    return {tool.name: math.log(max(weights.get(f" {label(tool)}", 0.0), floor)) - nothing for tool in tools}


async def _weigh(prompt: str, labels: Sequence[str], alternatives: Alternatives, depth: int = 0) -> dict[str, float]:
    """The probability of each label behind the prompt, by its first token; by further ones where they are alike."""
    chances = await alternatives(prompt)
    by_token: dict[str, list[str]] = {}
    for each in labels:
        fitting = [token for token in chances if token.strip() and each.startswith(token)]
        if fitting:
            by_token.setdefault(max(fitting, key=lambda token: chances[token]), []).append(each)
    weights: dict[str, float] = {}
    for token, alike in by_token.items():
        chance = math.exp(chances[token])
        rest = [each[len(token) :] for each in alike]
        if len(alike) == 1 or depth == _DEEPEST or not all(rest):
            weights |= dict.fromkeys(alike, chance)
            continue
        deeper = await _weigh(prompt + token, rest, alternatives, depth + 1)
        weights |= {token + each: chance * weight for each, weight in deeper.items()}
    return weights


def _lines(messages: Sequence[Message]) -> list[str]:
    """The conversation as lines; of what the agent said, the last sentence, which is what a caller answers to."""
    lines: list[str] = []
    for message in split(messages)[1]:
        words = " ".join(clean(message.text).split())
        if message.role == "user":
            lines.append(f"Caller: {words}")
        elif words and message.role == "assistant":
            lines.append(f"Agent: {_last_sentence(words)}")
    return lines


def _awaits_words(messages: Sequence[Message]) -> bool:
    """Whether the caller answers to a tool's question, which came from here or was the tool's result."""
    if is_question(messages[-1].text):
        return False
    before = [message for message in messages[:-1] if message.role in ("assistant", "tool") and message.text][-2:]
    return any(_is_open(message) or message.text.startswith(_ASKING) for message in before)


def _is_open(message: Message) -> bool:
    """A tool's result that asks for something else: the call has not been done."""
    return message.role == "tool" and message.text.rstrip().endswith("?")


def _last_sentence(words: str) -> str:
    begun = max(words.rfind(f"{mark} ", 0, len(words) - 1) for mark in ".!?")
    return words[begun + 1 :].strip()


def _unfinished(messages: Sequence[Message]) -> Sequence[Message]:
    """The conversation since the last call that was done; a result that ends with a question has not been."""
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].role == "tool" and not _is_open(messages[place]):
            return messages[place + 1 :]
    return messages


def _refused(tool: ToolSpec, messages: Sequence[Message]) -> dict[str, Any]:
    """The arguments of the last call, where it was one of this tool and is not done."""
    for message in reversed(_unfinished(messages)):
        for call in message.calls:
            if call.name == tool.name:
                values: dict[str, Any] = msgspec.json.decode(call.arguments)
                return values
    return {}


def _examples(tool: ToolSpec, goodbyes: Sequence[str], requests: Sequence[str]) -> Sequence[str]:
    """What a caller may say who wants the tool. One that speaks of a goodbye is for callers who say goodbye."""
    return goodbyes if "goodbye" in tool.description.lower() else [each.format(label(tool)) for each in requests]
