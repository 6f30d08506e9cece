"""Trees, flowers and other plants."""

from __future__ import annotations

import numpy as np

from task2sim_studio.catalogue.drawing import Draw, Pieces, category
from task2sim_studio.forms import (
    Form,
    around,
    at,
    circle,
    curve,
    cylinder,
    ellipsoid,
    join,
    lathe,
    leaf,
    rod,
    scatter,
    tube,
    vessel,
)

BARK = ("#5b4330", "#6e5540", "#4a3a2c", "#7f6a55", "#8a8078")


def _pot(draw: Draw, radius: float, height: float) -> tuple[Form, Form]:
    """A flower pot whose rim lies at z = 0, and the earth in it."""
    foot, sides = radius * draw(0.6, 0.95), draw.pick(24, 24, 6, 4)
    rim = (
        [(radius, -0.2 * height), (radius * 1.12, -0.2 * height), (radius * 1.12, 0)]
        if draw.chance()
        else [(radius, 0)]
    )
    pot = vessel([(foot, -height), *rim], 0.06 * radius, sides)
    return pot.turn("z", 45), cylinder(0.9 * radius, 0.05, sides=sides).turn("z", 45).move(z=-0.08)


@category("tree")
def tree(draw: Draw) -> Pieces:
    trunk, crown = draw(0.6, 1.1), draw(0.4, 0.6)
    bark, thick = draw.finish("bark", *BARK), draw(0.06, 0.11)
    path = curve(
        [(0, 0, 0), (draw(-0.08, 0.08), draw(-0.08, 0.08), 0.5 * trunk), (draw(-0.06, 0.06), 0, trunk + 0.2)], 8
    )
    yield "trunk", tube(path, thick * np.array([1.6, 1.1, 0.95, 0.9, 0.85, 0.75, 0.6, 0.3]), 9), bark
    fork = draw.whole(3, 5)
    yield (
        "branch",
        around(rod((0, 0, 0), (0.35 * crown, 0, 0.55), 0.45 * thick, 0.15 * thick, 7), fork, draw(0, 90)).move(
            z=0.8 * trunk
        ),
        bark,
    )
    tall = draw(0.75, 1.5)
    heart = np.array([0, 0, trunk + 0.7 * crown * tall])
    greens = draw.green(), draw.green()
    if draw.chance(0.15):
        greens = (draw.finish("foliage", "#c8602a", "#d9a02a", "#e8a8b8", "#a8402a"),) * 2
    puffs = draw.whole(7, 12)
    directions = draw.directions(puffs, -0.7)
    puff = draw.lumps(ellipsoid(1.0, 1.0, 0.9, 14, 9), 0.25, 5)
    points = heart + directions * (0.62 * crown, 0.62 * crown, 0.62 * crown * tall)
    sizes = crown * draw.many(puffs, 0.8, 1.15)
    half = puffs // 2
    yield "crown", scatter(puff, points[:half], directions[:half], sizes[:half]), greens[0]
    yield (
        "crown top",
        scatter(puff, points[half:], directions[half:], sizes[half:])
        + ellipsoid(crown, crown, crown * tall).move(*heart),
        greens[1],
    )


@category("conifer")
def conifer(draw: Draw) -> Pieces:
    tall, wide, layers = draw(1.4, 2.2), draw(0.38, 0.62), draw.whole(4, 8)
    yield "trunk", cylinder(0.07, tall, 0.02, sides=9).move(z=-0.25), draw.finish("bark", *BARK)
    green, droop, points = (
        draw.green("#2a5a3a", "#1f4f35", "#3a6b3f", "#4f7f6a", "#2f6040"),
        draw(0.0, 0.2),
        draw.whole(8, 13),
    )
    for k in range(layers):
        low = k / layers
        radius, high = wide * (1 - 0.88 * low) * draw(0.92, 1.08), tall / layers * 1.75
        skirt = lathe(
            [
                (0.03, 0.25 * high),
                (radius * 0.7, 0.08 * high),
                (radius, -droop * high),
                (0.45 * radius, 0.45 * high),
                (0.0, high),
            ],
            3 * points,
        )
        star = skirt.swell(lambda turn, z: 1 + 0.13 * np.cos(points * turn))
        yield "needles", star.turn("z", draw(0, 60)).move(z=low * tall * 0.92), green
    if draw.chance(0.15):
        yield "star", ellipsoid(0.14, 0.14, 0.16, 6, 4).move(z=tall * 1.1), draw.metal("#e0b840")


