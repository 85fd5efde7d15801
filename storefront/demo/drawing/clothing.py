from __future__ import annotations

from storefront.demo.drawing.canvas import Canvas, Palette, rounded
from storefront.demo.drawing.colours import DARK, LEATHER, METAL, darker, lighter


def _torso(half: float, top: float, low: float, shoulder: float, sleeve: float) -> tuple[str, str, str]:
    """Body, left and right sleeve of a garment laid flat. `sleeve` is how far down the cuff hangs."""
    left, right = 200 - half, 200 + half
    body = f"M{left} {top + 16}Q200 {top - 8} {right} {top + 16}L{right + 8} {low}Q200 {low + 12} {left - 8} {low}Z"
    reach = shoulder + 34
    arm_left = f"M{left + 6} {top + 14}Q{left - 22} {top + 24} {left - shoulder + 8} {top + 70}L{left - reach} {sleeve}Q{left - reach + 18} {sleeve + 12} {left - reach + 40} {sleeve + 8}L{left + 2} {top + 118}Z"
    arm_right = f"M{right - 6} {top + 14}Q{right + 22} {top + 24} {right + shoulder - 8} {top + 70}L{right + reach} {sleeve}Q{right + reach - 18} {sleeve + 12} {right + reach - 40} {sleeve + 8}L{right - 2} {top + 118}Z"
    return body, arm_left, arm_right


