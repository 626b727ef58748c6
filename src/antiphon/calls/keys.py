"""Keys of the telephone in one call: a number is a turn, or goes to the gate that waits for it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from antiphon.agents.keypad import KeypadManner
from antiphon.calls.floor import KEY_MARK
from antiphon.calls.gate import Gate
from antiphon.calls.keypad import Keypad
from antiphon.calls.log import CallLog
from antiphon.clock import Clock
from antiphon.tools.keypad import SecretNumber


class Keys:
    """What is typed in one call.

    Args:
        manner: The manner of the agent that answers now.
        log: Hides what was typed.
        clock: Time.
        is_quiet: Whether nobody speaks: only then the time of a gate runs.
        gate_of: The gate whose secret a number may be that is typed before it asks.
        number: Gets a number that no gate waits for, and what the model reads of it; False where it cannot take one
            now.
        elsewhere: Told that what was typed becomes no turn: a gate has it, or it was too long.
        say: Says something to the caller.
        too_many: Said when a number is too long.
        lost: Told when a gate's last attempt has failed.
        spawn: Runs a task of the call.
    """

    def __init__(
        self,
        manner: Callable[[], KeypadManner],
        *,
        log: CallLog,
        clock: Clock,
        is_quiet: Callable[[], bool],
        gate_of: Callable[[str], str | None],
        number: Callable[[str, str], bool],
        elsewhere: Callable[[], None],
        say: Callable[[str], None],
        too_many: str,
        lost: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
    ) -> None:
        self._manner = manner
        self._log = log
        self._clock = clock
        self._is_quiet = is_quiet
        self._gate_of = gate_of
        self._number = number
        self._elsewhere = elsewhere
        self._say = say
        self._too_many = too_many
        self._lost = lost
        self._spawn = spawn
        self._keypad = Keypad(clock, self._typed, refused=self._refused)
        self._gate: Gate | None = None
        self._early = ""  # the last number that may be a secret, typed before a gate has asked

    @property
    def is_empty(self) -> bool:
        """Whether no number has been begun."""
        return self._keypad.is_empty

    def is_spare(self, keys: str) -> bool:
        """Whether keys mean nothing; see ``Keypad``."""
        return self._keypad.is_spare(keys)

    def press(self, keys: str) -> None:
        """Take keys."""
        gate = self._open_gate
        if gate is not None:
            gate.touch()
        self._keypad.press(keys, self._manner(), length=None if gate is None else gate.length)

    def ask_secret(self, secret: SecretNumber) -> None:
        """What is typed from here on goes to this gate, until it is open."""
        waiting = self._open_gate
        self._close_gate()
        early, self._early = self._early, ""
        self._gate = Gate(
            secret,
            self._manner(),
            clock=self._clock,
            is_quiet=lambda: self._is_quiet() and self._keypad.is_empty,
            say=self._say,
            lost=self._lost,
            spawn=self._spawn,
            early=early,
            at_most=None if waiting is None else waiting.left,
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
            name = self._gate_of(keys)
            if name is None:
                return self._number(keys, keys)
            self._early = keys
            return self._number(keys, f"{KEY_MARK * len(keys)}, kept for {name}")
        is_taken = gate.take(keys)
        if is_taken:
            self._elsewhere()
        return is_taken

    def _refused(self) -> None:
        self._elsewhere()
        self._say(self._too_many)
