"""Sports and games."""

from __future__ import annotations

import numpy as np

from task2sim_studio.catalogue.drawing import BRASS, PALES, Draw, Pieces, category
from task2sim_studio.forms import (
    Floats,
    arc,
    around,
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
    rod,
    rotation,
    rounded,
    scatter,
    skin,
    torus,
    tube,
)

GOLDEN = (1 + 5**0.5) / 2


def _icosahedron() -> Floats:
    """Its 12 corners, unit vectors: where the black patches of a football lie."""
    points = [(0.0, a, b * GOLDEN) for a in (-1, 1) for b in (-1, 1)]
    every = np.array([np.roll(p, k) for p in points for k in range(3)])
    unit: Floats = every / np.linalg.norm(every[0])
    return unit


def _pentagon(v: Floats) -> Floats:
    """Make a disc about the z axis five-sided, and lay its layers on spheres about the origin."""
    fifth = (np.arctan2(v[:, 1], v[:, 0]) % (0.4 * np.pi)) - 0.2 * np.pi
    flat = v * np.stack([f := np.cos(0.2 * np.pi) / np.cos(fifth), f, np.ones(len(v))], axis=1)
    laid: Floats = flat * (v[:, 2] / np.linalg.norm(flat, axis=1))[:, None]
    return laid


def _football(draw: Draw) -> Pieces:
    size = draw(0.16, 0.2)
    yield "leather", ellipsoid(1, 1, 1, 30, 20), draw.leather(*PALES, "#f2b632", "#e8722a")
    patch = lathe([(0, 0.46), (size, 0.46), (size, 0.506), (0.5 * size, 0.506), (0, 0.506)], 20).deform(_pentagon)
    places = _icosahedron()
    yield "patch", scatter(patch, 0 * places, places), draw.plastic("#17171a", "#d0342c", "#2f6fc4", "#274690")


def _basketball(draw: Draw) -> Pieces:
    yield "leather", ellipsoid(1, 1, 1, 30, 20), draw.leather("#d8702a", "#c8602a", "#b8501e")
    seam, line = torus(0.5, draw(0.012, 0.018), 40, 6), draw.plastic("#17171a")
    side = seam.scale(draw(0.62, 0.72), draw(0.62, 0.72), 1).move(z=0.36)
    yield "seam", seam.turn("x", 90) + seam.turn("y", 90), line
    yield "side seam", both(side, "z").turn("y", 90), line


def _tennis_ball(draw: Draw) -> Pieces:
    yield "felt", ellipsoid(1, 1, 1, 30, 20), draw.finish("knit", "#d0e030", "#c8e040", "#e0e84a")
    t, a = np.linspace(0, 2 * np.pi, 48, endpoint=False), draw(0.37, 0.41)
    b = 0.5 - a
    x, y = a * np.cos(t) + b * np.cos(3 * t), a * np.sin(t) - b * np.sin(3 * t)
    seam = np.stack([x, y, 2 * np.sqrt(a * b) * np.sin(2 * t)], axis=1)
    yield "seam", tube(seam, draw(0.012, 0.018), 6, loop=True), draw.plastic("#f5f2ea")


def _beach_ball(draw: Draw) -> Pieces:
    count, colours = draw.whole(5, 10), (draw.plastic(*PALES), draw.plastic(), draw.plastic())
    gore = in_plane(arc(0.5, -90, 90, 18), "y")
    meridians = [gore @ rotation("z", turn).T for turn in np.linspace(0, 360 / count, 5)]
    wedge = skin(np.stack([*meridians, gore * (0, 0, 1)], axis=1))
    for k in range(count):
        yield f"gore {k % 3 + 1}", wedge.turn("z", 360 * k / count), colours[k % 3]
    yield "valve", both(cylinder(draw(0.04, 0.08), 0.02, sides=12).move(z=0.49), "z"), colours[0]


