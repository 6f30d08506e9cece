"""Kitchenware and tools, lying or standing upright along z, their flat sides towards -y."""

from __future__ import annotations

import numpy as np

from task2sim_studio.catalogue.drawing import Draw, Finish, Pieces, category
from task2sim_studio.forms import (
    Form,
    arc,
    at,
    both,
    box,
    circle,
    curve,
    cylinder,
    ellipsoid,
    extrude,
    in_plane,
    join,
    lathe,
    rectangle,
    rod,
    rounded,
    superellipsoid,
    torus,
    tube,
    vessel,
)


def _grip(draw: Draw, length: float, radius: float) -> Form:
    """A handle that stands on the origin: turned, flat or straight."""
    kind = draw.pick("turned", "flat", "straight")
    if kind == "turned":
        swell = radius * np.array([0.9, 1.15, 0.95, 1.1, 0.75]) * draw.many(5, 0.9, 1.1)
        return lathe(curve(np.stack([swell, np.linspace(0, length, 5)], axis=1), 14), 14)
    if kind == "flat":
        return superellipsoid(2.2 * radius, 1.3 * radius, length, 0.2, 0.6, 16, 10).move(z=length / 2)
    return cylinder(radius, length, 0.85 * radius, bevel=0.3 * radius, sides=12)


def _handle_finish(draw: Draw) -> Finish:
    return draw.pick(draw.wood, draw.wood, draw.plastic, draw.dark)()


@category("frying pan")
def frying_pan(draw: Draw) -> Pieces:
    radius, deep, metal = draw(0.42, 0.55), draw(0.09, 0.16), draw.metal("#2a2a2e", "#3a3d40", "#9ba1a8", "#b8623a")
    yield "pan", vessel([(0.8 * radius, 0), (0.86 * radius, 0.01), (radius, deep)], 0.025, 32), metal
    path = in_plane(curve([(0, deep * 0.75), (0.2, deep + 0.04), (draw(0.6, 0.85), deep + draw(0.02, 0.15))], 9), "y")
    yield (
        "handle",
        tube(path + (0.96 * radius, 0, 0), np.linspace((0.02, 0.035), (0.03, 0.055), 9), round_ends=True),
        _handle_finish(draw),
    )
    if draw.chance(0.35):
        yield (
            "white",
            draw.lumps(ellipsoid(0.95 * radius, 0.85 * radius, 0.05), 0.2, 3).move(z=0.045),
            draw.plastic("#f8f6f0"),
        )
        yield (
            "yolk",
            ellipsoid(0.3 * radius, 0.3 * radius, 0.11, 16, 8).move(0.05, -0.04, 0.06),
            draw.plastic("#f2a81e", "#f0b83a"),
        )


@category("saucepan")
def saucepan(draw: Draw) -> Pieces:
    radius, tall, metal = draw(0.35, 0.5), draw(0.35, 0.7), draw.pick(draw.metal, draw.metal, draw.ceramic)()
    yield "pot", vessel([(0.93 * radius, 0), (radius, 0.04), (radius, tall)], 0.025, 32), metal
    yield "rim", torus(radius, 0.02, 32, 6).move(z=tall), metal
    finish = draw.pick(metal, _handle_finish(draw))
    if draw.chance(0.5):
        path = in_plane(
            [(0.97 * radius, 0.8 * tall), (radius + 0.2, 0.84 * tall), (radius + draw(0.5, 0.75), 0.9 * tall)], "y"
        )
        yield "handle", tube(path, np.array([(0.02, 0.03), (0.03, 0.045), (0.03, 0.05)]), round_ends=True), finish
    else:
        loop = in_plane(
            curve([(0.96 * radius, -0.13), (radius + 0.13, -0.11), (radius + 0.13, 0.11), (0.96 * radius, 0.13)], 12),
            "z",
            0.78 * tall,
        )
        yield "handle", both(tube(loop, 0.025, 8)), finish
    if draw.chance(0.65):
        yield (
            "lid",
            lathe(curve([(1.03 * radius, 0), (0.75 * radius, 0.06), (0, draw(0.09, 0.16))], 10), 32).move(
                z=tall + 0.01
            ),
            draw.pick(metal, draw.metal()),
        )
        yield (
            "knob",
            ellipsoid(0.13, 0.13, 0.09, 14, 8).move(z=tall + 0.17) + cylinder(0.03, 0.08).move(z=tall + 0.08),
            finish,
        )


