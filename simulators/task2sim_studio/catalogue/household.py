"""Small things around the house."""

from __future__ import annotations

import numpy as np

from task2sim_studio.catalogue.drawing import BRASS, PALES, Draw, Pieces, category
from task2sim_studio.forms import (
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
    rounded,
    torus,
    tube,
    vessel,
)


@category("clock")
def clock(draw: Draw) -> Pieces:
    radius, deep = draw(0.4, 0.5), draw(0.1, 0.22)
    case, alarm = draw.pick(draw.wood, draw.plastic, draw.metal)(), draw.chance(0.5)
    yield (
        "case",
        lathe(
            [
                (0, -deep),
                (0.95 * radius, -deep),
                (radius, 0),
                (radius, 0.05),
                (0.9 * radius, 0.05),
                (0.88 * radius, 0.01),
                (0, 0.01),
            ],
            36,
        ).turn("x", 90),
        case,
    )
    yield "face", cylinder(0.89 * radius, 0.02, sides=36).turn("x", 90), draw.plastic(*PALES, "#2a2a2e")
    dark = draw.dark()
    yield (
        "mark",
        join(
            [
                box(0.02 if k % 3 else 0.035, 0.02, 0.06).move(y=-0.02, z=0.76 * radius).turn("y", 30 * k)
                for k in range(12)
            ]
        ),
        dark,
    )
    hour, minute = draw(0, 360), draw(0, 360)
    yield (
        "hand",
        box(0.04, 0.012, 0.48 * radius).move(y=-0.03, z=-0.05).turn("y", hour)
        + box(0.025, 0.012, 0.72 * radius).move(y=-0.04, z=-0.05).turn("y", minute),
        draw.pick(dark, draw.metal()),
    )
    yield "pin", cylinder(0.03, 0.05, sides=12).turn("x", 90), dark
    if alarm:
        brass = draw.metal()
        bell = lathe(arc(0.19, 0, 90, 8, 0.15)).move(z=radius + 0.02)
        yield "bell", join([bell.turn("y", turn).move(y=deep / 2) for turn in (-32, 32)]), brass
        yield (
            "leg",
            join(
                [
                    rod((0, deep / 2, -0.95 * radius), (0, deep / 2, -radius - 0.15), 0.03, 0.015).turn("y", turn)
                    for turn in (-30, 30)
                ]
            ),
            brass,
        )
        yield (
            "handle",
            tube(in_plane(arc(0.14, 0, 180, 10, 0.14) + (0, radius + 0.02), "y", deep / 2), 0.016, 6),
            brass,
        )
    elif draw.chance():
        yield "case", box(2.4 * radius, deep + 0.1, 0.1, bevel=0.02).move(y=deep / 2, z=-radius - 0.08), case


@category("book")
def book(draw: Draw) -> Pieces:
    wide, tall, count = draw(0.62, 0.75), draw(0.9, 1.05), draw.whole(1, 4)
    upright, z = draw.chance(0.4), 0.0
    if upright:
        count = 1
    for k in range(count):
        thick, cover = (
            draw(0.08, 0.22),
            draw.finish(
                draw.pick("leather", "fabric", "plastic"),
                "#7a2f26",
                "#274690",
                "#2f5a3f",
                "#d9a53a",
                "#4a2a4a",
                "#2a2a2e",
                "#c8502a",
                "#d8c8a8",
            ),
        )
        w, t = wide * draw(0.85, 1.0), tall * draw(0.85, 1.0)
        board = box(w, t, 0.018)
        spine = extrude(
            np.concatenate([arc(0.035, 90, 270, 8, thick / 2), [(0.02, -thick / 2), (0.02, thick / 2)]])
            + (-w / 2, thick / 2),
            t,
        )
        block = box(w - 0.04, t - 0.05, thick - 0.03).move(x=-0.005, z=0.015)
        lean = draw(-25, 25) if k else 0.0
        for name, form, finish in (
            (f"cover {k + 1}", board + board.move(z=thick - 0.018) + spine, cover),
            ("pages", block, draw.plastic("#f2e8d0", "#f5efe0")),
        ):
            yield name, form.turn("x", 80).turn("z", 12) if upright else form.turn("z", lean).move(z=z), finish
        if draw.chance(0.7):
            label = (box(0.6 * w, 0.16 * t, 0.006).move(y=0.2 * t, z=thick)) + box(0.35 * w, 0.05 * t, 0.006).move(
                y=-0.3 * t, z=thick
            )
            yield (
                "title",
                label.turn("x", 80).turn("z", 12) if upright else label.turn("z", lean).move(z=z),
                draw.metal(*BRASS),
            )
        z += thick
    if draw.chance(0.4):
        ribbon = box(0.04, 0.25, 0.006).move(0.1, -tall / 2, 0.03)
        yield "ribbon", ribbon.turn("x", 80).turn("z", 12) if upright else ribbon, draw.cloth("#d0342c", "#2f6fc4")