def _rugby_ball(draw: Draw) -> Pieces:
    wide, point, long = draw(0.58, 0.66), draw(0.15, 0.35), draw(1.25, 1.45)
    body = ellipsoid(wide, wide, 1.0, 26, 18).swell(lambda turn, z: 1 - point * np.abs(z) ** 1.5).scale(1, 1, long)
    yield "leather", body.turn("y", 90), draw.leather("#8a4a20", "#a85a2a", "#f0ede4", "#d0342c")
    pale, top = draw.plastic("#f5f2ea", "#2a2a2e"), wide / 2
    band = torus(0.86 * top * (1 - point * 0.14), 0.015, 28, 6).turn("y", 90)
    yield "band", both(band.move(x=0.25 * long)), pale
    stitches = [(x, 0, top - 0.005) for x in np.linspace(-0.13, 0.13, draw.whole(5, 8))]
    yield "lace", at(box(0.02, 0.12, 0.02), stitches) + box(0.32, 0.02, 0.02).move(z=top - 0.01), pale


@category("ball")
def ball(draw: Draw) -> Pieces:
    kind = draw.pick(_football, _basketball, _tennis_ball, _beach_ball, _rugby_ball)
    tilt, turn = draw(-40, 40), draw(0, 360)
    for name, form, finish in kind(draw):
        yield name, form if kind is _rugby_ball else form.turn("x", tilt).turn("z", turn), finish


@category("dumbbell")
def dumbbell(draw: Draw) -> Pieces:
    grip, metal = draw(0.5, 0.9), draw.metal()
    yield "bar", rod((-grip, 0, 0), (grip, 0, 0), draw(0.04, 0.06), sides=14), metal
    iron = draw.pick(draw.dark, draw.plastic, draw.metal)()
    kind, radius = draw.pick("plates", "hex", "ball"), draw(0.24, 0.4)
    if kind == "plates":
        x = 0.45 * grip
        for _ in range(draw.whole(1, 4)):
            thick = draw(0.06, 0.1)
            plate = cylinder(radius, thick, bevel=0.015, sides=30).turn("y", 90).move(x=x)
            yield "plate", both(plate), iron
            x, radius = x + thick + 0.01, radius * draw(0.75, 1.0)
        yield "collar", both(cylinder(0.085, 0.05, sides=14).turn("y", 90).move(x=x)), metal
    elif kind == "hex":
        yield (
            "head",
            both(cylinder(0.85 * radius, 0.42 * grip, bevel=0.05, sides=6).turn("y", 90).move(x=0.55 * grip)),
            iron,
        )
    else:
        yield (
            "head",
            both(ellipsoid(1.5 * radius, 1.5 * radius, 1.5 * radius).move(x=0.55 * grip + 0.6 * radius)),
            iron,
        )
    if draw.chance(0.5):
        yield "grip", rod((-0.3 * grip, 0, 0), (0.3 * grip, 0, 0), 0.07, sides=16), draw.dark()


@category("tennis racket")
def tennis_racket(draw: Draw) -> Pieces:
    wide, tall, neck, frame = draw(0.24, 0.31), draw(0.32, 0.4), draw(0.22, 0.34), draw.plastic()
    head = in_plane(circle(wide, 36, tall), "y")
    yield "frame", tube(head, np.tile((0.02, 0.03), (36, 1)), 8, loop=True), frame
    strings = []
    for k in np.linspace(-0.85, 0.85, 13):
        half = np.sqrt(1 - k**2)
        strings += [
            rod((k * wide, 0, -half * tall), (k * wide, 0, half * tall), 0.004, sides=4),
            rod((-half * wide, 0, k * tall), (half * wide, 0, k * tall), 0.004, sides=4),
        ]
    yield "string", join(strings), draw.plastic("#f2f0e0", "#e0e8a0", "#2a2a2e")
    low = -tall - neck
    yield (
        "throat",
        both(
            tube(
                in_plane(curve([(0.55 * wide, -0.85 * tall), (0.06, -tall - 0.5 * neck), (0.018, low)], 9), "y"),
                0.02,
                7,
            )
        ),
        draw.pick(frame, draw.plastic()),
    )
    grip = draw(0.35, 0.45)
    yield (
        "grip",
        cylinder(0.042, grip, 0.034, sides=8).move(z=low - grip + 0.03),
        draw.leather("#2a2a2e", "#f0ede4", "#6b4226"),
    )
    yield "butt", cylinder(0.055, 0.035, bevel=0.008, sides=8).move(z=low - grip), frame
    if draw.chance(0.4):
        yield (
            "ball",
            ellipsoid(0.16, 0.16, 0.16, 16, 11).move(draw(-0.1, 0.1), -0.09, draw(-0.15, 0.15)),
            draw.finish("knit", "#d0e030"),
        )