@category("kettle")
def kettle(draw: Draw) -> Pieces:
    radius, tall = draw(0.4, 0.48), draw(0.6, 0.85)
    body = draw.pick(draw.metal, draw.metal, draw.plastic, draw.ceramic)()
    yield (
        "body",
        lathe(
            [
                (radius, 0),
                (radius, 0.06),
                *curve([(0.98 * radius, 0.1), (0.85 * radius, 0.6 * tall), (draw(0.4, 0.6) * radius, tall)], 9),
            ],
            30,
        ),
        body,
    )
    dark = draw.pick(draw.dark(), draw.wood(), draw.plastic())
    yield "lid", lathe([(0.5 * radius, 0), (0.4 * radius, 0.06), (0, 0.08)]).move(z=tall - 0.01), body
    yield "knob", ellipsoid(0.12, 0.12, 0.1, 12, 8).move(z=tall + 0.1), dark
    spout = in_plane(
        curve([(0.75 * radius, 0.5 * tall), (1.1 * radius, 0.68 * tall), (1.35 * radius, draw(0.8, 0.95) * tall)], 7),
        "y",
    )
    yield "spout", tube(spout, np.linspace(0.13, 0.055, 7), 12), body
    if draw.chance(0.6):
        hoop = arc(0.8 * radius, 5, 175, 16, draw(0.32, 0.48)) + (0, tall * 0.85)
        yield "handle", tube(in_plane(hoop, "y"), 0.035, 8), dark
    else:
        path = curve(
            [
                (-0.75 * radius, 0.92 * tall),
                (-1.6 * radius, 0.9 * tall),
                (-1.5 * radius, 0.35 * tall),
                (-0.9 * radius, 0.25 * tall),
            ],
            14,
        )
        yield "handle", tube(in_plane(path, "y"), np.tile((0.04, 0.055), (14, 1))), dark
    if draw.chance(0.4):
        yield "base", cylinder(1.12 * radius, 0.05, bevel=0.01, sides=30).move(z=-0.06), draw.dark()


@category("knife")
def knife(draw: Draw) -> Pieces:
    length, wide, grip = draw(0.8, 1.4), draw(0.1, 0.24), draw(0.4, 0.55)
    point = draw(0.0, 1.0) * wide
    edge = curve([(0, 0), (0, 0.6 * length), (point * 0.6, 0.92 * length), (point, length)], 14)
    spine = curve([(wide, draw(0.75, 0.95) * length), (wide, 0.0)], 4)
    yield "blade", extrude(np.concatenate([edge, spine]) - (wide / 2, 0), 0.022, 0.007), draw.metal()
    yield "bolster", box(wide * 0.8 if wide < 0.15 else 0.12, 0.07, 0.05, bevel=0.01).move(z=-0.03), draw.metal()
    handle = _grip(draw, grip, 0.05).turn("y", 180)
    yield "handle", handle.move(z=-0.02), _handle_finish(draw)
    yield (
        "rivet",
        at(
            cylinder(0.016, 0.13, sides=8).turn("x", 90).move(y=0.065), [(0, 0, -grip * k) for k in (0.25, 0.5, 0.75)]
        ),
        draw.metal("#d4a63a", "#c8ccd0"),
    )


