from __future__ import annotations

from storefront.demo.drawing.canvas import Canvas, Palette
from storefront.demo.drawing.colours import DARK, LEATHER, METAL, PAPER, darker, lighter


def boot(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(204, 322, 140)
    top = rng.randint(96, 150)
    sole = rng.choice([DARK, "#6b5138", PAPER])
    upper = f"M108 {top}H204L212 212C244 226 300 232 324 258Q336 274 334 300H94C92 240 104 180 108 {top}Z"
    canvas.solid(upper, palette.main)
    canvas.begin(clip_path=canvas.clip(upper))
    canvas.path(
        "M262 310C262 262 286 240 340 250V310Z", palette.accent if rng.random() < 0.5 else palette.dark
    )
    canvas.path(f"M86 {top}h40C118 200 116 260 124 310H80Z", palette.dark)
    canvas.path("M150 310C150 268 190 250 214 244L262 262V310Z", palette.dark, opacity=0.45)
    canvas.end()
    canvas.solid(
        f"M100 {top + 10}Q98 {top - 12} 120 {top - 12}H196Q214 {top - 12} 212 {top + 10}Z",
        palette.light if rng.random() < 0.5 else LEATHER,
    )
    canvas.path(
        f"M186 {top - 12}Q206 {top - 40} 222 {top - 24}L214 {top + 30}L190 {top + 10}Z", palette.light
    )
    lace = rng.choice([palette.accent, PAPER, darker(palette.main, 0.55)])
    steps = 5
    for index in range(steps):
        y = top + 26 + index * (200 - top) / steps
        canvas.line(f"M{176 + index * 2} {y + 12:.0f}L{210 + index * 4} {y:.0f}", lace, 5)
        canvas.circle(172 + index * 2, y + 12, 4, METAL)
    canvas.line(f"M208 {top + 26}q30 -14 26 8q-4 12 -24 -4", lace, 4)
    _lugged_sole(canvas, sole)


def _lugged_sole(canvas: Canvas, sole: str) -> None:
    rng = canvas.rng
    midsole = rng.random() < 0.5
    if midsole:
        canvas.path("M90 294H336Q340 304 334 310H92Z", lighter(sole, 0.45))
    canvas.solid("M90 302H336Q346 306 340 318Q336 324 324 324H104Q90 324 90 312Z", sole)
    for x in range(104, 330, rng.choice([18, 24])):
        canvas.rect(x, 318, 11, 8, darker(sole, 0.3), 2)
    canvas.line("M94 300H336", darker(sole, 0.3), 2, stroke_dasharray="5 5", opacity=0.7)


def trail_shoe(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(202, 318, 148)
    heel = rng.randint(184, 202)
    upper = f"M66 {heel + 6}Q64 {heel - 12} 84 {heel - 8}Q118 {heel + 14} 158 {heel - 6}Q206 214 262 240Q326 252 342 284Q346 296 340 300H66Q52 260 66 {heel + 6}Z"
    canvas.solid(upper, palette.main)
    canvas.begin(clip_path=canvas.clip(upper))
    canvas.path("M268 306C270 266 300 250 350 254V306Z", palette.accent)
    canvas.path(f"M50 {heel - 20}H110Q92 250 112 306H50Z", palette.dark)
    mark = rng.choice(["swoop", "bars", "peak"])
    if mark == "swoop":
        canvas.path("M126 292Q190 288 234 238L252 246Q206 306 126 306Z", palette.accent)
    elif mark == "bars":
        for x in (150, 176, 202):
            canvas.line(f"M{x - 10} 300L{x + 26} 232", palette.accent, 10)
    else:
        canvas.path("M134 300L176 240L198 270L212 254L244 300Z", palette.accent)
    canvas.end()
    lace = rng.choice([PAPER, palette.accent, DARK])
    for index in range(5):
        x, y = 164 + index * 20, heel + 6 + index * 9.5
        canvas.line(f"M{x} {y + 20:.0f}L{x + 20} {y:.0f}", lace, 5)
    canvas.path(f"M150 {heel - 4}Q154 {heel - 30} 178 {heel - 24}L186 {heel + 12}Z", palette.light)
    sole = rng.choice([PAPER, "#dfe4e2", "#e8d9bd"])
    canvas.solid("M56 292Q200 306 346 288Q356 300 344 314Q338 320 322 320H84Q58 320 56 304Z", sole)
    canvas.path(
        "M66 312H340Q334 322 320 322H88Q70 322 66 312Z", palette.accent if rng.random() < 0.4 else DARK
    )
    for x in range(84, 330, 20):
        canvas.rect(x, 316, 12, 8, DARK, 2)


def sandal(canvas: Canvas, palette: Palette) -> None:
    rng = canvas.rng
    canvas.ground_shadow(202, 322, 146)
    foot = rng.choice(["#c49a6c", "#8a6a4a", "#55504a"])
    canvas.solid(
        "M58 286Q60 268 92 270Q170 276 220 288Q300 300 338 288Q352 286 350 300Q346 312 322 312H78Q58 308 58 286Z",
        foot,
    )
    canvas.solid(
        "M58 296Q60 320 86 322H318Q350 320 350 298Q340 308 318 308H84Q64 308 58 296Z",
        DARK if rng.random() < 0.6 else darker(foot, 0.35),
    )
    for x in range(78, 330, 18):
        canvas.line(f"M{x} 322l4 -6", darker(foot, 0.5), 3)
    wide = rng.randint(20, 30)
    strap, second = palette.main, palette.accent if rng.random() < 0.6 else palette.dark
    canvas.line("M74 276C72 220 96 184 132 182S184 226 186 282", palette.dark, wide)
    canvas.line("M74 276C72 220 96 184 132 182S184 226 186 282", strap, wide - 6)
    if rng.random() < 0.65:
        canvas.line("M112 186C96 214 92 246 94 270", second, 15)
    canvas.line("M176 240C214 226 240 244 252 286", second, wide - 4)
    canvas.line("M238 290C250 236 300 230 324 286", palette.dark, wide + 2)
    canvas.line("M238 290C250 236 300 230 324 286", strap, wide - 4)
    for x, y in ((148, 190), (262, 256)):
        canvas.rect(x - 11, y - 9, 22, 20, METAL, 4)
        canvas.rect(x - 6, y - 4, 12, 10, palette.darkest, 2)
