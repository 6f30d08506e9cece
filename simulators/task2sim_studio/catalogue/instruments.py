"""Musical instruments."""

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
)


def _waisted(upper: float, waist: float, lower: float, tall: float, count: int = 30) -> Floats:
    """Outline of a guitar's or violin's body, its foot at z = 0."""
    right = curve(
        [
            (0, 0),
            (0.75 * lower, 0.03 * tall),
            (lower, 0.25 * tall),
            (waist, 0.58 * tall),
            (upper, 0.82 * tall),
            (0.6 * upper, 0.98 * tall),
            (0, tall),
        ],
        count,
    )
    return np.concatenate([right[:-1], (right * (-1, 1))[::-1][:-1]])


@category("guitar")
def guitar(draw: Draw) -> Pieces:
    electric = draw.chance(0.4)
    tall, lower = draw(0.62, 0.75), draw(0.25, 0.31)
    neck, deep = draw(0.6, 0.75), draw(0.05, 0.07) if electric else draw(0.13, 0.2)
    outline = _waisted(draw(0.7, 0.85) * lower, draw(0.55, 0.72) * lower, lower, tall)
    front = -deep / 2
    if electric:
        outline = outline + np.stack(
            [
                0 * outline[:, 0],
                np.where(np.abs(outline[:, 0]) > 0.1, 0.22 * np.clip(outline[:, 1] / tall - 0.75, 0, 1) / 0.4, 0),
            ],
            axis=1,
        )
        yield "body", extrude(outline, deep, 0.012), draw.plastic()
        plate = _waisted(0.12, 0.1, 0.17, 0.42 * tall, 16) + (0.02, 0.14)
        yield "plate", extrude(plate, 0.012).move(y=front), draw.plastic(*PALES, "#20262e")
        yield (
            "pickup",
            at(
                box(0.15, 0.03, 0.04, bevel=0.005),
                [(0, front - 0.01, (0.3 + 0.15 * k) * tall) for k in range(draw.whole(2, 3))],
            ),
            draw.dark(),
        )
        yield (
            "knob",
            at(cylinder(0.018, 0.03, sides=10).turn("x", 90), [(0.14, front, 0.12 + 0.05 * k) for k in range(3)]),
            draw.metal(),
        )
    else:
        side, top = draw.wood(), draw.wood("#d9a55a", "#c8873a", "#e8c48a", "#8a4a20", "#2a2220")
        yield "body", extrude(outline, deep, 0.01), side
        yield "top", extrude(outline * (0.97, 0.975) + (0, 0.008), 0.012).move(y=front), top
        yield "hole", cylinder(0.09, 0.02, sides=24).turn("x", 90).move(y=front + 0.008, z=0.62 * tall), draw.dark()
        yield "rosette", torus(0.1, 0.008, 28, 6).turn("x", 90).move(y=front - 0.005, z=0.62 * tall), draw.wood()
    dark = draw.wood("#3a2418", "#2a1c16", "#5a3825")
    yield "bridge", box(0.17, 0.025, 0.03, bevel=0.005).move(y=front - 0.01, z=0.2 * tall), dark
    yield (
        "neck",
        box(0.065, 0.05, neck + 0.1).taper(0.85).move(y=front + 0.01, z=tall - 0.12),
        draw.pick(dark, draw.wood()),
    )
    yield (
        "fret",
        at(
            box(0.062, 0.056, 0.005),
            [(0, front + 0.01, tall - 0.08 + neck * (1 - 0.93**k) * 1.25) for k in range(12)],
        ),
        draw.metal(),
    )
    end = tall + neck - 0.02
    yield (
        "head",
        extrude(
            rounded([(-0.03, 0), (0.03, 0), (0.06, 0.05), (0.05, 0.2), (-0.05, 0.2), (-0.06, 0.05)], 0.02, 3), 0.03
        ).move(y=front + 0.015, z=end),
        draw.pick(dark, draw.wood()),
    )
    peg = rod((0.05, 0, 0), (0.1, 0, 0), 0.012) + ellipsoid(0.03, 0.02, 0.04, 8, 6).move(x=0.1)
    yield "peg", both(at(peg, [(0, front + 0.02, end + 0.05 + 0.055 * k) for k in range(3)])), draw.metal()
    strings = [
        rod((x, front - 0.03, 0.2 * tall + 0.02), (0.8 * x, front - 0.022, end + 0.02), 0.0025, sides=4)
        for x in np.linspace(-0.026, 0.026, 6)
    ]
    yield "string", join(strings), draw.metal("#e0d8c0", "#c8ccd0")