@category("skateboard")
def skateboard(draw: Draw) -> Pieces:
    length, width = draw(1.2, 1.5), draw(0.3, 0.4)
    lift = draw(0.08, 0.18)
    t = np.linspace(-1, 1, 21)
    rise = lift * np.clip((np.abs(t) - 0.6) / 0.4, 0, 1) ** 1.5
    wide = width / 2 * np.sqrt(np.clip(1 - np.clip((np.abs(t) - 0.72) / 0.28, 0, 0.985) ** 2, 0, 1))
    path = np.stack([t * length / 2, 0 * t, rise], axis=1)
    deck = tube(path, np.stack([np.full(21, 0.02), wide], axis=1), section=[(-1, -1), (1, -1), (1, 1), (-1, 1)])
    yield "deck", deck, draw.pick(draw.wood, draw.plastic)()
    yield (
        "tape",
        tube(
            path[2:-2] + (0, 0, 0.014),
            np.stack([np.full(17, 0.01), 0.97 * wide[2:-2]], axis=1),
            section=[(-1, -1), (1, -1), (1, 1), (-1, 1)],
        ),
        draw.finish("granite", "#2a2a2e", "#3a3a40", "#6a4a8a"),
    )
    x, radius = draw(0.28, 0.34) * length, draw(0.055, 0.08)
    truck = box(0.14, 0.1, 0.05).move(z=-0.07) + rod((0, -0.45 * width, -0.09), (0, 0.45 * width, -0.09), 0.022)
    yield "truck", both(truck.move(x=x)), draw.metal()
    wheel = cylinder(radius, 0.075, bevel=0.015, sides=18).turn("x", 90).move(y=0.037)
    yield "wheel", both(both(wheel.move(x, 0.45 * width, -0.09)), "y"), draw.plastic()


@category("bowling pin")
def bowling_pin(draw: Draw) -> Pieces:
    tall, belly, neck, head = draw(1.2, 1.4), draw(0.2, 0.24), draw(0.075, 0.095), draw(0.1, 0.13)
    profile = curve(
        [
            (0.11, 0),
            (belly, 0.32 * tall),
            (0.6 * belly, 0.58 * tall),
            (neck, 0.72 * tall),
            (head, 0.89 * tall),
            (0.6 * head, 0.975 * tall),
            (0, tall),
        ],
        34,
    )
    white, red = draw.plastic(*PALES), draw.plastic("#c8281c", "#2f6fc4", "#17171a", "#4f9d4a")
    pins = draw.pick(1, 1, 3)
    places = [(0, 0, 0), (-0.36, 0.5, 0), (0.36, 0.5, 0)][:pins]
    yield "pin", at(lathe(profile, 22 if pins == 1 else 16), places), white
    for z in draw.pick((0.7,), (0.67, 0.74), (0.66, 0.71, 0.76)):
        r = float(np.interp(z * tall, profile[:, 1], profile[:, 0]))
        yield (
            "stripe",
            at(
                torus(r - 0.004, 0.018, 22 if pins == 1 else 16, 5).scale(1, 1, draw(0.8, 1.6)).move(z=z * tall),
                places,
            ),
            red,
        )
    if draw.chance(0.4):
        yield (
            "ball",
            ellipsoid(0.62, 0.62, 0.62, 26, 18).move(0.55 if pins == 1 else 0.1, -0.4, 0.31),
            draw.finish(draw.pick("marble", "plastic")),
        )


