"""Values as Grafana writes them, by a panel's unit."""

from collections.abc import Sequence

SHORT: Sequence[tuple[float, str]] = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"), (1, ""))
BYTES: Sequence[tuple[float, str]] = ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B"))
SECONDS: Sequence[tuple[float, str]] = (
    (86_400, " day"),
    (3_600, " hour"),
    (60, " min"),
    (1, " s"),
    (1e-3, " ms"),
)


def said(unit: str, value: float | None) -> str:
    """With three digits at most; a dash where there is none."""
    if value is None:
        return "-"
    if unit == "bool_yes_no":
        return "Yes" if value else "No"
    if unit == "percentunit":
        return f"{_digits(value * 100)}%"
    if unit.startswith("suffix:"):
        return _scaled(value, SHORT) + unit.removeprefix("suffix:")
    return _scaled(value, _scale(unit))


def size_of(unit: str, value: float) -> float:
    """Of what a value is written in: 60 for one in minutes."""
    if unit in ("percentunit", "bool_yes_no"):
        return 1
    return next((size for size, _ in _scale(unit) if abs(value) >= size), 1)


def _scale(unit: str) -> Sequence[tuple[float, str]]:
    return {"s": SECONDS, "bytes": BYTES}.get(unit, SHORT)


def _scaled(value: float, scale: Sequence[tuple[float, str]]) -> str:
    if value == 0:
        return "0" + dict(scale).get(1, "")
    size, name = next((one for one in scale if abs(value) >= one[0]), scale[-1])
    return _digits(value / size) + name


def _digits(value: float) -> str:
    """Three, without zeros at the end."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    whole = f"{value:.3g}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if "e" in whole else whole