@category("candle")
def candle(draw: Draw) -> Pieces:
    tall, radius = draw(0.35, 1.1), draw(0.08, 0.22)
    if tall > 0.8:
        radius = draw(0.06, 0.1)
    wax = draw.plastic(*PALES, "#c8281c", "#e8b8a0", "#2f5a6a", "#7a4a8a", "#d8c090")
    dip = [
        (radius, 0),
        (radius * draw(0.85, 1), tall),
        (0.75 * radius, tall),
        (0.4 * radius, tall - 0.02),
        (0, tall - 0.02),
    ]
    yield "wax", lathe(dip, 22), wax
    yield "wick", tube([(0, 0, tall - 0.03), (0, 0, tall + 0.04), (0.02, 0, tall + 0.09)], 0.01, 5), draw.dark()
    flame = curve([(0, 0), (0.05, 0.06), (0.03, 0.14), (0, 0.24)], 12)
    yield (
        "flame",
        lathe(flame, 12).scale(draw(0.9, 1.3)).move(0.01, 0, tall + 0.06),
        draw.plastic("#ffc23a", "#ff9a2e", "#ffd86a"),
    )
    drips = draw.whole(0, 6)
    if drips:
        turn, long = draw.many(drips, 0, 6.28), draw.many(drips, 0.08, 0.4) * tall
        drop = [
            ellipsoid(0.07 * radius / 0.1, 0.05 * radius / 0.1, d, 8, 6).move(
                0.93 * radius * np.cos(a), 0.93 * radius * np.sin(a), tall - d / 2
            )
            for a, d in zip(turn, long, strict=True)
        ]
        yield "drip", join(drop), wax
    metal = draw.metal(*BRASS, "#c8ccd0", "#4a4d50")
    kind = draw.pick("dish", "stick", "none")
    if kind == "dish":
        wide = radius + draw(0.15, 0.25)
        yield (
            "holder",
            vessel([(0.8 * wide, -0.04), (wide, 0.05)], 0.02, 28)
            + cylinder(1.15 * radius, 0.12, sides=22).move(z=-0.03),
            metal,
        )
        yield "handle", torus(0.09, 0.018, 18, 6).turn("x", 90).move(x=wide + 0.08, z=0.03), metal
    elif kind == "stick":
        low = draw(0.3, 0.7)
        beads = np.array(
            [
                (0.26, -low),
                (0.24, -low + 0.04),
                (0.05, -low + 0.1),
                (0.08, -0.55 * low),
                (0.04, -0.4 * low),
                (0.07, -0.12),
                (1.3 * radius, -0.03),
                (1.3 * radius, 0.06),
                (0, 0.06),
            ]
        )
        yield "holder", lathe(beads, 24), metal


