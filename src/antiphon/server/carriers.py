"""The carriers that take commands from this server, by the accounts in its settings."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from antiphon.calls.transferring import CarrierControl
from antiphon.clock import Clock
from antiphon.models.http import new_http_client
from antiphon.settings import Settings
from antiphon.tools.transfer import checked_destination
from antiphon.transports.carriers import plivo, twilio
from antiphon.transports.carriers.acs import AccessKey, AcsControl
from antiphon.transports.carriers.audiohook import FlowControl
from antiphon.transports.carriers.callbacks import Callbacks
from antiphon.transports.carriers.dialling import Dialler, PlivoDialler, TwilioDialler
from antiphon.transports.carriers.plivo import PlivoControl
from antiphon.transports.carriers.rest import CarrierApi
from antiphon.transports.carriers.twilio import TwilioControl

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "twilio": ("twilio_account_sid", "twilio_auth_token"),
    "plivo": ("plivo_auth_id", "plivo_auth_token", "public_url"),
    "acs": ("acs_endpoint", "acs_access_key", "public_url"),
    "audiohook": (),
}
"""What must be set for commands to each carrier."""
_TO_DIAL: Mapping[str, tuple[str, ...]] = {
    "twilio": ("twilio_account_sid", "twilio_auth_token", "public_url"),
    "plivo": ("plivo_auth_id", "plivo_auth_token", "public_url"),
}
"""What must be set for calls that are made; other carriers make none for us."""
NO_DIALLING: Mapping[str, str] = {
    "acs": (
        "Over Azure Communication Services calls are made by your own application: have it create the call with media "
        "streaming to /telephony/acs."
    ),
    "audiohook": "Genesys makes its calls by itself: have a flow dial, and connect AudioHook when it is answered.",
}
"""Why the other carriers make no calls, and what to do."""
_KEPT = ("agent", "scenario")
"""Of a call's parameters, those that hold too when the call comes back to us."""


