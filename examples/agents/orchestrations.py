"""Several agents at one task: in a row, side by side, in a group, and after a plan.

    python examples/agents/orchestrations.py

Scripted models play the parts, so it runs offline and says the same every time. With real models, leave ``model`` out
or name one, and give the agents instructions.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

from antiphon import Agent, Concurrent, GroupChat, GroupState, Planner, ScriptedChatClient, Sequential
from antiphon.agents.orchestrations.orchestration import Orchestration


def plays(name: str, description: str, *lines: str) -> Agent:
    """An agent whose model says these lines."""
    return Agent(name, f"You are the {name}.", description=description, model=ScriptedChatClient(lines))


def in_a_row() -> Sequential:
    """The editor reads what the writer wrote; its answer is the outcome."""
    writer = plays("writer", "Writes.", "We are open on Mondays from nine to five, always.")
    editor = plays("editor", "Shortens.", "Open Mondays, 9 to 5.")
    return Sequential([writer, editor], name="newsroom")


def side_by_side() -> Concurrent:
    """Both answer at once; it takes as long as the slower one."""
    dentist = plays("dentist", "Knows teeth.", "The tooth can be saved.")
    clerk = plays("clerk", "Knows prices.", "That costs 90 euros.")
    return Concurrent([dentist, clerk], name="second-opinion")


def in_a_group() -> GroupChat:
    """They speak in turn until the critic is content; the writer's last words are the outcome."""
    writer = plays("writer", "Writes.", "Open at nine.", "Open at nine, closed on Sundays.")
    critic = plays("critic", "Criticises.", "And on Sundays?", "Good.")

    def take_turns(state: GroupState) -> str:
        return state.participants[state.round % 2]

    return GroupChat(
        [writer, critic],
        select=take_turns,
        until=lambda messages: messages[-1].text == "Good.",
        answer_from="writer",
    )


def to_a_plan() -> Planner:
    """A manager plans, gives out the work, and answers when it is done."""
    finder = plays("finder", "Finds free hours.", "Tuesday at ten is free.")
    caller = plays("caller", "Calls patients.", "She takes Tuesday at ten.")
    manager = plays(
        "manager",
        "Leads.",
        "Ms Lind needs an appointment.",
        "1. finder: find an hour. 2. caller: call Ms Lind.",
        _round("finder", "find a free hour."),
        _round("caller", "call Ms Lind."),
        _round("", "", is_done=True),
        "Ms Lind comes on Tuesday at ten.",
    )
    return Planner([finder, caller], manager=manager)


async def show(orchestration: Orchestration, task: str) -> None:
    """Print who says what, then the outcome."""
    print(f"== {orchestration.name}: {task}")
    async with aclosing(orchestration.events(task)) as events:
        async for event in events:
            shown = event.to_dict().get("data", {})
            if event.type == "executor_completed" and not shown["text"].startswith("{"):
                print(f"   {event.agent}: {shown['text']}")
            elif event.type == "output":
                print(f"-> {shown['text']!r}")


async def main() -> None:
    """Show all four."""
    await show(in_a_row(), "Write our hours for the door.")
    await show(side_by_side(), "A tooth hurts.")
    await show(in_a_group(), "Write our hours for the door.")
    await show(to_a_plan(), "Get Ms Lind an appointment.")


def _round(speaker: str, instruction: str, *, is_done: bool = False) -> str:
    record = {"is_done": is_done, "is_loop": False, "is_progress": True}
    return json.dumps({**record, "instruction": instruction, "next_speaker": speaker})


if __name__ == "__main__":
    asyncio.run(main())