@category("bell")
def bell(draw: Draw) -> Pieces:
    metal, tall, rim, top = (
        draw.metal(*BRASS, "#c8ccd0", "#b8623a"),
        draw(0.6, 0.85),
        draw(0.4, 0.52),
        draw(0.16, 0.24),
    )
    profile = curve([(rim, 0), (0.72 * rim, 0.2 * tall), (1.2 * top, 0.6 * tall), (top, 0.88 * tall), (0, tall)], 20)
    inner = np.concatenate([[(0, 0.75 * tall)], (profile[:13] - (0.035, 0))[::-1]])
    yield "bell", lathe(np.concatenate([inner, profile]), 32), metal
    yield "rim", torus(rim - 0.01, 0.03, 32, 8), metal
    if draw.chance(0.6):
        level = draw(0.25, 0.6)
        r = float(np.interp(level * tall, profile[:, 1], profile[:, 0]))
        yield "band", torus(r, 0.014, 32, 6).move(z=level * tall), draw.pick(metal, draw.metal())
    yield (
        "clapper",
        ellipsoid(0.16, 0.16, 0.16, 14, 9).move(z=-0.03) + cylinder(0.02, 0.6 * tall),
        draw.metal("#4a4d50", "#6a6d70"),
    )
    if draw.chance(0.5):
        grip = np.array([0.05, 0.07, 0.05, 0.08, 0.06, 0.0]) * draw.many(6, 0.9, 1.15)
        yield (
            "handle",
            lathe(curve(np.stack([grip, tall - 0.02 + np.array([0, 0.08, 0.16, 0.38, 0.5, 0.54])], axis=1), 18), 16),
            draw.wood(),
        )
    else:
        yield "handle", torus(0.11, 0.03, 20, 8).turn("x", 90).move(z=tall + 0.08), draw.pick(metal, draw.leather())
        if draw.chance():
            yield (
                "bow",
                both(ellipsoid(0.3, 0.1, 0.2, 14, 9).turn("y", -20).move(0.16, -0.08, tall + 0.02))
                + ellipsoid(0.1, 0.12, 0.1, 10, 7).move(y=-0.1, z=tall),
                draw.cloth("#c8281c", "#2f6fc4"),
            )


@category("key")
def key(draw: Draw) -> Pieces:
    metal, long = draw.metal(*BRASS, "#c8ccd0", "#8a9098"), draw(0.75, 1.05)
    if draw.chance(0.55):
        shape = draw.pick("ring", "trefoil", "oval")
        size = draw(0.13, 0.18)
        if shape == "trefoil":
            bow = join(
                [
                    torus(0.09, 0.03, 18, 7).turn("x", 90).move(0.11 * np.sin(a), 0, 0.11 * np.cos(a))
                    for a in (0, 2.09, -2.09)
                ]
            )
        else:
            bow = tube(in_plane(circle(size, 24, size * (1.0 if shape == "ring" else 0.7)), "y"), 0.034, 8, loop=True)
        yield "bow", bow.move(z=long + 0.12), metal
        yield (
            "stem",
            cylinder(0.035, long, sides=14) + at(torus(0.04, 0.02, 16, 6), [(0, 0, long), (0, 0, long - 0.06)]),
            metal,
        )
        notch = draw(0.06, 0.1)
        bit = [
            (0, 0),
            (0.2, 0),
            (0.2, notch),
            (0.14, notch),
            (0.14, notch + 0.05),
            (0.2, notch + 0.05),
            (0.2, 0.24),
            (0.08, 0.24),
            (0.08, 0.29),
            (0, 0.29),
        ]
        yield "bit", extrude(bit, 0.04).move(z=0.03), metal
    else:
        head = draw.pick(
            circle(0.22, 24),
            rounded([(-0.22, -0.18), (0.22, -0.18), (0.2, 0.2), (-0.2, 0.2)], 0.1, 5),
            circle(0.24, 6),
        )
        yield "bow", extrude(head, 0.06, 0.015).move(z=long + 0.1), draw.pick(metal, draw.plastic())
        yield "hole", cylinder(0.06, 0.07, sides=18).turn("x", 90).move(y=0.035, z=long + 0.2), draw.dark()
        depth = 0.055 - draw.many(7, 0, 0.075)
        z = np.linspace(0.08, 0.75 * long, 7)
        edge = np.stack([depth, z], axis=1)
        yield (
            "stem",
            extrude(
                np.concatenate(
                    [
                        [(-0.08, 0.04), (-0.02, 0)],
                        edge,
                        [(0.08, 0.8 * long), (0.08, long - 0.02), (-0.08, long - 0.02)],
                    ]
                ),
                0.04,
            ),
            metal,
        )
    if draw.chance(0.4):
        yield "ring", torus(0.2, 0.016, 26, 6).turn("y", 70).move(z=long + 0.36), draw.metal()


