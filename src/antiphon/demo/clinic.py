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
- Opening hours: Monday to Friday from 8 am to 6 pm. Saturday from 9 am to 1 pm. On Sunday the clinic is closed.
- Prices: a cleaning costs 95 dollars. A check-up costs 60 dollars. A filling costs 180 dollars. \
Whitening costs 240 dollars.
- Insurance: we take Aetna, Cigna and Delta Dental.
- Parking: you can park for free behind the building, on Mill Street.
- Address: the clinic is at 12 Harbor Street.
- Languages: Doctor Ruiz speaks Spanish.
- First visit: bring a photo ID, your insurance card and a list of your medicines.
- Tooth pain: we see you on the same day. Until then rinse with warm salt water.
"""
