"""What the agent framework promises, line by line, and the tests that show it.

``PROMISES`` is the list: each line of it is kept by the tests beside it, by name. A promise that has no test of its own
elsewhere is shown below.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from antiphon import Agent, AgentSession, Reply, ScriptedChatClient
from antiphon.models.llm.content import Usage
from antiphon.models.llm.scripted import call
from tests.agents.running import add

TESTS = Path(__file__).parents[1]

PROMISES: dict[str, dict[str, tuple[str, ...]]] = {
    "1 text": {
        "text, usage of all steps, the system text first": (
            "agents/test_acceptance.py::test_usage_is_summed_and_the_system_text_comes_first",
            "agents/test_session.py::test_a_text_turn_gives_text_messages_and_usage",
        ),
        "a client of twenty lines without a base class keeps the contract, as every adapter does": (
            "llm/test_contract.py::TestTwentyLines",
            "llm/test_contract.py::TestChatCompletions",
            "llm/test_contract.py::TestResponses",
            "llm/test_contract.py::TestAnthropic",
            "llm/test_contract.py::TestGoogle",
            "llm/test_contract.py::TestScripted",
            "llm/test_contract.py::TestFailover",
        ),
    },
    "2 stream": {
        "50 deltas one by one, the final response is their sum": (
            "agents/test_stream.py::test_fifty_deltas_come_one_by_one_and_the_final_response_is_their_sum",
        ),
        "the first leaves before the second is made": (
            "agents/test_loop.py::test_the_first_words_leave_before_the_model_has_written_the_second",
        ),
    },
    "3 contents": {
        "JSON is an identity, of unknown types too": (
            "llm/test_messages.py::test_every_known_type_is_tried_here",
            "llm/test_messages.py::test_the_json_of_a_content_is_an_identity",
            "llm/test_messages.py::test_what_a_newer_version_has_written_comes_out_as_it_went_in",
        ),
        "audio keeps all": ("llm/test_messages.py::test_audio_keeps_its_transcript_its_alignment_and_what_was_heard",),
    },
    "4 schemas": {
        "golden files": ("tools/test_schema.py::test_schema_equals_the_golden_file",),
        "bad arguments reach the model, not the tool": (
            "tools/test_invoke.py::test_wrong_arguments_reach_the_model_and_the_tool_is_not_called",
        ),
    },
    "5 calls at once": {
        "side by side, results in order": (
            "agents/test_loop.py::test_two_slow_tools_run_side_by_side_and_results_stand_in_the_order_of_calls",
        ),
        "a failing tool leaves the run alive": ("agents/test_loop.py::test_r20_a_failing_tool_leaves_the_run_alive",),
        "exclusive tools never overlap": (
            "agents/test_slow_tools.py::test_exclusive_tools_never_overlap_and_all_start_in_the_order_of_calls",
        ),
    },
    "6 limits": {
        "one last request without tools and with all results": (
            "agents/test_loop.py::test_a_model_that_always_calls_is_asked_once_more_without_tools",
            "agents/test_limits.py::test_calls_beyond_the_limit_do_not_run_even_in_the_same_step",
        ),
        "time ends a run with its words so far": (
            "agents/test_loop.py::test_at_max_seconds_the_run_ends_with_the_text_so_far",
        ),
        "sizes": (
            "agents/test_sizes.py::test_a_message_has_a_mebibyte_of_text_and_nothing_is_written_of_a_longer_one",
            "agents/test_sizes.py::test_an_agent_has_so_many_tools_and_handoffs_and_no_more",
            "agents/test_sizes.py::test_a_schema_has_64_kib_wherever_it_comes_from",
            "agents/test_sizes.py::test_instructions_have_an_end_wherever_they_come_from",
        ),
    },
    "7 slow tools": {
        "timeout within a tenth of a second": (
            "agents/test_slow_tools.py::test_r21_a_tool_that_is_too_slow_is_told_within_a_tenth_of_a_second",
        ),
        "filler once, not after text": (
            "agents/test_loop.py::test_a_filler_is_told_once_when_a_tool_is_slow_and_nothing_was_said",
        ),
        "a sync tool holds up nobody": (
            "tools/test_invoke.py::test_a_slow_sync_tool_is_given_up_and_the_loop_is_not_held_up",
        ),
    },
    "8 later tools": {
        "pending, and the result in the next run": (
            "agents/test_slow_tools.py::test_a_later_tool_is_pending_and_its_result_reaches_the_model_in_the_next_turn",
        ),
    },
    "9 ending early": {
        "every way: stream closed, no task left, user and heard part": (
            "agents/test_ending_early.py::test_the_history_holds_what_was_heard_and_the_next_request_is_valid",
            "agents/test_ending_anywhere.py::test_a_turn_that_ends_after_any_update",
            "agents/test_ending_anywhere.py::test_a_turn_that_ends_at_any_time",
        ),
        "seen by the server": ("llm/test_run_over_http.py::test_a_run_that_is_left_closes_the_request_at_the_server",),
        "no unheard word, corrected later": (
            "agents/test_barge_in.py::test_only_what_was_heard_goes_back_to_the_model",
            "agents/test_barge_in.py::test_the_playbacks_report_may_come_later_and_more_than_once",
        ),
    },
    "10 interruption while tools run": {
        "with and without cancel_on_interrupt, no dangling call": (
            "agents/test_ending_with_tools.py::test_ending_while_tools_run",
            "agents/test_interruption.py::test_an_interruption_lets_calls_go_on_except_those_that_say_otherwise",
        ),
    },
    "11 approval": {
        "asks, runs once, tells a rejection": (
            "agents/test_approval.py::test_the_call_does_not_run_and_a_person_is_asked",
            "agents/test_approval.py::test_an_approved_call_runs_once_and_the_model_sees_all_results_in_order",
            "agents/test_approval.py::test_a_rejection_tells_the_model_why",
        ),
        "refuses other arguments and second answers": (
            "agents/test_approval.py::test_an_approval_of_something_else_is_refused",
            "agents/test_approval.py::test_a_second_answer_and_an_unknown_one_are_refused",
        ),
        "survives the process, standing rules hold": (
            "agents/test_approval.py::test_an_open_approval_survives_into_another_process",
            "agents/test_approval.py::test_an_approval_for_the_session_holds_for_this_tool_and_this_session",
        ),
        "of an agent that runs as a tool": (
            "agents/test_delegate_approval.py::test_the_question_comes_out_and_the_decision_goes_in",
        ),
    },
    "12 many": {
        "100 sessions on one agent": ("agents/test_many.py::test_a_hundred_conversations_on_one_agent_do_not_mix",),
    },
    "13 stores": {
        "one suite for all": (
            "store/test_conversations.py::test_messages_come_back_in_order_and_whole",
            "store/test_conversations.py::test_session_goes_on_where_it_was",
        ),
        "version conflict": ("store/test_conversations.py::test_wrong_version_is_a_conflict_and_writes_nothing",),
        "a raising provider fails its own run only": (
            "store/test_conversations_each.py::test_history_that_fails_costs_its_run_only",
            "agents/test_context_providers.py::test_one_that_fails_ends_this_run_or_is_left_out",
        ),
    },
    "14 compaction": {
        "groups whole, last turns word for word": (
            "agents/test_compaction.py::test_views_of_a_growing_conversation_never_tear_and_fit",
            "agents/test_compaction.py::test_sliding_window_keeps_the_last_turns_and_whole_groups",
        ),
        "facts kept": (
            "agents/test_compaction_learning.py::test_facts_are_gathered_changed_removed_and_survive_every_cut",
        ),
        "no model in front of a request": (
            "agents/test_compaction_learning.py::test_view_never_asks_a_model_and_is_cut_at_once",
        ),
    },
    "15 middleware": {
        "order of three layers": (
            "agents/test_middleware.py::test_three_layers_lie_around_each_other_in_the_order_given",
        ),
        "overwrite, streaming and not": (
            "agents/test_middleware.py::test_agent_middleware_overwrites_the_response",
            "agents/test_middleware.py"
            "::test_agent_middleware_changes_the_stream_and_the_final_response_is_what_was_told",
        ),
        "termination": (
            "agents/test_middleware.py::test_agent_middleware_ends_the_run_with_its_own_answer",
            "agents/test_middleware.py::test_chat_middleware_answers_in_the_models_place",
            "agents/test_middleware.py::test_function_middleware_ends_the_tool_loop",
        ),
    },
    "16 structured": {
        "typed value": ("agents/test_structured.py::test_the_answer_is_a_value_of_the_type",),
        "one repair, then a typed error": (
            "agents/test_structured.py::test_a_wrong_answer_is_repaired_once",
            "agents/test_structured.py::test_a_second_wrong_answer_is_a_typed_error",
        ),
    },
    "17 handoff": {
        "the target answers from the next request on, base agents unchanged": (
            "agents/test_handoff.py::test_from_the_next_request_on_the_target_answers",
        ),
        "ping-pong and caps": (
            "agents/test_handoff.py::test_ping_pong_is_refused_after_two_rounds",
            "agents/test_handoff.py::test_handoffs_of_a_run_are_counted",
        ),
        "other calls of the step first": (
            "agents/test_handoff.py::test_the_other_calls_of_the_step_run_and_further_handoffs_do_not",
        ),
    },
    "18 orchestrations": {
        "golden events": ("agents/orchestrations/test_golden.py::test_the_events_are_those_of_the_golden_file",),
        "concurrent takes the longest time": (
            "agents/orchestrations/test_concurrent.py"
            "::test_it_takes_the_longest_time_and_not_the_sum_and_joins_in_declared_order",
        ),
        "the planner replans after three stalls and stops at its caps": (
            "agents/orchestrations/test_planner.py"
            "::test_three_rounds_without_progress_bring_a_new_plan_and_the_team_begins_anew",
            "agents/orchestrations/test_planner.py::test_after_max_round_count_the_manager_gives_what_there_is",
        ),
    },
    "23 agents in files": {
        "equal to the coded one": (
            "agents/files/test_fields.py::test_a_yaml_agent_has_the_version_of_the_same_agent_in_code",
        ),
        "file, line, nearest key": ("agents/files/test_load.py::test_what_is_wrong_is_told_with_its_line",),
        "only allowed variables": (
            "agents/files/test_environment.py::test_the_operators_setting_says_what_may_be_read",
        ),
        "no way out of the sandbox": ("agents/files/test_templates.py::test_there_is_no_way_out_of_the_sandbox",),
    },
    "24 errors of providers": {
        "each to its leaf": (
            "llm/contract.py::HTTPContract",
            "llm/test_openai_compatible.py::test_a_refusal_becomes_the_right_leaf",
            "llm/test_openai_compatible.py::test_retry_after_is_read",
            "llm/test_openai_compatible.py::test_a_stream_that_cannot_be_read_becomes_the_right_leaf",
        ),
        "asked again before the first word only": (
            "agents/test_loop.py::test_a_failed_request_is_sent_again_before_its_first_word",
            "llm/test_openai_compatible.py::test_a_connection_that_breaks_after_words_raises_after_them",
        ),
    },
    "25 server-sent events": {
        "every variant, every split": (
            "llm/test_openai_compatible.py::test_pieces_of_tool_calls_are_joined",
            "llm/test_openai_compatible.py::test_what_vendors_add_and_leave_out_does_no_harm",
            "llm/test_openai_compatible_sse.py::test_lines_end_in_three_ways",
            "llm/test_openai_compatible_sse.py::test_any_split_gives_the_same_events",
            "llm/test_openai_compatible_sse.py::test_any_split_of_an_answer_gives_the_same_answer",
        ),
    },
    "26 packages": {
        "a missing one is named with its extra": (
            "llm/test_connect.py::test_a_missing_package_is_named_with_its_extra",
            "store/test_conversations_each.py::test_missing_package_names_its_extra",
            "tools/mcp/test_mapping.py::test_missing_package_is_told_by_the_constructor",
        ),
        "import antiphon loads little": (
            "test_repository.py::test_importing_antiphon_loads_no_heavy_package",
            "test_public_face.py::test_the_newcomers_names_load_no_vendor_and_no_network",
        ),
    },
    "27 telemetry": {
        "tree, attributes, metrics": (
            "agents/test_observability.py::test_a_tool_turn_is_a_tree",
            "agents/test_observability.py::test_a_requests_span_says_what_was_asked_and_answered",
            "agents/test_observability.py::test_metrics_have_the_bounds_of_the_conventions",
        ),
        "no text unless wanted": ("agents/test_observability_content.py::test_no_text_leaves_unless_it_is_wanted",),
        "nothing is loaded when nobody watches": (
            "agents/test_observability.py::test_nothing_of_opentelemetry_is_loaded_when_nobody_watches",
        ),
    },
    "29 MCP": {
        "stdio: listed, filtered, called, cancelled": (
            "tools/mcp/test_stdio.py::test_all_pages_are_listed_with_a_prefix",
            "tools/mcp/test_stdio.py::test_filter_prefix_and_approval",
            "tools/mcp/test_stdio.py::test_a_cancelled_call_frees_its_caller_and_the_server_is_told",
        ),
        "HTTP: the same": ("tools/mcp/test_http.py::test_tools_are_listed_called_and_cancelled",),
        "a dead server, and the end": (
            "tools/mcp/test_stdio.py::test_dead_server_has_no_tools_and_the_run_goes_on",
            "tools/mcp/test_stdio.py::test_nothing_is_left_when_the_loop_ends_without_a_close",
        ),
    },
    "30 figures": {
        "a target that is missed by more than a quarter fails": (
            "benchmarks/test_agent_loop_report.py::test_a_target_may_be_missed_by_a_quarter",
            "benchmarks/test_agent_loop_report.py::test_a_check_names_what_is_missed_and_what_was_not_measured",
        ),
    },
    "31 size": {
        "files and functions": (
            "agents/test_loop_size.py::test_the_loop_has_at_most_800_lines_of_code",
            "agents/test_loop_size.py::test_no_file_has_more_than_500_lines_and_no_function_more_than_80",
        ),
    },
    "requests to the network": {
        "no private address, not by redirect, not by a name that changes": (
            "tools/test_guarded_http.py::test_a_redirect_to_what_is_not_public_is_denied",
            "tools/test_guarded_http.py::test_a_name_that_changes_after_the_check_cannot_lead_inside",
            "tools/test_network_guard.py::test_reserved_ipv4_is_refused_also_inside_ipv6",
        ),
    },
    "command line": {
        "chat": ("cli/test_chat.py::test_messages_are_answered_in_one_conversation_with_the_tools_shown",),
        "validate": ("cli/test_validate.py::test_what_is_wrong_is_told_with_file_and_line_and_the_exit_code_is_1",),
    },
}


@cache
def names_in(path: str) -> frozenset[str]:
    """The functions and classes at the top of a file of tests."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


@pytest.mark.parametrize("line", PROMISES)
def test_each_promise_has_its_tests(line: str) -> None:
    for promise, tests in PROMISES[line].items():
        missing = [test for test in tests if test.partition("::")[2] not in names_in(test.partition("::")[0])]
        assert (promise, missing) == (promise, [])


async def test_usage_is_summed_and_the_system_text_comes_first() -> None:
    one = Reply(calls=(call("add", a=2, b=3),), usage=Usage(10, 4, cache_read_tokens=8, other={"audio": 1}))
    client = ScriptedChatClient([one, Reply("Five.", usage=Usage(20, 2, reasoning_tokens=1, other={"audio": 2}))])
    response = await Agent("desk", "Be kind.", tools=[add], model=client).run("2+3?", session=AgentSession())
    assert response.text == "Five."
    assert response.usage == Usage(30, 6, cache_read_tokens=8, reasoning_tokens=1, other={"audio": 3})
    for request in client.requests:
        assert [message.role == "system" for message in request.messages].index(True) == 0
        assert [message.text for message in request.messages if message.role == "system"] == ["Be kind."]
