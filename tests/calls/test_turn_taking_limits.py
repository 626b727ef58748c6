"""Where a conversation meets its limits: lost words, endless turns, silent agents, silent callers, and the end."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from antiphon.calls import floor as f
from antiphon.calls.floor import Phase
from antiphon.calls.turn_taking import TurnTaking
from tests.calls.script import HANGS, HOURS, NEVER, Answer, Script, asked, manners

OFF = manners(interruption="off")
LONG = manners(max_turn_s=5.0)


# The recogniser.


def test_late_final_words_end_the_turn_when_they_come() -> None:
    script = Script().at(1.0).voice(until=2.0, words=HOURS, final_after=1.5).run(10)
    assert script.when(f.Commit) == pytest.approx(3.75)


def test_words_that_never_become_final_are_taken_as_they_are() -> None:
    script = Script()
    script.at(1.0).voice(until=2.0, final_after=None, partials={1.8: "What time", 2.4: "What time do you open"})
    script.run(10)
    assert script.commits() == ["What time do you open"]
    assert script.when(f.Commit) == pytest.approx(2.25 + 2.5)


@pytest.mark.parametrize(
    "options", [{"final_after": None}, {"failed": True}, {"final_after": 4.0}], ids=["lost", "failed", "too late"]
)
def test_a_turn_without_words_is_apologised_for(options: dict[str, object]) -> None:
    script = Script().at(1.0).voice(until=2.0, words=HOURS, **options).run(10)  # type: ignore[arg-type]
    assert script.acts(f.Say) == [f.Say("apology")]
    assert script.phase is Phase.IDLE
    assert not script.commits()


def test_a_recogniser_that_fails_at_the_end_leaves_the_words_it_had() -> None:
    script = Script()
    script.at(1.0).voice(until=2.0, failed=True, partials={1.8: "What time do you open"})
    assert script.run(10).commits() == ["What time do you open"]


def test_an_utterance_that_is_lost_does_not_take_the_next_one_with_it() -> None:
    script = Script()
    script.at(1.0).voice(until=2.0, final_after=None, partials={1.8: "I would like to"})
    script.at(2.5).voice(until=3.5, words="book a cleaning.", partials={3.4: "book a"})
    assert script.run(10).commits() == ["I would like to book a cleaning."]


def test_the_recogniser_may_be_late_while_the_caller_speaks_on() -> None:
    script = Script()
    script.at(1.0).voice(until=2.0, final_after=None, partials={1.8: "I would like to"})
    script.at(2.5).voice(until=8.0, words="book a cleaning.")  # it should have answered at 4.75
    script.run(12)
    assert script.commits() == ["I would like to book a cleaning."]
    assert script.when(f.Commit) == pytest.approx(8.4)


def test_two_utterances_may_be_outstanding() -> None:
    script = Script(hears_after=1.2)
    script.at(1.0).voice(until=1.5, words="I need")
    script.at(2.0).voice(until=2.4, words="an appointment.", partials={2.3: "an"})
    script.run(10)
    assert script.commits() == ["I need an appointment."]
    assert script.when(f.Commit) == pytest.approx(2.65 + 1.2)


def test_a_backchannel_does_not_hide_the_words_behind_it() -> None:
    script = asked(hears_after=0.9)
    script.at(4.0).voice(until=4.2, words="Uh-huh.")
    script.at(4.6).voice(until=4.9, words="What about Sundays?")
    script.run(8)
    assert script.story() == "Commit NoteOverlap NoteOverlap Interrupt Commit"
    assert script.commits() == [HOURS, "What about Sundays?"]


def test_final_words_that_come_into_the_next_overlap_count() -> None:
    script = asked(hears_after=0.8)
    script.at(3.3).voice(until=3.5, words="Stop.")
    script.at(4.3).voice(until=4.7, words="On Sundays?")  # the final of the first comes at 4.55
    assert script.run(8).commits() == [HOURS, "Stop. On Sundays?"]

    script = asked(hears_after=0.8)
    script.at(4.9).voice(until=5.1, words="Uh-huh.")
    script.at(5.9).voice(until=7.0, words="On Sundays?")  # over the end of the agent's speech, at 6.35
    script.run(12)
    assert script.story() == "Commit NoteOverlap Commit"
    assert script.commits() == [HOURS, "On Sundays?"]


def test_words_over_the_agent_that_never_become_final_are_answered_behind_it() -> None:
    script = asked(replace(OFF, final_timeout_s=0.8))
    script.at(3.0).voice(until=3.5, final_after=None, partials={3.4: "And", 3.9: "And on Sundays"})
    assert script.run(6).commits() == [HOURS, "And on Sundays"]

    script = asked(replace(OFF, final_timeout_s=0.8))
    script.at(3.0).voice(until=3.5, final_after=None, partials={3.4: "And on Sundays"})
    script.at(4.2).voice(until=4.6, final_after=None, partials={4.5: "Uh-huh"})
    assert script.run(6).commits() == [HOURS, "And on Sundays"]


def test_a_held_reply_goes_on_when_the_recogniser_says_nothing() -> None:
    script = asked().at(3.5).voice(until=4.2, final_after=None).run(12)
    assert script.story() == "Commit Pause Resume"
    assert script.when(f.Resume) == pytest.approx(4.45 + 2.5)


def test_a_recogniser_that_is_late_does_not_resume_over_the_caller() -> None:
    script = asked(manners(final_timeout_s=0.5, false_interruption_s=2.0))
    script.at(3.5).voice(until=4.2, final_after=None)
    script.at(4.6).voice(until=5.8, words="On Sundays?", partials={5.4: "On"})
    script.run(8)
    assert not script.acts(f.Resume)
    assert script.commits() == [HOURS, "On Sundays?"]


# Too long a turn.


def test_a_turn_that_is_too_long_is_answered() -> None:
    script = Script(LONG).at(1.0).voice(until=8.0, words=["On and on", "and on."]).run(7)
    commit = script.only(f.Commit)
    assert (commit.text, commit.trigger) == ("On and on", "max_duration")
    assert script.when(f.Commit) == pytest.approx(1.06 + 5.0 + 0.15)


def test_the_rest_of_a_turn_that_was_too_long_is_heard_too() -> None:
    script = Script(LONG, answers=(Answer(after=3.0), Answer()))
    script.at(1.0).voice(until=8.0, words=["On and on", "and on."])
    assert script.run(12).commits() == ["On and on", "On and on and on."]


def test_an_answer_to_a_turn_that_was_too_long_holds_its_ground() -> None:
    script = Script(LONG, answers=(Answer(seconds=4.0), Answer()))
    script.at(1.0).voice(until=9.0, words=["On and on", "and on."], partials={7.5: "and"})
    script.run(9.2)
    assert script.story() == "Commit"
    assert script.phase is Phase.OVERLAP
    assert script.run(15).commits() == ["On and on", "and on."]


def test_an_answer_under_a_caller_who_does_not_stop_ends_with_the_caller_on_the_floor() -> None:
    script = Script(LONG, answers=(Answer(seconds=1.0, rest=(0.5, 1.0)),))
    script.at(1.0).voice(until=20.0, words=["On and on", "and on", "and on", "and on."])
    script.run(11)
    assert script.phases() == "idle hearing pausing thinking overlap thinking overlap hearing"
    assert script.run(30).commits()[0] == "On and on"


def test_an_empty_answer_under_a_caller_who_does_not_stop_gives_the_floor_back() -> None:
    script = Script(LONG).at(1.0).voice(until=9.0, words=["On and on", "and on."])
    script.at(6.3).happens(f.SpeechFinished(6.3, more=False))
    assert script.run(6.4).phase is Phase.HEARING
    assert script.run(11).commits() == ["On and on", "and on."]


def test_pauses_do_not_make_a_turn_longer_than_allowed() -> None:
    script = Script(manners(max_turn_s=4.8))
    for start in range(1, 9):
        script.at(start).voice(until=start + 0.4, words="and")
    script.run(5.9)
    assert script.only(f.Commit) == f.Commit("and and and and and", "and and and and and", "max_duration", None)
    assert script.when(f.Commit) == pytest.approx(5.86)  # in a pause, with all words known


def test_a_turn_that_is_ended_while_its_words_are_awaited_waits_for_them() -> None:
    script = Script(LONG, hears_after=1.0)
    script.at(1.0).voice(until=5.6, words="On and on")
    script.at(6.3).voice(until=7.5, words="and on.")  # behind the limit, before the words
    script.run(8)
    assert script.acts(f.Commit)[0] == f.Commit("On and on", "On and on", "max_duration", None)
    assert script.when(f.Commit) == pytest.approx(6.85)
    assert script.run(16).commits()[1:] == ["and on."]


def test_a_caller_who_stops_just_behind_the_limit_is_heard_whole() -> None:
    script = Script(LONG, hears_after=0.5)
    script.at(1.0).voice(until=5.9, words=["On and on", "and on."])  # forced at 6.06, silent at 6.15
    assert script.run(8).commits() == ["On and on and on."]
    assert script.phases() == "idle hearing pausing thinking speaking"


def test_endless_noise_is_no_turn() -> None:
    script = Script(LONG).at(1.0).voice(until=20.0).run(60)
    assert not script.commits()
    assert script.phases().startswith("idle hearing pausing hearing pausing hearing")


# Dead air.


def test_silence_of_the_agent_is_filled_then_apologised_for_then_ended() -> None:
    script = asked(answers=(HANGS,), phrases={"apology": HANGS}).run(20)
    assert script.story() == "Commit Say CancelReply Say Interrupt SayGoodbye HangUp"
    assert script.acts(f.Say) == [f.Say("filler"), f.Say("apology")]
    assert script.when(f.Say) == pytest.approx(2.0 + 3.0)  # after the caller's last sound
    assert script.only(f.HangUp).reason == "error"


def test_the_caller_never_waits_longer_than_allowed_for_a_sound() -> None:
    script = asked(answers=(HANGS,)).run(11)
    sounds = [
        step.at for step in script.steps if isinstance(step.event, f.SpeechStarted | f.SpeechFinished | f.VoiceStopped)
    ]
    assert max(after - before for before, after in pairwise(sounds)) <= 4.0


def test_an_apology_gives_the_floor_back_and_costs_the_call_nothing() -> None:
    script = asked(answers=(HANGS, HANGS, Answer())).run(12)
    assert script.phase is Phase.IDLE
    script.at(12.0).voice(until=13.0, words=HOURS)
    script.run(30)
    assert [action.kind for action in script.acts(f.Say)] == [*("filler", "apology"), *("filler", "apology")]  # type: ignore[union-attr]
    script.at(30.0).voice(until=31.0, words=HOURS)
    script.run(38)
    assert script.phase is Phase.IDLE
    assert script.commits() == [HOURS] * 3  # nothing of a turn that was given up comes back


def test_no_filler_where_there_is_none() -> None:
    script = asked(manners(dead_air_fillers=0), answers=(HANGS,)).run(7)
    assert script.acts(f.Say) == [f.Say("apology")]


def test_one_lost_turn_too_many_ends_the_call() -> None:
    for lost in (HANGS, Answer(after=NEVER, fails=0.5)):
        script = asked(answers=(lost,)).run(14)
        for start in (14.0, 28.0):
            script.at(start).voice(until=start + 1, words=HOURS)
            script.run(start + 14)
        assert [action for action in script.acts(f.Say) if action == f.Say("apology")] == [f.Say("apology")] * 2
        assert script.only(f.SayGoodbye).reason == "error"
        assert script.only(f.HangUp).reason == "error"


def test_a_stall_in_the_middle_of_a_reply_is_filled_and_given_up_with_what_was_heard() -> None:
    script = asked(answers=(Answer(seconds=1.0, rest=(NEVER, 1.0)),)).run(15)
    assert script.story() == "Commit Say Interrupt Say"
    assert script.when(f.Say) == pytest.approx(3.7 + 3.0)


def test_a_reply_right_behind_its_filler_is_a_reply() -> None:
    filler = Answer(0.1, 1.0, text="One moment.")
    for begun, until in ((6.3, 6.9), (5.9, 6.9)):  # over the reply, and over both
        script = asked(answers=(Answer(after=3.2), Answer()), phrases={"filler": filler})  # 5.1 to 6.1, then the reply
        script.at(begun).voice(until=until, words="And on Sundays?", partials={begun + 0.45: "And on Sundays"})
        script.run(8)
        assert script.story() == "Commit Say NoteOverlap Interrupt Commit"
        assert script.commits() == [HOURS, "And on Sundays?"]


def test_a_stall_that_ends_by_itself_is_only_filled() -> None:
    script = asked(answers=(Answer(seconds=1.0, rest=(5.0, 1.0)),)).run(15)
    assert script.story() == "Commit Say"
    assert script.phase is Phase.IDLE


def test_sound_in_a_stall_holds_the_rest_back() -> None:
    script = asked(answers=(Answer(seconds=1.0, rest=(2.5, 1.0)),))
    script.at(3.5).voice(until=4.2)  # begins over the sound, the stall is at 3.7
    script.run(12)
    assert script.story() == "Commit Pause Resume"
    assert script.only(f.Resume).false_interruption is False


def test_a_reply_that_fails_is_apologised_for() -> None:
    script = asked(answers=(Answer(after=NEVER, fails=0.5),)).run(8)
    assert script.story() == "Commit Say"
    assert script.acts(f.Say) == [f.Say("apology")]
    assert script.phase is Phase.IDLE


def test_a_reply_that_breaks_off_is_apologised_for_behind_what_was_made() -> None:
    for voice in (None, (3.8, 4.1), (3.3, 4.6)):  # the agent is alone, under the caller, held
        script = asked(answers=(Answer(fails=1.6),))  # at 4.0, of 2.7 to 5.7
        if voice is not None:
            script.at(voice[0]).voice(until=voice[1])
        script.run(12)
        assert script.acts(f.Say) == [f.Say("apology")]
        assert script.phase is Phase.IDLE
        finished = [step.at for step in script.steps if isinstance(step.event, f.SpeechFinished)]
        assert finished[0] > 6.6  # the rest of the reply, then the apology


def test_a_reply_is_apologised_for_once() -> None:
    for begun, until in ((3.8, 4.1), (3.3, 4.6)):
        script = asked().at(begun).voice(until=until)
        script.at(3.95).happens(f.ReplyFailed(3.95)).at(4.0).happens(f.ReplyFailed(4.0))
        assert script.run(12).acts(f.Say) == [f.Say("apology")]


def test_an_apology_that_fails_is_not_apologised_for() -> None:
    script = asked(answers=(Answer(after=NEVER, fails=0.5),), phrases={"apology": Answer(after=NEVER, fails=0.1)})
    script.run(8)
    assert script.acts(f.Say) == [f.Say("apology")]


# Nobody speaks.


def test_a_caller_who_says_nothing_is_reminded_and_then_left() -> None:
    script = Script(manners(idle_s=10.0)).run(60)
    assert script.story() == "NoteIdle Say NoteIdle Say NoteIdle SayGoodbye HangUp"
    assert script.acts(f.NoteIdle) == [f.NoteIdle(1, False), f.NoteIdle(2, False), f.NoteIdle(2, True)]
    assert [when for when, _ in script.timed(f.NoteIdle)] == [10.0, 21.1, 32.2]  # counted from the agent's last sound
    assert script.only(f.HangUp).reason == "idle_timeout"


def test_a_sign_of_life_starts_the_reminders_anew() -> None:
    script = Script(manners(idle_s=10.0))
    script.at(15.0).key()
    script.run(26)
    assert script.acts(f.NoteIdle) == [f.NoteIdle(1, False), f.NoteIdle(1, False)]
    script.at(28.0).voice(until=28.5, words="I am here.")
    script.run(45)
    assert script.acts(f.NoteIdle)[2:] == [f.NoteIdle(1, False)]


def test_without_a_limit_nobody_is_reminded() -> None:
    script = Script(manners(idle_s=0.0)).at(5.0).key().run(1000)
    assert not script.acts()


def test_without_reminders_an_idle_call_ends() -> None:
    script = Script(manners(idle_s=10.0, idle_reminders=0)).run(60)
    assert script.story() == "NoteIdle SayGoodbye HangUp"
    assert script.acts(f.NoteIdle) == [f.NoteIdle(0, True)]


def test_a_caller_who_answers_the_reminder_before_it_sounds_is_heard() -> None:
    script = Script(manners(idle_s=10.0), phrases={"reminder": Answer(1.5, 1.0)})
    script.at(10.2).voice(until=11.0, words=HOURS)
    assert script.run(14).commits() == [HOURS]


# The application speaks.


def test_the_application_may_speak_into_the_silence() -> None:
    script = Script().at(3.0).speak().run(12)
    assert script.phases() == "idle thinking speaking idle"
    assert not script.acts(f.Say)


def test_news_is_told_when_nobody_speaks() -> None:
    script = Script().at(3.0).happens(f.AgentHasNews(3.0)).run(12)
    assert script.phases() == "idle thinking speaking idle"
    assert script.when(f.TellNews) == 3.0
    assert not script.acts(f.Say)


def test_news_waits_while_somebody_speaks() -> None:
    script = asked()
    for when in (1.5, 2.4, 2.6, 4.0):
        script.at(when).happens(f.AgentHasNews(when))
    assert script.run(12).story() == "Commit"


def test_a_caller_who_speaks_before_the_news_is_heard_takes_the_floor() -> None:
    script = Script(answers=(Answer(after=2.0), Answer())).at(3.0).happens(f.AgentHasNews(3.0))
    script.at(3.5).voice(until=4.5, words=HOURS)
    script.run(12)
    assert script.story() == "TellNews Pause NoteOverlap Interrupt Commit"
    assert script.commits() == [HOURS]


def test_news_that_does_not_come_is_not_waited_for_in_silence() -> None:
    script = Script(answers=(HANGS,)).at(3.0).happens(f.AgentHasNews(3.0)).run(8)
    assert script.story().startswith("TellNews Say")


def test_sound_that_nobody_announced_is_speech_as_well() -> None:
    script = Script().at(3.0).happens(f.SpeechStarted(3.0, "say")).run(20)
    assert script.phase is Phase.SPEAKING
    assert not script.acts(f.NoteIdle)


def test_the_application_that_speaks_into_the_callers_turn_does_not_disturb_it() -> None:
    script = Script().at(1.0).voice(until=3.0, words=HOURS)
    script.at(2.0).speak(Answer(0.1, 0.5, text="By the way."))
    assert script.run(10).commits() == [HOURS]
    assert script.phase is Phase.IDLE


# The end.


def test_a_call_that_ends_while_the_reply_is_heard_ends_behind_it() -> None:
    script = asked().at(3.5).end().run(20)
    assert script.story() == "Commit HangUp"
    assert script.when(f.HangUp) == pytest.approx(5.7)
    assert script.only(f.HangUp).reason == "agent_hangup"


def test_a_goodbye_is_said_behind_the_reply() -> None:
    script = asked().at(3.5).end("time_limit", goodbye=True).run(20)
    assert script.story() == "Commit SayGoodbye HangUp"
    assert script.when(f.HangUp) == pytest.approx(6.7)
    assert script.only(f.HangUp).reason == "time_limit"


def test_a_call_that_ends_before_the_reply_is_heard_waits_for_it() -> None:
    script = asked(answers=(Answer(after=1.5),)).at(3.0).end().run(20)
    assert script.story() == "Commit HangUp"
    assert script.when(f.HangUp) == pytest.approx(6.9)


def test_nothing_interrupts_an_agent_that_says_goodbye() -> None:
    script = asked().at(3.5).end()
    script.at(4.0).voice(until=5.2, words="Wait, stop!", partials={4.4: "Wait"})
    script.run(20)
    assert script.story() == "Commit HangUp"
    assert script.when(f.HangUp) == pytest.approx(5.7)


def test_sound_does_not_hold_a_goodbye_that_is_about_to_be_said() -> None:
    script = asked(answers=(Answer(after=1.5),)).at(3.0).end()
    script.at(3.1).voice(until=6.0, words="Wait!")
    script.run(20)
    assert script.story() == "Commit HangUp"
    assert script.phases() == "idle hearing pausing thinking overlap speaking ended"
    assert script.when(f.HangUp) == pytest.approx(6.9)


def test_a_call_that_ends_while_the_caller_is_over_the_agent_ends_behind_it() -> None:
    script = asked().at(5.0).voice(until=7.0)
    script.at(5.3).end()
    script.run(20)
    assert script.story() == "Commit HangUp"
    assert script.when(f.HangUp) == pytest.approx(5.7)


def test_a_held_reply_is_heard_out_when_the_call_is_to_end() -> None:
    script = asked().at(3.5).voice(until=5.0)
    script.at(4.2).end("drained", goodbye=True)
    script.run(20)
    assert script.story() == "Commit Pause Resume SayGoodbye HangUp"
    assert script.when(f.HangUp) == pytest.approx(5.7 + 0.2 + 1.0)


def test_a_call_ends_at_once_where_the_agent_has_nothing_to_say() -> None:
    for script in (
        Script(),
        Script().at(1.0).voice(until=9.0, words=HOURS),
        Script(hears_after=9.0).at(1.0).voice(until=3.0, words=HOURS),
    ):
        script.at(5.0).end("drained")
        assert script.run(20).acts(f.HangUp) == [f.HangUp("drained")]
        assert script.when(f.HangUp) == 5.0


def test_a_goodbye_is_said_in_the_callers_turn() -> None:
    for script in (
        Script(),
        Script().at(1.0).voice(until=9.0, words=HOURS),
        Script(hears_after=0.1).at(1.0).voice(until=4.5, words="I need an appointment"),
    ):
        script.at(5.0).end("time_limit", goodbye=True)
        script.run(20)
        assert script.story() == "SayGoodbye HangUp"
        assert script.when(f.HangUp) == pytest.approx(6.1)
    assert [type(action) for action in script.acts(f.Speculate, f.DropSpeculation)] == [f.Speculate, f.DropSpeculation]


def test_a_call_may_end_before_it_has_begun() -> None:
    before = -1.0
    assert Script().at(before).end("drained").run(1).story() == "HangUp"
    assert Script().at(before).end("drained", goodbye=True).run(3).story() == "SayGoodbye HangUp"
    assert Script().at(before).line_lost().run(1).story() == "HangUp"


def test_the_first_reason_to_end_is_the_reason() -> None:
    for after in (0.3, 1.5):
        script = asked(answers=(Answer(after=after),))
        script.at(3.0).end("agent_hangup")
        script.at(3.2).end("time_limit", goodbye=True)
        assert script.run(20).story() == "Commit HangUp"
        assert script.only(f.HangUp).reason == "agent_hangup"
    script = asked().at(3.3).voice(until=3.7)
    script.at(3.4).end("agent_hangup")
    script.at(3.5).end("time_limit", goodbye=True)
    assert script.run(20).only(f.HangUp).reason == "agent_hangup"


def test_an_agent_that_says_nothing_at_the_end_is_not_waited_for() -> None:
    script = asked(answers=(HANGS,)).at(2.8).end()
    script.at(3.0).happens(f.SpeechFinished(3.0, more=False))
    assert script.run(20).when(f.HangUp) == 3.0


def test_a_goodbye_may_begin_under_the_caller() -> None:
    script = asked().at(3.5).end("time_limit", goodbye=True)
    script.at(5.5).voice(until=6.3)
    script.run(20)
    assert script.phases() == "idle hearing pausing thinking speaking overlap speaking ended"
    assert script.when(f.HangUp) == pytest.approx(6.7)


def test_an_agent_that_fails_at_the_end_is_not_waited_for() -> None:
    script = asked(answers=(Answer(after=NEVER, fails=1.0),)).at(2.8).end().run(20)
    assert script.story() == "Commit HangUp"
    assert script.when(f.HangUp) == pytest.approx(3.4)


def test_a_goodbye_is_said_even_if_the_reply_before_it_fails() -> None:
    goodbye = Answer(2.0, 1.0)
    script = asked(answers=(Answer(after=NEVER, fails=1.0),), phrases={"goodbye": goodbye})
    script.at(2.8).end("time_limit", goodbye=True)
    script.run(20)
    assert script.story() == "Commit SayGoodbye HangUp"
    assert script.when(f.HangUp) == pytest.approx(5.8)


def test_a_reply_that_breaks_off_at_the_end_is_not_apologised_for() -> None:
    script = asked(answers=(Answer(fails=1.6),)).at(3.5).end().run(20)
    assert script.story() == "Commit HangUp"


def test_a_goodbye_that_cannot_be_said_does_not_keep_the_line() -> None:
    for goodbye in (Answer(after=NEVER), Answer(after=NEVER, fails=0.5)):
        script = Script(phrases={"goodbye": goodbye}).at(1.0).end("time_limit", goodbye=True)
        assert script.run(60).story() == "SayGoodbye HangUp"
        assert script.when(f.HangUp) <= 13.0


def test_a_goodbye_that_breaks_ends_the_call() -> None:
    script = Script(phrases={"goodbye": HANGS}).at(1.0).end("time_limit", goodbye=True)
    script.at(2.0).happens(f.ReplyFailed(2.0))
    assert script.run(60).when(f.HangUp) == 2.0


def test_a_goodbye_may_stall() -> None:
    script = Script(phrases={"goodbye": Answer(0.1, 1.0, rest=(1.0, 1.0))})
    script.at(1.0).end("time_limit", goodbye=True)
    assert script.run(60).when(f.HangUp) == pytest.approx(4.1)


def test_silence_before_the_end_is_filled_once() -> None:
    script = asked(answers=(HANGS,)).at(3.0).end().run(60)
    assert script.story() == "Commit Say HangUp"
    assert script.acts(f.Say) == [f.Say("filler")]
    assert script.only(f.HangUp).reason == "agent_hangup"


def test_a_call_that_was_to_end_is_ended_whatever_still_sounds() -> None:
    endless = Answer(seconds=1000.0)
    for policy in (manners(), manners(max_dead_air_s=100.0)):
        for script in (
            asked(policy, answers=(endless,)),
            asked(policy, answers=(endless,)).at(3.3).voice(until=50.0),
            asked(policy, answers=(Answer(after=NEVER),)),
        ):
            script.at(3.5).end()
            script.run(60)
            assert script.when(f.HangUp) <= 15.5
    script = Script(phrases={"goodbye": endless}).at(1.0).end("time_limit", goodbye=True)
    assert script.run(60).when(f.HangUp) == 13.0


def in_every_phase() -> list[tuple[Phase, Script, float]]:
    """A call in each phase, and when it is there."""
    return [
        (Phase.IDLE, Script(), 3.0),
        (Phase.HEARING, asked(), 1.5),
        (Phase.PAUSING, asked(), 2.3),
        (Phase.THINKING, asked(), 2.5),
        (Phase.SPEAKING, asked(), 3.0),
        (Phase.OVERLAP, asked().at(3.5).voice(until=5.0, words="No."), 3.7),
        (Phase.HELD, asked().at(3.5).voice(until=5.0, words="No."), 4.2),
        (Phase.ENDING, Script().at(1.0).end("time_limit", goodbye=True), 1.05),
    ]


def test_a_lost_line_ends_the_call_in_every_phase() -> None:
    for phase, script, when in in_every_phase():
        assert script.run(when).phase is phase
        script.at(when).line_lost()
        script.run(60)
        assert script.acts()[-1] == f.HangUp("user_hangup")
        assert len(script.acts(f.HangUp)) == 1


def test_a_call_can_be_ended_in_every_phase() -> None:
    for goodbye in (False, True):
        for phase, script, when in in_every_phase():
            assert script.run(when).phase is phase
            script.at(when).end("drained", goodbye=goodbye)
            script.run(when + 12.1)
            assert script.only(f.HangUp).reason == ("time_limit" if phase is Phase.ENDING else "drained")


def test_nothing_is_done_behind_the_end() -> None:
    script = asked().at(2.0).line_lost()
    script.at(3.0).speak()
    script.at(4.0).voice(until=5.0, words="Hello?")
    script.at(6.0).end(goodbye=True)
    assert script.run(60).acts() == [f.HangUp("user_hangup")]


def test_speech_events_behind_an_interruption_change_nothing() -> None:
    for late in (f.SpeechFinished(4.31, False, "We open"), f.SpeechStarted(4.31, "reply"), f.ReplyFailed(4.31)):
        script = asked().at(3.5).voice(until=5.5, words="On Sundays?", partials={4.3: "On"})
        script.at(4.31).happens(late)
        script.run(5)
        assert script.phase is Phase.HEARING
        assert script.run(12).commits() == [HOURS, "On Sundays?"]


def test_words_of_no_utterance_change_nothing() -> None:
    for phase, script, when in in_every_phase():
        for final in (False, True):
            for utterance in (-1, 99):
                script.at(when).happens(f.Heard(when, "Stop.", final, utterance))
        script.run(when)
        assert script.phase is phase
        assert not any(step.actions for step in script.steps if isinstance(step.event, f.Heard) and step.at == when)
        assert not any("Stop." in text for text in script.run(30).commits())


def test_a_timer_that_was_stopped_on_its_way_changes_nothing() -> None:
    floor = TurnTaking(manners())
    floor.on(f.Opened(0.0, False))
    floor.on(f.VoiceStarted(1.0, 0.9))
    assert floor.on(f.Timeout(15.0, "idle")) == []
    assert floor.phase is Phase.HEARING
