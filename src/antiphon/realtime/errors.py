"""What can go wrong between the Realtime client and its service, beyond what every integration shares."""

from __future__ import annotations

from antiphon.errors import (
    IntegrationInvalidRequestException,
    IntegrationInvalidResponseException,
    IntegrationUnavailableException,
)


class NotConnected(IntegrationUnavailableException):
    """There is no connection, and what was asked for cannot wait for one."""

    default_code = "not_connected"


class RequestRefused(IntegrationInvalidRequestException):
    """The service answered an event with an ``error``; ``code`` is the service's."""

    default_code = "request_refused"


class UnreadableEvent(IntegrationInvalidResponseException):
    """A frame is no event, or a known event lacks what it must have."""

    default_code = "unreadable_event"