@category("palm")
def palm(draw: Draw) -> Pieces:
    tall, lean, fronds = draw(1.1, 1.8), draw(-0.35, 0.35), draw.whole(8, 13)
    path = curve([(0, 0, 0), (0.25 * lean, 0, 0.5 * tall), (lean, 0, tall)], 22)
    rings = np.where(np.arange(22) % 2, 1.0, 0.86) * np.linspace(0.1, 0.06, 22)
    yield "trunk", tube(path, rings, 9), draw.finish("bark", "#8a7355", "#7a6548", "#9a8468")
    frond = leaf(draw(0.8, 1.1), draw(0.2, 0.32), draw(80, 130), 0.03, 0.45, rows=9)
    crown = [
        around(frond.turn("y", tilt).scale(size), count, 17 * count)
        for tilt, size, count in ((50, 1.0, fronds), (15, 0.85, fronds // 2))
    ]
    yield "frond", join(crown).move(lean, 0, tall - 0.03), draw.green()
    if draw.chance(0.6):
        yield (
            "nut",
            around(ellipsoid(0.13, 0.13, 0.16, 10, 7).move(0.1, 0, -0.08), draw.whole(2, 5)).move(lean, 0, tall),
            draw.plastic("#5b4330", "#6f8a3a"),
        )


@category("cactus")
def cactus(draw: Draw) -> Pieces:
    tall, radius, ribs = draw(0.8, 1.4), draw(0.15, 0.24), draw.whole(7, 10)
    section = (
        circle(1.0, 4 * ribs)
        * (1 + 0.1 * np.cos(ribs * np.linspace(0, 2 * np.pi, 4 * ribs, endpoint=False)))[:, None]
    )
    green = draw.green("#4f8a4a", "#3f7a4f", "#6f9a5a", "#5a8f6a")

    def stem(path: object, r: float) -> Form:
        return tube(path, r, section=section, round_ends=True)  # type: ignore[arg-type]

    yield "stem", stem([(0, 0, 0), (0, 0, 0.5 * tall), (0, 0, tall)], radius), green
    for k in range(draw.whole(0, 3)):
        side, low, out, high = 1 if k % 2 == 0 else -1, draw(0.25, 0.6) * tall, draw(0.3, 0.45), draw(0.2, 0.5)
        arm = curve([(0, 0, low), (0.7 * out, 0, low), (out, 0, low + 0.12), (out, 0, low + 0.12 + high)], 10) * (
            side,
            1,
            1,
        )
        yield "arm", stem(arm, 0.55 * radius).turn("z", draw(-30, 30)), green
    if draw.chance(0.5):
        petal = leaf(0.14, 0.08, 30, 0.02, rows=5).turn("y", 45)
        yield "flower", around(petal, 7).move(z=tall + radius), draw.plastic("#e0508a", "#f0c040", "#e8402a")
    spines = 60
    z, turn = draw.many(spines, 0.05, 1) * tall, np.arange(spines) % ribs * 2 * np.pi / ribs
    points = np.stack([1.08 * radius * np.cos(turn), 1.08 * radius * np.sin(turn), z], axis=1)
    yield "spines", scatter(cylinder(0.006, 0.07, 0, sides=3), points, points * (1, 1, 0)), draw.plastic("#f0e8d0")
    if draw.chance(0.75):
        pot, earth = _pot(draw, radius * 1.6, draw(0.3, 0.45))
        yield "pot", pot, draw.ceramic("#b8623a", "#c87a50")
        yield "earth", earth, draw.finish("granite", "#4a3424", "#a8987a")


@category("flower")
def flower(draw: Draw) -> Pieces:
    high, petals, size = draw(0.8, 1.4), draw.whole(5, 14), draw(0.28, 0.45)
    lean = draw(-0.15, 0.15)
    green = draw.green()
    path = curve([(0, 0, 0), (lean, 0, 0.5 * high), (0.5 * lean, 0, high)], 10)
    yield "stem", tube(path, 0.025, 7), green
    tulip = draw.chance(0.3)
    tilt = draw(20, 60)
    if tulip:
        bloom = join([around(leaf(0.5, 0.36, -25, 0.03, 0.45).turn("y", 25 + 8 * k), 3, 60 * k) for k in range(2)])
    else:
        petal = leaf(
            size, min(0.3, 4.5 * size / petals) * draw(0.7, 1.3), draw(-30, 30), 0.025, draw(0.5, 0.75)
        ).turn("y", draw(65, 85))
        bloom = around(petal, petals)
        if draw.chance(0.4):
            bloom += around(petal.scale(0.75).turn("y", -18), petals, 180 / petals)
    if not tulip:
        centre = ellipsoid(0.55 * size, 0.55 * size, 0.3 * size, 16, 9).turn("x", tilt).move(0.5 * lean, 0, high)
        yield "centre", centre, draw.finish("dots", "#e8b020", "#7a4a1a", "#f0d050", "#3a2a1a")
    yield (
        "petals",
        bloom.turn("x", 0 if tulip else tilt).move(0.5 * lean, 0, high),
        draw.plastic("#e03a4a", "#f0c030", "#e87ab0", "#f5f0ee", "#8a5ac0", "#4a6ad0", "#f08030"),
    )
    for k in range(draw.whole(1, 3)):
        blade = (
            leaf(draw(0.4, 0.7), draw(0.12, 0.24), draw(30, 80), 0.02).turn("y", 25).turn("z", 150 * k + draw(0, 60))
        )
        yield "leaf", blade.move(lean * 0.5, 0, draw(0.05, 0.4) * high), green


@category("potted plant")
def potted_plant(draw: Draw) -> Pieces:
    radius, height = draw(0.25, 0.38), draw(0.35, 0.6)
    pot, earth = _pot(draw, radius, height)
    yield (
        "pot",
        pot,
        draw.finish(
            draw.pick("ceramic", "ceramic", "dots", "stripes", "wood"),
            "#b8623a",
            "#c87a50",
            "#e8e4da",
            "#3a3f47",
            "#2f6fc4",
            "#d9b04a",
        ),
    )
    yield "earth", earth, draw.finish("granite", "#4a3424", "#3a2a20")
    count, green = draw.whole(10, 22), draw.green()
    kind = draw.pick("blades", "stalks", "bush")
    if kind == "blades":
        blade = leaf(draw(0.7, 1.1), draw(0.07, 0.14), draw(20, 110), 0.02, 0.35)
        yield (
            "leaf",
            scatter(
                blade,
                draw.directions(count) * (0.1, 0.1, 0),
                draw.directions(count, 0.55),
                draw.many(count, 0.7, 1.1),
            ),
            green,
        )
    elif kind == "stalks":
        blade = leaf(draw(0.35, 0.5), draw(0.22, 0.34), draw(40, 90), 0.02, 0.45)
        for direction in draw.directions(draw.whole(6, 9), 0.45):
            end = direction * draw(0.5, 0.95)
            yield "stem", tube(curve([(0, 0, -0.05), end * (0.3, 0.3, 0.6), end], 6), 0.016, 6), green
            yield "leaf", scatter(blade, [end], [direction * (1, 1, 0.5)]), green
    else:
        points = draw.directions(3 * count, 0.0)
        size = draw(0.35, 0.55)
        yield "stem", cylinder(0.03, 0.35), draw.finish("bark", *BARK)
        yield (
            "bush",
            draw.lumps(ellipsoid(1.5 * size, 1.5 * size, 1.4 * size), 0.2, 5).move(z=0.25 + 0.3 * size),
            green,
        )
        yield "leaf", scatter(leaf(0.26, 0.13, 40, 0.02, rows=5), points * size * 0.8 + (0, 0, 0.25), points), green
        if draw.chance():
            yield (
                "bloom",
                at(ellipsoid(0.1, 0.1, 0.1, 8, 6), points[::4] * size * 1.2 + (0, 0, 0.25)),
                draw.plastic("#e03a4a", "#f0c030", "#e87ab0", "#f5f0ee"),
            )