@category("toothbrush")
def toothbrush(draw: Draw) -> Pieces:
    colour, long = draw.plastic(), draw(1.1, 1.4)
    t = np.linspace(0, 1, 20)
    across = np.interp(
        t, [0, 0.05, 0.3, 0.55, 0.72, 0.8, 0.97, 1], [0.05, 0.07, 0.075, 0.05, 0.03, 0.065, 0.06, 0.03]
    )
    bow = draw(-0.06, 0.1) * np.sin(np.pi * t)
    path = np.stack([0 * t, bow, long * t], axis=1)
    yield "handle", tube(path, np.stack([across, np.full(20, 0.032)], axis=1), 12, round_ends=True), colour
    if draw.chance(0.7):
        yield (
            "grip",
            tube(
                path[2:9] - (0, 0.012, 0),
                np.stack([across[2:9] * 0.6, np.full(7, 0.032)], axis=1),
                10,
                round_ends=True,
            ),
            draw.plastic(),
        )
    rows = draw.whole(6, 9)
    tuft = cylinder(0.018, draw(0.12, 0.18), sides=7).turn("x", 90)
    z = np.linspace(0.8, 0.96, rows) * long
    for k, finish in enumerate((draw.plastic(*PALES), draw.plastic())):
        spots = [(x, -0.02, z[i]) for i in range(k, rows, 2) for x in (-0.036, 0, 0.036)]
        yield f"bristles {k + 1}", at(tuft, spots), finish
    if draw.chance(0.35):
        paste = tube(
            curve([(0, -0.19, 0.81 * long), (0.02, -0.21, 0.87 * long), (-0.01, -0.2, 0.95 * long)], 9),
            np.interp(np.linspace(0, 1, 9), [0, 0.3, 1], [0.03, 0.045, 0.02]),
            9,
            round_ends=True,
        )
        yield "paste", paste, draw.finish("stripes", "#f5f2ea", "#8fd0e0", "#a0e0c0")


@category("barrel")
def barrel(draw: Draw) -> Pieces:
    tall, end, belly = draw(0.85, 1.15), draw(0.28, 0.36), draw(0.38, 0.46)
    outside = curve([(end, 0), (belly, tall / 2), (end, tall)], 13)
    staves = draw.whole(12, 18)
    kind = draw.pick("wood", "wood", "drum")
    if kind == "drum":
        paint, steel = (
            draw.pick(draw.metal, draw.plastic, lambda: draw.finish("rust", "#a85a2a", "#8a4a2a", "#6a7a8a"))(),
            draw.metal(),
        )
        body = cylinder(belly, tall, sides=32)
        yield "body", body, paint
        yield "hoop", at(torus(belly, 0.025, 32, 7), [(0, 0, z * tall) for z in (0, 0.33, 0.67, 1)]), paint
        yield "bung", at(cylinder(0.05, 0.03, sides=10), [(0.22, 0, tall), (-0.18, 0.1, tall)]), steel
        return
    wood = draw.wood()
    lying = draw.chance(0.3)
    pieces = [
        (
            "stave",
            lathe(
                np.concatenate(
                    [
                        [(0, 0.05), (end - 0.04, 0.05), (end - 0.04, 0)],
                        outside,
                        [(end - 0.04, tall), (end - 0.04, tall - 0.05), (0, tall - 0.05)],
                    ]
                ),
                2 * staves,
            ).swell(lambda turn, z: 1 + 0.012 * np.cos(staves * turn)),
            wood,
        )
    ]
    rings = []
    for z in draw.pick((0.06, 0.3, 0.7, 0.94), (0.05, 0.2, 0.35, 0.65, 0.8, 0.95)):
        a, b = (float(np.interp(h * tall, outside[:, 1], outside[:, 0])) + 0.012 for h in (z - 0.035, z + 0.035))
        rings.append(
            lathe(
                [
                    (a - 0.03, (z - 0.035) * tall),
                    (a, (z - 0.035) * tall),
                    (b, (z + 0.035) * tall),
                    (b - 0.03, (z + 0.035) * tall),
                ],
                32,
                loop=True,
            )
        )
    pieces.append(("hoop", join(rings), draw.metal("#4a4d50", "#3a3d40", "#8a6a4a")))
    if draw.chance(0.5):
        pieces.append(
            (
                "tap",
                rod((0, -end, 0.14), (0, -belly - 0.14, 0.14), 0.03)
                + rod((0, -belly - 0.1, 0.14), (0, -belly - 0.1, 0.28), 0.02),
                draw.metal(*BRASS),
            )
        )
    for name, form, finish in pieces:
        yield name, form.turn("x", 90) if lying else form, finish


