"""Electric and electronic things, and their forerunners."""

from __future__ import annotations

import numpy as np

from task2sim_studio.catalogue.drawing import PALES, Draw, Finish, Pieces, category
from task2sim_studio.forms import (
    arc,
    around,
    at,
    both,
    box,
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
)


def _screen(draw: Draw) -> Finish:
    return draw.pick(
        draw.plastic("#10131a", "#161a22", "#0f1418"),
        draw.finish("clouds", "#2f6fc4", "#4f9d4a", "#7d4ab0", "#e8722a"),
        draw.finish("plastic", "#3a7ac0", "#2a4a6a", "#d8e4ec"),
    )


def _case(draw: Draw) -> Finish:
    return draw.pick(draw.metal(), draw.dark(), draw.plastic(*PALES), draw.plastic())


@category("laptop")
def laptop(draw: Draw) -> Pieces:
    wide, deep, thick, tilt = draw(1.0, 1.2), draw(0.7, 0.8), draw(0.035, 0.06), draw(5, 35)
    case, screen = _case(draw), _screen(draw)
    yield "base", box(wide, deep, thick, bevel=0.012), case
    lid = box(wide, 0.025, deep * 0.97, bevel=0.008)
    glass = box(wide * 0.93, 0.01, deep * 0.85).move(y=-0.013, z=0.06 * deep)
    for name, form, finish in (("lid", lid, case), ("screen", glass, screen)):
        yield name, form.turn("x", -tilt).move(y=deep / 2, z=thick), finish
    rows, columns = 5, draw.whole(11, 14)
    step = wide * 0.86 / columns
    keys = [
        ((k - columns / 2 + 0.5) * step, 0.05 * deep + (r - 1) * 0.1 * deep, thick)
        for r in range(rows)
        for k in range(columns)
    ]
    yield (
        "key",
        at(box(step * 0.82, 0.08 * deep, 0.014), keys),
        draw.pick(draw.dark(), draw.dark(), draw.plastic(*PALES)),
    )
    yield "trackpad", box(0.3 * wide, 0.2 * deep, 0.008).move(y=-0.3 * deep, z=thick), draw.metal()


@category("television")
def television(draw: Draw) -> Pieces:
    case, screen = _case(draw), _screen(draw)
    if draw.chance(0.65):
        wide, tall, rim = draw(1.2, 1.5), draw(0.72, 0.85), draw(0.02, 0.05)
        yield "case", box(wide, 0.07, tall, bevel=0.015), case
        yield "screen", box(wide - 2 * rim, 0.02, tall - 2.4 * rim).move(y=-0.032, z=1.2 * rim), screen
        if draw.chance():
            yield (
                "stand",
                box(0.12, 0.05, 0.2).move(z=-0.18) + box(draw(0.4, 0.7), 0.28, 0.025, bevel=0.01).move(z=-0.2),
                case,
            )
        else:
            yield (
                "stand",
                both(
                    box(0.04, 0.32, 0.02).move(0.38 * wide, 0, -0.12)
                    + box(0.04, 0.04, 0.12).move(0.38 * wide, 0, -0.12)
                ),
                case,
            )
    else:
        wide, tall, deep = draw(0.9, 1.1), draw(0.72, 0.85), draw(0.5, 0.65)
        case = draw.pick(draw.wood(), draw.plastic())
        yield "case", box(wide, deep, tall, bevel=0.04), case
        x = draw.pick(0.0, -0.1)
        frame = rounded(rectangle(wide * (0.86 + 2 * x), tall * 0.8), 0.1, 5)
        yield "frame", extrude(frame + (x * wide, tall / 2), 0.06, 0.02).move(y=-deep / 2), draw.dark()
        yield (
            "screen",
            superellipsoid(wide * (0.74 + 2 * x), 0.1, tall * 0.68, 0.5, 0.5).move(x * wide, -deep / 2, tall / 2),
            screen,
        )
        if x:
            dial = cylinder(0.05, 0.05, sides=16).turn("x", 90)
            yield "dial", at(dial, [(0.36 * wide, -deep / 2, z * tall) for z in (0.55, 0.75)]), draw.metal()
            yield (
                "speaker",
                at(box(0.16, 0.03, 0.015), [(0.36 * wide, -deep / 2, (0.15 + 0.06 * k) * tall) for k in range(5)]),
                draw.dark(),
            )
        yield (
            "aerial",
            both(rod((0.03, 0, tall), (draw(0.25, 0.5), 0, tall + draw(0.35, 0.55)), 0.01))
            + ellipsoid(0.14, 0.14, 0.09, 12, 7).move(z=tall),
            draw.metal(),
        )
        yield (
            "leg",
            both(both(rod((0.35 * wide, 0.3 * deep, 0.02), (0.42 * wide, 0.36 * deep, -0.25), 0.03, 0.018)), "y"),
            draw.wood(),
        )


