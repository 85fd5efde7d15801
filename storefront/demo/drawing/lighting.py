from __future__ import annotations

from storefront.demo.drawing.canvas import Canvas, Palette, rounded
from storefront.demo.drawing.colours import DARK, GLOW, METAL, PAPER, WOOD, darker, lighter


def _glow(canvas: Canvas, x: float, y: float, radius: float) -> None:
    name = f"glow{len(canvas.definitions)}"
    canvas.definitions.append(
        f'<radialGradient id="{name}"><stop offset="0" stop-color="{GLOW}" stop-opacity=".75"/>'
        f'<stop offset=".5" stop-color="{GLOW}" stop-opacity=".25"/><stop offset="1" stop-color="{GLOW}" stop-opacity="0"/></radialGradient>'
    )
    canvas.circle(x, y, radius, f"url(#{name})")


def table_lamp(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(200, 336, 82)
    shade_low = rng.randint(176, 196)
    _glow(canvas, 200, shade_low - 20, 150)
    _lamp_foot(canvas, palette, shade_low)
    shade = rng.choice(["cone", "drum", "dome", "mushroom", "pleated"])
    top, half = shade_low - rng.randint(82, 104), rng.randint(72, 92)
    colour = palette.main
    canvas.ellipse(200, shade_low, half * 0.8, 11, lighter(GLOW, 0.5))
    if shade == "cone":
        canvas.solid(
            f"M{200 - half * 0.42:.0f} {top}H{200 + half * 0.42:.0f}L{200 + half} {shade_low}Q200 {shade_low + 14} {200 - half} {shade_low}Z",
            colour,
        )
    elif shade == "drum":
        canvas.solid(
            f"M{200 - half * 0.86:.0f} {top}Q200 {top + 12} {200 + half * 0.86:.0f} {top}L{200 + half} {shade_low}Q200 {shade_low + 16} {200 - half} {shade_low}Z",
            colour,
        )
        canvas.line(
            f"M{200 - half} {shade_low - 4}Q200 {shade_low + 12} {200 + half} {shade_low - 4}",
            palette.accent,
            5,
        )
    elif shade == "dome":
        canvas.solid(
            f"M{200 - half} {shade_low}C{200 - half} {top + 20} {200 - half * 0.5:.0f} {top} 200 {top}S{200 + half} {top + 20} {200 + half} {shade_low}Q200 {shade_low + 12} {200 - half} {shade_low}Z",
            colour,
        )
        canvas.circle(200, top - 6, 8, palette.accent)
    elif shade == "mushroom":
        canvas.solid(
            f"M{200 - half - 14} {shade_low}C{200 - half} {top - 6} {200 + half} {top - 6} {200 + half + 14} {shade_low}Q200 {shade_low + 20} {200 - half - 14} {shade_low}Z",
            colour,
        )
    else:
        body = f"M{200 - half * 0.5:.0f} {top}H{200 + half * 0.5:.0f}L{200 + half} {shade_low}Q200 {shade_low + 14} {200 - half} {shade_low}Z"
        canvas.solid(body, colour)
        canvas.begin(clip_path=canvas.clip(body))
        for index in range(-7, 8):
            canvas.line(
                f"M{200 + index * half * 0.07:.0f} {top}L{200 + index * half * 0.145:.0f} {shade_low + 14}",
                palette.dark,
                2.5,
                opacity=0.6,
            )
        canvas.end()


def _lamp_foot(canvas: Canvas, palette: Palette, top: float) -> None:
    foot = canvas.rng.choice(["column", "ball", "tripod", "vase", "stack"])
    if foot == "column":
        canvas.solid_rect(193, top, 14, 330 - top, METAL, 4)
        canvas.solid(rounded(146, 316, 108, 20, 10, 6), palette.accent)
    elif foot == "ball":
        canvas.rect(194, top, 12, 60, METAL)
        canvas.circle(200, 284, 48, palette.accent)
        canvas.circle(200, 284, 48, "url(#shade)")
    elif foot == "tripod":
        for x in (146, 200, 254):
            canvas.line(f"M200 {top + 20}L{x} 334", WOOD if x != 200 else darker(WOOD, 0.25), 9)
        canvas.circle(200, top + 24, 12, DARK)
    elif foot == "vase":
        canvas.rect(194, top, 12, 40, METAL)
        canvas.solid(
            "M182 222H218C224 250 256 262 252 298Q248 336 200 336T148 298C144 262 176 250 182 222Z",
            palette.accent,
        )
    else:
        canvas.rect(195, top, 10, 60, METAL)
        for index, (wide, tall) in enumerate(((44, 30), (66, 36), (92, 34))):
            y = 232 + index * 34
            canvas.solid(
                rounded(200 - wide / 2, y, wide, tall, 15, 15),
                palette.accent if index % 2 else lighter(palette.accent, 0.35),
            )


def pendant_lamp(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    low, half = rng.randint(252, 280), rng.randint(92, 118)
    canvas.line(f"M200 0V{low - 100}", DARK, 3.5)
    _glow(canvas, 200, low, 150)
    canvas.circle(200, low - 2, 24, lighter(GLOW, 0.45))
    shade = rng.choice(["dome", "bell", "cone", "globe", "rings", "slats"])
    top = low - rng.randint(104, 136)
    if shade == "dome":
        canvas.solid(
            f"M{200 - half} {low}C{200 - half} {top + 24} 150 {top} 200 {top}S{200 + half} {top + 24} {200 + half} {low}Z",
            palette.main,
        )
    elif shade == "bell":
        canvas.solid(
            f"M180 {top}H220C226 {top + 50} {200 + half - 8} {low - 46} {200 + half} {low}H{200 - half}C{200 - half + 8} {low - 46} 174 {top + 50} 180 {top}Z",
            palette.main,
        )
    elif shade == "cone":
        canvas.solid(f"M186 {top}H214L{200 + half} {low}H{200 - half}Z", palette.main)
    elif shade == "globe":
        canvas.circle(200, low - 60, half * 0.86, lighter(palette.main, 0.3))
        canvas.circle(200, low - 60, half * 0.86, "url(#shade)")
        canvas.rect(178, low - 68 - half * 0.86, 44, 20, palette.accent, 5)
    elif shade == "rings":
        for index in range(5):
            share = (index + 1) / 5
            y = top + index * (low - top) / 5
            canvas.solid(
                rounded(200 - half * share, y, half * 2 * share, (low - top) / 5 - 4, 8, 8),
                palette.main if index % 2 else palette.light,
            )
    else:
        for index in range(-5, 6):
            bend = index / 5
            canvas.line(
                f"M{200 + bend * 16:.0f} {top}C{200 + bend * half * 1.25:.0f} {top + 30} {200 + bend * half * 1.25:.0f} {low - 40} {200 + bend * half * 0.6:.0f} {low}",
                palette.main if index % 2 else palette.dark,
                9,
            )
    if shade in {"dome", "bell", "cone"}:
        canvas.ellipse(200, low, half, 9, lighter(GLOW, 0.3))
        if rng.random() < 0.5:
            canvas.line(f"M{200 - half + 3} {low - 8}H{200 + half - 3}", palette.accent, 7)
    canvas.solid(rounded(184, top - 20, 32, 26, 8, 3), palette.accent)


def lantern(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(200, 336, 76)
    half, top = rng.randint(52, 66), rng.randint(148, 166)
    _glow(canvas, 200, 240, 150)
    canvas.line(
        f"M{200 - half + 4} {top - 4}C{200 - half - 4} {top - 92} {200 + half + 4} {top - 92} {200 + half - 4} {top - 4}",
        darker(palette.main, 0.35),
        6,
    )
    glass = rng.choice(["straight", "belly"])
    if glass == "straight":
        canvas.rect(200 - half + 6, top + 8, half * 2 - 12, 136, "#fff6dc", 8, opacity=0.72)
    else:
        canvas.path(
            f"M{200 - half + 14} {top + 6}C{200 - half - 14} {top + 60} {200 - half - 8} {top + 110} {200 - half + 14} 300H{200 + half - 14}C{200 + half + 8} {top + 110} {200 + half + 14} {top + 60} {200 + half - 14} {top + 6}Z",
            "#fff6dc",
            opacity=0.75,
        )
    if rng.random() < 0.5:
        canvas.solid_rect(184, 248, 32, 50, PAPER, 4)
    flame_low = 246 if rng.random() < 0.6 else 262
    canvas.path(
        f"M200 {flame_low - 46}C214 {flame_low - 26} 216 {flame_low - 10} 200 {flame_low}C184 {flame_low - 10} 188 {flame_low - 26} 200 {flame_low - 46}Z",
        "#f0a63c",
    )
    canvas.path(
        f"M200 {flame_low - 26}C207 {flame_low - 14} 207 {flame_low - 6} 200 {flame_low - 2}C193 {flame_low - 6} 193 {flame_low - 14} 200 {flame_low - 26}Z",
        "#fff0c2",
    )
    bars = rng.choice([2, 3, 4])
    for index in range(bars):
        canvas.line(f"M{200 - half + 6 + index * (half * 2 - 12) / bars:.0f} {top + 4}V300", palette.dark, 4)
    canvas.line(f"M{200 + half - 6} {top + 4}V300", palette.dark, 4)
    canvas.solid(
        f"M{200 - half - 8} {top + 10}L{200 - half * 0.4:.0f} {top - 30}H{200 + half * 0.4:.0f}L{200 + half + 8} {top + 10}Z",
        palette.main,
    )
    canvas.solid(rounded(186, top - 50, 28, 24, 8, 2), palette.accent)
    canvas.solid(rounded(200 - half - 10, 294, half * 2 + 20, 40, 8, 12), palette.main)
    canvas.rect(200 - half - 4, 306, half * 2 + 8, 7, palette.accent, 3)
