"""The part of SVG that the charts need: escaped elements, scales and their ticks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mixkd.console import visible


def escaped(text: str) -> str:
    """Return a text for HTML and SVG, with markup and control characters escaped."""
    return escape(visible(text))


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """Return an element; ``class_`` and ``stroke_width`` become ``class`` and ``stroke-width``.

    Args:
        name: The tag.
        content: Markup inside, already escaped.
        attributes: Values, escaped here; numbers are rounded to a tenth of a unit.
    """
    pairs = ""
    for key, value in attributes.items():
        pairs += f' {key.rstrip("_").replace("_", "-")}="{escaped(_value(value))}"'
    return f"<{name}{pairs}>{content}</{name}>" if content else f"<{name}{pairs}/>"


def text(content: str, x: float, y: float, **attributes: object) -> str:
    """Return a text element; the content is escaped here."""
    return element("text", escaped(content), x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> str:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def path(points: Sequence[tuple[float, float]], *, closed: bool = False, **attributes: object) -> str:
    """Return a path of straight lines."""
    steps = "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return element("path", d=f"M{steps}{'Z' if closed else ''}", **attributes)


def drawing(parts: Sequence[str], *, width: int, height: int, title: str) -> str:
    """Return a whole SVG that scales with the page and has a title for screen readers."""
    content = element("title", escaped(title)) + "".join(parts)
    return element("svg", content, viewBox=f"0 0 {width} {height}", role="img")


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to positions, evenly or by their logarithm.

    Attributes:
        low: The value at `start`.
        high: The value at `end`.
        start: Position of the lowest value.
        end: Position of the highest.
        log: Whether equal factors take equal distances.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Return round values inside the scale, about `count` of them."""
        return _log_ticks(self.low, self.high, count) if self.log else _even_ticks(self.low, self.high, count)


def log_scale(values: Sequence[float], start: float, end: float, *, margin: float = 1.25) -> Scale:
    """Return a logarithmic scale that holds the values, with a factor of `margin` at both ends."""
    return Scale(min(values) / margin, max(values) * margin, start, end, log=True)


def even_scale(values: Sequence[float], start: float, end: float, *, least: float) -> Scale:
    """Return an even scale with 12 % of margin around the values, which spans `least` or more."""
    low, high = min(values), max(values)
    margin = max((high - low) * 0.12, (least - (high - low)) / 2)
    return Scale(low - margin, high + margin, start, end)


def _even_ticks(low: float, high: float, count: int) -> list[float]:
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        if len(ticks) <= count + 1:
            break
    return ticks


def _value(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