def _cutlery(draw: Draw, length: float, wide: float, head: float) -> Form:
    """The stem of a spoon or fork, which ends at z = 0 where its head begins, `head` wide in profile."""
    t = np.linspace(0, 1, 12)
    across = np.interp(t, [0, 0.08, 0.25, 0.8, 1], [0.5 * wide, wide, 0.8 * wide, 0.35 * wide, head])
    bow = draw(0.02, 0.07) * np.sin(np.pi * t)
    path = np.stack([0 * t, -bow, length * (t - 1)], axis=1)
    return tube(
        path, np.stack([across / 2, np.full(12, draw(0.011, 0.018))], axis=1), section=circle(1, 8), round_ends=True
    )


@category("fork")
def fork(draw: Draw) -> Pieces:
    steel, tines, wide = (
        draw.pick(draw.metal, draw.metal, draw.metal, draw.wood)(),
        draw.whole(3, 4),
        draw(0.17, 0.24),
    )
    yield "stem", _cutlery(draw, draw(0.8, 1.1), 0.12, 0.06), steel
    palm = rounded(
        [(-0.03, -0.02), (0.03, -0.02), (wide / 2, 0.13), (wide / 2, 0.24), (-wide / 2, 0.24), (-wide / 2, 0.13)],
        0.05,
        3,
    )
    yield "head", extrude(palm, 0.025, 0.008), steel
    long = draw(0.22, 0.34)
    tine = curve([(0, 0.22), (0.025, 0.24 + 0.5 * long), (-0.02, 0.24 + long)], 7)
    place = [(x, 0, 0) for x in np.linspace(-wide / 2 + 0.014, wide / 2 - 0.014, tines)]
    prong = tube(in_plane(tine, "x"), np.linspace(0.017, 0.007, 7), 7)
    yield "tine", at(prong, place), steel


@category("spoon")
def spoon(draw: Draw) -> Pieces:
    steel = draw.pick(draw.metal, draw.metal, draw.wood, draw.plastic)()
    yield "stem", _cutlery(draw, draw(0.75, 1.3), 0.12, 0.07), steel
    wide, long, deep = draw(0.24, 0.36), draw(0.34, 0.48), draw(0.05, 0.1)
    dish = vessel(arc(1.0, -90, 0, 9)[1:] + (0, 1.0), 0.1, 28)
    dish = dish.scale(wide / 2, long / 2, deep).move(z=-deep)
    yield "bowl", dish.turn("x", 90).move(z=0.46 * long).mirror("y").move(y=0.0), steel


@category("scissors")
def scissors(draw: Draw) -> Pieces:
    length, wide, opened = draw(0.7, 1.0), draw(0.1, 0.15), draw(6, 28)
    blade = extrude(
        [(-0.35 * wide, -0.12), (0.4 * wide, -0.12), (0.55 * wide, 0.1), (0.1 * wide, length), (-0.35 * wide, 0.2)],
        0.025,
        0.006,
    )
    eye, tall = draw(0.11, 0.15), draw(0.14, 0.22)
    loop = tube(in_plane(circle(eye, 20, tall), "y"), 0.036, 8, loop=True)
    shank = rod((0, 0, -0.08), (0.13, 0, -0.32), 0.04, 0.035)
    grips = loop.move(0.17, 0, -0.3 - tall) + shank
    yield (
        "blade",
        blade.move(y=0.013).turn("y", opened / 2) + blade.mirror("x").move(y=-0.013).turn("y", -opened / 2),
        draw.metal(),
    )
    yield (
        "grip",
        grips.turn("y", -opened / 2) + grips.mirror("x").turn("y", opened / 2),
        draw.pick(draw.plastic, draw.plastic, draw.metal)(),
    )
    yield "screw", cylinder(0.03, 0.08, bevel=0.008, sides=12).turn("x", 90).move(y=0.04), draw.metal()