@category("telephone")
def telephone(draw: Draw) -> Pieces:
    colour = draw.plastic("#17171a", "#d0342c", "#4f7a5a", "#f0ede4", "#2f6fc4", "#e8b040", "#c8c0a8")
    if draw.chance(0.5):
        side = [(-0.45, 0), (0.45, 0), (0.45, 0.1), (0.1, draw(0.38, 0.5)), (-0.15, 0.45), (-0.42, 0.12)]
        body = extrude(rounded([(y, z) for y, z in side], 0.07, 4), 0.75, 0.05).turn("z", 90).taper(0.8)
        yield "body", body, colour
        dial = cylinder(0.26, 0.05, sides=28) + around(torus(0.045, 0.014, 12, 5).move(x=0.18, z=0.05), 10)
        slope = np.degrees(np.arctan2(0.33, 0.3))
        yield (
            "dial",
            dial.turn("x", slope).move(y=-0.29, z=0.26),
            draw.pick(colour, draw.metal(), draw.plastic(*PALES)),
        )
        yield (
            "number",
            cylinder(0.1, 0.02, sides=18).move(z=0.05).turn("x", slope).move(y=-0.29, z=0.26),
            draw.plastic(*PALES),
        )
        grip = curve([(-0.48, 0.6), (-0.25, 0.7), (0.25, 0.7), (0.48, 0.6)], 14)
        yield (
            "handset",
            tube(in_plane(grip, "y", 0.08), np.tile((0.05, 0.06), (14, 1)), 10)
            + both(cylinder(0.13, 0.12, 0.1, bevel=0.02).move(0.48, 0.08, 0.48)),
            colour,
        )
        yield "cradle", both(box(0.06, 0.18, 0.16, bevel=0.02).move(0.24, 0.08, 0.42)), colour
        angle = np.linspace(0, 26 * np.pi, 170)
        cord = np.stack(
            [-0.55 + 0.03 * np.cos(angle), 0.1 + 0.03 * np.sin(angle), np.linspace(0.48, 0.03, 170)], axis=1
        )
        yield "cord", tube(cord, 0.012, 5), draw.pick(colour, draw.dark())
    else:
        wide, tall = draw(0.44, 0.52), draw(0.9, 1.05)
        outline = rounded(rectangle(wide, tall), draw(0.05, 0.09), 5)
        yield "body", extrude(outline, draw(0.05, 0.07), 0.015), draw.pick(draw.metal(), draw.dark(), colour)
        yield (
            "screen",
            extrude(outline * (0.92, 0.94), 0.02).move(y=-0.027),
            draw.finish("plastic", "#10131a", "#3a5a8a", "#2a3a5a"),
        )
        icons = [
            ((i - 1.5) * 0.21 * wide, -0.04, 0.36 * tall - j * 0.2 * wide)
            for i in range(4)
            for j in range(draw.whole(2, 6))
        ]
        tile = extrude(rounded(rectangle(0.15 * wide, 0.15 * wide), 0.02, 3), 0.012)
        for k in range(3):
            yield f"icon {k + 1}", at(tile, icons[k::3]), draw.plastic()
        lenses = draw.whole(1, 3)
        yield (
            "camera",
            at(
                cylinder(0.035, 0.03, sides=14).turn("x", -90),
                [(0.16, 0.025, 0.38 * tall - 0.09 * k) for k in range(lenses)],
            ),
            draw.dark(),
        )
        yield "button", box(0.015, 0.025, 0.12).move(x=wide / 2, z=0.15), draw.metal()