@category("bat")
def bat(draw: Draw) -> Pieces:
    length, thick = draw(1.2, 1.5), draw(0.07, 0.1)
    wood = draw.pick(draw.wood, draw.wood, draw.metal, draw.plastic)()
    baseball = draw.chance(0.6)
    if baseball:
        yield (
            "barrel",
            lathe(
                curve(
                    [
                        (0.03, 0),
                        (0.035, 0.3 * length),
                        (0.85 * thick, 0.7 * length),
                        (thick, 0.93 * length),
                        (0.6 * thick, 0.99 * length),
                        (0, length),
                    ],
                    26,
                ),
                18,
            ),
            wood,
        )
        yield "knob", ellipsoid(0.12, 0.12, 0.05, 16, 8), wood
        yield (
            "grip",
            cylinder(0.037, 0.28 * length, sides=14).move(z=0.02),
            draw.leather("#2a2a2e", "#d0342c", "#f0ede4"),
        )
    else:
        wide = draw(0.2, 0.26)
        blade = rounded(
            [(-wide / 2, 0.35 * length), (wide / 2, 0.35 * length), (wide / 2, length), (-wide / 2, length)], 0.07, 4
        )
        yield "barrel", extrude(blade, 0.09, 0.03), wood
        yield "handle", cylinder(0.035, 0.38 * length, sides=12), draw.leather("#2a2a2e", "#d0342c", "#2f6fc4")
    if draw.chance(0.7):
        radius = 0.11
        yield (
            "ball",
            ellipsoid(2 * radius, 2 * radius, 2 * radius, 18, 12).move(0.28, -0.05, radius),
            draw.leather(*(PALES if baseball else ("#a8201a",))),
        )
        yield (
            "seam",
            torus(radius, 0.008, 24, 5).turn("x", 50).move(0.28, -0.05, radius),
            draw.plastic("#c8281c" if baseball else "#f5f2ea"),
        )


@category("trophy")
def trophy(draw: Draw) -> Pieces:
    gold = draw.metal(*BRASS, "#d8d4c8", "#c8803a")
    radius, tall, stem, foot = draw(0.24, 0.36), draw(0.4, 0.65), draw(0.12, 0.4), draw(0.14, 0.2)
    base = draw.pick(draw.wood("#3a2418", "#5a3825"), draw.finish("marble", "#2a2a2e", "#f0ede4", "#4a6a5a"))
    square = draw.chance()
    high = draw(0.15, 0.3)
    yield (
        "base",
        box(2.4 * foot, 2.4 * foot, high, bevel=0.02) if square else cylinder(1.4 * foot, high, 1.2 * foot, sides=28),
        base,
    )
    yield (
        "plate",
        box(1.4 * foot, 0.03, 0.45 * high).move(y=-1.2 * foot if square else -1.3 * foot, z=0.3 * high),
        gold,
    )
    bowl = curve([(0.06, 0), (0.75 * radius, 0.22 * tall), (0.9 * radius, 0.6 * tall), (radius, tall)], 12)
    stand = [(foot, 0), (0.9 * foot, 0.04), (0.035, 0.1), (0.035, stem), (0.08, stem + 0.03), (0.05, stem + 0.06)]
    yield "stem", lathe(stand).move(z=high), gold
    z = high + stem + 0.05
    inner = (bowl[::-1] - (0.02, 0))[:-2]
    yield "cup", lathe(np.concatenate([bowl, inner, [(0, inner[-1, 1])]]), 30).move(z=z), gold
    ear = curve(
        [
            (0.85 * radius, 0.3 * tall),
            (radius + 0.18, 0.45 * tall),
            (radius + 0.16, 0.85 * tall),
            (0.95 * radius, 0.88 * tall),
        ],
        14,
    )
    if draw.chance(0.85):
        yield "handle", both(tube(in_plane(ear, "y"), 0.024, 8).move(z=z)), gold
    if draw.chance(0.35):
        yield (
            "lid",
            lathe(curve([(radius, 0), (0.7 * radius, 0.12), (0.05, 0.2), (0, 0.2)], 9), 30).move(z=z + tall),
            gold,
        )
        yield "finial", ellipsoid(0.12, 0.12, 0.16, 12, 8).move(z=z + tall + 0.24), gold
    star = np.stack(
        [
            np.where(np.arange(10) % 2, 0.05, 0.12) * np.sin(np.arange(10) * np.pi / 5),
            np.where(np.arange(10) % 2, 0.05, 0.12) * np.cos(np.arange(10) * np.pi / 5),
        ],
        axis=1,
    )
    if draw.chance(0.5):
        yield "star", extrude(star, 0.05).move(y=-0.93 * radius, z=z + 0.62 * tall), draw.metal("#f0e8d0", "#c8281c")


