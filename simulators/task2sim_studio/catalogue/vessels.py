"""Things that hold liquids, flowers and the rest."""

from __future__ import annotations

import numpy as np

from task2sim_studio.catalogue.drawing import PALES, Draw, Pieces, category
from task2sim_studio.forms import (
    Floats,
    arc,
    around,
    curve,
    cylinder,
    ellipsoid,
    in_plane,
    join,
    lathe,
    rod,
    torus,
    tube,
    vessel,
)


@category("mug")
def mug(draw: Draw) -> Pieces:
    height, foot, belly, rim = draw(0.8, 1.3), draw(0.3, 0.45), draw(0.38, 0.52), draw(0.36, 0.5)
    glaze, wall = draw.pick(draw.ceramic, draw.ceramic, draw.plastic)(), draw(0.03, 0.05)
    if draw.chance(0.5):
        foot = belly = rim
    outside = curve([(foot, 0), ((foot + 2 * belly) / 3, 0.25 * height), (belly, 0.6 * height), (rim, height)], 10)
    yield "cup", vessel(outside, wall, 28), glaze
    middle, high, out = draw(0.48, 0.58) * height, draw(0.2, 0.32) * height, draw(0.22, 0.36)
    start = float(np.interp(middle, outside[:, 1], outside[:, 0])) - 0.02
    if draw.chance(0.75):
        path = arc(out, -90, 90, 12, high)
    else:
        path = np.array([(0, -high), (out, -0.9 * high), (out, 0.9 * high), (0, high)])
    path = curve(np.concatenate([[(-0.04, -high)], path, [(-0.04, high)]]), 18)
    section = draw(0.03, 0.05), draw(0.045, 0.07)
    yield (
        "handle",
        tube(in_plane(path + (start, middle), "y"), np.tile(section, (18, 1)), 10),
        draw.pick(glaze, glaze, draw.ceramic()),
    )
    if draw.chance(0.3):
        yield (
            "drink",
            cylinder(rim - wall - 0.01, 0.02).move(z=0.85 * height),
            draw.plastic("#3b2314", "#6b3e1e", "#b5652a"),
        )


@category("bottle")
def bottle(draw: Draw) -> Pieces:
    radius, body, neck = draw(0.22, 0.4), draw(0.7, 1.1), draw(0.08, 0.12)
    shoulder, top = draw(0.12, 0.45), draw(0.2, 0.45)
    glass = draw.plastic("#2e5d34", "#1f4a2c", "#6b3f1a", "#3c6ea8", "#b9d7e0", "#e8eef0", "#c0392b")
    end = body + shoulder + top
    points = [
        (0.8 * radius, 0),
        (radius, 0.06),
        (radius, 0.5 * body),
        (radius, body),
        (0.55 * radius + 0.5 * neck, body + 0.55 * shoulder),
        (neck, body + shoulder),
        (neck, end),
    ]
    sides = draw.pick(24, 24, 8)
    yield "body", lathe(curve(points, 34), sides), glass
    collar = lathe([(neck, end - 0.06), (neck * 1.25, end - 0.06), (neck * 1.25, end), (neck, end)])
    yield "collar", collar, glass
    yield (
        "cap",
        cylinder(neck * draw(0.8, 1.35), draw(0.06, 0.16), bevel=0.01).move(z=end),
        draw.pick(draw.plastic(), draw.wood(), draw.metal()),
    )
    if draw.chance(0.75):
        low, high = draw(0.1, 0.3) * body, draw(0.6, 0.9) * body
        wrap = [(radius * 0.9, low), (radius * 1.03, low), (radius * 1.03, high), (radius * 0.9, high)]
        yield (
            "label",
            lathe(wrap, sides),
            draw.finish(draw.pick("fabric", "stripes", "dots", "plastic"), *PALES, "#d9b44a", "#c0392b", "#2f6fc4"),
        )


