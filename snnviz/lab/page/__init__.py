"""What the page as a whole is made of: buttons, messages, keys, style; may import session."""

from snnviz.lab.page.controls import Buttons, RunChoice
from snnviz.lab.page.frame import Frame
from snnviz.lab.page.herald import Herald
from snnviz.lab.page.messages import Messages
from snnviz.lab.page.moments import TimeMachine, check_moment
from snnviz.lab.page.shells import hear_as_asked
from snnviz.lab.page.speed import SpeedChoice
from snnviz.lab.page.together import made_together
from snnviz.lab.page.waiting import wait_in_cell

__all__ = [
    "Buttons",
    "Frame",
    "Herald",
    "Messages",
    "RunChoice",
    "SpeedChoice",
    "TimeMachine",
    "check_moment",
    "hear_as_asked",
    "made_together",
    "wait_in_cell",
]