@category("camera")
def camera(draw: Draw) -> Pieces:
    wide, tall, deep = draw(0.85, 1.05), draw(0.52, 0.65), draw(0.26, 0.36)
    skin_, metal = draw.pick(draw.dark, draw.leather, draw.plastic)(), draw.metal()
    yield "body", box(wide, deep, tall * 0.72, bevel=0.03), skin_
    yield "top", box(wide, deep, tall * 0.28, bevel=0.03).move(z=tall * 0.71), draw.pick(metal, skin_)
    radius, reach, x, z = draw(0.2, 0.26), draw(0.12, 0.5), draw(-0.08, 0.08), 0.45 * tall
    rings = [
        (radius, 0),
        (radius, 0.3 * reach),
        (0.92 * radius, 0.32 * reach),
        (0.92 * radius, 0.62 * reach),
        (radius, 0.66 * reach),
        (radius, reach),
        (0.78 * radius, reach),
        (0.6 * radius, reach - 0.05),
        (0, reach - 0.05),
    ]
    yield "lens", lathe(rings, 30).turn("x", 90).move(x, -deep / 2, z), draw.pick(draw.dark(), metal)
    yield (
        "glass",
        ellipsoid(1.3 * radius, 0.08, 1.3 * radius, 18, 9).move(x, -deep / 2 - reach + 0.05, z),
        draw.plastic("#2a3a6a", "#3a2a5a", "#1a2a3a"),
    )
    if draw.chance(0.6):
        yield (
            "prism",
            extrude([(-0.17, 0), (0.17, 0), (0.1, 0.16), (-0.1, 0.16)], deep * 0.8, 0.02).move(x, 0, tall * 0.97),
            draw.pick(metal, skin_),
        )
    else:
        yield "finder", box(0.16, deep * 0.7, 0.1, bevel=0.02).move(-0.28 * wide, 0, tall * 0.98), draw.dark()
        yield (
            "flash",
            box(0.18, 0.03, 0.1, bevel=0.01).move(0.3 * wide, -deep / 2, 0.74 * tall),
            draw.plastic("#f5f2e0"),
        )
    yield (
        "dial",
        cylinder(0.08, 0.06, bevel=0.01, sides=20).move(0.36 * wide, 0, tall * 0.98)
        + cylinder(0.04, 0.06, sides=14).move(0.22 * wide, -0.04, tall * 0.98),
        metal,
    )
    if draw.chance(0.5):
        strap = curve(
            [
                (-wide / 2, 0, 0.85 * tall),
                (-0.75 * wide, 0.1, 0.5 * tall),
                (-0.4 * wide, 0.3, 0.03),
                (0.3 * wide, 0.35, 0.03),
                (0.75 * wide, 0.15, 0.4 * tall),
                (wide / 2, 0, 0.85 * tall),
            ],
            24,
        )
        yield "strap", tube(strap, np.tile((0.02, 0.02), (24, 1)), 6), draw.leather()


