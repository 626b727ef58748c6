"""The carriers that are spoken: a new one is one file in this folder and one line in each table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from antiphon.wire.acs import AcsCodec
from antiphon.wire.acs_caller import AcsCaller
from antiphon.wire.audiohook import AudioHookCodec
from antiphon.wire.audiohook_caller import AudioHookCaller
from antiphon.wire.caller import MediaCaller, PlivoCaller, TwilioCaller
from antiphon.wire.contract import MediaCodec
from antiphon.wire.plivo import PlivoCodec
from antiphon.wire.twilio import TwilioCodec

CODECS: Mapping[str, Callable[[], MediaCodec]] = MappingProxyType(
    {"twilio": TwilioCodec, "plivo": PlivoCodec, "acs": AcsCodec, "audiohook": AudioHookCodec}
)
"""The server's side, by the carrier's name."""

CALLERS: Mapping[str, Callable[[str, str, Mapping[str, str]], MediaCaller]] = MappingProxyType(
    {"twilio": TwilioCaller, "plivo": PlivoCaller, "acs": AcsCaller, "audiohook": AudioHookCaller}
)
"""The carrier's side, made of stream id, call id and parameters, by the carrier's name."""
