"""Fruit, vegetables and dishes."""

from __future__ import annotations

import numpy as np

from task2sim_studio.catalogue.drawing import PALES, Draw, Pieces, category
from task2sim_studio.forms import (
    Floats,
    Form,
    arc,
    around,
    at,
    box,
    circle,
    curve,
    cylinder,
    ellipsoid,
    extrude,
    in_plane,
    join,
    lathe,
    leaf,
    rounded,
    scatter,
    superellipsoid,
    torus,
    tube,
)

STALK = ("#5b4226", "#6e5a2e", "#4c5a2a")


def _stalk(height: float, radius: float, lean: float) -> Form:
    path = curve([(0, 0, 0), (0.2 * lean, 0, 0.5 * height), (lean, 0, height)], 6)
    return tube(path, np.linspace(radius, 1.4 * radius, 6), 7)


def _ribbed(form: Form, ribs: int, depth: float) -> Form:
    return form.swell(lambda turn, z: 1 - depth * np.abs(np.cos(0.5 * ribs * turn)) ** 6)


@category("apple")
def apple(draw: Draw) -> Pieces:
    wide, tall, dip = draw(0.45, 0.55), draw(0.8, 1.0), draw(0.08, 0.16)
    profile = curve(
        [
            (0, dip),
            (0.15, 0.03),
            (0.35 * wide / 0.5, 0.08 * tall),
            (wide, 0.58 * tall),
            (0.6 * wide, 0.98 * tall),
            (0.12, tall - 0.05),
            (0, tall - dip - 0.08),
        ],
        24,
    )
    skin = draw.natural("#c0281e", "#d94a30", "#7fb23a", "#c9c23a", "#a81e2a", "#e0a03a")
    yield "fruit", draw.lumps(lathe(profile, 24).taper(draw(1.0, 1.15)), 0.05, 1.5), skin
    yield (
        "stalk",
        _stalk(draw(0.22, 0.38), 0.018, draw(-0.1, 0.1)).move(z=tall - dip - 0.1),
        draw.finish("bark", *STALK),
    )
    for k in range(draw.pick(0, 1, 1, 2)):
        blade = leaf(draw(0.3, 0.5), draw(0.14, 0.22), draw(40, 90), 0.02).turn("y", 40)
        yield "leaf", blade.turn("z", draw(0, 360) + 180 * k).move(z=tall - 0.1), draw.green()


@category("pear")
def pear(draw: Draw) -> Pieces:
    wide, neck, tall = draw(0.36, 0.46), draw(0.13, 0.22), draw(1.0, 1.3)
    profile = curve(
        [
            (0, 0.04),
            (0.6 * wide, 0.03),
            (wide, 0.32 * tall),
            (neck * 1.25, 0.68 * tall),
            (neck, 0.9 * tall),
            (0.06, tall),
            (0, tall - 0.03),
        ],
        26,
    )
    skin = draw.natural("#b5b83c", "#c9c04a", "#8fae3c", "#c79a4a", "#a8642e")
    yield "fruit", draw.lumps(lathe(profile, 24), 0.06, 1.5).bend(draw(-15, 15)), skin
    yield "stalk", _stalk(draw(0.2, 0.32), 0.02, draw(-0.12, 0.12)).move(z=tall - 0.08), draw.finish("bark", *STALK)
    if draw.chance(0.4):
        yield "leaf", leaf(0.4, 0.2, 60).turn("y", 50).turn("z", draw(0, 360)).move(z=tall), draw.green()


@category("banana")
def banana(draw: Draw) -> Pieces:
    count, length, thick, curved = draw.whole(1, 5), draw(1.5, 1.9), draw(0.13, 0.18), draw(55, 100)
    skin = draw.finish("plastic", "#e8c42e", "#f0d040", "#d9b02a", "#b8b83a")
    stations = np.linspace(0, length, 18)
    swell = thick * np.interp(
        stations / length, [0, 0.06, 0.16, 0.3, 0.7, 0.9, 0.96, 1], [0.35, 0.32, 0.75, 0.97, 1, 0.6, 0.3, 0.25]
    )
    fruit = tube(in_plane(np.stack([0 * stations, stations], axis=1), "y"), swell, section=circle(1, 5)).bend(curved)
    for k in range(count):
        yield (
            "fruit",
            fruit.move(x=0.1).turn("z", (k - (count - 1) / 2) * draw(14, 22)).turn("x", 90).turn("z", 180),
            skin,
        )
    yield (
        "tip",
        superellipsoid(0.1 + 0.03 * count, 0.12, 0.12, 1, 1, 10, 7).move(x=-0.06),
        draw.finish("bark", *STALK),
    )