@category("hammer")
def hammer(draw: Draw) -> Pieces:
    length, radius = draw(0.9, 1.3), draw(0.035, 0.05)
    yield (
        "handle",
        _grip(draw, 0.45 * length, 1.25 * radius) + cylinder(0.9 * radius, length, sides=12),
        _handle_finish(draw),
    )
    steel, size = draw.pick(draw.metal(), draw.metal("#4a4d50", "#2a2a2e")), draw(0.07, 0.1)
    face = lathe([(0.75 * size, 0), (0.75 * size, 0.12), (size, 0.16), (size, 0.3), (0.85 * size, 0.33)], 18).turn(
        "y", 90
    )
    yield (
        "head",
        face.move(0.02, 0, length) + box(0.16, 1.5 * size, 1.6 * size, bevel=0.015).move(z=length - 0.8 * size),
        steel,
    )
    kind = draw.pick("claw", "claw", "wedge", "mallet")
    if kind == "claw":
        path = in_plane(curve([(-0.05, 0.02), (-0.22, 0.02), (-0.4, draw(-0.2, -0.1))], 9), "y", 0.35 * size) + (
            0,
            0,
            length,
        )
        yield (
            "claw",
            both(
                tube(
                    path,
                    np.linspace((0.6 * size, 0.3 * size), (0.15 * size, 0.25 * size), 9),
                    section=rectangle(2, 2),
                ),
                "y",
            ),
            steel,
        )
    elif kind == "wedge":
        yield "peen", box(2 * size, 1.5 * size, 0.3).taper(0.25).turn("y", -90).move(x=-0.05, z=length), steel
    else:
        yield "peen", face.mirror("x").move(-0.02, 0, length), steel


@category("screwdriver")
def screwdriver(draw: Draw) -> Pieces:
    grip, shaft, radius = draw(0.4, 0.55), draw(0.5, 0.9), draw(0.075, 0.11)
    flutes = draw.whole(4, 8)
    profile = curve(
        [
            (0.3 * radius, 0),
            (radius, 0.06),
            (0.95 * radius, 0.6 * grip),
            (0.6 * radius, 0.85 * grip),
            (0.75 * radius, grip),
        ],
        18,
    )
    handle = lathe(profile, 6 * flutes).swell(
        lambda turn, z: 1 - 0.09 * (1 + np.cos(flutes * turn)) * (z < 0.75 * grip)
    )
    yield "handle", handle, draw.pick(draw.plastic, draw.plastic, draw.wood)()
    yield "ring", torus(0.7 * radius, 0.02, 20, 6).move(z=grip), draw.plastic()
    steel = draw.metal()
    yield "shaft", cylinder(0.028, shaft, sides=draw.pick(6, 12)).move(z=grip), steel
    if draw.chance():
        yield (
            "tip",
            box(0.05, 0.05, 0.14)
            .shift("x", lambda x, y, z: 4 * x * z)
            .shift("y", lambda x, y, z: -5 * y * z)
            .move(z=grip + shaft - 0.02),
            steel,
        )
    else:
        yield (
            "tip",
            join([box(0.055, 0.018, 0.12).taper(0.3).turn("z", turn) for turn in (0, 90)]).move(
                z=grip + shaft - 0.02
            ),
            steel,
        )


@category("wrench")
def wrench(draw: Draw) -> Pieces:
    steel, length, wide, jaw = draw.metal(), draw(0.8, 1.2), draw(0.1, 0.15), draw(0.15, 0.2)
    thick = draw(0.05, 0.08)
    yield (
        "shaft",
        extrude(
            rounded([(-wide / 2, 0), (wide / 2, 0), (0.4 * wide, length), (-0.4 * wide, length)], 0.02),
            0.8 * thick,
            0.01,
        ),
        draw.pick(steel, steel, draw.plastic()),
    )
    gap, lean = draw(0.45, 0.6) * jaw, draw(-20, 20)
    start = np.degrees(np.arcsin(gap / jaw)) + 90
    outer = arc(jaw, start, 540 - start, 18)
    notch = np.array(
        [
            (gap, 0.75 * jaw),
            (gap, -0.1 * jaw),
            (0.5 * gap, -0.45 * jaw),
            (-0.5 * gap, -0.45 * jaw),
            (-gap, -0.1 * jaw),
            (-gap, 0.75 * jaw),
        ]
    )
    head = extrude(np.concatenate([outer, notch]), thick, 0.01)
    yield "jaw", head.turn("y", lean).move(z=length + 0.6 * jaw), steel
    if draw.chance(0.6):
        ring = lathe(
            [(0.55 * jaw, -thick / 2), (0.95 * jaw, -thick / 2), (0.95 * jaw, thick / 2), (0.55 * jaw, thick / 2)],
            24,
            loop=True,
        )
        yield "ring", ring.turn("x", 90).move(z=-0.7 * jaw), steel
    else:
        yield "jaw", head.scale(0.85, 1, 0.85).turn("y", 180 + lean).move(z=-0.5 * jaw), steel