@category("violin")
def violin(draw: Draw) -> Pieces:
    varnish, dark = draw.wood("#9a4a1a", "#b8602a", "#7a3414", "#c07a3a"), draw.wood("#2a1c16", "#1c1512")
    tall, lower = draw(0.56, 0.64), draw(0.17, 0.2)
    outline = _waisted(0.8 * lower, draw(0.48, 0.56) * lower, lower, tall)
    deep = draw(0.07, 0.1)
    yield "body", extrude(outline, deep, 0.02), varnish
    yield "top", extrude(outline * (0.93, 0.95) + (0, 0.014), 0.02, 0.008).move(y=-deep / 2), varnish
    y = -deep / 2
    yield "fingerboard", box(0.045, 0.02, 0.5).taper(0.75).move(y=y - 0.045, z=0.55 * tall), dark
    yield "neck", box(0.045, 0.045, 0.3).move(y=y - 0.015, z=tall - 0.02), varnish
    yield (
        "tailpiece",
        extrude([(-0.018, 0), (0.018, 0), (0.035, 0.17), (-0.035, 0.17)], 0.015)
        .turn("x", -4)
        .move(y=y - 0.04, z=0.03),
        dark,
    )
    yield (
        "bridge",
        box(0.09, 0.012, 0.05).taper(0.7, "y").turn("x", 90).move(y=y - 0.005, z=0.42 * tall),
        draw.wood("#d9b98c"),
    )
    esse = in_plane(curve([(0.055, 0.1), (0.07, 0.14), (0.06, 0.2), (0.05, 0.26), (0.065, 0.3)], 12), "y") + (
        0.02,
        y - 0.012,
        0.14,
    )
    yield "f-hole", both(tube(esse, 0.008, 5)), dark
    angle = np.linspace(0, 3.6 * np.pi, 28)
    scroll = in_plane(
        np.stack(
            [0.042 * np.exp(-0.09 * angle) * np.cos(angle), 0.042 * np.exp(-0.09 * angle) * np.sin(angle)], axis=1
        ),
        "x",
    )
    yield (
        "scroll",
        tube(scroll, np.stack([np.linspace(0.012, 0.006, 28), np.full(28, 0.022)], axis=1), 7).move(
            y=y - 0.02, z=tall + 0.36
        ),
        varnish,
    )
    yield (
        "peg",
        join(
            [
                rod((-0.06, y - 0.015, z), (0.06, y - 0.015, z), 0.008)
                for z in np.linspace(tall + 0.24, tall + 0.32, 4)
            ]
        ),
        dark,
    )
    yield (
        "string",
        join(
            [
                rod((x, y - 0.07, 0.42 * tall), (0.6 * x, y - 0.06, tall + 0.28), 0.002, sides=4)
                + rod((x, y - 0.07, 0.42 * tall), (0.6 * x, y - 0.04, 0.2), 0.002, sides=4)
                for x in (-0.024, -0.008, 0.008, 0.024)
            ]
        ),
        draw.metal("#e0d8c0"),
    )
    if draw.chance(0.5):
        x = lower + draw(0.08, 0.2)
        yield (
            "bow",
            tube(in_plane(curve([(x, 0.02), (x + 0.03, 0.5 * tall), (x, 1.5 * tall)], 10), "y"), 0.01, 7),
            draw.wood(),
        )
        yield (
            "bow hair",
            rod((x - 0.03, 0, 0.05), (x - 0.02, 0, 1.49 * tall), 0.005, sides=5)
            + box(0.05, 0.025, 0.06).move(x - 0.015, 0, 0.04),
            draw.plastic("#f0ead8"),
        )


