"""The demo's table is redrawn in place on a terminal and written sparsely elsewhere."""

import io

from hack.demo.show import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_redraws_in_place_on_a_terminal() -> None:
    out = Terminal()
    screen = Screen(out, Clock())
    screen.draw(["head", "one"], sizes=0)
    screen.draw(["head", "two"], sizes=0)

    assert out.getvalue() == ("\x1b[2Khead\n\x1b[2Kone\n" + "\x1b[2F" + "\x1b[2Khead\n\x1b[2Ktwo\n")


def test_what_is_said_stays_below_the_table() -> None:
    out = Terminal()
    screen = Screen(out, Clock())
    screen.draw(["head", "one"], sizes=0)
    screen.say("done")
    screen.draw(["head", "two"], sizes=0)

    assert "\x1b[2F" not in out.getvalue()


def test_elsewhere_a_row_comes_at_once_with_a_new_size_else_now_and_then() -> None:
    out, clock = io.StringIO(), Clock()
    screen = Screen(out, clock)
    for seconds, sizes, row in ((0, 1, "a"), (0.5, 1, "b"), (1, 2, "c"), (2, 2, "d"), (3, 2, "e")):
        clock.now = 100.0 + seconds
        screen.draw(["head", row], sizes)

    assert out.getvalue().splitlines() == [
        "   time  head",
        "  0.0 s  a",
        "  1.0 s  c",
        "  3.0 s  e",
    ]