@category("headphones")
def headphones(draw: Draw) -> Pieces:
    radius, tall = draw(0.42, 0.5), draw(0.5, 0.62)
    frame, pad = (
        draw.pick(draw.dark, draw.plastic, draw.metal)(),
        draw.leather("#17171a", "#6b4226", "#e8e0d0", "#3a3a40"),
    )
    band = in_plane(np.concatenate([[(radius, -0.2)], arc(radius, 0, 180, 22, tall), [(-radius, -0.2)]]), "y")
    yield "band", tube(band, np.tile((0.022, draw(0.05, 0.09)), (24, 1)), 8), frame
    if draw.chance(0.7):
        cushion = in_plane(arc(radius * 0.97, 40, 140, 12, tall * 0.97), "y")
        yield "cushion", tube(cushion, np.tile((0.04, 0.08), (12, 1)), 9, round_ends=True), pad
    size, tilt = draw(0.22, 0.29), draw(-8, 8)
    cup = lathe([(0, 0.09), (0.7 * size, 0.09), (0.95 * size, 0.04), (size, -0.03), (0, -0.03)], 26).turn(
        "y", 90 + tilt
    )
    ring = torus(0.75 * size, 0.085, 24, 10).scale(1, 1, 0.8).turn("y", 90 + tilt)
    stretch = draw(1.0, 1.25)
    yield "cup", both(cup.scale(1, 1, stretch).move(x=radius + 0.0, z=-0.25)), draw.pick(frame, draw.plastic())
    yield "pad", both(ring.scale(1, 1, stretch).move(x=radius - 0.07, z=-0.25)), pad
    if draw.chance(0.4):
        boom = tube(in_plane(curve([(0, -0.3), (-0.3, -0.5), (-0.5, -0.5)], 10), "x", radius), 0.018, 7)
        yield "microphone", boom + ellipsoid(0.09, 0.12, 0.09, 12, 8).move(radius, -0.5, -0.5), draw.dark()
    elif draw.chance(0.5):
        cord = curve([(radius, 0, -0.25 - size), (radius - 0.05, 0, -0.75), (0.1, 0.0, -0.8), (0.15, -0.1, -1.0)], 18)
        yield "cord", tube(cord, 0.014, 6), draw.dark()


@category("microphone")
def microphone(draw: Draw) -> Pieces:
    long, size = draw(0.7, 1.0), draw(0.26, 0.34)
    body, mesh = (
        draw.pick(draw.dark, draw.metal, draw.plastic)(),
        draw.finish("metal", "#9ba1a8", "#c8ccd0", "#4a4d50", "#d4a63a"),
    )
    stem = lathe([(0.06, 0), (0.07, 0.03), (0.38 * size, long)], 20)
    head = ellipsoid(size, size, draw(1.0, 1.3) * size, 22, 16).move(z=long + 0.35 * size)
    ring = cylinder(0.46 * size, 0.06, 0.5 * size, sides=22).move(z=long - 0.02)
    switch = box(0.05, 0.05, 0.12, bevel=0.01).move(y=-0.085, z=0.62 * long)
    stand = draw.chance(0.5)
    lean, z = (draw(20, 55), draw(0.7, 1.3)) if stand else (draw(0, 40), 0.0)
    for name, form, finish in (
        ("body", stem, body),
        ("head", head, mesh),
        ("ring", ring, draw.metal()),
        ("switch", switch, draw.plastic()),
    ):
        yield name, form.move(z=-0.5 * long).turn("x", lean).move(y=-0.1 if stand else 0, z=z), finish
    if stand:
        yield "stand", cylinder(0.025, z), draw.metal()
        yield (
            "foot",
            cylinder(0.32, 0.04, bevel=0.01, sides=28)
            if draw.chance()
            else around(rod((0, 0, 0.12), (0.4, 0, 0), 0.022), 3),
            draw.dark(),
        )
        yield "clip", cylinder(0.11, 0.12, sides=16).move(z=-0.05).turn("x", lean).move(y=-0.1, z=z), draw.dark()
    else:
        path = curve(
            [(0, 0, -0.45 * long), (0, 0.1, -0.62 * long), (0.2, 0.15, -0.8 * long), (-0.1, 0.1, -0.95 * long)], 16
        )
        yield "cord", tube(path, 0.022, 7).turn("x", lean), draw.dark()