@category("chess piece")
def chess_piece(draw: Draw) -> Pieces:
    finish = draw.finish(
        draw.pick("wood", "marble", "plastic"), "#e8d8b0", "#f0e8d8", "#2a2220", "#5a3020", "#3a2a24"
    )
    kind, tall, foot = draw.pick("pawn", "rook", "bishop", "queen", "king"), draw(0.7, 0.95), draw(0.25, 0.3)
    if kind != "pawn":
        tall *= 1.25
    body = curve([(0.75 * foot, 0.18), (0.42 * foot, 0.35 * tall), (0.33 * foot, 0.72 * tall)], 12)
    yield (
        "body",
        lathe(
            np.concatenate(
                [
                    [(foot, 0), (foot, 0.07), (0.9 * foot, 0.1), (0.95 * foot, 0.14)],
                    body,
                    [(0.62 * foot, 0.75 * tall), (0.62 * foot, 0.79 * tall), (0.4 * foot, 0.82 * tall)],
                ]
            ),
            26,
        ),
        finish,
    )
    yield "felt", cylinder(0.95 * foot, 0.02, sides=26).move(z=-0.015), draw.cloth("#2f5a3f", "#7a2f26")
    top = 0.8 * tall
    if kind == "pawn":
        size = draw(0.9, 1.15) * foot
        yield "head", ellipsoid(size, size, size).move(z=top + 0.42 * size), finish
    elif kind == "rook":
        yield (
            "head",
            lathe(
                [
                    (0.5 * foot, 0),
                    (0.68 * foot, 0.05),
                    (0.68 * foot, 0.17),
                    (0.45 * foot, 0.17),
                    (0.45 * foot, 0.12),
                    (0, 0.12),
                ]
            ).move(z=top),
            finish,
        )
        yield "battlement", around(box(0.08, 0.09, 0.07).move(x=0.56 * foot, z=top + 0.165), 6), finish
    elif kind == "bishop":
        yield (
            "head",
            lathe(curve([(0.3 * foot, 0), (0.52 * foot, 0.1), (0.3 * foot, 0.24), (0.02, 0.3)], 12)).move(z=top),
            finish,
        )
        yield "ball", ellipsoid(0.08, 0.08, 0.08, 10, 7).move(z=top + 0.31), finish
        yield "slit", box(0.4 * foot, 0.2 * foot, 0.03).turn("y", 45).move(0.35 * foot, -0.0, top + 0.16), draw.dark()
    else:
        yield (
            "head",
            lathe([(0.35 * foot, 0), (0.65 * foot, 0.22), (0.5 * foot, 0.22), (0.35 * foot, 0.27), (0, 0.3)]).move(
                z=top
            ),
            finish,
        )
        if kind == "queen":
            yield (
                "crown",
                around(ellipsoid(0.07, 0.07, 0.08, 9, 6).move(x=0.58 * foot, z=top + 0.24), 9)
                + ellipsoid(0.09, 0.09, 0.09, 10, 7).move(z=top + 0.33),
                finish,
            )
        else:
            yield "cross", (box(0.05, 0.05, 0.2) + box(0.14, 0.05, 0.05).move(z=0.09)).move(z=top + 0.27), finish
