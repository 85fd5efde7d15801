"""A sheet of 400 by 400 units to draw on, which becomes an SVG file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, pi, sin
from random import Random

from storefront.demo.drawing.colours import COLOURS, darker, lighter

SIZE = 400
Point = tuple[float, float]


@dataclass(frozen=True)
class Palette:
    """A product's colours: `main` is the one in its name, `accent` goes with it."""

    main: str
    accent: str

    @classmethod
    def of(cls, colour: str, accent: str) -> Palette:
        return cls(COLOURS[colour], COLOURS[accent])

    @property
    def dark(self) -> str:
        return darker(self.main, 0.28)

    @property
    def darkest(self) -> str:
        return darker(self.main, 0.5)

    @property
    def light(self) -> str:
        return lighter(self.main, 0.28)


@dataclass
class Canvas:
    """Collects shapes back to front. Angles in degrees, y grows downwards."""

    rng: Random
    shapes: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)

    def add(self, element: str) -> None:
        self.shapes.append(element)

    def path(self, d: str, fill: str = "none", **attributes: object) -> None:
        self.add(f'<path d="{d}" fill="{fill}"{_attributes(attributes)}/>')

    def solid(self, d: str, fill: str, **attributes: object) -> None:
        """A shape with light from the left: the same outline twice, the second a soft shade."""
        self.path(d, fill, **attributes)
        self.path(d, "url(#shade)")

    def line(self, d: str, stroke: str, width: float = 3, **attributes: object) -> None:
        self.path(
            d,
            "none",
            stroke=stroke,
            stroke_width=width,
            stroke_linecap="round",
            stroke_linejoin="round",
            **attributes,
        )

    def polygon(
        self, points: Sequence[Point], fill: str, *, shaded: bool = False, **attributes: object
    ) -> None:
        d = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) + "Z"
        (self.solid if shaded else self.path)(d, fill, **attributes)

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        radius: float = 0,
        **attributes: object,
    ) -> None:
        box = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" rx="{number(radius)}"'
        self.add(f'<rect {box} fill="{fill}"{_attributes(attributes)}/>')

    def solid_rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        radius: float = 0,
        **attributes: object,
    ) -> None:
        self.rect(x, y, width, height, fill, radius, **attributes)
        self.rect(x, y, width, height, "url(#shade)", radius)

    def circle(self, x: float, y: float, radius: float, fill: str, **attributes: object) -> None:
        self.add(
            f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" fill="{fill}"{_attributes(attributes)}/>'
        )

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: str, **attributes: object) -> None:
        box = f'cx="{number(x)}" cy="{number(y)}" rx="{number(rx)}" ry="{number(ry)}"'
        self.add(f'<ellipse {box} fill="{fill}"{_attributes(attributes)}/>')

    def ground_shadow(self, x: float, y: float, half_width: float) -> None:
        self.ellipse(x, y, half_width, half_width * 0.11 + 4, "#1b1a17", opacity=0.16)

    def clip(self, d: str) -> str:
        """Define a clipping outline; gives the attribute value that uses it."""
        name = f"clip{len(self.definitions)}"
        self.definitions.append(f'<clipPath id="{name}"><path d="{d}"/></clipPath>')
        return f"url(#{name})"

    def begin(self, **attributes: object) -> None:
        self.add(f"<g{_attributes(attributes)}>")

    def end(self) -> None:
        self.add("</g>")

    def as_svg(self, title: str) -> str:
        """`title` is escaped. The style in it belongs to the picture alone."""
        shade = (
            '<linearGradient id="shade" x1="0" y1="0" x2="1" y2=".35"><stop offset="0" stop-color="#fff" stop-opacity=".16"/>'
            '<stop offset=".42" stop-color="#fff" stop-opacity="0"/><stop offset=".55" stop-color="#0d1014" stop-opacity="0"/>'
            '<stop offset="1" stop-color="#0d1014" stop-opacity=".26"/></linearGradient>'
        )
        escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}">'
            f"<title>{escaped}</title><defs>{shade}{''.join(self.definitions)}</defs>{''.join(self.shapes)}</svg>\n"
        )


def number(value: float) -> str:
    """At most one decimal: a picture needs no more, and files stay small."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def rounded(x: float, y: float, width: float, height: float, top: float, bottom: float) -> str:
    """Outline of a box whose upper and lower corners are rounded differently."""
    right, low = x + width, y + height
    return (
        f"M{number(x)} {number(y + top)}Q{number(x)} {number(y)} {number(x + top)} {number(y)}"
        f"H{number(right - top)}Q{number(right)} {number(y)} {number(right)} {number(y + top)}"
        f"V{number(low - bottom)}Q{number(right)} {number(low)} {number(right - bottom)} {number(low)}"
        f"H{number(x + bottom)}Q{number(x)} {number(low)} {number(x)} {number(low - bottom)}Z"
    )


def around(x: float, y: float, radius: float, degrees: float) -> Point:
    """The point on a circle at an angle; 0 is up, clockwise."""
    return x + radius * sin(degrees * pi / 180), y - radius * cos(degrees * pi / 180)


def _attributes(attributes: dict[str, object]) -> str:
    return "".join(
        f' {name.rstrip("_").replace("_", "-")}="{number(value) if isinstance(value, float) and value > 1 else value}"'
        for name, value in attributes.items()
    )