@category("saw")
def saw(draw: Draw) -> Pieces:
    length, tall, teeth = draw(1.0, 1.4), draw(0.22, 0.34), draw.whole(16, 28)
    x = np.linspace(length, 0, 2 * teeth + 1)
    edge = np.stack([x, np.where(np.arange(len(x)) % 2, -0.035, 0.0)], axis=1)
    yield "blade", extrude(np.concatenate([[(0, tall), (length, draw(0.35, 0.6) * tall)], edge]), 0.016), draw.metal()
    loop = rounded(
        [(-0.34, -0.1), (-0.24, -0.14), (0.06, 0.0), (0.1, tall), (-0.1, tall + 0.06), (-0.32, tall - 0.02)], 0.06
    )
    yield (
        "handle",
        tube(in_plane(loop, "y"), np.tile((0.035, 0.045), (len(loop), 1)), 8, loop=True),
        _handle_finish(draw),
    )
    yield "cheek", box(0.22, 0.06, 0.55 * tall, bevel=0.02).move(0.06, 0, 0.2 * tall), draw.wood()
    yield (
        "bolt",
        at(
            cylinder(0.022, 0.09, sides=10).turn("x", 90).move(y=0.045),
            [(0.06, 0, 0.35 * tall), (0.1, 0, 0.6 * tall)],
        ),
        draw.metal("#d4a63a", "#c8ccd0"),
    )


@category("axe")
def axe(draw: Draw) -> Pieces:
    length, thick = draw(1.0, 1.5), draw(0.035, 0.05)
    path = in_plane(curve([(0.06, 0), (0.02, 0.15), (0, 0.5 * length), (0, length)], 12), "y")
    yield (
        "handle",
        tube(path, np.linspace((1.4 * thick, thick), (1.1 * thick, 0.8 * thick), 12), round_ends=True),
        draw.wood(),
    )
    tall, reach = draw(0.26, 0.42), draw(0.26, 0.4)
    edge = curve([(-reach, 0.55 * tall), (-reach - 0.05, 0), (-reach, -0.6 * tall)], 9)
    head = np.concatenate([[(0.08, 0.1), (-0.06, 0.1)], edge, [(-0.06, -0.1), (0.08, -0.1)]])
    sharp = extrude(head, 0.12).shift("y", lambda x, y, z: y * np.clip(0.95 * x / reach, -0.92, 0))
    steel = draw.metal("#8a9098", "#4a4d50", "#b8322a", "#c8ccd0")
    both_sides = draw.chance(0.25)
    yield "head", (both(sharp.move(x=-0.03)) if both_sides else sharp).move(z=length - 0.13), steel


