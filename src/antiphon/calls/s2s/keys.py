"""Keys of the telephone in a call that one model holds: a number is a turn, or goes to the gate that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from antiphon.calls.floor import Phase
from antiphon.calls.gate import Gate
from antiphon.calls.keypad import Keypad
from antiphon.calls.log import CallLog
from antiphon.calls.s2s.dialogue import Dialogue
from antiphon.calls.s2s.persona import Persona
from antiphon.clock import Clock
from antiphon.tools.keypad import SecretNumber


class Keys:
    """What is typed in one call.

    Args:
        dialogue: Gets the numbers that nobody else waits for.
        persona: Knows the agent and its manner.
        log: Hides what was typed.
        clock: Time.
        too_many: Said when a number is too long.
        lost: Told when a gate's last attempt has failed.
        spawn: Runs a task of the call.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        persona: Persona,
        *,
        log: CallLog,
        clock: Clock,
        too_many: str,
        lost: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None] | None],
    ) -> None:
        self._dialogue = dialogue
        self._persona = persona
        self._log = log
        self._clock = clock
        self._too_many = too_many
        self._lost = lost
        self._spawn = spawn
        self._keypad = Keypad(clock, self._typed, refused=self._refused)
        self._gate: Gate | None = None

    def press(self, keys: str) -> None:
        """Take keys, which take the floor where the agent lets them."""
        manner = self._persona.agent.keypad
        gate = self._open_gate
        if manner.interrupts or self._dialogue.phase is Phase.IDLE:
            self._dialogue.take_floor()
        if gate is not None:
            gate.touch()
        self._keypad.press(keys, manner, length=None if gate is None else gate.length)
        if self._keypad.is_empty:
            self._dialogue.leave_floor()

    def ask_secret(self, secret: SecretNumber) -> None:
        """What is typed from here on goes to this gate, until it is open."""
        self._close_gate()
        self._gate = Gate(
            secret,
            self._persona.agent.keypad,
            clock=self._clock,
            is_quiet=lambda: self._dialogue.phase is Phase.IDLE and self._keypad.is_empty,
            say=self._dialogue.say,
            lost=self._lost,
            spawn=self._spawn,
        )

    def close(self) -> None:
        """Nobody types any more."""
        self._keypad.clear()
        self._close_gate()

    @property
    def _open_gate(self) -> Gate | None:
        return self._gate if self._gate is not None and self._gate.is_waiting else None

    def _close_gate(self) -> None:
        if self._gate is not None:
            self._gate.close()

    def _typed(self, keys: str) -> bool:
        self._log.hide(keys)
        gate = self._open_gate
        if gate is None:
            return self._dialogue.take_keys(keys)
        is_taken = gate.take(keys)
        if is_taken:
            self._dialogue.leave_floor()
        return is_taken

    def _refused(self) -> None:
        self._dialogue.leave_floor()
        self._dialogue.say(self._too_many)
