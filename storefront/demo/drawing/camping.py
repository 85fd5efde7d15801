from __future__ import annotations

from storefront.demo.drawing.canvas import Canvas, Palette, rounded
from storefront.demo.drawing.colours import DARK, GLOW, METAL, STEEL, WOOD, darker, lighter


def tent(canvas: Canvas, palette: Palette) -> None:
    canvas.ground_shadow(200, 322, 165)
    canvas.rng.choice([_dome, _ridge, _tunnel, _bell])(canvas, palette)


def _dome(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    top, half = rng.randint(118, 150), rng.randint(138, 160)
    left, right = 200 - half, 200 + half
    body = (
        f"M{left} 322C{left + 22} {top + 60} {200 - 70} {top} 200 {top}S{right - 22} {top + 60} {right} 322Z"
    )
    canvas.solid(body, palette.main)
    clip = canvas.clip(body)
    canvas.begin(clip_path=clip)
    canvas.path(
        f"M200 {top}C{right - 60} {top + 10} {right - 20} 230 {right} 322H250C262 250 240 160 200 {top}Z",
        palette.dark,
    )
    canvas.path(f"M{left} 300H{right}V330H{left}Z", palette.darkest, opacity=0.55)
    canvas.end()
    door = rng.randint(50, 66)
    canvas.path(
        f"M{200 - door} 322C{200 - door + 8} 250 {188} {top + 66} 200 {top + 52}C212 {top + 66} {200 + door - 8} 250 {200 + door} 322Z",
        darker(palette.main, 0.68),
    )
    canvas.path(
        f"M{200 - door} 322C{200 - door + 8} 250 188 {top + 66} 200 {top + 52}C186 {top + 110} 176 260 172 322Z",
        palette.light,
    )
    canvas.line(
        f"M{left} 322C{left + 22} {top + 60} 130 {top} 200 {top}S{right - 22} {top + 60} {right} 322",
        palette.accent,
        4,
    )
    if rng.random() < 0.6:
        canvas.line(
            f"M{left + 46} 322C{left + 80} 200 170 {top + 14} 200 {top}C250 {top + 20} {right - 66} 190 {right - 46} 322",
            palette.accent,
            3,
            opacity=0.85,
        )
    _guys(canvas, left, right, top + 74)


def _ridge(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    top, shift = rng.randint(112, 140), rng.randint(40, 78)
    front = f"M62 322L{150} {top}L238 322Z"
    canvas.polygon(
        [(150, top), (150 + shift * 2, top + 8), (352, 318), (238, 322)], palette.dark, shaded=True
    )
    canvas.solid(front, palette.main)
    canvas.polygon([(150, top + 46), (116, 322), (184, 322)], darker(palette.main, 0.68))
    canvas.polygon([(150, top + 46), (116, 322), (132, 322)], palette.light)
    canvas.polygon([(150, top + 46), (184, 322), (170, 322)], palette.light, opacity=0.85)
    canvas.line(f"M62 322L150 {top}L238 322", palette.accent, 4)
    canvas.line(f"M150 {top}L{150 + shift * 2} {top + 8}", palette.accent, 4)
    for offset in range(1, rng.randint(2, 4)):
        x = 150 + shift * 2 * offset / 4
        canvas.line(
            f"M{x:.0f} {top + offset * 2}L{238 + 114 * offset / 4:.0f} 321", palette.darkest, 1.5, opacity=0.4
        )
    _guys(canvas, 62, 352, top + 90)


def _tunnel(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    top = rng.randint(140, 168)
    body = f"M44 322C44 {top + 40} 84 {top} 130 {top}H270C330 {top + 10} 356 {top + 70} 362 322Z"
    canvas.solid(body, palette.main)
    canvas.begin(clip_path=canvas.clip(body))
    canvas.path("M40 302H370V330H40Z", palette.darkest, opacity=0.5)
    stripe = rng.randint(190, 215)
    canvas.path(
        f"M{stripe} {top - 5}H{stripe + 34}L{stripe + 52} 330H{stripe + 10}Z", palette.accent, opacity=0.9
    )
    canvas.end()
    canvas.path(
        f"M66 322C66 {top + 62} 92 {top + 34} 126 {top + 34}S184 {top + 62} 184 322Z",
        darker(palette.main, 0.66),
    )
    canvas.path(
        f"M66 322C66 {top + 62} 92 {top + 34} 126 {top + 34}C96 {top + 70} 94 250 96 322Z", palette.light
    )
    for x in (130, 205, 275):
        canvas.line(
            f"M{x} {top}C{x + 42} {top + 22} {x + 62} {top + 80} {x + 66} 322",
            palette.darkest,
            2.5,
            opacity=0.5,
        )
    _guys(canvas, 44, 362, top + 60)


def _bell(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    top, half = rng.randint(84, 104), rng.randint(132, 150)
    left, right = 200 - half, 200 + half
    canvas.line(f"M200 {top - 14}V{top + 8}", WOOD, 6)
    roof = f"M200 {top}C214 {top + 60} {right - 40} 214 {right} 250H{left}C{left + 40} 214 186 {top + 60} 200 {top}Z"
    canvas.solid(f"M{left + 6} 250H{right - 6}L{right - 2} 322H{left + 2}Z", palette.light)
    canvas.solid(roof, palette.main)
    for bend in (-0.62, -0.3, 0.3, 0.62):
        canvas.line(
            f"M200 {top}C{200 + bend * 20:.0f} {top + 70} {200 + bend * half * 0.75:.0f} 216 {200 + bend * half:.0f} 250V322",
            palette.dark,
            1.6,
            opacity=0.5,
        )
    canvas.path(
        f"M200 {top + 64}C190 180 168 244 164 322H236C232 244 210 180 200 {top + 64}Z",
        darker(palette.main, 0.64),
    )
    canvas.path(f"M200 {top + 64}C190 180 168 244 164 322H180C182 250 192 180 200 {top + 64}Z", palette.light)
    scallops = "".join(f"q{(right - left) / 24:.1f} 14 {(right - left) / 12:.1f} 0" for _ in range(12))
    canvas.path(f"M{left} 250{scallops}Z", palette.accent)
    canvas.line(f"M{left} 250H{right}", palette.accent, 5)
    if rng.random() < 0.5:
        canvas.circle(200, top - 18, 6, palette.accent)
    _guys(canvas, left, right, 246)


def _guys(canvas: Canvas, left: float, right: float, height: float) -> None:
    for edge, way in ((left, -1), (right, 1)):
        canvas.line(f"M{edge - way * 16:.0f} {height:.0f}L{edge + way * 26:.0f} 326", "#8b8577", 1.5)
        canvas.line(f"M{edge + way * 26:.0f} 318v12", STEEL, 3)


def sleeping_bag(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(205, 340, 110)
    turn = rng.choice([-14, -8, 8, 14])
    canvas.begin(transform=f"rotate({turn} 200 200)")
    width, foot = rng.randint(74, 86), rng.randint(44, 56)
    body = f"M{200 - width} 120C{200 - width} 60 160 44 200 44S{200 + width} 60 {200 + width} 120C{200 + width + 6} 210 {200 + foot} 300 {200 + foot - 6} 338Q200 366 {200 - foot + 6} 338C{200 - foot} 300 {200 - width - 6} 210 {200 - width} 120Z"
    canvas.solid(body, palette.main)
    canvas.begin(clip_path=canvas.clip(body))
    step = rng.choice([26, 32, 38])
    for y in range(150, 370, step):
        canvas.line(f"M90 {y}Q200 {y + 18} 310 {y}", palette.dark, 2.5, opacity=0.7)
        canvas.line(f"M90 {y + 5}Q200 {y + 23} 310 {y + 5}", palette.light, 2, opacity=0.5)
    if rng.random() < 0.55:
        canvas.path("M90 262Q200 280 310 262V300Q200 318 90 300Z", palette.accent, opacity=0.92)
    canvas.end()
    canvas.ellipse(200, 104, 50, 42, palette.accent)
    canvas.ellipse(200, 106, 42, 34, darker(palette.accent, 0.5))
    canvas.path("M160 112Q200 84 240 112Q236 140 200 142T160 112Z", lighter(palette.accent, 0.55))
    canvas.line("M200 146C206 200 226 240 228 320", palette.darkest, 3)
    canvas.rect(196, 148, 8, 16, METAL, 3)
    canvas.end()


def camp_stove(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(200, 330, 96)
    wide = rng.randint(56, 70)
    can_top = rng.randint(232, 246)
    canvas.solid(rounded(200 - wide, can_top, wide * 2, 330 - can_top, 34, 16), palette.main)
    canvas.rect(200 - wide, can_top + 42, wide * 2, 26, palette.accent)
    canvas.circle(200, can_top + 55, 9, lighter(palette.accent, 0.7))
    canvas.rect(182, can_top - 18, 36, 24, STEEL, 5)
    canvas.rect(190, 176, 20, can_top - 188, METAL, 3)
    canvas.line(f"M210 {can_top - 6}H258", DARK, 5)
    canvas.rect(252, can_top - 18, 22, 24, palette.accent, 6)
    canvas.solid(rounded(156, 160, 88, 22, 6, 12), DARK)
    arms = rng.choice([3, 4])
    for index in range(arms):
        x = 200 + (index - (arms - 1) / 2) * 150 / (arms - 1)
        canvas.line(f"M200 178L{x:.0f} 150V136", STEEL, 6)
    for index in range(rng.choice([5, 7])):
        x = 164 + index * 72 / 6
        tall = rng.randint(24, 40)
        canvas.path(
            f"M{x - 7:.0f} 158Q{x - 8:.0f} {158 - tall * 0.5:.0f} {x:.0f} {158 - tall}Q{x + 8:.0f} {158 - tall * 0.5:.0f} {x + 7:.0f} 158Z",
            "#6aa5d8",
            opacity=0.85,
        )
        canvas.path(
            f"M{x - 3:.0f} 158Q{x - 3:.0f} {158 - tall * 0.3:.0f} {x:.0f} {158 - tall * 0.6:.0f}Q{x + 3:.0f} {158 - tall * 0.3:.0f} {x + 3:.0f} 158Z",
            GLOW,
        )
    if rng.random() < 0.7:
        _pan(canvas, palette)


def _pan(canvas: Canvas, palette: Palette) -> None:
    tall = canvas.rng.randint(56, 76)
    canvas.solid(rounded(126, 134 - tall, 148, tall, 6, 20), METAL)
    canvas.rect(120, 130 - tall, 160, 9, STEEL, 4)
    canvas.line(f"M272 {146 - tall}Q330 {140 - tall} 336 {170 - tall}", palette.accent, 9)


def camp_chair(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(200, 332, 112)
    frame = rng.choice([WOOD, DARK, STEEL])
    back = rng.randint(84, 112)
    lean = rng.randint(-6, 22)
    canvas.line("M118 332L268 208", darker(frame, 0.25), 9)
    canvas.line("M282 332L132 208", frame, 9)
    canvas.line(f"M132 222L{118 - lean} {back}", frame, 9)
    canvas.line(f"M268 222L{262 - lean} {back}", darker(frame, 0.2), 9)
    seat = "M112 204Q200 250 292 204L282 232Q200 276 122 232Z"
    canvas.solid(
        f"M{116 - lean} {back + 4}Q{190 - lean} {back + 22} {264 - lean} {back + 4}L270 196Q200 236 130 196Z",
        palette.main,
    )
    if rng.random() < 0.5:
        canvas.path(
            f"M{120 - lean * 0.7:.0f} {back + 42}Q{195 - lean * 0.7:.0f} {back + 60} {264 - lean * 0.7:.0f} {back + 42}V{back + 62}Q{195 - lean * 0.7:.0f} {back + 80} {121 - lean * 0.7:.0f} {back + 62}Z",
            palette.accent,
        )
    canvas.solid(seat, palette.dark)
    if rng.random() < 0.6:
        for x in (96, 272):
            canvas.rect(x, 176, 40, 13, frame, 6)
            canvas.line(f"M{x + 20} 186V214", frame, 7)
