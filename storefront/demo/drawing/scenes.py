"""What stands behind a product: soft shapes in pale colours by day, deep ones where the reader prefers the dark."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from storefront.demo.drawing.canvas import SIZE, Canvas, number
from storefront.demo.drawing.colours import channels, darker, lighter, mix

# (wall by day, shape by day, wall by night, shape by night)
TONES: Final = {
    "linen": ("#efe9de", "#e2d8c6", "#26241f", "#3a362e"),
    "mist": ("#e6ecee", "#d2dee2", "#1f2528", "#303a3f"),
    "sage": ("#e6ebdf", "#d3dcc7", "#20251e", "#323a2e"),
    "blush": ("#f3e6df", "#e8d0c4", "#2a211d", "#40312b"),
    "sky": ("#e2eaf2", "#ccdbe9", "#1d232b", "#2d3743"),
    "lilac": ("#ebe6ee", "#dad0e0", "#242028", "#373040"),
    "butter": ("#f5edd4", "#ead9a9", "#28241a", "#403824"),
    "clay": ("#f0e2d6", "#e0c6b0", "#29211b", "#413226"),
}


def backdrop(canvas: Canvas, setting: str, colour: str) -> None:
    """Draw a setting (a key of SETTINGS) in a tone that the product stands out from."""
    tone = _tone_for(colour, canvas.rng)
    wall, shape, night_wall, night_shape = TONES[tone]
    canvas.add(
        f"<style>.w{{fill:{wall}}}.s{{fill:{shape}}}.t{{fill:{mix(wall, shape, 0.5)}}}.f{{fill:{darker(shape, 0.07)}}}"
        f"@media(prefers-color-scheme:dark){{.w{{fill:{night_wall}}}.s{{fill:{night_shape}}}"
        f".t{{fill:{mix(night_wall, night_shape, 0.5)}}}.f{{fill:{lighter(night_shape, 0.05)}}}}}</style>"
    )
    canvas.add(f'<path class="w" d="M0 0h{SIZE}v{SIZE}H0z"/>')
    SETTINGS[setting](canvas)


def _tone_for(colour: str, rng: Random) -> str:
    """One of the four tones whose day colour is farthest from the product's, hue and brightness together."""

    def distance(tone: str) -> float:
        return sum(
            (a - b) ** 2
            for a, b in zip(channels(TONES[tone][1]), channels(lighter(colour, 0.6)), strict=True)
        )

    return rng.choice(sorted(TONES, key=distance, reverse=True)[:4])


def _hills(canvas: Canvas) -> None:
    rng = canvas.rng
    canvas.add(
        f'<circle class="t" cx="{rng.randint(70, 330)}" cy="{rng.randint(70, 120)}" r="{rng.randint(30, 52)}"/>'
    )
    peak, low = rng.randint(110, 290), rng.randint(120, 165)
    canvas.add(f'<path class="t" d="M0 {low + 110}L{peak} {low}L400 {low + 130}V400H0z"/>')
    other = 400 - peak
    canvas.add(f'<path class="s" d="M0 {low + 120}Q{other} {low + 55} 400 {low + 150}V400H0z"/>')
    canvas.add('<path class="f" d="M0 322Q200 298 400 320V400H0z"/>')


def _circle(canvas: Canvas) -> None:
    rng = canvas.rng
    canvas.add(
        f'<circle class="s" cx="{rng.randint(180, 220)}" cy="{rng.randint(180, 205)}" r="{rng.randint(138, 160)}"/>'
    )


def _arch(canvas: Canvas) -> None:
    half = canvas.rng.randint(105, 135)
    left, right = 200 - half, 200 + half
    canvas.add(f'<path class="s" d="M{left} 400V{60 + half}A{half} {half} 0 0 1 {right} {60 + half}V400z"/>')


def _room(canvas: Canvas) -> None:
    rng = canvas.rng
    edge = rng.randint(292, 306)
    if rng.random() < 0.5:
        x = rng.choice([48, 238])
        canvas.add(f'<path class="t" d="M{x} 60h114v150h-114z"/>')
    else:
        canvas.add(
            f'<circle class="t" cx="{rng.randint(90, 310)}" cy="{rng.randint(100, 130)}" r="{rng.randint(52, 72)}"/>'
        )
    canvas.add(f'<path class="s" d="M0 {edge}h400V400H0z"/>')
    canvas.add(f'<path class="f" d="M0 {edge}h400v3H0z"/>')


def _table(canvas: Canvas) -> None:
    rng = canvas.rng
    canvas.add(
        f'<circle class="t" cx="{rng.randint(120, 280)}" cy="{rng.randint(130, 170)}" r="{rng.randint(95, 125)}"/>'
    )
    edge = rng.randint(296, 308)
    canvas.add(f'<path class="s" d="M0 {edge}h400V400H0z"/><path class="f" d="M0 {edge}h400v9H0z"/>')


def _plinth(canvas: Canvas) -> None:
    rng = canvas.rng
    half, top = rng.randint(128, 152), rng.randint(302, 312)
    canvas.add(
        f'<circle class="t" cx="{rng.randint(150, 250)}" cy="{rng.randint(150, 180)}" r="{rng.randint(100, 130)}"/>'
    )
    canvas.add(f'<path class="s" d="M{200 - half} {top}H{200 + half}V400H{200 - half}z"/>')
    canvas.add(f'<ellipse class="f" cx="200" cy="{top}" rx="{half}" ry="16"/>')


def _slope(canvas: Canvas) -> None:
    rng = canvas.rng
    high, low = rng.randint(120, 180), rng.randint(230, 280)
    ends = (high, low) if rng.random() < 0.5 else (low, high)
    canvas.add(f'<path class="t" d="M0 {ends[0]}L400 {ends[1]}V400H0z"/>')
    canvas.add(
        f'<path class="s" d="M0 {number((ends[0] + 330) / 2 + 40)}L400 {number((ends[1] + 330) / 2 + 40)}V400H0z"/>'
    )


def _leaves(canvas: Canvas) -> None:
    rng = canvas.rng
    canvas.add(f'<circle class="t" cx="{rng.randint(160, 240)}" cy="170" r="{rng.randint(125, 145)}"/>')
    for _ in range(7):
        x, y, turn, size = (
            rng.randint(10, 390),
            rng.randint(20, 260),
            rng.randint(0, 359),
            rng.randint(24, 46),
        )
        canvas.add(
            f'<path class="s" transform="translate({x} {y}) rotate({turn})" d="M0 0Q{size} {-size // 2} {2 * size} 0Q{size} {size // 2} 0 0z"/>'
        )
    canvas.add('<path class="s" d="M0 318h400V400H0z"/>')


SETTINGS: Final[dict[str, Callable[[Canvas], None]]] = {
    "hills": _hills,
    "circle": _circle,
    "arch": _arch,
    "room": _room,
    "table": _table,
    "plinth": _plinth,
    "slope": _slope,
    "leaves": _leaves,
}
