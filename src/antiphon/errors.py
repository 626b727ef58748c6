"""Every error that Antiphon raises on purpose, in one tree.

A leaf says who failed (a chat client, an agent, another service) and how (bad credentials, bad request, bad
answer, filtered, not available). ``code`` is a stable lower-case word for programs; the message is one sentence
for people and says what to do next.
"""

from __future__ import annotations

from typing import Any, ClassVar


class AntiphonException(Exception):
    """The root of all errors that Antiphon raises.

    Args:
        message: One sentence that tells the user what happened and what to do next.
        code: Stable lower-case word for programs; the class's own unless given.
        retryable: Whether the same call may succeed later; the class's own unless given.
        status_code: HTTP status of the failed request, where there was one.
        provider: The provider that failed, such as ``openai``.
        request_id: The provider's id of the failed request.
        retry_after_s: Seconds that the provider asked to wait.
    """

    default_code: ClassVar[str] = "error"
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retryable: bool | None = None,
        status_code: int | None = None,
        provider: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.retryable = self.default_retryable if retryable is None else retryable
        self.status_code = status_code
        self.provider = provider
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class AgentException(AntiphonException):
    """Agent logic failed."""

    default_code = "agent"


class AgentInvalidAuthException(AgentException):
    """The agent's service refused the credentials."""

    default_code = "invalid_auth"


class AgentInvalidRequestException(AgentException):
    """Bad input to an agent, an unknown agent, or a session that is busy."""

    default_code = "invalid_request"


class AgentInvalidResponseException(AgentException):
    """The agent gave nothing that can be used."""

    default_code = "invalid_response"


class AgentContentFilterException(AgentException):
    """The answer was withheld by a content filter."""

    default_code = "content_filter"


class AgentUnavailableException(AgentException):
    """The agent's service is not available now."""

    default_code = "unavailable"
    default_retryable = True


class ChatClientException(AntiphonException):
    """A language model's client failed."""

    default_code = "chat_client"


class ChatClientInvalidAuthException(ChatClientException):
    """The model's provider refused the key (401, 403)."""

    default_code = "invalid_auth"


class ChatClientInvalidRequestException(ChatClientException):
    """The model's provider refused the request (400, 404, 409, 413, 422)."""

    default_code = "invalid_request"


class ChatClientInvalidResponseException(ChatClientException):
    """The model's provider sent a body or stream that cannot be read."""

    default_code = "invalid_response"


class ChatClientContentFilterException(ChatClientException):
    """The model's provider withheld the answer."""

    default_code = "content_filter"


class ChatClientUnavailableException(ChatClientException):
    """The model's provider cannot be reached, is overloaded, or stalls (408, 429, 5xx, network)."""

    default_code = "unavailable"
    default_retryable = True


class IntegrationException(AntiphonException):
    """A service that is not a language model failed: speech, search, a tool's server, a carrier."""

    default_code = "integration"


class IntegrationInvalidAuthException(IntegrationException):
    """The service refused the credentials."""

    default_code = "invalid_auth"


class IntegrationInvalidRequestException(IntegrationException):
    """The service refused the request."""

    default_code = "invalid_request"


class IntegrationInvalidResponseException(IntegrationException):
    """The service sent something that cannot be read."""

    default_code = "invalid_response"


class IntegrationContentFilterException(IntegrationException):
    """The service withheld the answer."""

    default_code = "content_filter"


class IntegrationUnavailableException(IntegrationException):
    """The service cannot be reached, is overloaded, or stalls."""

    default_code = "unavailable"
    default_retryable = True


class IntegrationInitializationError(IntegrationException):
    """A package, model or device that the service needs is missing or does not start."""

    default_code = "initialization"


class ContentError(AntiphonException):
    """Contents of a message are wrong."""

    default_code = "content"


class AdditionItemMismatch(ContentError):
    """Contents that cannot be joined were joined."""

    default_code = "addition_mismatch"


class WorkflowException(AntiphonException):
    """A workflow failed."""

    default_code = "workflow"


class WorkflowRunnerException(WorkflowException):
    """A workflow's run failed."""

    default_code = "workflow_runner"


class WorkflowConvergenceException(WorkflowRunnerException):
    """A workflow did not end within its supersteps."""

    default_code = "workflow_convergence"


class WorkflowCheckpointException(WorkflowRunnerException):
    """A checkpoint could not be written, read or applied."""

    default_code = "workflow_checkpoint"


class WorkflowValidationError(WorkflowException):
    """A workflow's graph is wrong."""

    default_code = "workflow_validation"


class EdgeDuplicationError(WorkflowValidationError):
    """The same edge was added twice."""

    default_code = "edge_duplication"


class TypeCompatibilityError(WorkflowValidationError):
    """The output of an executor fits no handler of the next."""

    default_code = "type_compatibility"


class GraphConnectivityError(WorkflowValidationError):
    """An executor cannot be reached or is unknown."""

    default_code = "graph_connectivity"


class WorkflowActionError(WorkflowException):
    """A workflow ended itself with an error."""

    default_code = "workflow_action"


class DeclarativeWorkflowError(WorkflowException):
    """A workflow's YAML is wrong; the message names file, line and key."""

    default_code = "declarative_workflow"


class ToolException(AntiphonException):
    """A tool wants the model to read this text."""

    default_code = "tool"


class ToolExecutionException(ToolException):
    """A tool's body failed, and the caller must see it."""

    default_code = "tool_execution"


class MiddlewareException(AntiphonException):
    """Middleware failed."""

    default_code = "middleware"


class MiddlewareTermination(MiddlewareException):
    """Middleware ends the run early, on purpose.

    Args:
        message: For the log.
        result: What the run, the request or the call gives instead: an answer, or a tool's value.
    """

    default_code = "middleware_termination"

    def __init__(self, message: str = "Middleware ended it.", *, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class SettingNotFoundError(AntiphonException):
    """A setting has no value in any source."""

    default_code = "setting_not_found"


class ConfigurationError(AntiphonException):
    """What the user configured cannot work: a wrong file, option, port or setting."""

    default_code = "configuration"


class AudioError(AntiphonException, ValueError):
    """Audio has a format, rate or length that cannot be used."""

    default_code = "audio"