@category("drum")
def drum(draw: Draw) -> Pieces:
    radius, tall = draw(0.38, 0.5), draw(0.3, 0.9)
    shell, steel, skin = (
        draw.pick(draw.plastic, draw.wood, draw.metal)(),
        draw.metal("#c8ccd0", "#d4a63a"),
        draw.plastic("#f5f0e2", "#f0e6d0"),
    )
    yield "shell", cylinder(radius * draw(0.85, 1.0), tall, radius, sides=32), shell
    hoop = lathe(
        [(0.97 * radius, -0.035), (1.05 * radius, -0.035), (1.05 * radius, 0.035), (0.97 * radius, 0.035)],
        32,
        loop=True,
    )
    yield "hoop", at(hoop, [(0, 0, 0.03), (0, 0, tall - 0.01)]), draw.pick(steel, draw.plastic())
    yield "skin", cylinder(0.98 * radius, 0.02, bevel=0.005, sides=32).move(z=tall - 0.005), skin
    lugs = draw.whole(6, 10)
    if draw.chance(0.6):
        yield (
            "lug",
            around(
                box(0.03, 0.05, 0.14, bevel=0.01).move(x=1.02 * radius, z=tall / 2 - 0.07)
                + rod((1.03 * radius, 0, 0.02), (1.03 * radius, 0, tall), 0.012, sides=6),
                lugs,
            ),
            steel,
        )
    else:
        half = np.pi / lugs
        zig = rod(
            (1.02 * radius, 0, 0.02),
            (1.02 * radius * np.cos(half), 1.02 * radius * np.sin(half), tall - 0.02),
            0.014,
            sides=6,
        )
        yield "rope", around(zig + zig.mirror("y"), lugs), draw.cloth("#f0e6d0", "#d8c090")
    if draw.chance(0.75):
        stick = rod((-0.45, -0.1, 0.05), (0.4, 0.05, 0.03), 0.018, 0.013) + ellipsoid(0.07, 0.05, 0.05, 10, 7).move(
            0.42, 0.05, 0.03
        )
        yield (
            "stick",
            at(stick, [(0, 0, tall)]) + stick.turn("z", draw(25, 70)).move(z=tall + 0.03),
            draw.wood("#d9b98c", "#c89b6a"),
        )
    if draw.chance(0.3) and tall < 0.6:
        yield "leg", around(rod((0.9 * radius, 0, 0.1), (1.25 * radius, 0, -0.5), 0.02), 3), steel


@category("piano")
def piano(draw: Draw) -> Pieces:
    wood = draw.pick(draw.plastic("#17171a", "#17171a", "#f2efe8"), draw.wood("#5a3020", "#3a2018", "#7a4a2a"))
    ivory, ebony = draw.plastic("#f8f5ec"), draw.plastic("#101012")
    width, high = draw(1.3, 1.5), 0.68
    keys = draw.whole(22, 30)
    step = (width - 0.16) / keys
    if draw.chance(0.45):
        tall, deep = draw(1.0, 1.3), draw(0.3, 0.4)
        yield "case", box(width, deep, tall, bevel=0.01).move(y=deep / 2), wood
        yield "lid", box(width + 0.06, deep + 0.06, 0.04, bevel=0.01).move(y=deep / 2, z=tall), wood
        yield (
            "panel",
            box(width * 0.8, 0.03, tall - high - 0.2, bevel=0.01).move(y=-0.005, z=high + 0.12),
            draw.pick(wood, draw.wood()),
        )
        yield "leg", both(box(0.08, 0.08, high - 0.06, bevel=0.01).move(width / 2 - 0.06, -0.26, 0)), wood
    else:
        length = draw(1.3, 1.7)
        side = curve(
            [
                (width / 2, 0),
                (width / 2, 0.35 * length),
                (0.15 * width, 0.6 * length),
                (0.02, 0.93 * length),
                (-0.28 * width, length),
                (-0.5 * width, 0.92 * length),
            ],
            22,
        )
        plan = np.concatenate([[(-width / 2, 0)], side])
        flat = extrude(plan, 0.26, 0.01).turn("x", -90)
        yield "case", flat.move(z=high + 0.07), wood
        tilt = draw(25, 45)
        lid = extrude(plan, 0.03).turn("x", -90).move(x=width / 2).turn("y", -tilt).move(x=-width / 2)
        yield "lid", lid.move(z=high + 0.24), wood
        prop = np.array([0.25 * width, 0.3 * length, high + 0.2])
        yield "lyre", box(0.22, 0.05, high - 0.05, bevel=0.01).taper(0.6).move(y=0.05, z=0.06), wood
        yield "prop", rod(prop, prop + (0, 0, 0.75 * width * np.tan(np.radians(tilt))), 0.012), wood
        legs = cylinder(0.035, high, 0.06, sides=10)
        yield (
            "leg",
            at(legs, [(-width / 2 + 0.12, 0.1, 0), (width / 2 - 0.12, 0.1, 0), (-0.2 * width, 0.85 * length, 0)]),
            wood,
        )
    yield "keybed", box(width, 0.34, 0.1, bevel=0.01).move(y=-0.14, z=high - 0.08), wood
    yield "cheek", both(box(0.07, 0.32, 0.12, bevel=0.02).move(width / 2 - 0.035, -0.14, high)), wood
    x = (np.arange(keys) - keys / 2 + 0.5) * step
    yield (
        "white key",
        at(box(step * 0.9, 0.26, 0.04), in_plane(np.stack([x, np.full(keys, high + 0.02)], axis=1), "y", -0.16)),
        ivory,
    )
    black = [a + step / 2 for k, a in enumerate(x[:-1]) if k % 7 not in (2, 6)]
    yield "black key", at(box(step * 0.55, 0.15, 0.04), [(a, -0.1, high + 0.05) for a in black]), ebony
    yield "pedal", at(box(0.04, 0.16, 0.02), [(a, -0.05, 0.08) for a in (-0.1, 0, 0.1)]), draw.metal(*BRASS)


