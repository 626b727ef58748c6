"""The facts of Harbor Dental, the clinic of the demonstration."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Final, Literal, get_args

NAME: Final = "Harbor Dental"

Service = Literal["cleaning", "check-up", "filling", "whitening"]
SERVICES: Final[tuple[str, ...]] = get_args(Service)

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_WEEK: Final = (time(8), time(18))
HOURS: Final[Mapping[str, tuple[time, time] | None]] = {
    **dict.fromkeys(WEEKDAYS[:5], _WEEK),
    "Saturday": (time(9), time(13)),
    "Sunday": None,
}
"""Opening and closing time by day of the week; None is closed."""

FACTS: Final = """\
From Monday to Friday, on weekdays, we open at 8 am and close at 6 pm.
On Saturday we open at 9 am and close at 1 pm.
On Sunday we are closed, so nobody can come on Sunday.
A cleaning costs 95 dollars.
A check-up costs 60 dollars.
A filling costs 180 dollars.
Whitening costs 240 dollars.
We take the insurances Aetna, Cigna and Delta Dental, but no Medicaid.
You can park your car for free behind the building, on Mill Street.
We are located at this address: 12 Harbor Street.
Doctor Ruiz is the dentist who speaks Spanish.
To your first visit, bring a photo ID, your insurance card and a list of your medicines.
If your tooth hurts or you have pain, come in today: we see you on the same day.
I am a robot, the automatic receptionist, not a human or a real person.
"""
"""One sentence a fact, said as a caller should hear it; small models and large ones read it well."""
