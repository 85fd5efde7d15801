from __future__ import annotations

from storefront.demo.drawing.canvas import Canvas, Palette, around, number, rounded
from storefront.demo.drawing.colours import DARK, LEAF, METAL, STEEL, WOOD, darker, lighter


def planter(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(200, 338, 92)
    top, half = rng.randint(222, 244), rng.randint(66, 88)
    leaf = rng.choice([LEAF, "#7a9a5b", "#45796b", "#8aa356"])
    plant = rng.choice([_fern, _snake_plant, _round_leaves, _cactus, _flowers])
    plant(canvas, leaf, top)
    left, right = 200 - half, 200 + half
    style = rng.choice(["taper", "belly", "box", "footed"])
    low = 318 if style == "footed" else 336
    if style == "footed":
        for x in (200 - half * 0.6, 200 + half * 0.6):
            canvas.line(f"M{x:.0f} {low - 10}v34", WOOD, 10)
    body = {
        "taper": f"M{left} {top}H{right}L{right - 20} {low - 10}Q{right - 22} {low} {right - 34} {low}H{left + 34}Q{left + 22} {low} {left + 20} {low - 10}Z",
        "belly": f"M{left + 12} {top}H{right - 12}C{right + 24} {top + 40} {right + 4} {low} {right - 34} {low}H{left + 34}C{left - 4} {low} {left - 24} {top + 40} {left + 12} {top}Z",
        "box": rounded(left, top, half * 2, low - top, 4, 10),
        "footed": rounded(left, top, half * 2, low - top, 6, 40),
    }[style]
    canvas.solid(body, palette.main)
    canvas.begin(clip_path=canvas.clip(body))
    trim = rng.choice(["rim", "zigzag", "dip", "lines", "dots"])
    if trim == "rim":
        canvas.rect(60, top, 280, 22, palette.accent)
    elif trim == "zigzag":
        canvas.line(f"M60 {top + 50}" + "l16 -20l16 20" * 9, palette.accent, 7)
    elif trim == "dip":
        canvas.rect(60, top + 62, 280, 80, palette.accent)
    elif trim == "lines":
        for x in range(int(left), int(right), 15):
            canvas.line(f"M{x} {top}V340", palette.dark, 3, opacity=0.6)
    else:
        for row in range(3):
            for x in range(int(left), int(right), 26):
                canvas.circle(x + row % 2 * 13, top + 30 + row * 24, 5, palette.accent)
    canvas.path(body, "url(#shade)")
    canvas.end()


def _stem(canvas: Canvas, leaf: str, x: float, y: float, top: float) -> None:
    canvas.line(
        f"M200 {top}Q{number((200 + x) / 2)} {number((y + top) / 2 - 20)} {number(x)} {number(y)}",
        darker(leaf, 0.25),
        4,
    )


def _fern(canvas: Canvas, leaf: str, top: float) -> None:
    rng = canvas.rng
    for turn in range(-75, 76, 19):
        turn += rng.randint(-6, 6)
        length = rng.randint(104, 146)
        canvas.begin(transform=f"rotate({turn} 200 {top})")
        canvas.line(f"M200 {top}V{top - length}", darker(leaf, 0.2), 3)
        for step in range(18, length, 13):
            size = 20 * (1 - step / (length * 1.25))
            shade = leaf if step % 2 else lighter(leaf, 0.2)
            canvas.path(
                f"M200 {top - step}q{size:.0f} {-size * 0.7:.0f} {size * 1.5:.0f} {-size * 0.2:.0f}q{-size * 0.6:.0f} {size * 0.5:.0f} {-size * 1.5:.0f} {size * 0.2:.0f}Z",
                shade,
            )
            canvas.path(
                f"M200 {top - step}q{-size:.0f} {-size * 0.7:.0f} {-size * 1.5:.0f} {-size * 0.2:.0f}q{size * 0.6:.0f} {size * 0.5:.0f} {size * 1.5:.0f} {size * 0.2:.0f}Z",
                shade,
            )
        canvas.end()


def _snake_plant(canvas: Canvas, leaf: str, top: float) -> None:
    rng = canvas.rng
    for x in range(150, 256, 17):
        lean, tall = (x - 200) * 0.5 + rng.randint(-8, 8), rng.randint(96, 168)
        blade = f"M{x - 10} {top + 4}Q{x - 14 + lean * 0.5:.0f} {top - tall * 0.6:.0f} {x + lean:.0f} {top - tall}Q{x + 15 + lean * 0.5:.0f} {top - tall * 0.6:.0f} {x + 10} {top + 4}Z"
        canvas.solid(blade, leaf)
        canvas.line(
            f"M{x} {top}Q{x + lean * 0.5:.0f} {top - tall * 0.6:.0f} {x + lean:.0f} {top - tall + 8}",
            lighter(leaf, 0.4),
            2.5,
        )


def _round_leaves(canvas: Canvas, leaf: str, top: float) -> None:
    rng = canvas.rng
    for turn in (-64, -40, -18, 4, 26, 50, 70):
        x, y = around(200, top, rng.randint(84, 150), turn)
        _stem(canvas, leaf, x, y, top)
        radius = rng.randint(19, 29)
        canvas.circle(x, y, radius, leaf if rng.random() < 0.6 else lighter(leaf, 0.18))
        canvas.line(f"M{number(x)} {number(y + radius - 4)}V{number(y - radius + 8)}", darker(leaf, 0.2), 2)


def _cactus(canvas: Canvas, leaf: str, top: float) -> None:
    rng = canvas.rng
    tall = rng.randint(108, 150)
    canvas.solid(rounded(172, top - tall, 56, tall + 6, 28, 4), leaf)
    for way in (-1, 1):
        if rng.random() < 0.8:
            y = top - rng.randint(50, 84)
            canvas.line(f"M{200 + way * 22} {y}h{way * 34}v{-rng.randint(26, 46)}", leaf, 26)
    for x in (184, 200, 216):
        canvas.line(f"M{x} {top - tall + 24}V{top}", darker(leaf, 0.25), 2.5, stroke_dasharray="3 9")
    if rng.random() < 0.6:
        for turn in range(0, 360, 60):
            px, py = around(200, top - tall - 4, 10, turn)
            canvas.circle(px, py, 8, "#e28a8f")
        canvas.circle(200, top - tall - 4, 6, "#f4d35e")


def _flowers(canvas: Canvas, leaf: str, top: float) -> None:
    rng = canvas.rng
    petal = rng.choice(["#e5a1a6", "#f0c35a", "#b58bc4", "#f3efe6", "#d9694f"])
    for turn in (-50, -27, -6, 16, 40, 60):
        x, y = around(200, top, rng.randint(92, 148), turn)
        _stem(canvas, leaf, x, y, top)
        middle = ((200 + x) / 2, (top + y) / 2)
        canvas.path(f"M{number(middle[0])} {number(middle[1])}q22 -22 36 -6q-14 14 -36 6Z", leaf)
        for angle in range(0, 360, 60):
            px, py = around(x, y, 13, angle)
            canvas.circle(px, py, 10, petal)
        canvas.circle(x, y, 8, "#d99a2b" if petal != "#f0c35a" else "#8a5a2b")


def watering_can(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(196, 322, 112)
    half, top = rng.randint(62, 76), rng.randint(184, 204)
    centre = 216
    left, right = centre - half, centre + half
    if rng.random() < 0.5:
        canvas.line(
            f"M{right - 6} {top + 20}C{right + 70} {top - 4} {right + 66} {top + 110} {right - 8} {top + 100}",
            palette.dark,
            13,
        )
    canvas.line(
        f"M{left + 16} {top + 4}C{left + 10} {top - 92} {right - 10} {top - 92} {right - 14} {top + 4}",
        palette.accent,
        11,
    )
    reach = rng.randint(50, 66)
    canvas.line(f"M{left + 12} 286C{left - 30} 270 {reach + 34} 196 {reach} {top - 30}", palette.dark, 19)
    canvas.line(f"M{left + 12} 286C{left - 30} 270 {reach + 34} 196 {reach} {top - 30}", palette.main, 12)
    if rng.random() < 0.7:
        canvas.begin(transform=f"rotate(-28 {reach} {top - 36})")
        canvas.solid(
            f"M{reach - 9} {top - 26}L{reach - 27} {top - 54}H{reach + 27}L{reach + 9} {top - 26}Z",
            palette.accent,
        )
        canvas.ellipse(reach, top - 54, 27, 7, lighter(palette.accent, 0.4))
        canvas.end()
    body = rng.choice([
        rounded(left, top, half * 2, 320 - top, 8, 18),
        f"M{left + 16} {top}H{right - 16}L{right + 6} 308Q{right + 6} 320 {right - 8} 320H{left + 8}Q{left - 6} 320 {left - 6} 308Z",
        f"M{left + 20} {top}H{right - 20}C{right + 30} {top + 30} {right + 22} 310 {right - 20} 320H{left + 20}C{left - 22} 310 {left - 30} {top + 30} {left + 20} {top}Z",
    ])  # fmt: skip
    canvas.solid(body, palette.main)
    canvas.begin(clip_path=canvas.clip(body))
    for y in rng.choice([(238,), (226, 284), (250, 262, 274)]):
        canvas.rect(100, y, 240, 7, palette.dark)
    canvas.end()
    canvas.ellipse(centre, top + 2, half - 18, 10, palette.darkest)


def birdhouse(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    half, roof = rng.randint(66, 84), rng.randint(88, 112)
    wall_top = roof + 66
    if rng.random() < 0.6:
        canvas.line("M200 300V400", WOOD, 15)
    else:
        canvas.line(f"M200 0V{roof + 20}", "#8b8577", 4)
    left, right = 200 - half, 200 + half
    canvas.solid(f"M{left} {wall_top}L200 {roof + 8}L{right} {wall_top}V306H{left}Z", palette.main)
    siding = rng.choice(["planks", "plain", "shingles"])
    if siding == "planks":
        for x in range(int(left) + 20, int(right), 22):
            canvas.line(f"M{x} {wall_top + 8}V304", palette.dark, 2.5, opacity=0.6)
    elif siding == "shingles":
        for row, y in enumerate(range(wall_top + 30, 300, 24)):
            for x in range(int(left) + row % 2 * 11, int(right) - 10, 22):
                canvas.line(f"M{x} {y}q11 12 22 0", palette.dark, 2.5, opacity=0.6)
    shape = rng.choice(["round", "heart", "arch"])
    hole = darker(palette.main, 0.72)
    if shape == "round":
        canvas.circle(200, 208, 25, palette.light)
        canvas.circle(200, 208, 20, hole)
    elif shape == "heart":
        canvas.path("M200 234C164 206 174 178 200 194C226 178 236 206 200 234Z", hole)
    else:
        canvas.path("M178 232V206A22 22 0 0 1 222 206V232Z", hole)
    canvas.line("M200 258v16", DARK, 4)
    canvas.line("M184 256H216", WOOD, 8)
    canvas.solid_rect(left - 12, 302, half * 2 + 24, 15, WOOD, 4)
    over = rng.randint(18, 30)
    canvas.polygon(
        [
            (200, roof - 12),
            (right + over, wall_top + 12),
            (right + over - 8, wall_top + 28),
            (200, roof + 14),
            (left - over + 8, wall_top + 28),
            (left - over, wall_top + 12),
        ],
        palette.accent,
        shaded=True,
    )
    if rng.random() < 0.55:
        _bird(canvas, 238 if rng.random() < 0.5 else 150, 250)


def _bird(canvas: Canvas, x: float, y: float) -> None:
    colour = canvas.rng.choice(["#c9603f", "#4f7fa5", "#d6a13c"])
    canvas.path(f"M{x - 20} {y + 4}q-16 4 -24 14q16 2 26 -4Z", darker(colour, 0.3))
    canvas.ellipse(x, y, 23, 16, colour)
    canvas.circle(x + 17, y - 13, 11, colour)
    canvas.path(f"M{x + 27} {y - 15}l11 4l-11 4Z", "#e0a030")
    canvas.circle(x + 20, y - 15, 2, "#1b1a17")
    canvas.path(f"M{x - 8} {y - 4}q14 -6 20 6q-12 10 -26 4Z", darker(colour, 0.25))


def garden_tools(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    kinds = rng.sample(["trowel", "fork", "hoe", "shears"], rng.choice([2, 2, 3]))
    for index, kind in enumerate(kinds):
        x = 200 + (index - (len(kinds) - 1) / 2) * 96
        canvas.begin(transform=f"rotate({rng.randint(-10, 10)} {x:.0f} 200)")
        _tool(canvas, palette, kind, x)
        canvas.end()


def _tool(canvas: Canvas, palette: Palette, kind: str, x: float) -> None:
    if kind == "shears":
        for way in (-1, 1):
            canvas.line(f"M{x:.0f} 210Q{x + way * 34:.0f} 250 {x + way * 22:.0f} 338", palette.main, 16)
            canvas.solid(
                f"M{x - way * 5:.0f} 212L{x + way * 12:.0f} 70Q{x + way * 22:.0f} 150 {x + way * 9:.0f} 214Z",
                METAL,
            )
        canvas.circle(x, 206, 8, DARK)
        return
    canvas.solid(rounded(x - 15, 226, 30, 118, 10, 15), palette.main)
    canvas.rect(x - 15, 240, 30, 11, palette.accent)
    canvas.circle(x, 328, 5, palette.darkest)
    canvas.line(f"M{x:.0f} 228V164", STEEL, 12)
    if kind == "trowel":
        canvas.solid(
            f"M{x - 31:.0f} 100C{x - 31:.0f} 150 {x - 12:.0f} 172 {x:.0f} 176C{x + 12:.0f} 172 {x + 31:.0f} 150 {x + 31:.0f} 100Q{x + 22:.0f} 66 {x:.0f} 52Q{x - 22:.0f} 66 {x - 31:.0f} 100Z",
            METAL,
        )
        canvas.line(f"M{x:.0f} 166V84", STEEL, 3)
    elif kind == "fork":
        for offset in (-24, 0, 24):
            canvas.line(f"M{x:.0f} 168Q{x + offset:.0f} 160 {x + offset:.0f} 130V62", METAL, 9)
    else:
        canvas.line(f"M{x:.0f} 170V104", STEEL, 9)
        canvas.solid(f"M{x - 34:.0f} 62H{x + 34:.0f}L{x + 26:.0f} 106H{x - 26:.0f}Z", METAL)
