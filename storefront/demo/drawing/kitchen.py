from __future__ import annotations

from storefront.demo.drawing.canvas import Canvas, Palette, rounded
from storefront.demo.drawing.colours import DARK, METAL, STEEL, WOOD, darker, lighter


def mug(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(196, 306, 92)
    half, top = rng.randint(64, 82), rng.randint(146, 182)
    style = rng.choice(["straight", "belly", "taper"])
    handle = rng.choice([1, -1])
    edge = 190 + handle * (half - 6)
    canvas.line(
        f"M{edge} {top + 34}C{edge + handle * 72} {top + 26} {edge + handle * 72} {top + 112} {edge - handle * 2} {top + 108}",
        palette.dark,
        19,
    )
    canvas.line(
        f"M{edge} {top + 34}C{edge + handle * 72} {top + 26} {edge + handle * 72} {top + 112} {edge - handle * 2} {top + 108}",
        palette.main,
        12,
    )
    left, right = 190 - half, 190 + half
    body = {
        "straight": rounded(left, top, half * 2, 306 - top, 4, 18),
        "belly": f"M{left + 4} {top}H{right - 4}C{right + 22} {top + 60} {right + 14} 290 {right - 28} 306H{left + 28}C{left - 14} 290 {left - 22} {top + 60} {left + 4} {top}Z",
        "taper": f"M{left - 6} {top}H{right + 6}L{right - 14} 294Q{right - 18} 306 {right - 30} 306H{left + 30}Q{left + 18} 306 {left + 14} 294Z",
    }[style]
    canvas.solid(body, palette.main)
    canvas.begin(clip_path=canvas.clip(body))
    _glaze(canvas, palette, top)
    canvas.path(body, "url(#shade)")
    canvas.end()
    wide = half + 6 if style == "taper" else half - (4 if style == "belly" else 0)
    canvas.ellipse(190, top, wide, 14, lighter(palette.main, 0.3))
    canvas.ellipse(190, top + 3, wide - 8, 10, rng.choice(["#5b3a24", "#7a4b2a", "#a8743a"]))
    if rng.random() < 0.6:
        for x in (172, 206):
            canvas.line(f"M{x} {top - 26}c-12 -16 12 -26 0 -44", "#ffffff", 5, opacity=0.5)


def _glaze(canvas: Canvas, palette: Palette, top: float) -> None:
    rng = canvas.rng
    glaze = rng.choice(["dip", "band", "speckle", "drip", "lines"])
    if glaze == "dip":
        canvas.rect(80, rng.randint(226, 258), 240, 100, palette.accent)
    elif glaze == "band":
        canvas.rect(80, top + 56, 240, 34, palette.accent)
        canvas.rect(80, top + 98, 240, 7, palette.accent)
    elif glaze == "speckle":
        for _ in range(60):
            canvas.circle(
                rng.uniform(100, 284), rng.uniform(top + 16, 300), rng.uniform(1.2, 3.2), palette.accent
            )
    elif glaze == "drip":
        canvas.path(
            f"M80 {top - 4}H320V{top + 40}"
            + "".join(f"q-11 {rng.randint(18, 62)} -22 0q-9 -16 -18 0" for _ in range(6))
            + "Z",
            palette.accent,
        )
    else:
        for y in range(int(top) + 30, 304, rng.choice([18, 26])):
            canvas.line(f"M80 {y}H320", palette.accent, 4)


def kettle(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(200, 312, 116)
    half, top = rng.randint(90, 106), rng.randint(158, 182)
    left, right = 200 - half, 200 + half
    grip = rng.choice([WOOD, DARK])
    canvas.line(
        f"M{left + 22} {top + 26}C{left + 26} {top - 98} {right - 26} {top - 98} {right - 22} {top + 26}",
        STEEL,
        9,
    )
    canvas.line(f"M166 {top - 62}Q200 {top - 74} 234 {top - 62}", grip, 18)
    if rng.random() < 0.5:
        canvas.solid(
            f"M{left + 20} 250C{left - 30} 236 {left - 30} 200 {left - 46} 182L{left - 20} 172C{left - 8} 196 {left + 10} 210 {left + 30} 212Z",
            palette.dark,
        )
    else:
        canvas.line(f"M{left + 20} 262C{left - 50} 250 {left - 12} 180 {left - 46} 168", palette.dark, 17)
    style = rng.choice(["dome", "squat", "cone"])
    body = {
        "dome": f"M{left} 300C{left - 10} 220 150 {top} 200 {top}S{right + 10} 220 {right} 300Q{right} 312 {right - 12} 312H{left + 12}Q{left} 312 {left} 300Z",
        "squat": f"M{left + 6} {top + 50}Q200 {top - 10} {right - 6} {top + 50}C{right + 30} 252 {right + 16} 300 {right - 12} 312H{left + 12}C{left - 16} 300 {left - 30} 252 {left + 6} {top + 50}Z",
        "cone": f"M{200 - half * 0.52:.0f} {top + 8}Q200 {top - 12} {200 + half * 0.52:.0f} {top + 8}L{right + 4} 298Q{right + 6} 312 {right - 10} 312H{left + 10}Q{left - 6} 312 {left - 4} 298Z",
    }[style]
    canvas.solid(body, palette.main)
    canvas.begin(clip_path=canvas.clip(body))
    canvas.rect(60, 288, 290, 30, palette.accent if rng.random() < 0.6 else palette.dark)
    canvas.path(
        f"M{left + 26} 300C{left + 20} 240 {left + 50} {top + 40} 190 {top + 16}",
        "none",
        stroke="#ffffff",
        stroke_width=8,
        stroke_opacity=0.25,
    )
    canvas.end()
    canvas.solid(
        f"M160 {top + 20}Q200 {top - 18} 240 {top + 20}Q200 {top + 34} 160 {top + 20}Z", palette.light
    )
    canvas.circle(200, top - 4, 11, grip)


def pot(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    half, top = rng.randint(102, 122), rng.randint(190, 216)
    canvas.ground_shadow(200, 312, half + 8)
    left, right = 200 - half, 200 + half
    knob = rng.choice([METAL, WOOD, DARK])
    if rng.random() < 0.7:
        for way, edge in ((-1, left), (1, right)):
            canvas.line(
                f"M{edge - way * 6} {top + 26}q{way * 44} 0 {way * 40} 24q-4 12 {-way * 36} 8",
                palette.dark,
                13,
            )
    else:
        canvas.line(f"M{right - 8} {top + 26}L{min(right + 96, 372)} {top + 4}", knob, 17)
    deep = rounded(left, top, half * 2, 312 - top, 4, rng.choice([26, 44]))
    canvas.solid(deep, palette.main)
    canvas.begin(clip_path=canvas.clip(deep))
    canvas.rect(left, 290, half * 2, 26, palette.dark)
    if rng.random() < 0.5:
        canvas.rect(left, top + 44, half * 2, 8, palette.accent)
    canvas.end()
    if rng.random() < 0.82:
        lid = rng.randint(28, 46)
        canvas.solid(
            f"M{left - 6} {top + 4}C{left + 20} {top - lid} {right - 20} {top - lid} {right + 6} {top + 4}Q{right + 8} {top + 14} {right - 4} {top + 14}H{left + 4}Q{left - 8} {top + 14} {left - 6} {top + 4}Z",
            palette.light if rng.random() < 0.5 else palette.main,
        )
        crown = top - lid * 0.75
        canvas.rect(190, crown - 12, 20, 16, knob, 3)
        canvas.solid(rounded(176, crown - 26, 48, 18, 9, 7), knob)
    else:
        canvas.ellipse(200, top + 4, half, 16, palette.dark)
        canvas.ellipse(200, top + 8, half - 9, 11, "#c8702f")
    if rng.random() < 0.5:
        for x in (166, 200, 234):
            canvas.line(f"M{x} {top - 66}c-12 -16 12 -26 0 -42", "#ffffff", 5, opacity=0.45)


def flask(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    half, top = rng.randint(42, 58), rng.randint(78, 112)
    canvas.ground_shadow(200, 338, half + 18)
    left = 200 - half
    if rng.random() < 0.35:
        canvas.line(
            f"M{200 + half - 4} {top + 84}C{200 + half + 62} {top + 78} {200 + half + 62} {top + 196} {200 + half - 4} {top + 190}",
            palette.accent,
            14,
        )
    body = rng.choice([
        rounded(left, top + 46, half * 2, 290 - top, 26, 16),
        f"M{200 - half * 0.6:.0f} {top + 40}H{200 + half * 0.6:.0f}C{200 + half * 0.6:.0f} {top + 70} {200 + half} {top + 72} {200 + half} {top + 112}V320Q{200 + half} 336 {200 + half - 16} 336H{left + 16}Q{left} 336 {left} 320V{top + 112}C{left} {top + 72} {200 - half * 0.6:.0f} {top + 70} {200 - half * 0.6:.0f} {top + 40}Z",
    ])  # fmt: skip
    canvas.solid(body, palette.main)
    canvas.begin(clip_path=canvas.clip(body))
    mark = rng.choice(["base", "split", "peak", "stripes"])
    if mark == "base":
        canvas.rect(120, 300, 160, 50, METAL)
    elif mark == "split":
        canvas.rect(120, rng.randint(196, 232), 160, 160, palette.accent)
    elif mark == "peak":
        canvas.path(f"M120 318L{186} 226L216 268L232 250L290 318V350H120Z", palette.accent)
    else:
        for y in (214, 234, 254):
            canvas.rect(120, y, 160, 9, palette.accent)
    canvas.path(body, "url(#shade)")
    canvas.end()
    cap = rng.choice(["cup", "loop", "flat"])
    if cap == "cup":
        canvas.solid(
            rounded(200 - half * 0.84, top - 8, half * 1.68, 62, 10, 4),
            METAL if rng.random() < 0.5 else palette.accent,
        )
        canvas.line(f"M{200 - half * 0.84:.0f} {top + 40}h{half * 1.68:.0f}", darker(METAL, 0.3), 3)
    else:
        canvas.solid(rounded(200 - half * 0.62, top + 10, half * 1.24, 38, 8, 3), palette.accent)
        if cap == "loop":
            canvas.line(
                f"M{200 - half * 0.42:.0f} {top + 14}C{200 - half * 0.5:.0f} {top - 36} {200 + half * 0.5:.0f} {top - 36} {200 + half * 0.42:.0f} {top + 14}",
                darker(palette.accent, 0.2),
                9,
            )