@category("wine glass")
def wine_glass(draw: Draw) -> Pieces:
    bowl, radius, rim, stem, foot = (
        draw(0.5, 1.0),
        draw(0.28, 0.42),
        draw(0.22, 0.4),
        draw(0.4, 0.85),
        draw(0.25, 0.36),
    )
    glass = draw.finish("glass", "#f2f8fa", "#f4f9f6", "#dcefe6", "#f3e6ec", "#d2e4f4")
    outside = curve([(0.04, 0), (0.7 * radius, 0.2 * bowl), (radius, 0.5 * bowl), (rim, bowl)], 14)
    if draw.chance(0.2):
        outside = np.linspace((0.03, 0), (draw(0.4, 0.5), 0.55 * bowl), 9)
    yield "bowl", vessel(outside, 0.015, 28).move(z=stem), glass
    stand = [(foot, 0), (foot, 0.015), (0.3 * foot, 0.05), (0.03, 0.12), (0.025, 0.6 * stem), (0.05, stem)]
    if draw.chance(0.3):
        stand.insert(4, (0.06, 0.4 * stem))
    yield "stem", lathe(stand), glass
    if draw.chance(0.6):
        level = draw(0.4, 0.6)
        inside = outside[outside[:, 1] < level * outside[-1, 1]] * (0.97, 1) + (0, 0.012)
        yield "wine", lathe(inside, 28).move(z=stem), draw.plastic("#6b1021", "#8a1530", "#e0c068", "#e59a8a")


@category("vase")
def vase(draw: Draw) -> Pieces:
    height, base, belly, neck, rim = (
        draw(0.9, 1.6),
        draw(0.15, 0.3),
        draw(0.3, 0.55),
        draw(0.1, 0.25),
        draw(0.15, 0.4),
    )
    where = draw(0.3, 0.6)
    outside = curve([(base, 0), (belly, where * height), (neck, draw(0.78, 0.88) * height), (rim, height)], 22)
    clay = draw.finish(draw.pick("ceramic", "ceramic", "marble", "dots", "stripes"))
    body = vessel(outside, 0.03, draw.pick(32, 32, 8, 6))
    twist = draw.pick(0.0, 0.0, draw(-40, 40))
    if draw.chance(0.3):
        ribs, depth = draw.whole(5, 12), draw(0.03, 0.08)
        body = body.swell(lambda turn, z: 1 + depth * np.cos(ribs * (turn + np.radians(twist) * z)))
    yield "body", body, clay
    if draw.chance(0.3):
        path = curve(
            [(neck - 0.02, 0.85 * height), (belly + 0.15, 0.75 * height), (belly - 0.03, (where + 0.08) * height)], 12
        )
        yield "handle", around(tube(in_plane(path, "y"), 0.04, 8), 2), clay


@category("teapot")
def teapot(draw: Draw) -> Pieces:
    radius, height, glaze = draw(0.5, 0.65), draw(0.6, 1.0), draw.pick(draw.ceramic, draw.ceramic, draw.metal)()
    wide = draw(0.35, 0.6)
    body = curve([(0.55 * radius, 0), (radius, wide * height), (0.45 * radius, height)], 16)
    yield "body", lathe(body, 28), glaze
    lid = curve([(0.47 * radius, 0), (0.35 * radius, 0.1), (0, 0.15)], 8)
    yield "lid", lathe(lid, 28).move(z=height), draw.pick(glaze, glaze, draw.ceramic())
    yield "knob", ellipsoid(0.14, 0.14, draw(0.1, 0.2), 12, 8).move(z=height + 0.2), glaze
    spout = curve(
        [
            (0.8 * radius, 0.25 * height),
            (1.35 * radius, draw(0.35, 0.5) * height),
            (1.75 * radius, draw(0.85, 1.05) * height),
        ],
        10,
    )
    yield "spout", tube(in_plane(spout, "y"), np.linspace(0.17, 0.06, 10), 12), glaze
    if draw.chance(0.7):
        path = curve(
            [
                (-0.6 * radius, 0.85 * height),
                (-1.5 * radius, 0.85 * height),
                (-1.6 * radius, 0.4 * height),
                (-0.85 * radius, 0.2 * height),
            ],
            14,
        )
    else:
        path = arc(0.75 * radius, 0, 180, 16, 0.6) + (0, height * 0.85)
    yield "handle", tube(in_plane(path, "y"), draw(0.04, 0.06)), draw.pick(glaze, draw.wood())