class Carriers:
    """Makes the commands of a call.

    Args:
        settings: The operator's.
        clock: Time.

    Attributes:
        callbacks: What carriers may ask or tell for a while.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.callbacks = Callbacks(clock)
        self._settings = settings
        self._clock = clock
        self._http = new_http_client()  # before there are calls: it reads certificates, which takes 50 ms and more

    def missing(self, carrier: str) -> list[str]:
        """The settings that commands to a carrier need and that are not there; of an unknown carrier none."""
        return [f"ANTIPHON_{name.upper()}" for name in _NEEDS.get(carrier, ()) if not getattr(self._settings, name)]

    @property
    def names(self) -> tuple[str, ...]:
        """The carriers that take commands."""
        return tuple(_NEEDS)

    @property
    def dialling(self) -> str:
        """The carrier that makes calls where none is named: the first whose account is set up, else the first."""
        return next((name for name in _TO_DIAL if not self.missing_to_dial(name)), next(iter(_TO_DIAL)))

    def missing_to_dial(self, carrier: str) -> list[str]:
        """The settings that calls over this carrier need and that are not there."""
        return [f"ANTIPHON_{name.upper()}" for name in _TO_DIAL.get(carrier, ()) if not getattr(self._settings, name)]

    def dialler(self, carrier: str) -> Dialler | None:
        """Makes one call; None where the carrier makes none for us, or its account is not set up."""
        if carrier not in _TO_DIAL or self.missing_to_dial(carrier):
            return None
        is_twilio = carrier == "twilio"
        account = self._settings.twilio_account_sid if is_twilio else self._settings.plivo_auth_id
        make: type[TwilioDialler | PlivoDialler] = TwilioDialler if is_twilio else PlivoDialler
        return make(
            self._twilio if is_twilio else self._plivo,
            quote(account or "", safe=""),
            clock=self._clock,
            callbacks=self.callbacks,
            callback_url=self._callback_url(carrier),
        )

    def stream_url(self, carrier: str, token: str) -> str:
        """Where the stream of a call that we make is expected."""
        return f"ws{(self._settings.public_url or '').removeprefix('http')}/telephony/{carrier}/calls/{token}"

    def control(
        self, carrier: str, call_id: str, parameters: Mapping[str, Any], *, leaves: MutableMapping[str, str]
    ) -> CarrierControl | None:
        """The commands of one call; None where its carrier takes none, or its account is not set up.

        Args:
            carrier: The protocol's name.
            call_id: The carrier's id of the call.
            parameters: What the carrier passed on.
            leaves: What our last message on the media socket leaves to the carrier, where it can.
        """
        if carrier not in _NEEDS or self.missing(carrier):
            return None
        call_id = quote(call_id, safe="")
        if carrier == "twilio":
            return self._twilio_control(call_id, parameters)
        if carrier == "plivo":
            return self._plivo_control(call_id, parameters)
        if carrier == "acs":
            url = self._callback_url(carrier)
            return AcsControl(self._acs, call_id, clock=self._clock, callbacks=self.callbacks, callback_url=url)
        return FlowControl(leaves)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _twilio_control(self, call_id: str, parameters: Mapping[str, Any]) -> TwilioControl:
        return TwilioControl(
            self._twilio,
            quote(self._settings.twilio_account_sid or "", safe=""),
            call_id,
            clock=self._clock,
            caller_id=self._caller_id(parameters),
            action_url=self._action_url("twilio", parameters),
        )

    def _plivo_control(self, call_id: str, parameters: Mapping[str, Any]) -> PlivoControl:
        return PlivoControl(
            self._plivo,
            quote(self._settings.plivo_auth_id or "", safe=""),
            call_id,
            clock=self._clock,
            callbacks=self.callbacks,
            callback_url=self._callback_url("plivo"),
            caller_id=self._caller_id(parameters),
            action_url=self._action_url("plivo", parameters),
        )

    def _caller_id(self, parameters: Mapping[str, Any]) -> str | None:
        """The number that other parties are called from: the one set, else ours in this call."""
        ours = "from" if parameters.get("direction") == "outbound" else "to"
        number = self._settings.caller_id or str(parameters.get(ours, ""))
        number = number if number.startswith("+") else f"+{number}"
        try:
            return checked_destination(number)
        except ValueError:
            return None

    def _action_url(self, carrier: str, parameters: Mapping[str, Any]) -> str | None:
        """Where a call comes back to that was transferred and not answered."""
        if not self._settings.public_url:
            return None
        kept = {name: parameters[name] for name in _KEPT if parameters.get(name)}
        return f"{self._settings.public_url}/telephony/{carrier}/voice" + (f"?{urlencode(kept)}" if kept else "")

    def _callback_url(self, carrier: str) -> str:
        return f"{self._settings.public_url}/telephony/{carrier}/callback"

    @cached_property
    def _twilio(self) -> CarrierApi:
        user, password = self._settings.twilio_account_sid or "", _text(self._settings.twilio_auth_token)
        return CarrierApi(
            "Twilio",
            self._settings.carrier_urls.get("twilio", twilio.BASE_URL),
            self._http,
            auth=(user, password),
            secrets=(password,),
            gone_codes=twilio.CALL_OVER,
        )

    @cached_property
    def _plivo(self) -> CarrierApi:
        user, password = self._settings.plivo_auth_id or "", _text(self._settings.plivo_auth_token)
        return CarrierApi(
            "Plivo",
            self._settings.carrier_urls.get("plivo", plivo.BASE_URL),
            self._http,
            auth=(user, password),
            secrets=(password,),
        )

    @cached_property
    def _acs(self) -> CarrierApi:
        key = _text(self._settings.acs_access_key)
        return CarrierApi(
            "Azure Communication Services",
            self._settings.acs_endpoint or "",
            self._http,
            auth=AccessKey(key, self._clock),
            secrets=(key,),
        )


def _text(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()
