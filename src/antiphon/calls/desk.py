"""What both kinds of call have around the conversation: tools and what they ask for, keys, transfers, machines.

The conversation itself is the call's; the desk reaches it by a few ``Hooks``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from antiphon.agents.agent import Agent
from antiphon.agents.runner import ToolRunner
from antiphon.agents.session import AgentSession
from antiphon.calls import events
from antiphon.calls.caller import Caller
from antiphon.calls.closing import Closable, close_all
from antiphon.calls.collecting import Collecting
from antiphon.calls.errands import Errands
from antiphon.calls.events import EndReason
from antiphon.calls.floor import KEY_MARK
from antiphon.calls.history import History
from antiphon.calls.keypad import keys_in
from antiphon.calls.keys import Keys
from antiphon.calls.ledger import Ledger
from antiphon.calls.line import AudioTap, Line
from antiphon.calls.log import CallLog
from antiphon.calls.policy import CallPolicy
from antiphon.calls.recording import CallRecording
from antiphon.calls.sounds import CallSounds
from antiphon.calls.tasks import CallTasks
from antiphon.calls.tracing.trace import CallTrace
from antiphon.calls.transferring import CarrierControl, Transferring
from antiphon.calls.voicemail import VoicemailWatch, voicemail_for
from antiphon.calls.wording import Wording
from antiphon.clock import Clock
from antiphon.models.llm.content import FunctionCall, FunctionResult
from antiphon.tools.keypad import ASK_SECRET, EXPECT, SEND_KEYS, SecretNumber, gate_of
from antiphon.tools.prebuilt import HANG_UP
from antiphon.tools.sounds import PAUSE_RECORDING, RESUME_RECORDING
from antiphon.tools.tool import FunctionTool
from antiphon.tools.transfer import TRANSFER
from antiphon.tools.voicemail import MACHINE_ANSWERED

_log = structlog.get_logger(__name__)

_DEEDS = frozenset({HANG_UP, SEND_KEYS, TRANSFER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """How the desk reaches the conversation.

    Attributes:
        agent: Who answers now.
        tools: What may be called now.
        sounds: What sounds besides words.
        is_idle: Whether nobody speaks, and nothing is owed to the caller.
        caller_has_floor: Whether it is the caller's turn, which has begun.
        say: Says this when the agent may speak.
        press: Presses keys of the telephone.
        end: Ends the call with the goodbye that fits.
        end_now: Ends it without a further word.
        line_over: The line is not ours any more.
        number: Gets a typed number that no gate waits for, and how it is shown; False where it cannot take it now.
        elsewhere: Told that what was typed becomes no turn.
        expect: The agent asks for something that is said in pieces.
        result: Told of a tool's result.
        deed: Told that a tool does something that stands for words.
        news: Told that there is something to tell the caller.
        give_up: Has the agent go on that waits for a collector.
        fall_silent: A machine has answered: it gets no reply.
    """

    agent: Callable[[], Agent]
    tools: Callable[[], Iterable[FunctionTool]]
    sounds: Callable[[], CallSounds]
    is_idle: Callable[[], bool]
    caller_has_floor: Callable[[], bool]
    say: Callable[[str], None]
    press: Callable[[str], None]
    end: Callable[[EndReason], None]
    end_now: Callable[[EndReason], None]
    line_over: Callable[[EndReason], None]
    number: Callable[[str, str], bool]
    elsewhere: Callable[[], None]
    expect: Callable[[Mapping[str, Any]], None]
    result: Callable[[FunctionCall, FunctionResult], None]
    deed: Callable[[], None]
    news: Callable[[], None]
    give_up: Callable[[], None]
    fall_silent: Callable[[], None]


class Desk:
    """That of one call.

    Args:
        hooks: Reach the conversation.
        agent: Who answers first.
        caller: Who calls.
        line: The way to the caller.
        clock: Time.
        policy: Manners and limits.
        log: Where everything is told.
        history: What was said.
        team: Further agents that handoffs may name.
        tap: Who records.
        data_dir: Where tools may keep files.
        control: Commands to the carrier; None where there are none.
        wording: The fixed phrases.

    Attributes:
        session: What the conversation's tools, providers and approvals keep.
        tools: Runs the tools.
        tasks: The tasks of the call.
        trace: Its spans.
        ledger: What it uses.
        errands: Late results and approvals.
        collecting: What is asked for by collectors.
        keys: What is typed.
        transferring: The transfers.
        voicemail: Finds out whether a machine has answered.
        recording: What is kept of the sound.
    """

    def __init__(
        self,
        hooks: Hooks,
        agent: Agent,
        caller: Caller,
        *,
        line: Line,
        clock: Clock,
        policy: CallPolicy,
        log: CallLog,
        history: History,
        team: Sequence[Agent],
        tap: AudioTap | None,
        data_dir: Path | None,
        control: CarrierControl | None,
        wording: Wording,
    ) -> None:
        self._hooks = hooks
        self._log = log
        self._call_id = caller.call_id
        self._wording = wording
        self.recording = CallRecording(tap, line.audio, log)
        self.tap = self.recording.tap
        self.trace = CallTrace(log)
        self.ledger = Ledger()
        self.tasks = CallTasks(caller.call_id, context=self.trace.context, failed=self._task_failed)
        self.session = AgentSession(caller.session_id, agents=team, variables=caller.parameters, clock=clock)
        self.tools = ToolRunner(
            clock,
            session_id=caller.session_id,
            values={**caller.parameters, "data_dir": data_dir},
            state=self.session.state,
            private=self.session.private,
            on_result=hooks.result,
            on_late=lambda call, result: self.errands.late(call, result),
            on_request=self.request,
        )
        self.errands = Errands(self.session, self.tools, log=log, clock=clock, news=hooks.news, spawn=self.tasks.spawn)
        self.collecting = Collecting(
            self.session,
            history,
            log,
            clock=clock,
            request=self.request,
            is_free=lambda: self.waits_for_caller,
            give_up=hooks.give_up,
        )
        self.transferring = Transferring(
            control,
            log=log,
            language=lambda: hooks.agent().language or "",
            is_free=hooks.is_idle,
            caller_has_floor=hooks.caller_has_floor,
            hold=lambda: hooks.sounds().hold(),
            resume=lambda: hooks.sounds().resume(),
            over=hooks.line_over,
            news=self.errands.late,
            spawn=self.tasks.spawn,
            stop=self.tasks.stop,
        )
        self.keys = Keys(
            lambda: hooks.agent().keypad,
            log=log,
            clock=clock,
            is_quiet=lambda: self.waits_for_caller,
            gate_of=lambda digits: gate_of(digits, hooks.tools(), self.session.state),
            number=hooks.number,
            elsewhere=hooks.elsewhere,
            say=hooks.say,
            too_many=policy.too_many_keys,
            lost=lambda: hooks.end("error"),
            spawn=self.tasks.spawn,
        )
        self.voicemail = VoicemailWatch(
            voicemail_for(agent.manners.voicemail, caller.parameters),
            line.audio,
            log=log,
            clock=clock,
            found=self._machine_found,
            recording=self._machine_records,
        )
        self._requests: dict[str, Callable[[Mapping[str, Any]], None]] = {
            HANG_UP: lambda _: self._hang_up_asked(),
            SEND_KEYS: lambda details: hooks.press(str(details["keys"])),
            EXPECT: hooks.expect,
            ASK_SECRET: lambda details: self._ask_secret(details["secret"]),
            MACHINE_ANSWERED: self._machine_told,
            TRANSFER: self.transferring.asked_by_tool,
            PAUSE_RECORDING: lambda details: self.recording.pause(str(details.get("by", "tool"))),
            RESUME_RECORDING: lambda details: self.recording.resume(str(details.get("by", "tool"))),
        }

    @property
    def waits_for_caller(self) -> bool:
        """Whether it is the caller's turn and nobody speaks; it is not that of one on hold, nor of a machine."""
        is_there = not self._hooks.sounds().on_hold and self.voicemail.verdict != "machine"
        return is_there and self._hooks.is_idle()

    def hear(self, payload: bytes) -> bytes:
        """Take a frame of the caller, in the line's format; what of it the conversation listens to."""
        if self.tap is not None:
            self.tap.caller(self._log.seconds(), payload)
        if self.voicemail.listens:
            self.voicemail.hear(payload)
        return self._hooks.sounds().hears(payload)

    def keys_of(self, digit: str) -> str:
        """The keys that are meant for this call. The log is not told which: they may be part of a PIN."""
        keys = keys_in(digit)
        if not keys or self.transferring.is_dialling:
            return ""
        self._log.append(events.UserDtmf(KEY_MARK * len(keys)))
        return "" if self.keys.is_spare(keys) else keys

    def request(self, name: str, details: Mapping[str, Any]) -> None:
        """A tool asks for something."""
        request = self._requests.get(name) or self._hooks.sounds().requests.get(name)
        if request is None:
            _log.warning("unknown_tool_request", call_id=self._call_id, request=name, keys=sorted(details))
            return
        if name in _DEEDS:
            self._hooks.deed()
        request(details)

    def fail(self, code: str, error: Exception) -> None:
        """A part failed; the call goes on."""
        _log.warning("part_failed", call_id=self._call_id, code=code, error=str(error))
        self._log.append(events.SessionError(code, str(error)))

    def close(self) -> None:
        """Nothing is done any more around the conversation, which is over. Idempotent."""
        self.transferring.close()
        self.keys.close()
        self._hooks.sounds().close()
        self.voicemail.close()
        self.collecting.close()

    async def finish(self, parts: Iterable[Closable], reason: EndReason, turns: int) -> events.SessionEnded:
        """Let go of everything, and write the last events.

        Args:
            parts: What the conversation holds.
            reason: Why the call ended.
            turns: How many there were.
        """
        await close_all((self.tools, self.session, *parts), self._call_id)
        self._log.append(self.ledger.usage())
        ended = events.SessionEnded(reason, round(self._log.seconds(), 3), turns)
        self._log.append(ended)
        return ended

    def _hang_up_asked(self) -> None:
        if self._hooks.caller_has_floor():
            _log.info("hang_up_overtaken", call_id=self._call_id)  # the caller has spoken since
        else:
            self._hooks.end_now("agent_hangup")

    def _ask_secret(self, secret: SecretNumber) -> None:
        self.recording.pause_until(secret.opened, "secret")
        self.keys.ask_secret(secret)

    def _machine_found(self) -> None:
        """A message for a machine waits for its beep."""
        self._hooks.fall_silent()
        if self.voicemail.hangs_up and not self._wording.goodbye("voicemail"):
            self._hooks.end("voicemail")

    def _machine_records(self) -> None:
        if self._wording.goodbye("voicemail"):
            self._hooks.end("voicemail")

    def _machine_told(self, details: Mapping[str, Any]) -> None:
        self.voicemail.suspect(str(details["transcript"]))
        if details["at_once"]:
            self._hooks.end_now("voicemail")

    def _task_failed(self, name: str, error: Exception) -> None:
        self._log.append(events.SessionError("internal", f"{name}: {type(error).__name__}"))