@category("gift")
def gift(draw: Draw) -> Pieces:
    wide, deep, tall = draw(0.6, 1.0), draw(0.6, 0.9), draw(0.35, 0.9)
    paper, ribbon = (
        draw.finish(draw.pick("plastic", "dots", "stripes", "checker")),
        draw.finish("plastic", "#d0342c", "#e8b83a", "#f0ede4", "#2f6fc4", "#4f9d4a", "#d95c9a"),
    )
    yield "box", box(wide, deep, tall, bevel=0.008), paper
    high = 0.0
    if draw.chance(0.6):
        yield (
            "lid",
            box(wide * 1.06, deep * 1.06, 0.24 * tall, bevel=0.01).move(z=0.8 * tall),
            draw.pick(paper, draw.plastic()),
        )
        high = 0.04 * tall
    band = draw(0.08, 0.14)
    yield (
        "ribbon",
        box(band, deep * 1.075, tall * 1.005 + high) + box(wide * 1.075, band, tall * 1.005 + high),
        ribbon,
    )
    loops, size = draw.whole(2, 6), draw(0.2, 0.3)
    t = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    loop = np.stack(
        [
            size * (1 - np.cos(t)) * 0.75,
            0 * t,
            0.55 * size * np.sin(t) * (1 - np.cos(t)) * 0.7 + 0.25 * size * (1 - np.cos(t)),
        ],
        axis=1,
    )
    bow = tube(loop, np.tile((0.012, 0.06), (18, 1)), 8, loop=True)
    top = tall + high
    yield (
        "bow",
        around(bow, loops, draw(0, 90)).move(z=top) + ellipsoid(0.13, 0.13, 0.1, 12, 8).move(z=top + 0.04),
        ribbon,
    )
    tails = curve([(0, 0, 0.02), (0.2, 0.03, 0.08), (0.38, 0.0, 0.015)], 9)
    yield (
        "tail",
        join(
            [
                tube(tails, np.tile((0.01, 0.05), (9, 1)), 6).turn("z", turn).move(z=top)
                for turn in draw.many(2, 0, 360)
            ]
        ),
        ribbon,
    )


