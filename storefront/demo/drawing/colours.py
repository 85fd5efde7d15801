"""The shop's colours by the names that products carry, and what can be done with a colour."""

from __future__ import annotations

from typing import Final

COLOURS: Final = {
    "pine": "#2f6152",
    "moss": "#7d8a4e",
    "sage": "#9db09a",
    "ochre": "#d9a036",
    "rust": "#bd5a35",
    "brick": "#96433a",
    "rose": "#d0938c",
    "plum": "#74496a",
    "ink": "#2b3f5c",
    "sky": "#7fa8c4",
    "slate": "#5a6975",
    "fog": "#b4bdc0",
    "sand": "#d3ba92",
    "cream": "#efe6d3",
    "charcoal": "#434547",
    "copper": "#c47a4e",
    "oak": "#c39a66",
    "walnut": "#7d5a3f",
}

METAL: Final = "#b9bfc1"
STEEL: Final = "#8d9599"
LEATHER: Final = "#9a6a42"
WOOD: Final = "#c39a66"
DARK: Final = "#33363a"
PAPER: Final = "#f4ede0"
GLOW: Final = "#ffd98a"
LEAF: Final = "#5d8a5a"
SOIL: Final = "#5b4636"


def channels(colour: str) -> tuple[int, int, int]:
    """`#rrggbb` as three numbers from 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mix(colour: str, other: str, share: float) -> str:
    """`share` 0 is the colour, 1 the other one."""
    blended = (round(a + (b - a) * share) for a, b in zip(channels(colour), channels(other), strict=True))
    return "#" + "".join(f"{value:02x}" for value in blended)


def darker(colour: str, share: float = 0.25) -> str:
    return mix(colour, "#14161a", share)


def lighter(colour: str, share: float = 0.25) -> str:
    return mix(colour, "#fffaf0", share)


def luminance(colour: str) -> float:
    """Perceived brightness, 0 (black) to 1 (white): weights of ITU-R BT.601."""
    red, green, blue = channels(colour)
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255