@category("shovel")
def shovel(draw: Draw) -> Pieces:
    length, wide, tall = draw(0.9, 1.3), draw(0.32, 0.44), draw(0.42, 0.55)
    tip = draw.pick(0.0, draw(0.1, 0.2))
    outline = rounded(
        [(-0.5 * wide, 0), (0.5 * wide, 0), (0.5 * wide, -tall + tip), (0, -tall - 0.02), (-0.5 * wide, -tall + tip)],
        0.08,
        4,
    )
    hollow = draw(0.4, 0.9)
    blade = extrude(outline, 0.022, 0.006).shift("y", lambda x, y, z: -hollow * x**2)
    steel, wood = draw.metal("#8a9098", "#4a4d50", "#b8322a", "#2f5a3f"), draw.wood()
    yield "blade", blade, steel
    yield "socket", cylinder(0.06, 0.3, 0.035, sides=12).move(z=-0.14), steel
    yield "shaft", cylinder(0.03, length, sides=12), wood
    if draw.chance(0.7):
        bar = rod((-0.13, 0, length + 0.14), (0.13, 0, length + 0.14), 0.028)
        arms = both(rod((0, 0, length - 0.03), (0.12, 0, length + 0.14), 0.024))
        yield "grip", bar + arms, draw.pick(wood, draw.dark(), draw.plastic())
    else:
        yield "grip", rod((-0.16, 0, length), (0.16, 0, length), 0.035), wood


@category("ladder")
def ladder(draw: Draw) -> Pieces:
    tall, low, high, finish = draw(1.3, 2.0), draw(0.4, 0.55), draw(0.26, 0.4), draw.pick(draw.wood, draw.metal)()
    rungs, thick = draw.whole(5, 8), draw(0.035, 0.055)
    level = (np.arange(rungs) + 0.6) / rungs
    half = low / 2 + (high - low) / 2 * level
    stile = tube([(low / 2, 0, 0), (high / 2, 0, tall)], thick, section=rectangle(1.0, 1.6))
    if draw.chance(0.5):
        bar = [box(2 * h, 0.05, 0.03).move(z=tall * k) for h, k in zip(half, level, strict=True)]
    else:
        bar = [rod((-h, 0, tall * k), (h, 0, tall * k), 0.02, sides=8) for h, k in zip(half, level, strict=True)]
    if draw.chance(0.55):
        lean = draw(12, 20)
        front = (both(stile) + join(bar)).move(z=-tall).turn("x", -lean).move(z=tall)
        back = (both(stile) + join(bar[:: max(1, rungs // 3)])).move(z=-tall).turn("x", lean).move(z=tall)
        yield "front", front, finish
        yield "back", back, finish
        yield "top", box(high + 0.1, 0.16, 0.04, bevel=0.01).move(z=tall - 0.01), draw.pick(finish, draw.plastic())
    else:
        yield "stile", both(stile), finish
        yield "rung", join(bar), draw.pick(finish, draw.metal())


@category("paintbrush")
def paintbrush(draw: Draw) -> Pieces:
    wide, thick, grip = draw(0.14, 0.4), draw(0.08, 0.11), draw(0.5, 0.8)
    t = np.linspace(0, 1, 12)
    across = np.interp(t, [0, 0.1, 0.35, 0.75, 1], [0.03, 0.045, 0.035, 0.05, 0.5 * wide])
    handle = tube(
        np.stack([0 * t, 0 * t, grip * t], axis=1),
        np.stack([across, np.full(12, 0.4 * thick)], axis=1),
        14,
        round_ends=True,
    )
    yield "handle", handle, draw.pick(draw.wood, draw.plastic)()
    yield (
        "ferrule",
        superellipsoid(1.08 * wide, 1.1 * thick, 0.18, 0.1, 0.4).move(z=grip + 0.07),
        draw.metal("#c8ccd0", "#d4a63a"),
    )
    hair = superellipsoid(wide, thick, 0.5, 0.25, 0.4).taper(draw(0.7, 1.1)).move(z=grip + 0.33)
    yield "bristles", hair, draw.finish("bark", "#3a2a20", "#c8a870", "#e8dcc0", "#141210")
    if draw.chance(0.55):
        yield "paint", superellipsoid(1.03 * wide, 1.06 * thick, 0.22, 0.3, 0.4).move(z=grip + 0.5), draw.plastic()
