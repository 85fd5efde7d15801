"""Pictures of the demo shop's products, drawn from a seed: the same product gets the same picture, no two get one."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from storefront.demo.drawing import camping, clothing, footwear, garden, kitchen, lighting, living, packs
from storefront.demo.drawing.canvas import Canvas, Palette
from storefront.demo.drawing.scenes import backdrop

Drawer = Callable[[Canvas, Palette], None]

# What is drawn, and the setting that it stands in.
DRAWINGS: Final[dict[str, tuple[Drawer, str]]] = {
    "tent": (camping.tent, "hills"),
    "sleeping_bag": (camping.sleeping_bag, "hills"),
    "camp_stove": (camping.camp_stove, "hills"),
    "camp_chair": (camping.camp_chair, "hills"),
    "hiking_pack": (packs.hiking_pack, "slope"),
    "day_pack": (packs.day_pack, "slope"),
    "duffel": (packs.duffel, "slope"),
    "tote": (packs.tote, "slope"),
    "jacket": (clothing.jacket, "circle"),
    "knitwear": (clothing.knitwear, "circle"),
    "t_shirt": (clothing.t_shirt, "circle"),
    "beanie": (clothing.beanie, "circle"),
    "boot": (footwear.boot, "plinth"),
    "trail_shoe": (footwear.trail_shoe, "plinth"),
    "sandal": (footwear.sandal, "plinth"),
    "table_lamp": (lighting.table_lamp, "room"),
    "pendant_lamp": (lighting.pendant_lamp, "arch"),
    "lantern": (lighting.lantern, "room"),
    "mug": (kitchen.mug, "table"),
    "kettle": (kitchen.kettle, "table"),
    "pot": (kitchen.pot, "table"),
    "flask": (kitchen.flask, "table"),
    "armchair": (living.armchair, "room"),
    "cushion": (living.cushion, "arch"),
    "blanket": (living.blanket, "room"),
    "clock": (living.clock, "arch"),
    "planter": (garden.planter, "leaves"),
    "watering_can": (garden.watering_can, "leaves"),
    "birdhouse": (garden.birdhouse, "leaves"),
    "garden_tools": (garden.garden_tools, "leaves"),
}


def draw(what: str, *, colour: str, accent: str, shape_seed: str, title: str) -> str:
    """An SVG. Variants of one family pass the same `shape_seed` and differ in colour. Raises KeyError for an unknown drawing."""
    drawer, setting = DRAWINGS[what]
    palette = Palette.of(colour, accent)
    canvas = Canvas(Random(f"{shape_seed}/{colour}/backdrop"))
    backdrop(canvas, setting, palette.main)
    canvas.rng = Random(shape_seed)
    drawer(canvas, palette)
    return canvas.as_svg(title)
