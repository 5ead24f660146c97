"""What is said of an answer."""

from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Reply:
    """What is said of an answer.

    Attributes:
        right: whether it is right.
        text: why it is, or a hint.
    """

    right: bool
    text: str

    def __repr__(self) -> str:
        return f"{'Correct' if self.right else 'Not yet'}. {self.text}"