@category("basket")
def basket(draw: Draw) -> Pieces:
    radius, tall, rows = draw(0.42, 0.55), draw(0.3, 0.55), draw.whole(5, 8)
    straw = draw.finish(draw.pick("bark", "wood", "knit"), "#c8964a", "#a8743f", "#d9b98c", "#8a5a2b")
    foot, stretch = radius * draw(0.7, 0.92), draw(1.0, 1.4)
    z = np.linspace(0.03, tall, rows)
    r = foot + (radius - foot) * np.sqrt(z / tall)
    stakes = draw.whole(9, 13)
    t = np.linspace(0, 2 * np.pi, 3 * stakes, endpoint=False)
    for k in range(rows):
        wave = r[k] + 0.02 * np.cos(stakes * t + np.pi * (k % 2))
        line = np.stack([wave * np.cos(t), wave * np.sin(t), np.full(len(t), z[k])], axis=1)
        yield "weave", tube(line, 0.55 * tall / rows, 4, loop=True).scale(stretch, 1, 1), straw
    yield "base", cylinder(foot, 0.04, sides=28).scale(stretch, 1, 1), straw
    yield "wall", vessel(np.stack([r, z], axis=1), 0.02, 28).scale(stretch, 1, 1), straw
    yield "rim", torus(radius, 0.035, 32, 7).scale(stretch, 1, 1).move(z=tall), draw.pick(straw, draw.wood())
    if draw.chance(0.7):
        hoop = arc(radius * draw(0.97, 1), 0, 180, 22, draw(0.5, 0.8)) + (0, tall)
        yield (
            "handle",
            tube(in_plane(hoop, "y") * ((stretch, 1, 1) if draw.chance() else (1, 1, 1)), 0.03, 8).turn(
                "z", draw.pick(0, 0, 90) if stretch < 1.05 else 0
            ),
            draw.pick(straw, draw.wood()),
        )
    if draw.chance(0.45):
        spots = draw.directions(14, 0.2) * (0.7 * radius * stretch, 0.7 * radius, 0.12) + (0, 0, tall - 0.1)
        size = draw(0.18, 0.26)
        for k, finish in enumerate(
            (draw.plastic("#c8281c", "#f5efe2", "#e8c830"), draw.plastic("#8fae3c", "#e8831e", "#d9a878"))
        ):
            yield f"fruit {k + 1}", at(ellipsoid(size, size, size * 1.1, 12, 8), spots[k::2]), finish


@category("teddy bear")
def teddy_bear(draw: Draw) -> Pieces:
    fur = draw.finish(
        draw.pick("leather", "plastic", "bark"), "#a8703a", "#8a5228", "#d8b080", "#f0e6d4", "#6a4a3a", "#e8a8b8"
    )
    pale, plump = draw.finish("fabric", "#e8d0a0", "#f0e0c8", "#d8b890"), draw(0.85, 1.15)
    yield "body", ellipsoid(0.6 * plump, 0.5 * plump, 0.68).move(z=0.36), fur
    yield "belly", ellipsoid(0.42 * plump, 0.2, 0.46).move(y=-0.18 * plump, z=0.34), pale
    size, z = draw(0.46, 0.56), 0.86
    yield "head", ellipsoid(size * 1.08, size * 0.95, size).move(z=z), fur
    ear = draw(0.17, 0.24)
    yield "ear", both(ellipsoid(ear, 0.1, ear, 14, 9).move(0.4 * size, 0, z + 0.42 * size)), fur
    yield (
        "inner ear",
        both(ellipsoid(0.65 * ear, 0.06, 0.65 * ear, 12, 8).move(0.4 * size, -0.035, z + 0.42 * size)),
        pale,
    )
    yield (
        "muzzle",
        ellipsoid(0.45 * size, 0.3 * size, 0.36 * size, 16, 10).move(y=-0.45 * size, z=z - 0.12 * size),
        pale,
    )
    dark = draw.plastic("#17110e")
    yield "nose", ellipsoid(0.1, 0.07, 0.07, 10, 7).move(y=-0.6 * size, z=z - 0.05 * size), dark
    yield "eye", both(ellipsoid(0.065, 0.05, 0.065, 10, 7).move(0.2 * size, -0.43 * size, z + 0.12 * size)), dark
    wave = draw(-20, 50)
    arm = ellipsoid(0.2, 0.2, 0.46, 16, 11)
    yield (
        "arm",
        join(
            [
                arm.move(z=-0.18)
                .turn("y", -side * (38 + (wave if side > 0 else 0)))
                .move(side * 0.24 * plump, -0.06, 0.58)
                for side in (-1, 1)
            ]
        ),
        fur,
    )
    yield "leg", both(ellipsoid(0.25, 0.5, 0.25, 16, 11).turn("z", 18).move(0.22, -0.28, 0.12)), fur
    yield "sole", both(ellipsoid(0.19, 0.05, 0.2, 14, 8).turn("z", 18).move(0.29, -0.51, 0.12)), pale
    if draw.chance(0.55):
        bow = both(ellipsoid(0.2, 0.09, 0.15, 12, 8).move(0.11, -0.24 * plump, 0.63)) + ellipsoid(
            0.08, 0.1, 0.08, 9, 6
        ).move(y=-0.25 * plump, z=0.63)
        yield "bow", bow, draw.cloth("#c8281c", "#2f6fc4", "#4f9d4a", "#7d4ab0")