@category("keyboard")
def keyboard(draw: Draw) -> Pieces:
    columns, rows, step = draw.whole(12, 17), draw.whole(4, 6), 0.1
    wide, deep = columns * step + 0.08, rows * step + 0.08
    yield "case", box(wide, deep, 0.05, bevel=0.012), _case(draw)
    cap = box(step * 0.86, step * 0.86, 0.05).taper(draw(0.75, 0.95))
    places = [
        ((k - columns / 2 + 0.5) * step, (r - rows / 2 + 0.5) * step, 0.045)
        for r in range(1, rows)
        for k in range(columns)
    ]
    keys, accent = draw.pick(draw.dark(), draw.plastic(*PALES)), draw.plastic()
    marked = [k for k in range(len(places)) if k % columns in (0, columns - 1)]
    yield "key", at(cap, [p for k, p in enumerate(places) if k not in marked]), keys
    yield "accent", at(cap, [places[k] for k in marked]), draw.pick(accent, keys)
    low = -(rows / 2 - 0.5) * step
    space = draw.whole(4, 6)
    side = (columns - space) // 2
    yield (
        "key",
        at(
            cap,
            [((k - columns / 2 + 0.5) * step, low, 0.045) for k in [*range(side), *range(columns - side, columns)]],
        ),
        keys,
    )
    yield (
        "space",
        box((columns - 2 * side) * step * 0.97, step * 0.86, 0.05).move(y=low, z=0.045),
        draw.pick(keys, accent),
    )
    if draw.chance(0.5):
        yield (
            "cord",
            tube(
                curve([(0, deep / 2, 0.02), (0.05, deep / 2 + 0.15, 0.02), (-0.1, deep / 2 + 0.3, 0.02)], 9), 0.013, 6
            ),
            draw.dark(),
        )
    if draw.chance(0.35):
        yield (
            "mouse",
            superellipsoid(0.2, 0.34, 0.16, 0.9, 0.7)
            .shift("z", lambda x, y, z: -np.minimum(z + 0.02, 0))
            .move(wide / 2 + 0.25, 0, 0.03),
            draw.pick(keys, accent),
        )


@category("fan")
def fan(draw: Draw) -> Pieces:
    radius, blades, high = draw(0.38, 0.5), draw.whole(3, 6), draw(0.55, 1.3)
    paint, metal = draw.plastic(*PALES, "#2f6fc4", "#2a2a2e", "#4f9d8a", "#d0342c"), draw.metal()
    cage = [torus(radius, 0.016, 32, 6), torus(0.5 * radius, 0.008, 24, 5).move(z=0.1)]
    wire = tube(in_plane(curve([(0.08, 0.12), (0.6 * radius, 0.1), (radius, 0)], 6), "y"), 0.006, 4)
    cage += [around(wire, 20), around(wire.mirror("z"), 20)]
    grille, tilt, z = join(cage), draw(75, 95), high
    outline = curve(
        [
            (0.05, -0.03),
            (0.5 * radius, -0.13),
            (0.88 * radius, -0.05),
            (0.85 * radius, 0.1),
            (0.4 * radius, 0.08),
            (0.05, 0.03),
        ],
        14,
    )
    blade = extrude(outline, 0.012).turn("x", 90).turn("x", 18)
    rotor = around(blade, blades, draw(0, 90))
    hub = cylinder(0.09, 0.1, bevel=0.03).move(z=-0.04) + cylinder(0.13, 0.22, 0.09, sides=18).move(z=-0.34)
    for name, form, finish in (("cage", grille, metal), ("blade", rotor, draw.plastic()), ("hub", hub, paint)):
        yield name, form.turn("x", tilt).move(z=z), finish
    yield (
        "stand",
        cylinder(0.035, high).move(y=0.2) + box(0.1, 0.16, 0.1, bevel=0.02).move(y=0.2, z=high - 0.08),
        paint,
    )
    yield (
        "foot",
        (
            cylinder(0.3, 0.06, 0.24, bevel=0.01, sides=28) if draw.chance(0.7) else box(0.55, 0.45, 0.06, bevel=0.02)
        ).move(y=0.15),
        paint,
    )