def jacket(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    half, low = rng.randint(76, 88), rng.randint(306, 334)
    body, left, right = _torso(half, 108, low, 24, rng.randint(286, 304))
    quilted = rng.random() < 0.45
    hood = rng.random() < 0.62
    if hood:
        canvas.solid("M148 122C140 66 168 50 200 50S260 66 252 122Q200 150 148 122Z", palette.dark)
        canvas.path(
            "M166 122C162 86 178 74 200 74S238 86 234 122Q200 140 166 122Z", darker(palette.main, 0.62)
        )
    for arm in (left, right):
        canvas.solid(arm, palette.dark if rng.random() < 0.4 else palette.main)
    canvas.solid(body, palette.main)
    canvas.begin(clip_path=canvas.clip(body))
    if quilted:
        for y in range(140, 340, rng.choice([24, 30])):
            canvas.line(f"M90 {y}Q200 {y + 12} 310 {y}", palette.dark, 3, opacity=0.75)
    elif rng.random() < 0.6:
        canvas.path(f"M90 90H310V{rng.randint(164, 184)}Q200 206 90 {rng.randint(164, 184)}Z", palette.accent)
    canvas.end()
    if not hood:
        canvas.solid("M166 116Q200 132 234 116L228 88Q200 98 172 88Z", palette.dark)
    canvas.line(f"M200 112V{low + 4}", darker(palette.main, 0.55), 6)
    canvas.line(f"M200 112V{low + 4}", METAL if rng.random() < 0.5 else palette.accent, 2)
    for way in (-1, 1):
        canvas.line(f"M{200 + way * 30} 258L{200 + way * 54} 232", darker(palette.main, 0.5), 4)
    if rng.random() < 0.5:
        canvas.solid(rounded(220, 158, 40, 40, 5, 8), palette.dark)


def knitwear(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    half, low = rng.randint(80, 92), rng.randint(296, 316)
    sleeve = rng.randint(288, 304)
    body, left, right = _torso(half, 112, low, 26, sleeve)
    for arm in (left, right):
        canvas.solid(arm, palette.main)
    canvas.solid(body, palette.main)
    canvas.begin(clip_path=canvas.clip(f"{body}{left}{right}"))
    _knit_pattern(canvas, palette)
    canvas.end()
    canvas.begin(clip_path=canvas.clip(body))
    canvas.rect(90, low - 18, 220, 34, palette.dark)
    for x in range(100, 310, 9):
        canvas.line(f"M{x} {low - 16}v34", palette.main, 2, opacity=0.6)
    canvas.end()
    canvas.path(body, "url(#shade)")
    neck = rng.choice(["crew", "roll", "cardigan"])
    if neck == "roll":
        canvas.solid(rounded(164, 76, 72, 50, 14, 20), palette.main)
        canvas.line("M166 98Q200 108 234 98", palette.dark, 3)
    else:
        canvas.path("M158 114Q200 154 242 114L232 108Q200 136 168 108Z", palette.dark)
    if neck == "cardigan":
        canvas.line(f"M200 140V{low + 4}", palette.darkest, 5)
        for y in range(164, low, 36):
            canvas.circle(208, y, 6, LEATHER)


def _knit_pattern(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    pattern = rng.choice(["fair", "stripes", "cable", "yoke"])
    if pattern == "stripes":
        step = rng.choice([26, 36])
        for y in range(150, 320, step):
            canvas.rect(20, y, 360, step * 0.45, palette.accent)
    elif pattern == "cable":
        for x in (140, 176, 224, 260):
            for y in range(110, 320, 24):
                canvas.line(
                    f"M{x - 7} {y}q7 12 14 0M{x + 7} {y + 12}q-7 12 -14 0", palette.dark, 3.5, opacity=0.8
                )
    else:
        rows = range(148, 206, 18) if pattern == "yoke" else range(152, 300, 40)
        for row, y in enumerate(rows):
            step = 18 if row % 2 else 24
            for x in range(26, 390, step):
                half = 6 if row % 2 else 8
                canvas.path(
                    f"M{x} {y - half}L{x + half} {y}L{x} {y + half}L{x - half} {y}Z",
                    palette.accent if row % 2 == 0 else palette.light,
                )
            canvas.line(f"M20 {y + 14}H380", palette.light, 2.5, stroke_dasharray="5 7")


def t_shirt(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    half, low = rng.randint(80, 90), rng.randint(304, 320)
    left, right = 200 - half, 200 + half
    body = f"M{left} 118Q200 96 {right} 118L{right + 3} {low}Q200 {low + 10} {left - 3} {low}Z"
    sleeve = palette.accent if rng.random() < 0.35 else palette.main
    for way, edge in ((-1, left), (1, right)):
        canvas.solid(
            f"M{edge - way * 6} 112Q{edge + way * 34} 118 {edge + way * 62} 182L{edge + way * 12} 206L{edge - way * 4} 190Z",
            sleeve,
        )
    canvas.solid(body, palette.main)
    canvas.path("M156 110Q200 156 244 110L232 106Q200 140 168 106Z", palette.dark)
    _print(canvas, palette)


def _print(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    motif = rng.choice(["peaks", "sun", "stripes", "pocket", "wave", "tree", "badge"])
    ink = palette.accent
    if motif == "peaks":
        canvas.path("M144 240L182 176L206 212L220 194L256 240Z", ink)
        canvas.path("M182 176L195 196L184 204L174 192Z", lighter(ink, 0.6))
    elif motif == "sun":
        canvas.circle(200, 204, 38, ink)
        for y in (206, 216, 228):
            canvas.rect(156, y, 88, 4, palette.main)
    elif motif == "stripes":
        for index in range(rng.choice([3, 4])):
            canvas.rect(200 - 88, 168 + index * 26, 176, 12, ink)
    elif motif == "pocket":
        canvas.solid(rounded(218, 164, 46, 52, 3, 12), ink)
    elif motif == "wave":
        for y in (186, 208, 230):
            canvas.line(f"M148 {y}q13 -16 26 0t26 0t26 0t26 0", ink, 6)
    elif motif == "tree":
        for y, wide in ((176, 22), (200, 32), (226, 42)):
            canvas.path(f"M200 {y - 28}L{200 + wide} {y + 14}H{200 - wide}Z", ink)
        canvas.rect(195, 240, 10, 16, darker(ink, 0.3))
    else:
        canvas.circle(200, 206, 44, ink)
        canvas.circle(200, 206, 36, palette.main)
        canvas.path("M172 222L194 190L206 208L213 198L230 222Z", ink)


def beanie(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    half, top = rng.randint(96, 108), rng.randint(104, 132)
    left, right = 200 - half, 200 + half
    crown = f"M{left} 262C{left} {top + 30} 150 {top} 200 {top}S{right} {top + 30} {right} 262Z"
    if rng.random() < 0.6:
        ball = rng.randint(26, 36)
        canvas.circle(200, top - 10, ball, palette.accent)
        for _ in range(34):
            x, y = rng.uniform(-ball, ball), rng.uniform(-ball, ball)
            if x * x + y * y < ball * ball:
                canvas.line(
                    f"M{200 + x:.0f} {top - 10 + y:.0f}l{rng.uniform(-7, 7):.0f} {rng.uniform(-7, 7):.0f}",
                    lighter(palette.accent, 0.35),
                    2,
                )
    canvas.solid(crown, palette.main)
    canvas.begin(clip_path=canvas.clip(crown))
    pattern = rng.choice(["ribs", "stripes", "zigzag"])
    if pattern == "ribs":
        for x in range(int(left), int(right) + 12, 13):
            canvas.line(
                f"M{x} 270Q{200 + (x - 200) * 0.9:.0f} {top + 40} {200 + (x - 200) * 0.2:.0f} {top - 8}",
                palette.dark,
                3,
                opacity=0.7,
            )
    elif pattern == "stripes":
        for y in range(top + 24, 262, 38):
            canvas.path(f"M60 {y}Q200 {y - 14} 340 {y}V{y + 17}Q200 {y + 3} 60 {y + 17}Z", palette.accent)
    else:
        for y in range(top + 50, 262, 40):
            canvas.line(f"M60 {y}" + "l14 -16l14 16" * 11, palette.accent, 7)
    canvas.end()
    cuff = rng.randint(54, 70)
    canvas.solid(rounded(left - 8, 246, half * 2 + 16, cuff, 14, 18), palette.dark)
    for x in range(int(left) + 4, int(right) + 4, 12):
        canvas.line(f"M{x} 252v{cuff - 12}", darker(palette.main, 0.45), 2.5, opacity=0.6)
    if rng.random() < 0.6:
        canvas.rect(rng.choice([188, 236]), 266, 30, 22, LEATHER if rng.random() < 0.6 else DARK, 3)