@category("snowman")
def snowman(draw: Draw) -> Pieces:
    snow, sizes = draw.plastic("#f5f8fa", "#eaf0f5"), [draw(0.75, 0.9), draw(0.5, 0.64), draw(0.36, 0.44)]
    if draw.chance(0.25):
        sizes = [sizes[0], sizes[2] * 1.25]
    z, tops = 0.0, []
    for size in sizes:
        tops.append(z + 0.42 * size)
        yield "snow", draw.lumps(ellipsoid(size, size, 0.92 * size), 0.05, 3).move(z=z + 0.42 * size), snow
        z += 0.74 * size
    head, centre = sizes[-1], tops[-1]
    coal = draw.plastic("#17171a", "#2a2420")
    yield "eye", both(ellipsoid(0.06, 0.05, 0.06, 9, 6).move(0.18 * head, -0.44 * head, centre + 0.13 * head)), coal
    yield (
        "nose",
        rod(
            (0, -0.45 * head, centre),
            (draw(-0.04, 0.04), -0.45 * head - draw(0.16, 0.3), centre - 0.02),
            0.045,
            0.008,
        ),
        draw.plastic("#e8721e"),
    )
    smile = [
        (
            0.28 * head * np.sin(a),
            -0.46 * head * np.cos(0.6 * a),
            centre - 0.12 * head - 0.08 * head * np.cos(a * 1.4),
        )
        for a in np.linspace(-0.9, 0.9, 5)
    ]
    yield "mouth", at(ellipsoid(0.035, 0.035, 0.035, 7, 5), smile), coal
    chest, middle = sizes[-2], tops[-2]
    buttons = [(0, -0.49 * chest * np.cos(a), middle + 0.46 * chest * np.sin(a)) for a in (-0.25, 0.1, 0.45)]
    yield "button", at(ellipsoid(0.06, 0.05, 0.06, 9, 6), buttons), draw.pick(coal, draw.plastic())
    arm = rod((0.4 * chest, 0, middle + 0.1), (0.5 * chest + 0.4, -0.05, middle + draw(0.1, 0.4)), 0.022, 0.012, 7)
    tip = arm.vertices[arm.vertices[:, 0].argmax()]
    twigs = join([rod(tip - (0.06, 0, 0.02), tip + (0.06, 0, dz), 0.01, 0.006, 5) for dz in (-0.06, 0.09)])
    yield "arm", both(arm + twigs), draw.finish("bark", "#5b4330", "#4a3a2c")
    yield (
        "scarf",
        torus(0.42 * head, 0.06, 26, 8).move(z=centre - 0.42 * head)
        + box(0.13, 0.05, 0.34, bevel=0.015).turn("y", 8).move(0.15, -0.47 * head, centre - 0.42 * head - 0.33),
        draw.finish("knit"),
    )
    if draw.chance(0.7):
        brim, tall = draw(0.28, 0.36), draw(0.2, 0.36)
        top = centre + 0.38 * head
        yield (
            "hat",
            cylinder(brim, 0.03, sides=26).move(z=top) + cylinder(0.2, tall, 0.21, sides=24).move(z=top),
            draw.cloth("#17171a", "#2a2a2e", "#3a2a20"),
        )
        yield "band", cylinder(0.206, 0.06, sides=24).move(z=top + 0.03), draw.cloth("#c8281c", "#2f6fc4", "#4f9d4a")
