from __future__ import annotations

from storefront.demo.drawing.canvas import Canvas, Palette, around, number, rounded
from storefront.demo.drawing.colours import DARK, METAL, PAPER, WOOD, darker, luminance


def armchair(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(200, 344, 124)
    leg = rng.choice([WOOD, "#7d5a3f", DARK])
    for x, lean in ((112, -9), (288, 9)):
        canvas.line(f"M{x} 300l{lean} 42", leg, 10)
    for x in (146, 254):
        canvas.line(f"M{x} 304v28", darker(leg, 0.35), 8)
    back_top, half = rng.randint(92, 124), rng.randint(80, 96)
    style = rng.choice(["round", "wing", "shell", "slab"])
    if style == "round":
        canvas.solid(rounded(200 - half, back_top, half * 2, 200, half - 8, 20), palette.main)
    elif style == "wing":
        canvas.solid(
            f"M{200 - half - 18} {back_top + 44}Q{200 - half - 10} {back_top} {200 - half + 30} {back_top + 2}H{200 + half - 30}Q{200 + half + 10} {back_top} {200 + half + 18} {back_top + 44}L{200 + half + 4} 290H{200 - half - 4}Z",
            palette.main,
        )
    elif style == "shell":
        canvas.solid(
            f"M84 226C84 {back_top + 10} 140 {back_top} 200 {back_top}S316 {back_top + 10} 316 226L298 290H102Z",
            palette.main,
        )
    else:
        canvas.solid(rounded(200 - half, back_top + 10, half * 2, 190, 16, 12), palette.main)
    if style != "shell":
        canvas.line(f"M200 {back_top + 22}V226", palette.dark, 3, opacity=0.7)
    else:
        for bend in (-60, -30, 0, 30, 60):
            canvas.line(
                f"M{200 + bend * 0.5:.0f} 236Q{200 + bend} 180 {200 + bend * 1.3:.0f} {back_top + 18 + abs(bend) * 0.4:.0f}",
                palette.dark,
                3,
                opacity=0.7,
            )
    if rng.random() < 0.45:
        canvas.begin(transform=f"rotate({rng.randint(-9, 9)} 200 206)")
        canvas.solid(rounded(162, 170, 76, 70, 14, 14), palette.accent)
        canvas.end()
    canvas.solid(rounded(104, 232, 192, 46, 20, 14), palette.light)
    canvas.solid(rounded(100, 266, 200, 44, 8, 16), palette.main)
    if rng.random() < 0.75:
        for x in (70, 282):
            canvas.solid(rounded(x, 204, 48, 106, 22, 14), palette.dark if style == "slab" else palette.main)


def cushion(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(200, 330, 112)
    canvas.begin(transform=f"rotate({rng.choice([-6, -3, 0, 3, 6])} 200 210)")
    oblong = rng.random() < 0.3
    wide, tall = (142, 92) if oblong else (122, 118)
    top, low = 214 - tall, 214 + tall
    left, right = 200 - wide, 200 + wide
    body = f"M{left} {top}Q200 {top + 20} {right} {top}Q{right - 16} 214 {right} {low}Q200 {low - 18} {left} {low}Q{left + 16} 214 {left} {top}Z"
    if rng.random() < 0.35:
        for x, y in ((left, top), (right, top), (left, low), (right, low)):
            for turn in (-24, 0, 24):
                end = around(x, y, 24, (135 if y > 214 else 45) * (1 if x > 200 else -1) + turn)
                canvas.line(f"M{x} {y}L{number(end[0])} {number(end[1])}", palette.accent, 5)
    canvas.solid(body, palette.main)
    canvas.begin(clip_path=canvas.clip(body))
    _weave(canvas, palette)
    canvas.path(body, "url(#shade)")
    canvas.end()
    canvas.line(body, palette.dark, 4, opacity=0.6)
    canvas.end()


def _weave(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    pattern = rng.choice(["stripes", "check", "circles", "leaf", "diamonds", "half", "dashes"])
    if pattern == "stripes":
        step = rng.choice([24, 34, 46])
        for x in range(60, 350, step):
            canvas.rect(x, 60, step * 0.4, 300, palette.accent)
    elif pattern == "check":
        for x in range(60, 350, 48):
            canvas.rect(x, 60, 22, 300, palette.accent, opacity=0.55)
            canvas.rect(40, x, 320, 22, palette.accent, opacity=0.55)
    elif pattern == "circles":
        for radius, colour in (
            (104, palette.accent),
            (78, palette.main),
            (54, palette.light),
            (28, palette.accent),
        ):
            canvas.circle(200, 214, radius, colour)
    elif pattern == "leaf":
        for x in range(100, 320, 50):
            canvas.line(f"M{x} 100V330", palette.accent, 3)
            for y in range(120, 330, 26):
                canvas.path(f"M{x} {y}q16 -22 22 -8q-4 12 -22 8q-16 -22 -22 -8q4 12 22 8Z", palette.accent)
    elif pattern == "diamonds":
        for x in range(80, 340, 44):
            for y in range(100, 340, 44):
                canvas.path(
                    f"M{x} {y - 19}L{x + 19} {y}L{x} {y + 19}L{x - 19} {y}Z",
                    palette.accent if (x + y) % 88 else palette.light,
                )
    elif pattern == "half":
        canvas.path("M40 360L360 60V360Z", palette.accent)
    else:
        for y in range(104, 330, 22):
            canvas.line(
                f"M70 {y}H340",
                palette.accent,
                7,
                stroke_dasharray=f"{rng.choice([14, 22, 34])} 18",
                stroke_dashoffset=(y * 7) % 40,
            )


def blanket(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(200, 322, 136)
    layers = rng.choice([3, 4, 5])
    tall = 168 / layers
    stripe = rng.choice(["bands", "check", "edge", "herringbone"])
    for layer in reversed(range(layers)):
        y = 152 + layer * tall
        inset = rng.randint(0, 12)
        fold = rounded(72 + inset, y, 256 - inset * 2, tall + 4, tall / 2, tall / 2)
        canvas.solid(fold, palette.main if layer % 2 == 0 else palette.light)
        canvas.begin(clip_path=canvas.clip(fold))
        if stripe == "bands":
            for x in (116, 140, 246, 270):
                canvas.rect(x, y - 4, 13, tall + 12, palette.accent)
        elif stripe == "check":
            for x in range(84, 330, 40):
                canvas.rect(x, y - 4, 18, tall + 12, palette.accent, opacity=0.6)
            canvas.rect(60, y + tall * 0.34, 280, tall * 0.26, palette.accent, opacity=0.6)
        elif stripe == "edge":
            canvas.rect(60, y - 4, 62, tall + 12, palette.accent)
        else:
            for x in range(72, 330, 14):
                canvas.line(f"M{x} {y:.0f}l7 {tall / 2:.0f}l-7 {tall / 2:.0f}", palette.accent, 3)
        canvas.path(fold, "url(#shade)")
        canvas.end()
        canvas.line(f"M{96 + inset} {y + tall / 2 + 2:.0f}H{300 - inset}", palette.dark, 2, opacity=0.25)
    if rng.random() < 0.6:
        for x in range(96, 312, 10):
            canvas.line(
                f"M{x} 318l{rng.randint(-3, 3)} {rng.randint(14, 22)}",
                palette.accent if stripe == "edge" else palette.light,
                4,
            )


def clock(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    radius = rng.randint(104, 122)
    shape = rng.choice(["round", "round", "square", "sunburst"])
    if shape == "sunburst":
        radius -= 22
        for step in range(24):
            inner, outer = (
                around(200, 196, radius - 6, step * 15),
                around(200, 196, radius + (38 if step % 2 else 24), step * 15),
            )
            canvas.line(
                f"M{number(inner[0])} {number(inner[1])}L{number(outer[0])} {number(outer[1])}",
                WOOD if step % 2 else palette.accent,
                7,
            )
    canvas.ellipse(206, 204, radius + 2, radius + 2, "#1b1a17", opacity=0.14)
    face = rng.choice([PAPER, palette.light, palette.accent])
    if shape == "square":
        canvas.solid(rounded(200 - radius, 196 - radius, radius * 2, radius * 2, 30, 30), palette.main)
        canvas.path(
            rounded(200 - radius + 15, 196 - radius + 15, radius * 2 - 30, radius * 2 - 30, 20, 20), face
        )
    else:
        canvas.circle(200, 196, radius, palette.main)
        canvas.circle(200, 196, radius, "url(#shade)")
        canvas.circle(200, 196, radius - 14, face)
    ink = DARK if luminance(face) > 0.45 else PAPER
    marks = rng.choice([4, 12, 12, 60])
    for step in range(marks):
        is_hour = marks != 60 or step % 5 == 0
        outer, inner = (
            around(200, 196, radius - 22, step * 360 / marks),
            around(200, 196, radius - (38 if is_hour else 28), step * 360 / marks),
        )
        canvas.line(
            f"M{number(outer[0])} {number(outer[1])}L{number(inner[0])} {number(inner[1])}",
            ink,
            5 if is_hour else 2,
        )
    hour, minute = rng.randint(0, 11), rng.choice([0, 8, 10, 20, 35, 50])
    for turn, length, width in ((hour * 30 + minute / 2, 0.42, 9), (minute * 6, 0.64, 6)):
        end = around(200, 196, radius * length, turn)
        canvas.line(f"M200 196L{number(end[0])} {number(end[1])}", ink, width)
    end = around(200, 196, radius * 0.68, rng.randint(0, 359))
    canvas.line(f"M200 196L{number(end[0])} {number(end[1])}", "#c2502f", 2.5)
    canvas.circle(200, 196, 8, METAL)
    if shape == "round" and rng.random() < 0.3:
        for x in (140, 260):
            canvas.circle(x, 196 - radius * 0.86, 25, palette.main)