@category("orange")
def orange(draw: Draw) -> Pieces:
    size, squash = 1.0, draw(0.86, 1.0)
    skin = draw.natural("#e8831e", "#f09a2a", "#d96a1a", "#f2a83a")
    cut = draw.chance(0.45)
    if cut:
        half = lathe(np.concatenate([arc(0.5, -90, 0, 10), [(0.5, 0.02)]]), 28).scale(1, 1, squash)
        yield "peel", half, skin
        segments, pulp = draw.whole(8, 11), draw.natural("#f0962a", "#f5a83a", "#e87a24")
        yield "pith", cylinder(0.47, 0.03, sides=28), draw.finish("plastic", "#f7ead0")
        wedge = extrude(
            rounded([(0.05, 0), (0.43, 0.43 * 2.6 / segments), (0.43, -0.43 * 2.6 / segments)], 0.05), 0.05
        )
        yield "pulp", around(wedge.turn("x", 90).move(z=0.04), segments), pulp
        if draw.chance(0.6):
            yield "peel", ellipsoid(1, 1, squash).move(0.75, 0.8, 0), skin
    else:
        yield "peel", ellipsoid(size, size, squash, 28, 18), skin
        yield "navel", _ribbed(ellipsoid(0.14, 0.14, 0.05, 10, 6), 5, 0.4).move(z=squash / 2 - 0.005), draw.green()
    if draw.chance(0.5) and not cut:
        blade = leaf(draw(0.4, 0.6), draw(0.2, 0.28), 50).turn("y", 55).move(z=squash / 2)
        yield "leaf", around(blade, draw.whole(1, 2), draw(0, 360)), draw.green()


@category("tomato")
def tomato(draw: Draw) -> Pieces:
    tall, ribs = draw(0.68, 0.95), draw.whole(4, 8)
    profile = curve(
        [
            (0, 0.04),
            (0.22, 0.0),
            (0.45, 0.2 * tall),
            (0.5, 0.52 * tall),
            (0.42, 0.85 * tall),
            (0.2, tall),
            (0, tall - draw(0.08, 0.14)),
        ],
        24,
    )
    skin = draw.plastic("#c8281c", "#d8402a", "#b82020", "#e0482a")
    yield "fruit", _ribbed(lathe(profile, 48), ribs, draw(0.01, 0.06)), skin
    green = draw.green()
    sepal = leaf(draw(0.25, 0.36), 0.09, draw(10, 50), 0.02, rows=6).turn("y", 68)
    yield "calyx", around(sepal, draw.whole(5, 7), draw(0, 60)).move(z=tall - 0.05), green
    yield "stalk", _stalk(draw(0.12, 0.3), 0.025, draw(-0.1, 0.1)).move(z=tall - 0.1), green