@category("robot")
def robot(draw: Draw) -> Pieces:
    paint, second, metal = (
        draw.metal("#9ba1a8", "#d0342c", "#2f6fc4", "#e8b040", "#4f9d8a", "#c8ccd0"),
        draw.plastic(),
        draw.metal(),
    )
    wide, tall, deep = draw(0.45, 0.65), draw(0.5, 0.7), draw(0.32, 0.42)
    yield "body", box(wide, deep, tall, bevel=0.04).taper(draw(0.8, 1.2)), paint
    head = draw(0.32, 0.42)
    z = tall + 0.08
    yield "neck", cylinder(0.08, 0.12).move(z=tall - 0.02), metal
    shape = draw.pick(
        box(1.2 * head, head, head, bevel=0.04),
        cylinder(0.55 * head, head, bevel=0.04),
        lathe(arc(0.6 * head, 0, 90, 9, head), 24),
    )
    yield "head", shape.move(z=z), draw.pick(paint, second)
    eyes = cylinder(0.07, 0.1, sides=16).turn("x", 90).move(0.14, -0.42 * head, z + 0.6 * head)
    yield "eye", both(eyes), draw.plastic("#f2e84a", "#e8402a", "#4ad8e8", "#f5f2ea")
    yield (
        "mouth",
        at(box(0.03, 0.04, 0.06), [(x, -0.48 * head, z + 0.15 * head) for x in (-0.08, -0.03, 0.03, 0.08)]),
        draw.dark(),
    )
    yield (
        "aerial",
        cylinder(0.014, 0.2, sides=6).move(z=z + head - 0.03)
        + ellipsoid(0.08, 0.08, 0.08, 10, 7).move(z=z + head + 0.18),
        second,
    )
    yield "panel", box(0.6 * wide, 0.03, 0.35 * tall, bevel=0.01).move(y=-deep / 2 - 0.005, z=0.5 * tall), second
    yield (
        "button",
        at(
            cylinder(0.03, 0.03, sides=12).turn("x", 90), [(x, -deep / 2 - 0.02, 0.62 * tall) for x in (-0.1, 0, 0.1)]
        ),
        draw.plastic("#e8402a", "#f2e84a", "#4f9d4a"),
    )
    lift = draw(-70, 20)
    arm = curve([(0, 0, 0), (0.12, 0, -0.12), (0.14, -0.08, -0.42)], 12)
    rings = np.where(np.arange(12) % 2, 0.05, 0.065)
    claw = (
        tube(in_plane(arc(0.075, -60, 240, 10), "x"), np.tile((0.02, 0.035), (10, 1)), 7)
        .turn("x", 180)
        .move(0.14, -0.09, -0.5)
    )
    for name, form, finish in (("arm", tube(arm, rings, 10), metal), ("claw", claw, second)):
        yield name, both(form.turn("x", lift).move(wide / 2, 0, 0.85 * tall)), finish
    if draw.chance(0.6):
        yield (
            "leg",
            both(
                tube(
                    [(0.26 * wide, 0, k) for k in np.linspace(0, -0.34, 9)],
                    np.where(np.arange(9) % 2, 0.06, 0.08),
                    10,
                )
            ),
            metal,
        )
        yield "foot", both(box(0.2, 0.32, 0.1, bevel=0.03).move(0.26 * wide, -0.04, -0.42)), second
    else:
        track = rounded(rectangle(0.62, 0.26), 0.13, 6)
        yield "foot", both(extrude(track, 0.16, 0.02).turn("z", 90).move(0.42 * wide, 0, -0.12)), draw.dark()
