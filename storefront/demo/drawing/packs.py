from __future__ import annotations

from storefront.demo.drawing.canvas import Canvas, Palette, rounded
from storefront.demo.drawing.colours import DARK, LEATHER, METAL, darker


def hiking_pack(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(200, 340, 96)
    half, top = rng.randint(72, 86), rng.randint(104, 124)
    for way in (-1, 1):
        canvas.solid(rounded(200 + way * (half + 4) - 22, 216, 44, 104, 16, 18), palette.dark)
        canvas.line(f"M{200 + way * (half + 6)} 150V210", darker(palette.main, 0.6), 6)
    if rng.random() < 0.6:
        canvas.solid(rounded(200 - half + 8, 316, half * 2 - 16, 30, 15, 15), palette.accent)
        for x in (200 - half * 0.5, 200 + half * 0.5):
            canvas.line(f"M{x:.0f} 314V348", DARK, 5)
    canvas.solid(rounded(200 - half, top, half * 2, 328 - top, 40, 30), palette.main)
    canvas.solid(rounded(200 - half * 0.74, 226, half * 1.48, 84, 18, 22), palette.dark)
    canvas.line(f"M{200 - half * 0.6:.0f} 246Q200 236 {200 + half * 0.6:.0f} 246", palette.accent, 3.5)
    lid = rng.randint(48, 60)
    canvas.line(f"M182 {top - 18}C182 {top - 44} 218 {top - 44} 218 {top - 18}", DARK, 6)
    canvas.solid(
        rounded(200 - half - 8, top - 24, half * 2 + 16, lid, 26, 16),
        palette.accent if rng.random() < 0.45 else palette.light,
    )
    for x in (200 - half * 0.5, 200 + half * 0.5):
        canvas.line(f"M{x:.0f} {top + lid - 30}V{top + lid + 44}", LEATHER if rng.random() < 0.4 else DARK, 8)
        canvas.rect(x - 8, top + lid + 10, 16, 14, METAL, 3)
    _daisy_chain(canvas, top + lid + 4)


def _daisy_chain(canvas: Canvas, top: float) -> None:
    if canvas.rng.random() < 0.6:
        canvas.line(f"M200 {top:.0f}V216", DARK, 5)
        for y in range(int(top) + 12, 214, 16):
            canvas.line(f"M196 {y}h8", METAL, 3)


def day_pack(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(200, 334, 92)
    half, top = rng.randint(80, 98), rng.randint(96, 116)
    canvas.line(f"M176 {top + 6}C176 {top - 34} 224 {top - 34} 224 {top + 6}", darker(palette.main, 0.5), 9)
    canvas.solid(rounded(200 - half, top, half * 2, 330 - top, rng.choice([44, 66, 84]), 34), palette.main)
    style = rng.choice(["zip", "flap", "roll"])
    if style == "zip":
        canvas.line(
            f"M{200 - half + 14} 214V{top + 66}Q{200 - half + 16} {top + 22} 200 {top + 22}T{200 + half - 14} {top + 66}V214",
            darker(palette.main, 0.45),
            4,
        )
        canvas.line(f"M{200 + half - 14} 176v18", METAL, 6)
    elif style == "flap":
        canvas.solid(rounded(200 - half - 4, top - 4, half * 2 + 8, 112, 46, 34), palette.light)
        for x in (200 - half * 0.45, 200 + half * 0.45):
            canvas.solid(rounded(x - 11, top + 78, 22, 66, 4, 9), LEATHER)
            canvas.rect(x - 9, top + 112, 18, 14, METAL, 3)
    else:
        for index in range(3):
            canvas.solid(
                rounded(200 - half + 6, top - 6 + index * 14, half * 2 - 12, 18, 8, 8),
                palette.light if index % 2 else palette.main,
            )
        canvas.line(f"M200 {top + 30}V216", DARK, 8)
        canvas.rect(190, 178, 20, 18, METAL, 4)
    canvas.solid(
        rounded(200 - half * 0.72, 222, half * 1.44, 86, 16, 26),
        palette.accent if rng.random() < 0.5 else palette.dark,
    )
    canvas.line(f"M{200 - half * 0.58:.0f} 240H{200 + half * 0.58:.0f}", darker(palette.main, 0.5), 3)
    if rng.random() < 0.5:
        canvas.rect(186, 258, 28, 20, LEATHER, 4)


def duffel(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    half, top = rng.randint(138, 154), rng.randint(158, 180)
    canvas.ground_shadow(200, 318, half)
    canvas.line(
        f"M134 {top + 62}C140 {top - 76} 260 {top - 76} 266 {top + 62}", darker(palette.accent, 0.2), 11
    )
    canvas.solid(rounded(200 - half, top, half * 2, 316 - top, rng.choice([44, 62]), 46), palette.main)
    band = rng.randint(26, 38)
    for way in (-1, 1):
        canvas.solid(rounded(200 + way * 66 - 9, top, 18, 316 - top, 3, 3), palette.accent)
        canvas.solid(
            rounded(200 + way * (half - band / 2) - band / 2, top + 22, band, 280 - top, 16, 16), palette.dark
        )
    canvas.line(
        f"M{200 - half + 44} {top + 16}Q200 {top + 4} {200 + half - 44} {top + 16}",
        darker(palette.main, 0.55),
        4.5,
    )
    canvas.rect(244, top + 6, 22, 9, METAL, 4)
    if rng.random() < 0.55:
        canvas.solid(rounded(156, top + 62, 88, 62, 10, 14), palette.dark)
        canvas.line(f"M164 {top + 76}H236", palette.light, 3)
    else:
        canvas.rect(176, top + 62, 48, 30, LEATHER, 5)
        canvas.rect(182, top + 68, 36, 18, darker(LEATHER, 0.2), 3)
    canvas.line(f"M134 {top + 62}C138 {top - 40} 262 {top - 40} 266 {top + 62}", palette.accent, 11)


def tote(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(200, 334, 104)
    top, narrow, wide = rng.randint(148, 168), rng.randint(84, 100), rng.randint(100, 118)
    strap = LEATHER if rng.random() < 0.5 else palette.accent
    drop = rng.randint(56, 96)
    canvas.line(f"M150 {top + 4}C152 {top - drop} 248 {top - drop} 250 {top + 4}", darker(strap, 0.3), 10)
    body = f"M{200 - narrow} {top}H{200 + narrow}L{200 + wide} 318Q{200 + wide} 332 {200 + wide - 14} 332H{200 - wide + 14}Q{200 - wide} 332 {200 - wide} 318Z"
    canvas.solid(body, palette.main)
    canvas.begin(clip_path=canvas.clip(body))
    _tote_pattern(canvas, palette, top)
    canvas.path(body, "url(#shade)")
    canvas.end()
    canvas.line(f"M{200 - narrow} {top + 6}H{200 + narrow}", palette.dark, 5)
    canvas.line(
        f"M150 {top + 26}V{top}C152 {top - drop + 22} 248 {top - drop + 22} 250 {top}V{top + 26}", strap, 10
    )
    for x in (150, 250):
        canvas.circle(x, top + 24, 4, METAL)


def _tote_pattern(canvas: Canvas, palette: Palette, top: float) -> None:
    rng = canvas.rng
    pattern = rng.choice(["stripes", "block", "dots", "waves", "plain"])
    if pattern == "stripes":
        step = rng.choice([22, 30])
        for y in range(int(top) + 24, 330, step):
            canvas.rect(70, y, 260, step * 0.42, palette.accent)
    elif pattern == "block":
        canvas.rect(70, rng.randint(236, 262), 260, 110, palette.accent)
    elif pattern == "dots":
        for row in range(6):
            for column in range(8):
                canvas.circle(88 + column * 34 + row % 2 * 17, top + 28 + row * 30, 7, palette.accent)
    elif pattern == "waves":
        for row in range(5):
            canvas.line(f"M70 {top + 30 + row * 32}" + "q16 -16 32 0t32 0" * 5, palette.accent, 5)
    else:
        canvas.circle(200, top + 92, 34, palette.accent)
        canvas.path(
            f"M172 {top + 106}L194 {top + 72}L206 {top + 90}L214 {top + 80}L230 {top + 106}Z", palette.main
        )