@category("carrot")
def carrot(draw: Draw) -> Pieces:
    length, thick = draw(1.0, 1.6), draw(0.14, 0.22)
    profile = curve(
        [
            (0.02, -length),
            (0.5 * thick, -0.6 * length),
            (0.9 * thick, -0.2 * length),
            (thick, -0.03),
            (0.4 * thick, 0.03),
            (0, 0.02),
        ],
        24,
    )
    wobble, notches = draw.many(24, 0.95, 1.05), draw.whole(12, 20)
    profile[:, 0] *= wobble
    root = lathe(np.maximum(profile, (0, -9)), 14)
    lean = draw(-25, 25)
    yield (
        "root",
        root.move(z=length).bend(lean * 0.5).move(z=-length),
        draw.natural("#e0721e", "#e8842a", "#d0601a", "#c8506a"),
    )
    blade = leaf(draw(0.5, 0.9), draw(0.1, 0.2), draw(10, 50), 0.03, 0.65)
    yield "greens", scatter(blade, np.zeros((notches // 2, 3)), draw.directions(notches // 2, 0.8)), draw.green()


@category("mushroom")
def mushroom(draw: Draw) -> Pieces:
    cap, tall, stem, high = draw(0.4, 0.65), draw(0.25, 0.55), draw(0.09, 0.17), draw(0.4, 0.85)
    under = draw(-0.12, 0.06)
    profile = curve(
        [
            (0.0, 0.08),
            (0.5 * cap, 0.05),
            (0.97 * cap, under),
            (cap, under + 0.05),
            (0.75 * cap, 0.65 * tall),
            (0, tall),
        ],
        22,
    )
    colour = draw.finish("plastic", "#b82a20", "#a8713f", "#d9c4a0", "#7a5230", "#c87a3a", "#e8e0d0")
    yield "cap", lathe(profile, 28).move(z=high), colour
    pale = draw.natural("#efe6d2", "#e2d3b5", "#d8c8b0")
    yield (
        "stem",
        lathe(
            curve([(1.5 * stem, 0), (1.1 * stem, 0.2 * high), (stem, 0.8 * high), (1.2 * stem, high + 0.08)], 10)
        ).bend(draw(-12, 12)),
        pale,
    )
    if draw.chance(0.4):
        yield "skirt", lathe([(stem, 0.7 * high), (1.9 * stem, 0.6 * high), (stem, 0.74 * high)], loop=True), pale
    if draw.chance(0.45):
        directions = draw.directions(draw.whole(9, 18), 0.25)
        surface = directions * (0.85 * cap, 0.85 * cap, tall)
        yield (
            "spots",
            scatter(
                ellipsoid(0.13, 0.13, 0.05, 8, 5),
                surface + (0, 0, high),
                directions,
                draw.many(len(surface), 0.6, 1.2),
            ),
            draw.plastic("#f4efe4"),
        )


@category("pineapple")
def pineapple(draw: Draw) -> Pieces:
    wide, tall = draw(0.36, 0.46), draw(0.9, 1.25)
    profile = curve(
        [(0.0, 0), (0.7 * wide, 0.03), (wide, 0.4 * tall), (0.85 * wide, 0.8 * tall), (0.35 * wide, tall), (0, tall)],
        20,
    )
    skin = draw.finish("leather", "#c8922e", "#b87f2a", "#d9a53a", "#a8842a")
    yield "fruit", lathe(profile, 24), skin
    rows, each = draw.whole(7, 9), draw.whole(9, 12)
    level = np.repeat(np.linspace(0.1, 0.92, rows), each)
    turn = (np.tile(np.arange(each), rows) + 0.5 * np.repeat(np.arange(rows), each)) * 2 * np.pi / each
    out = np.interp(level * tall, profile[:, 1], profile[:, 0])
    points = np.stack([out * np.cos(turn), out * np.sin(turn), level * tall], axis=1)
    knob = cylinder(0.11, 0.07, top=0.03, sides=4).move(z=-0.02)
    yield (
        "eyes",
        scatter(knob, points, points * (1, 1, 0) + (0, 0, 1e-3)),
        draw.finish("plastic", "#a8782a", "#8f6a24", "#c89a3a"),
    )
    crown = leaf(draw(0.5, 0.8), 0.11, draw(20, 50), 0.03, 0.35, rows=6)
    for k, count in enumerate((8, 7, 5)):
        yield (
            "crown",
            around(crown.scale(1 - 0.1 * k).turn("y", 40 - 17 * k), count, 25 * k).move(z=tall + 0.02),
            draw.green("#4f7f3a", "#3f6e3f", "#5f8f4a"),
        )


@category("strawberry")
def strawberry(draw: Draw) -> Pieces:
    wide, tall = draw(0.38, 0.5), draw(0.85, 1.1)
    profile = curve(
        [(0, 0), (0.35 * wide, 0.1 * tall), (0.95 * wide, 0.65 * tall), (0.75 * wide, 0.95 * tall), (0, tall - 0.02)],
        20,
    )
    yield "fruit", lathe(profile, 22), draw.plastic("#c8202a", "#d83030", "#b81a2a")
    z = np.linspace(0.12, 0.86, 44) * tall
    turn = np.arange(44) * 2.399963
    out = np.interp(z, profile[:, 1], profile[:, 0])
    points = np.stack([out * np.cos(turn), out * np.sin(turn), z], axis=1)
    yield (
        "seeds",
        scatter(ellipsoid(0.035, 0.06, 0.03, 6, 4), points, points - (0, 0, 0.5 * tall)),
        draw.plastic("#e8c85a", "#d9b048"),
    )
    green = draw.green()
    yield (
        "calyx",
        around(leaf(draw(0.28, 0.42), 0.15, draw(30, 70), 0.02, rows=6).turn("y", 65), draw.whole(6, 9)).move(
            z=tall - 0.03
        ),
        green,
    )
    yield "stalk", _stalk(draw(0.15, 0.35), 0.025, draw(-0.15, 0.15)).move(z=tall - 0.03), green


@category("pumpkin")
def pumpkin(draw: Draw) -> Pieces:
    tall, ribs = draw(0.6, 0.95), draw.whole(7, 12)
    profile = curve(
        [
            (0, 0.08),
            (0.25, 0.0),
            (0.53, 0.18 * tall),
            (0.6, 0.48 * tall),
            (0.52, 0.8 * tall),
            (0.25, tall),
            (0, tall - 0.12),
        ],
        20,
    )
    flesh = draw.natural("#d9731e", "#e0852a", "#c8601a", "#d9b04a", "#5f7f3a")
    yield "fruit", _ribbed(lathe(profile, 6 * ribs), ribs, draw(0.1, 0.2)), flesh
    path = curve([(0, 0, 0), (0.03, 0, 0.15), (draw(-0.15, 0.15), draw(-0.1, 0.1), draw(0.25, 0.4))], 7)
    yield (
        "stalk",
        tube(path, [0.12, 0.08, 0.06, 0.055, 0.05, 0.055, 0.06], section=circle(1, 5)).move(z=tall - 0.13),
        draw.finish("bark", *STALK),
    )
    if draw.chance(0.35):
        dark, y = draw.plastic("#201408"), -0.53
        eye = extrude([(-0.09, -0.07), (0.09, -0.07), (0, 0.09)], 0.2)
        yield "face", at(eye, [(-0.19, y, 0.64 * tall), (0.19, y, 0.64 * tall)]), dark
        mouth = np.concatenate([arc(0.3, 200, 340, 9, 0.22), arc(0.24, 335, 205, 9, 0.09)])
        yield "face", extrude(mouth, 0.24).move(y=y, z=0.5 * tall), dark


@category("watermelon")
def watermelon(draw: Draw) -> Pieces:
    rind = draw.finish("foliage", "#2f6b32", "#3f7d3a", "#255a2a", "#5f9a4a")
    flesh, seeds = draw.natural("#d83a44", "#e0505a", "#c8303a"), draw.plastic("#1a1210")
    wide, thick = draw(0.45, 0.52), draw(0.14, 0.5)
    angle = draw(150, 180) if thick < 0.35 else draw(70, 120)
    start = 270 - angle / 2

    def layer(inner: float, outer: float) -> Floats:
        low = arc(inner * wide, start + angle, start, 20) if inner else np.zeros((1, 2))
        return np.concatenate([arc(outer * wide, start, start + angle, 20), low])

    yield "rind", extrude(layer(0.92, 1.0), thick), rind
    yield "pith", extrude(layer(0.85, 0.92), thick), draw.plastic("#e6edc8")
    yield "flesh", extrude(layer(0.0, 0.85), thick), flesh
    turn = np.radians(draw.many(16, start + 8, start + angle - 8))
    out = draw.many(16, 0.35, 0.8) * wide
    side = np.where(np.arange(16) % 2, -0.505, 0.505) * thick
    yield (
        "seeds",
        at(ellipsoid(0.035, 0.02, 0.055, 7, 5), np.stack([out * np.cos(turn), side, out * np.sin(turn)], axis=1)),
        seeds,
    )


@category("grapes")
def grapes(draw: Draw) -> Pieces:
    layers, size = draw.whole(5, 7), draw(0.2, 0.26)
    skin = draw.plastic("#5a2a6b", "#3a2450", "#7a2a4a", "#a8b84a", "#8fa83a", "#2a2a50")
    points = [(0.0, 0.0, 0.0)]
    for k in range(1, layers):
        radius = 0.13 * min(k, 2.6) if k < layers - 1 else 0.2
        count = max(3, int(2 * np.pi * radius / (0.8 * size)))
        turn = draw(0, 6) + np.arange(count) * 2 * np.pi / count
        points += [
            (radius * np.cos(t) + draw(-0.03, 0.03), radius * np.sin(t), 0.17 * k + draw(-0.04, 0.04)) for t in turn
        ]
        points += [(draw(-0.08, 0.08), draw(-0.08, 0.08), 0.17 * k)]
    yield "grapes", at(ellipsoid(size, size, size * draw(1.0, 1.3), 9, 6), points), skin
    top = 0.17 * layers
    yield "stem", _stalk(draw(0.25, 0.4), 0.03, draw(-0.15, 0.15)).move(z=top - 0.1), draw.finish("bark", *STALK)
    if draw.chance(0.6):
        yield (
            "leaf",
            around(leaf(0.45, 0.4, 40, belly=0.5).turn("y", 75), draw.whole(1, 2), draw(0, 360)).move(z=top + 0.05),
            draw.green(),
        )


@category("ice cream")
def ice_cream(draw: Draw) -> Pieces:
    flavours = "#f2e2b8", "#e8a0b0", "#5a3422", "#b8dcb0", "#f5efe0", "#b86a8f", "#e8b04a"
    tall, wide, scoops = draw(0.8, 1.1), draw(0.24, 0.32), draw.whole(1, 3)
    waffle = draw.finish("leather", "#d09a50", "#c88f45", "#deb06a")
    if draw.chance(0.75):
        yield "cone", lathe([(0.02, 0), (wide, tall), (wide - 0.04, tall), (0, 0.1)], 20), waffle
    else:
        tall = 0.5
        yield "cone", lathe([(0.2, 0), (0.18, 0.3), (wide, 0.34), (wide, tall), (0, tall)], 20), waffle
    z = tall + 0.1
    if draw.chance(0.25):
        profile = curve([(wide * 1.1, 0), (wide * 1.15, 0.12), (wide * 0.75, 0.32), (wide * 0.5, 0.5), (0, 0.75)], 14)
        swirl = lathe(profile, 30).swell(lambda turn, z: 1 + 0.1 * np.sin(5 * turn + 9 * z))
        yield "ice 1", swirl.move(z=tall - 0.03), draw.plastic(*flavours)
        z = tall + 0.62
    else:
        for k in range(scoops):
            size = 2 * wide * draw(1.02, 1.2)
            ball = draw.lumps(ellipsoid(size, size, 0.9 * size), 0.06, 4)
            yield f"ice {k + 1}", ball.move(draw(-0.04, 0.04), draw(-0.04, 0.04), z), draw.natural(*flavours)
            z += 0.62 * size
    if draw.chance(0.4):
        yield "cherry", ellipsoid(0.17, 0.17, 0.17, 12, 8).move(z=z), draw.plastic("#b81a2a")
    elif draw.chance(0.5):
        yield "wafer", cylinder(0.04, 0.5).turn("y", 25).move(0.08, 0, z - 0.35), waffle


@category("cake")
def cake(draw: Draw) -> Pieces:
    tiers, radius, z = draw.whole(1, 3), draw(0.5, 0.6), 0.0
    icing = draw.finish("plastic", "#f5e6ea", "#f2efe0", "#e8a8b8", "#5a3422", "#c8e0e8", "#f0d890")
    yield "plate", cylinder(radius + 0.12, 0.03, bevel=0.01, sides=32).move(z=-0.03), draw.ceramic(*PALES)
    trim = draw.plastic("#d9546a", "#f5f0e6", "#5a3422", "#e8b04a", "#7fb2d0")
    for _ in range(tiers):
        tall = draw(0.2, 0.36)
        yield "tier", cylinder(radius, tall, bevel=0.04, sides=32).move(z=z), icing
        drops = int(radius * draw(24, 36))
        yield "trim", around(ellipsoid(0.09, 0.09, 0.08, 8, 6).move(x=radius - 0.04, z=z + tall), drops), trim
        if draw.chance():
            yield "trim", torus(radius, 0.03, 32, 7).move(z=z + 0.03), trim
        radius, z = radius * draw(0.6, 0.75), z + tall
    radius = radius / 0.68
    if draw.chance(0.7):
        count, high = draw.whole(1, 8), draw(0.2, 0.3)
        ring = 0.0 if count == 1 else 0.55 * radius
        yield "candle", around(cylinder(0.025, high, sides=8).move(x=ring, z=z), count), draw.finish("stripes")
        yield (
            "flame",
            around(ellipsoid(0.04, 0.04, 0.11, 8, 6).move(x=ring, z=z + high + 0.05), count),
            draw.plastic("#ffb52e", "#ffd24a"),
        )
    else:
        yield (
            "berries",
            around(ellipsoid(0.12, 0.12, 0.12, 10, 7).move(x=0.5 * radius, z=z + 0.04), draw.whole(5, 8)),
            draw.plastic("#b81a2a", "#2a2a50"),
        )


@category("hamburger")
def hamburger(draw: Draw) -> Pieces:
    bun = draw.natural("#c8853a", "#d99a4a", "#b8732e")
    z = 0.22
    yield "bun", lathe(curve([(0.42, 0), (0.52, 0.1), (0.48, 0.22), (0, 0.23)], 12), 28), bun
    greens = draw.green("#6fb544", "#8fc45a")
    for _ in range(draw.whole(1, 2)):
        patty = superellipsoid(1.08, 1.08, 0.16, 0.5, 1)
        yield (
            "patty",
            draw.lumps(patty, 0.06, 6).move(z=z + 0.08),
            draw.finish("granite", "#5a3422", "#4a2a1a", "#6b4028"),
        )
        z += 0.15
        if draw.chance(0.7):
            yield (
                "cheese",
                box(0.98, 0.98, 0.03)
                .turn("z", draw(0, 90))
                .shift("z", lambda x, y, z: -0.5 * np.clip(np.hypot(x, y) - 0.5, 0, 1))
                .move(z=z),
                draw.plastic("#f0b030", "#f5c84a"),
            )
            z += 0.03
        if draw.chance(0.6):
            frill = lathe([(0.1, 0), (0.35, 0), (0.59, -0.02), (0.59, 0.01), (0.35, 0.04), (0.1, 0.04)], 60)
            ruffled = frill.shift(
                "z", lambda x, y, z: 0.2 * np.clip(np.hypot(x, y) - 0.35, 0, 1) * np.sin(12 * np.arctan2(y, x))
            )
            yield "lettuce", ruffled.move(z=z), greens
            z += 0.04
        if draw.chance(0.5):
            slices = cylinder(0.2, 0.05, bevel=0.01, sides=16).move(x=0.3, z=z)
            yield "tomato", around(slices, 4, draw(0, 90)), draw.plastic("#c8281c")
            z += 0.05
    top = curve([(0.5, 0), (0.54, 0.08), (0.42, draw(0.25, 0.34)), (0, draw(0.36, 0.46))], 14)
    yield "bun", lathe(top, 28).move(z=z), bun
    if draw.chance(0.7):
        directions = draw.directions(34, 0.45)
        points = directions * (0.56, 0.56, 0.4)
        yield (
            "seeds",
            scatter(ellipsoid(0.05, 0.03, 0.02, 6, 4), points + (0, 0, z), directions),
            draw.plastic("#f2e2b8"),
        )


@category("pizza")
def pizza(draw: Draw) -> Pieces:
    crust = draw.natural("#d09a50", "#c08540", "#e0b06a")
    sauce = draw.natural("#e8b83a", "#e0a030", "#d06a2a", "#f0d070")
    tops = draw.plastic("#b8322a", "#c8402a", "#a82a2a"), draw.green(), draw.plastic("#2a2420", "#f2e6d0", "#6b4f8a")
    count = draw.whole(10, 18)
    out, turn = np.sqrt(draw.many(count, 0.02, 0.68)), np.arange(count) * 2.4 + draw(0, 6)
    if draw.chance(0.4):
        half = draw(15, 24)
        edge = np.concatenate([[(0, 0)], arc(1, 270 - half, 270 + half, 9)])
        yield "sauce", extrude(edge, 0.05).turn("x", -90), sauce
        rim = in_plane(arc(1.0, 270 - half, 270 + half, 9), "z")
        yield "crust", tube(rim, 0.06, 8, round_ends=True), crust
        turn = np.radians(270 + draw.many(count, -0.7, 0.7) * half)
        points = np.stack([out * np.cos(turn), out * np.sin(turn), np.full(count, 0.03)], axis=1)[out > 0.25]
    else:
        yield "base", cylinder(0.98, 0.06, sides=36), crust
        yield "crust", draw.lumps(torus(0.95, 0.07, 36, 8), 0.03, 6).move(z=0.05), crust
        yield "sauce", cylinder(0.92, 0.03, sides=36).move(z=0.055), sauce
        points = np.stack([out * np.cos(turn), out * np.sin(turn), np.full(count, 0.085)], axis=1)
    shapes = (
        cylinder(0.11, 0.03, bevel=0.01, sides=12),
        leaf(0.2, 0.12, 20).turn("y", 90).move(z=0.02),
        torus(0.06, 0.025, 10, 6),
    )
    for k, (shape, finish) in enumerate(zip(shapes, tops, strict=True)):
        if len(points[k::3]):
            yield ("salami", "basil", "olive")[k], at(shape, points[k::3]), finish


@category("doughnut")
def doughnut(draw: Draw) -> Pieces:
    radius, thick = draw(0.32, 0.4), draw(0.15, 0.22)
    dough = draw.natural("#c8904a", "#d9a560", "#b87a3a")
    yield "dough", torus(radius, thick, 32, 14).scale(1, 1, 0.85), dough
    icing = draw.plastic("#e88fb0", "#5a3422", "#f5f0e6", "#8fd0c8", "#f0c84a", "#b88fd0")
    drip, waves = draw(0.02, 0.06), draw.whole(5, 11)
    cover = lathe(circle(thick * 1.06, 14) + (radius, 0), 40, loop=True).scale(1, 1, 0.85)
    yield (
        "icing",
        cover.shift("z", lambda x, y, z: np.maximum(0.2 * thick + drip * np.sin(waves * np.arctan2(y, x)) - z, 0)),
        icing,
    )
    if draw.chance(0.65):
        count = draw.whole(25, 50)
        turn, over = draw.many(count, 0, 6.3), np.radians(draw.many(count, 35, 145))
        out = radius + thick * 1.06 * np.cos(over)
        points = np.stack([out * np.cos(turn), out * np.sin(turn), 0.85 * thick * 1.06 * np.sin(over)], axis=1)
        crumb = cylinder(0.014, 0.09, sides=5).move(z=-0.045).turn("x", 90)
        directions = np.stack([np.cos(over) * np.cos(turn), np.cos(over) * np.sin(turn), np.sin(over)], axis=1)
        colours = draw.plastic(), draw.plastic(), draw.plastic("#f5f0e6")
        for k, finish in enumerate(colours):
            yield f"sprinkles {k + 1}", scatter(crumb.turn("z", 50 * k), points[k::3], directions[k::3]), finish


@category("bread")
def bread(draw: Draw) -> Pieces:
    crust = draw.natural("#b8783a", "#a8652a", "#c88f4a", "#8a5228")
    crumb = draw.natural("#f0dcb0", "#e8d0a0")
    length, width, tall = draw(0.9, 1.5), draw(0.42, 0.6), draw(0.4, 0.6)
    if draw.chance(0.6):
        slice_ = np.concatenate(
            [
                [(-0.42 * width, 0), (0.42 * width, 0)],
                curve(
                    [
                        (0.42 * width, 0.55 * tall),
                        (0.55 * width, 0.72 * tall),
                        (0.3 * width, tall),
                        (-0.3 * width, tall),
                        (-0.55 * width, 0.72 * tall),
                        (-0.42 * width, 0.55 * tall),
                    ],
                    15,
                ),
            ]
        )
        cut = draw(0.2, 0.6) * length
        yield "crust", extrude(slice_, length, 0.02).move(y=length / 2), crust
        yield "crumb", extrude(slice_ * (0.93, 0.93) + (0, 0.03 * tall), 0.02).move(y=-0.005), crumb
        for k in range(draw.whole(0, 3)):
            lean = -draw(25, 70)
            for name, size, finish in (("crust", 1.0, crust), ("crumb", 0.93, crumb)):
                slab = extrude(slice_ * size + (0, 0.5 * (1 - size) * tall), 0.07 + 0.02 * (1 - size) / 0.07).turn(
                    "x", lean
                )
                yield name, slab.move(y=-0.12 - 0.16 * k - 0.1 * cut), finish
    else:
        long = length * draw(1.0, 1.6)
        yield "crust", superellipsoid(long, width, 0.8 * width, 0.9, 0.75, 28, 16).move(z=0.3 * width), crust
        cuts = draw.whole(3, 5)
        slash = ellipsoid(0.05 + 0.1 * long / cuts, width * 0.62, 0.06, 10, 6).turn("z", 30)
        yield (
            "crumb",
            at(
                slash,
                [
                    (x, 0, 0.3 * width + 0.375 * width * (1 - (x / long) ** 2 * 2))
                    for x in np.linspace(-0.33, 0.33, cuts) * long
                ],
            ),
            crumb,
        )


@category("cheese")
def cheese(draw: Draw) -> Pieces:
    angle, tall, radius = draw(35, 70), draw(0.35, 0.6), 1.0
    wedge = np.concatenate([[(0, 0)], arc(radius, 180 - angle / 2, 180 + angle / 2, 10)])
    paste = draw.finish("plastic", "#f0c040", "#e8b030", "#f2d878", "#e89a2a")
    yield "paste", extrude(wedge, tall, 0.01).turn("x", 90).move(z=tall / 2), paste
    rind = np.concatenate(
        [
            arc(radius * 1.03, 180 - angle / 2, 180 + angle / 2, 10),
            arc(radius * 0.99, 180 + angle / 2, 180 - angle / 2, 10),
        ]
    )
    yield (
        "rind",
        extrude(rind, tall * 1.02).turn("x", 90).move(z=tall / 2),
        draw.plastic("#b8322a", "#c88a2a", "#e8d8a8", "#2a2a2e"),
    )
    shade = draw.plastic("#b8801e", "#a8741a")
    half = np.radians(angle / 2)
    for side in (-1, 1):
        normal = np.array([np.sin(half), side * np.cos(half), 0.0])
        along = np.array([-np.cos(half), side * np.sin(half), 0.0])
        count = draw.whole(3, 7)
        points = draw.many(count, 0.3, 0.92)[:, None] * along + draw.many(count, 0.15, 0.85)[:, None] * (0, 0, tall)
        holes = cylinder(1.0, 0.02, sides=14).move(z=-0.008)
        flat = [holes.scale(size, size, 1) for size in draw.many(2, 0.04, 0.1)]
        yield (
            "hole",
            join([scatter(flat[k], points[k::2], np.tile(normal, (len(points[k::2]), 1))) for k in (0, 1)]),
            shade,
        )
    tops = [(-draw(0.4, 0.9), draw(-0.12, 0.12), tall - 0.008) for _ in range(draw.whole(2, 5))]
    yield "hole", at(cylinder(draw(0.04, 0.07), 0.016, sides=14), tops), shade


@category("egg")
def egg(draw: Draw) -> Pieces:
    def shell(size: float) -> Form:
        return ellipsoid(0.75 * size, 0.75 * size, size, 26, 18).swell(lambda turn, z: 1 - 0.28 * z / size)

    finish = draw.finish(
        draw.pick("plastic", "leather", "granite"), "#f2e8d8", "#d9a878", "#e8c8a0", "#e0d4bc", "#b88a60"
    )
    if draw.chance(0.5):
        cup, stem = draw.ceramic(), draw(0.12, 0.4)
        yield (
            "cup",
            lathe(
                [
                    (0.3, -0.5 - stem),
                    (0.28, -0.45 - stem),
                    (0.1, -0.42 - 0.5 * stem),
                    (0.14, -0.42),
                    (0.35, -0.18),
                    (0.38, 0.0),
                    (0.35, 0.0),
                    (0.0, -0.3),
                ],
                26,
            ),
            cup,
        )
        yield "shell", shell(draw(0.9, 1.05)), finish
    else:
        for k in range(draw.whole(1, 3)):
            yield (
                "shell",
                shell(draw(0.85, 1.0))
                .turn("y", draw(60, 100))
                .turn("z", 70 * k + draw(-30, 30))
                .move(0.62 * k, 0.5 * (k % 2), 0),
                finish,
            )
