"""What the scripted models of the test server say; scenarios and server agree on it here.

The story is long enough to be interrupted: fifteen sentences of about two seconds each, spoken at 60 ms a letter, and
written by the model at about the pace at which it is spoken.
"""

from __future__ import annotations

AGENT = "front-desk"
KEY = "clients-test-key"

MS_PER_CHAR = 60.0
STORY_TOKEN_S = 0.15

HEARD = "Are you open on Sunday?"
"""What every utterance is heard as."""
ON_SUNDAY = "No, we are closed on Sunday."

MORNING = "Good morning."
GREETED = "Good morning to you, what can I do?"

ASK_STORY = "Please tell me a story."
_NUMBERS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
_THINGS = "river mountain castle forest harbour garden village tower bridge market meadow lantern kitchen letter bell"
STORY = " ".join(
    f"Chapter {number} tells of a {thing}." for number, thing in zip(_NUMBERS.split(), _THINGS.split(), strict=True)
)

ASK_WEATHER = "How is the weather in Lisbon?"
WEATHER_TOOL = "get_weather"
WEATHER_CITY = "Lisbon"
WEATHER = "sunny at 23 degrees"

ASK_PRICE = "How much is a cleaning?"
PRICE = "80 euros"

ASK_SUM = "Add 2 and 3."
SUM_SERVER = "sums"
SUM_TOOL = "sums_add"

TELL_NAME = "My name is Ottilie."
ASK_NAME = "What is my name?"
NAME = "Ottilie"