@category("bowl")
def bowl(draw: Draw) -> Pieces:
    radius, height, foot = draw(0.45, 0.6), draw(0.25, 0.5), draw(0.18, 0.3)
    flare = draw(0.75, 0.98)
    outside = curve([(foot, 0.05), (flare * radius, 0.45 * height + 0.03), (radius, height)], 12)
    glaze = draw.finish(draw.pick("ceramic", "ceramic", "plastic", "wood", "metal", "dots", "stripes"))
    yield "bowl", vessel(outside, 0.03, 32), glaze
    yield "foot", lathe([(foot * 0.95, 0), (foot, 0.07)]), glaze
    if draw.chance(0.4):
        food = draw.finish("dots", "#d9772b", "#e8c04a", "#b03a2e", "#6fa544", "#f0e6d0")
        yield (
            "filling",
            ellipsoid(1.75 * radius * flare, 1.75 * radius * flare, draw(0.15, 0.4)).move(z=0.72 * height),
            food,
        )


@category("jug")
def jug(draw: Draw) -> Pieces:
    height, foot, belly, neck = draw(1.0, 1.5), draw(0.28, 0.4), draw(0.4, 0.52), draw(0.22, 0.34)
    glaze = draw.pick(draw.ceramic, draw.metal, draw.plastic)()
    outside = curve([(foot, 0), (belly, 0.35 * height), (neck, 0.78 * height), (neck * 1.25, height)], 18)

    def lip(x: Floats, y: Floats, z: Floats) -> Floats:
        pull: Floats = np.clip((z / height - 0.8) / 0.2, 0, 1) ** 2 * np.clip(x / neck, 0, 2) ** 3
        return pull

    body = vessel(outside, 0.035, 32).shift("y", lambda x, y, z: -0.3 * y * np.minimum(lip(x, y, z), 1))
    body = body.shift("z", lambda x, y, z: 0.06 * lip(x, y, z)).shift("x", lambda x, y, z: 0.14 * lip(x, y, z))
    yield "body", body, glaze
    path = curve(
        [
            (-neck * 1.05, 0.92 * height),
            (-belly * 1.5, 0.88 * height),
            (-belly * 1.5, 0.5 * height),
            (-belly * 0.93, 0.3 * height),
        ],
        16,
    )
    yield "handle", tube(in_plane(path, "y"), np.tile((0.05, 0.07), (16, 1))), glaze
    if draw.chance(0.4):
        yield (
            "band",
            torus(float(np.interp(0.5 * height, outside[:, 1], outside[:, 0])), 0.025).move(z=0.5 * height),
            draw.ceramic(),
        )


@category("bucket")
def bucket(draw: Draw) -> Pieces:
    foot, rim, height = draw(0.3, 0.4), draw(0.42, 0.55), draw(0.65, 0.95)
    finish = draw.pick(draw.metal, draw.plastic, draw.wood)()
    yield "body", vessel([(foot, 0), (rim, height)], 0.025, 28), finish
    yield "rim", torus(rim, 0.028, 28, 8).move(z=height), finish
    levels = draw.pick((0.12,), (0.2, 0.75), (0.1, 0.5, 0.85))
    bands = [torus(foot + (rim - foot) * k, 0.014, 28, 6).move(z=height * k) for k in levels]
    yield "band", join(bands), draw.metal()
    lean = draw.pick(draw(-80, -50), draw(-10, 30), draw(50, 80))
    hoop = in_plane(arc(rim * 1.02, 0, 180, 20, draw(0.9, 1.2) * rim), "y")
    yield "handle", tube(hoop, 0.016, 6).turn("x", lean).move(z=height - 0.04), draw.metal()
    if draw.chance():
        grip = rod((-0.12, 0, 0), (0.12, 0, 0), 0.035).move(z=float(hoop[:, 2].max()))
        yield "grip", grip.turn("x", lean).move(z=height - 0.04), draw.wood()