@category("trumpet")
def trumpet(draw: Draw) -> Pieces:
    brass = draw.metal(*BRASS, "#d8d4c8", "#c8803a")
    bell, pipe, drop = draw(0.17, 0.24), draw(0.022, 0.028), draw(0.2, 0.26)
    flare = np.array([(bell, 0), (0.55 * bell, 0.06), (0.28 * bell, 0.2), (pipe, 0.45), (pipe, 0.5)])
    shape = curve(flare, 18)
    inner = (shape[:8] - (0.008, 0))[::-1]
    yield "bell", lathe(np.concatenate([[(0, 0.2)], inner, shape]), 26).turn("y", 90).move(x=-0.75), brass
    yield "rim", torus(bell, 0.012, 28, 6).turn("y", 90).move(x=-0.75), brass
    bow = np.concatenate(
        [
            [(-0.3, 0)],
            [(0.28, 0)],
            arc(drop / 2, 90, -90, 12) + (0.3, -drop / 2),
            [(0.2, -drop), (-0.3, -drop)],
            arc(drop / 2, 270, 90, 12) + (-0.32, -drop / 2),
        ]
    )
    yield "tubing", tube(in_plane(bow[:-6], "y", 0.0), pipe, 10), brass
    yield "leadpipe", rod((-0.32, 0.05, -drop / 2), (0.7, 0.05, -drop / 2), pipe * 0.8), brass
    mouth = lathe([(0.012, 0), (0.02, 0.08), (0.05, 0.13), (0.05, 0.15), (0.02, 0.12), (0, 0.12)], 16).turn("y", 90)
    yield "mouthpiece", mouth.move(0.68, 0.05, -drop / 2), draw.pick(brass, draw.metal())
    valve = (
        cylinder(0.045, drop + 0.06, bevel=0.005, sides=16)
        + cylinder(0.016, 0.1, sides=8).move(z=drop + 0.05)
        + cylinder(0.035, 0.02, sides=12).move(z=drop + 0.13)
    )
    yield "valve", at(valve, [(-0.06 + 0.1 * k, 0.0, -drop - 0.03) for k in range(3)]), draw.pick(brass, draw.metal())
    yield (
        "slide",
        tube(in_plane(arc(0.05, 90, -90, 8) + (0.4, -0.7 * drop), "y", 0.03), 0.018, 7)
        + torus(0.035, 0.008, 14, 5).turn("x", 90).move(0.2, 0, 0.05),
        brass,
    )


@category("xylophone")
def xylophone(draw: Draw) -> Pieces:
    bars, wide, low = draw.whole(6, 10), draw(0.1, 0.13), draw(0.6, 0.8)
    metal = draw.chance(0.3)
    step = wide * 1.22
    rainbow = (
        "#d0342c",
        "#e8722a",
        "#f2b632",
        "#4f9d4a",
        "#2a9d9a",
        "#2f6fc4",
        "#7d4ab0",
        "#d95c9a",
        "#d0342c",
        "#e8722a",
    )
    plain = draw.metal() if metal else draw.wood() if draw.chance(0.35) else None
    for k in range(bars):
        long = low * (1 - 0.5 * k / bars)
        bar = box(wide, long, 0.04, bevel=0.012).move(x=(k - (bars - 1) / 2) * step, z=0.1)
        screws = [((k - (bars - 1) / 2) * step, side * 0.38 * long, 0.135) for side in (-1, 1)]
        yield f"bar {k + 1}" if plain is None else "bar", bar, plain or draw.plastic(rainbow[k])
        yield "screw", at(ellipsoid(0.03, 0.03, 0.025, 8, 5), screws), draw.metal()
    half = bars * step / 2
    rail = tube(
        [(-half, -0.38 * low, 0.05), (half, -0.21 * low, 0.05)],
        0.04,
        section=[(-1, -0.5), (1, -0.5), (1, 0.5), (-1, 0.5)],
    )
    yield "rail", both(rail, "y"), draw.wood()
    stick = rod((-0.5, 0, 0.18), (0.35, 0, 0.2), 0.014) + ellipsoid(0.09, 0.09, 0.09, 12, 8).move(0.36, 0, 0.2)
    yield (
        "mallet",
        at(stick.turn("z", draw(-30, 30)), [(0, -0.15, 0)]) + stick.turn("z", draw(100, 170)).move(0.1, 0.05, 0.03),
        draw.plastic(),
    )
