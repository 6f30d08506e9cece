"""Things to wear and to carry."""

from __future__ import annotations

import numpy as np

from task2sim_studio.catalogue.drawing import Draw, Pieces, category
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
    lathe,
    rectangle,
    rod,
    rounded,
    superellipsoid,
    torus,
    tube,
    vessel,
)


@category("shirt")
def shirt(draw: Draw) -> Pieces:
    cloth, wide, tall, flare = draw.cloth(), draw(0.46, 0.56), draw(1.05, 1.4), draw(0.95, 1.12)
    long = draw.chance(0.4)
    reach, drop = (draw(0.55, 0.7), draw(0.75, 0.95)) if long else (draw(0.32, 0.42), draw(0.2, 0.32))
    cuff = 0.17 if long else 0.26
    neck = draw(0.17, 0.24)
    half = [
        (neck, 0.0),
        (wide, -0.09),
        (wide + reach * 0.9, -0.09 - drop),
        (wide + reach * 0.9 - cuff, -0.16 - drop),
        (wide * 0.96, -0.42),
        (wide * flare, -tall),
    ]
    collar = arc(neck, 180, 360, 9, draw(0.08, 0.26))
    outline = np.concatenate([half, np.array(half)[::-1] * (-1, 1), collar[1:-1]])
    yield "shirt", extrude(outline, draw(0.16, 0.24), 0.07), cloth
    trim = draw.pick(cloth, draw.cloth())
    if draw.chance(0.45):
        wings = extrude([(0, -0.1), (neck * 1.1, 0.05), (neck * 1.25, -0.08), (0.12, -0.22)], 0.05).move(y=-0.12)
        yield "collar", both(wings), trim
        yield (
            "button",
            at(
                cylinder(0.025, 0.04, sides=10).turn("x", 90),
                [(0, -0.1, -0.25 - 0.19 * k) for k in range(int((tall - 0.3) / 0.19))],
            ),
            draw.plastic("#f5f2ea", "#3a2a20", "#2a2a2e"),
        )
    else:
        yield "collar", tube(in_plane(collar, "y"), np.tile((0.03, 0.11), (9, 1)), 8), trim
    if draw.chance(0.4):
        yield (
            "print",
            extrude(draw.pick(circle(0.2, 20), rectangle(0.34, 0.3)) + (0, -0.52), 0.02).move(y=-0.125),
            draw.finish(draw.pick("dots", "stripes", "plastic")),
        )


@category("trousers")
def trousers(draw: Draw) -> Pieces:
    cloth = draw.finish(
        draw.pick("fabric", "fabric", "stripes", "checker"),
        "#2f4a7a",
        "#3a5a8f",
        "#2a2a33",
        "#8a7350",
        "#5a5f4a",
        "#6a6d75",
        "#b8a88a",
    )
    waist, hip, tall, cuff = draw(0.3, 0.36), draw(0.36, 0.44), draw(0.6, 1.5), draw(0.14, 0.24)
    spread = draw(0.0, 0.14)
    leg = curve([(0.19, -0.4), (0.2 + spread, -0.4 - 0.5 * tall), (0.22 + 1.5 * spread, -0.4 - tall)], 9)
    radii = np.stack([np.linspace(0.215, cuff, 9), np.linspace(0.2, cuff * 0.9, 9)], axis=1)
    yield "leg", both(tube(in_plane(leg, "y"), radii, 16)), cloth
    hips = np.array([(0, 0, -0.48), (0, 0, -0.3), (0, 0, -0.12), (0, 0, 0)])
    yield "hips", tube(hips, np.array([(hip * 0.92, 0.2), (hip, 0.23), (hip * 0.94, 0.21), (waist, 0.19)]), 22), cloth
    yield (
        "belt",
        tube([(0, 0, -0.05), (0, 0, 0.04)], np.array([(1.04 * waist, 0.205), (1.04 * waist, 0.205)]), 22),
        draw.pick(cloth, draw.leather()),
    )
    yield "buckle", box(0.1, 0.03, 0.08, bevel=0.01).move(y=-0.205, z=-0.045), draw.metal("#d4a63a", "#c8ccd0")
    if draw.chance(0.4):
        end = leg[-1]
        yield (
            "cuff",
            both(cylinder(cuff * 1.1, 0.1, sides=16).move(end[0], 0, end[1] - 0.01)),
            draw.pick(cloth, draw.cloth()),
        )
    if draw.chance(0.4):
        yield "pocket", both(box(0.17, 0.03, 0.19, bevel=0.01).move(0.17, 0.215, -0.38)), cloth


@category("dress")
def dress(draw: Draw) -> Pieces:
    cloth, waist, tall, hem = (
        draw.finish(draw.pick("fabric", "dots", "stripes", "clouds")),
        draw(0.17, 0.22),
        draw(0.7, 1.2),
        draw(0.45, 0.7),
    )
    folds, deep = draw.whole(6, 12), draw(0.02, 0.1)
    skirt = lathe(curve([(hem, -tall), (draw(0.6, 0.8) * hem, -0.55 * tall), (waist, 0)], 12), 5 * folds)
    pleated = skirt.swell(lambda turn, z: 1 + deep * np.cos(folds * turn) * np.clip(-z / tall, 0, 1)).scale(
        1, 0.75, 1
    )
    yield "skirt", pleated, cloth
    top = draw.pick(cloth, cloth, draw.cloth())
    stations = np.array([(0, 0, z) for z in (-0.02, 0.2, 0.38, 0.5)])
    yield "bodice", tube(stations, np.array([(waist, 0.15), (0.23, 0.17), (0.25, 0.16), (0.2, 0.1)]), 20), top
    kind = draw.pick("strap", "puff", "sleeve")
    if kind == "strap":
        yield (
            "strap",
            both(tube(in_plane(arc(0.13, 0, 180, 10, 0.2), "x") + (0.13, 0, 0.44), np.tile((0.02, 0.035), (10, 1)))),
            top,
        )
    else:
        size = (0.24, 0.24, 0.24) if kind == "puff" else (0.17, 0.18, 0.55)
        yield (
            "sleeve",
            both(
                ellipsoid(*size, 14, 10)
                .turn("y", -25)
                .move(0.27 if kind == "puff" else 0.35, 0, 0.42 if kind == "puff" else 0.27)
            ),
            top,
        )
        yield "shoulder", both(rod((0.1, 0, 0.48), (0.26, 0, 0.44), 0.09, 0.08)), top
    if draw.chance(0.7):
        yield (
            "sash",
            tube([(0, 0, -0.05), (0, 0, 0.06)], np.array([(1.1 * waist, 0.165), (1.12 * waist, 0.165)]), 20),
            draw.cloth(),
        )


@category("hat")
def hat(draw: Draw) -> Pieces:
    kind = draw.pick("brim", "brim", "top", "cap", "bobble")
    felt = draw.finish(
        draw.pick("fabric", "leather", "fabric"),
        "#2a2a2e",
        "#6b4226",
        "#d8c090",
        "#4a4d55",
        "#7a2f26",
        "#e8dcc0",
        "#2f4a7a",
        "#5a6a4a",
    )
    band = draw.cloth()
    if kind in ("brim", "top"):
        tall, radius, brim = (
            (draw(0.3, 0.45), 0.33, draw(0.58, 0.85)) if kind == "brim" else (draw(0.55, 0.75), 0.33, draw(0.5, 0.58))
        )
        crown = (
            curve([(radius, 0), (0.97 * radius, 0.5 * tall), (0.8 * radius, tall), (0, draw(0.85, 1.05) * tall)], 14)
            if kind == "brim"
            else np.array([(radius, 0), (0.92 * radius, 0.5 * tall), (1.05 * radius, tall), (0, tall)])
        )
        yield "crown", lathe(crown, 28).scale(1, 1.15, 1), felt
        sag = draw(-0.3, 0.5)
        rim = lathe([(0.9 * radius, -0.01), (brim, 0), (brim, 0.02), (0.9 * radius, 0.03)], 36).scale(1, 1.12, 1)
        yield (
            "brim",
            rim.shift("z", lambda x, y, z: sag * (x**2 - 0.5 * y**2)),
            felt,
        )
        yield (
            "band",
            lathe(
                [(0.8 * radius, 0.03), (1.03 * radius, 0.03), (1.02 * radius, 0.13), (0.8 * radius, 0.13)], 28
            ).scale(1, 1.15, 1),
            band,
        )
    elif kind == "cap":
        colour = draw.cloth()
        yield "crown", lathe(arc(0.36, 0, 90, 10, draw(0.28, 0.36)), 24).scale(1, 1.12, 1), colour
        peak = np.concatenate([arc(0.33, 200, 340, 12, 0.12), arc(0.35, 345, 195, 14, draw(0.55, 0.65))])
        bill = extrude(peak + (0, -0.12), 0.025, 0.006).turn("x", -90).move(z=0.01)
        yield (
            "peak",
            bill.shift("z", lambda x, y, z: -0.8 * x**2).move(z=0.03),
            draw.pick(colour, band),
        )
        yield "button", ellipsoid(0.07, 0.07, 0.04, 10, 6).move(z=0.33), band
    else:
        wool = draw.finish("knit")
        tall = draw(0.4, 0.6)
        yield "crown", lathe(curve([(0.34, 0), (0.34, 0.4 * tall), (0.15, 0.95 * tall), (0, tall)], 14), 28), wool
        yield "cuff", torus(0.34, 0.07, 28, 8).scale(1, 1, 1.4).move(z=0.06), draw.pick(wool, draw.finish("knit"))
        yield (
            "bobble",
            draw.lumps(ellipsoid(0.24, 0.24, 0.24, 18, 12), 0.15, 9).move(z=tall + 0.06),
            draw.finish("knit"),
        )


def _shoe(draw: Draw) -> Pieces:
    """One shoe with its toe towards -y; the sole stands on z = 0."""
    upper, sole = (
        draw.pick(draw.leather, draw.cloth, draw.plastic)(),
        draw.plastic("#f0ede4", "#2a2a2e", "#6b4226", "#d8c8a8"),
    )
    kind = draw.pick("low", "boot", "heel", "low")
    heel = draw(0.3, 0.42) if kind == "heel" else draw(0.0, 0.08)
    t = np.linspace(0, 1, 14)
    rise = heel * np.interp(t, [0, 0.4, 0.8, 1], [0, 0.05, 0.9, 1])
    wide = np.interp(t, [0, 0.07, 0.3, 0.6, 0.85, 1], [0.05, 0.12, 0.19, 0.14, 0.13, 0.07]) * draw(0.9, 1.1)
    thick = draw(0.03, 0.07)
    path = np.stack([0 * t, t - 0.5, rise + thick / 2], axis=1)
    section = rounded(rectangle(2, 2), 0.6, 3)
    yield "sole", tube(path, np.stack([np.full(14, thick / 2), wide * 1.06], axis=1), section=section[:, ::1]), sole
    top = np.interp(
        t,
        [0, 0.1, 0.35, 0.55, 0.8, 1],
        [0.05, 0.12, 0.2, 0.3, 0.34, 0.28] if kind != "heel" else [0.05, 0.1, 0.12, 0.13, 0.26, 0.24],
    )
    body = np.stack([0 * t, t - 0.5, rise + thick + 0.42 * top], axis=1)
    yield "upper", tube(body, np.stack([0.5 * top, wide], axis=1), 16, round_ends=True), upper
    if kind == "boot":
        tall = draw(0.55, 0.9)
        yield (
            "upper",
            vessel([(0.15, 0.1), (0.13, 0.35), (draw(0.14, 0.18), tall)], 0.025, 20)
            .scale(0.95, 1.15, 1)
            .move(y=0.27),
            upper,
        )
        yield (
            "collar",
            torus(0.15, 0.03, 20, 7).scale(1, 1.15, 1).move(y=0.27, z=tall),
            draw.pick(upper, draw.finish("knit")),
        )
    elif kind == "heel":
        yield "heel", cylinder(0.03, heel + 0.05, 0.08, sides=12).move(y=0.42), draw.pick(upper, sole)
    else:
        yield (
            "opening",
            ellipsoid(0.2, 0.4, 0.06, 16, 8).turn("x", 8).move(y=0.25, z=rise[-2] + thick + 0.31),
            draw.dark(),
        )
    if kind != "heel":
        yield (
            "lace",
            at(
                rod((-0.11, 0, 0), (0.11, 0, 0), 0.016, sides=6),
                [(0, -0.16 + 0.07 * k, thick + 0.16 + 0.045 * k) for k in range(4)],
            ),
            draw.cloth("#f5f2ea", "#2a2a2e", "#d0342c"),
        )
        yield "heel", box(0.24, 0.22, heel + 0.02).move(y=0.37), sole


@category("shoe")
def shoe(draw: Draw) -> Pieces:
    pair, apart = draw.chance(0.4), draw(0.5, 0.6)
    for name, form, finish in _shoe(draw):
        yield name, at(form, [(0, 0, 0), (apart, 0, 0)]) if pair else form, finish


@category("glasses")
def glasses(draw: Draw) -> Pieces:
    frame = draw.pick(draw.plastic, draw.metal, draw.dark)()
    wide, tall, bridge, thick = draw(0.3, 0.42), draw(0.26, 0.36), draw(0.12, 0.18), draw(0.016, 0.035)
    outline = draw.pick(
        circle(wide / 2, 28, tall / 2),
        rounded(rectangle(wide, tall), 0.09, 6),
        rounded(
            [(-wide / 2, tall / 2), (wide / 2, tall / 2), (0.35 * wide, -tall / 2), (-0.3 * wide, -tall / 2)], 0.12, 6
        ),
    )
    x = wide / 2 + bridge / 2
    rim = tube(in_plane(outline, "y"), thick, 8, loop=True).move(x=x)
    yield "rim", both(rim), frame
    lens = draw.plastic("#1a1c20", "#3a2a20", "#c8d8e0", "#2f4a6a", "#8a9ab0")
    yield "lens", both(extrude(outline, 0.015).move(x=x)), lens
    yield "bridge", tube(in_plane(arc(bridge * 0.62, 15, 165, 9, 0.07), "y"), thick, 7), frame
    fold = draw.pick(0, 0, 80)
    temple = curve([(0, 0.0, 0.08), (0, 0.45, 0.08), (0, 0.72, 0.06), (0, 0.9, -0.1)], 14)
    arm = tube(temple, np.tile((thick * 0.8, thick), (14, 1)), 7).turn("z", fold)
    yield "temple", both(arm.move(x=x + wide / 2)), frame


@category("umbrella")
def umbrella(draw: Draw) -> Pieces:
    cloth, ribs, radius, tall = (
        draw.finish(draw.pick("fabric", "stripes", "dots", "fabric")),
        draw.pick(6, 8, 8, 10),
        draw(0.6, 0.85),
        draw(0.28, 0.5),
    )
    length = draw(0.9, 1.2)
    dome = arc(radius, 4, 90, 9, tall)

    canopy = lathe(
        np.concatenate(
            [dome, (dome * (0.985, 1) - (0, 0.02))[::-1] * np.where(np.arange(9)[:, None] == 0, (0, 1), 1)]
        ),
        6 * ribs,
    )
    canopy = canopy.swell(lambda turn, z: 1 - 0.07 * (1 - np.abs(np.cos(0.5 * ribs * turn))) * (1 - z / tall))
    yield "canopy", canopy.move(z=length), cloth
    metal = draw.metal()
    rib = tube(in_plane(dome, "y"), 0.008, 5)
    yield "rib", around(rib, ribs).move(z=length - 0.02), metal
    yield "shaft", cylinder(0.018, length + tall, sides=10), metal
    yield "tip", cylinder(0.02, 0.12, 0.006, sides=10).move(z=length + tall - 0.01), metal
    handle = draw.pick(draw.wood, draw.plastic, draw.dark)()
    if draw.chance(0.75):
        hook = np.concatenate([[(0, 0.12), (0, 0)], arc(0.09, 180, 370, 12) + (0.09, -0.06)])
        yield "handle", tube(in_plane(hook, "y"), 0.032, 9, round_ends=True), handle
    else:
        yield "handle", cylinder(0.04, 0.24, 0.03, bevel=0.01).move(z=-0.12), handle


@category("handbag")
def handbag(draw: Draw) -> Pieces:
    hide = draw.pick(draw.leather, draw.leather, draw.cloth, draw.plastic)()
    wide, tall, deep, top = draw(0.7, 1.0), draw(0.45, 0.8), draw(0.22, 0.36), draw(0.65, 1.05)
    body = superellipsoid(wide, deep, tall, 0.25, 0.35).taper(top)
    yield "body", body.move(z=tall / 2), hide
    metal = draw.metal("#d4a63a", "#c8ccd0", "#e0b84f")
    flap = draw.chance(0.5)
    if flap:
        drop = draw(0.35, 0.6) * tall
        outline = rounded(
            [
                (-0.47 * wide * top, tall * 0.98),
                (0.47 * wide * top, tall * 0.98),
                (0.46 * wide, tall - drop),
                (0, tall - drop - 0.1),
                (-0.46 * wide, tall - drop),
            ],
            0.1,
            4,
        )
        yield (
            "flap",
            extrude(outline, 0.05, 0.012).move(y=-deep * 0.5 * (0.5 + 0.5 * top) - 0.01),
            draw.pick(hide, draw.leather()),
        )
        yield "clasp", box(0.09, 0.07, 0.07, bevel=0.012).move(y=-deep / 2 - 0.01, z=tall - drop - 0.1), metal
    else:
        yield "zip", box(wide * top * 0.75, 0.03, 0.03).move(z=tall - 0.01), metal
    reach, high = draw(0.5, 0.75) * wide * top / 2, draw(0.25, 0.75)
    strap = tube(in_plane(arc(reach, -8, 188, 20, high) + (0, tall - 0.05), "y"), np.tile((0.02, 0.03), (20, 1)), 8)
    yield (
        "strap",
        strap if flap or draw.chance(0.4) else both(strap.move(y=0.32 * deep * top), "y"),
        draw.pick(hide, draw.leather()),
    )
    rings = torus(0.035, 0.012, 14, 6).turn("x", 90)
    yield "ring", both(rings.move(x=reach, z=tall - 0.03)), metal


@category("suitcase")
def suitcase(draw: Draw) -> Pieces:
    upright = draw.chance(0.55)
    wide, tall, deep = (
        (draw(0.55, 0.7), draw(0.8, 1.1), draw(0.26, 0.4))
        if upright
        else (draw(0.95, 1.2), draw(0.6, 0.75), draw(0.26, 0.36))
    )
    shell, metal, dark = draw.pick(draw.plastic, draw.leather, draw.cloth, draw.metal)(), draw.metal(), draw.dark()
    yield "shell", superellipsoid(wide, deep, tall, 0.15, 0.18, 28, 14).move(z=tall / 2 + 0.05), shell
    frame = rounded(rectangle(wide * 1.005, tall * 1.005), 0.1, 5) + (0, tall / 2 + 0.05)
    yield "seam", tube(in_plane(frame, "y"), 0.018, 6, loop=True), draw.pick(metal, dark)
    if upright:
        ribs = draw.whole(3, 6)
        if draw.chance(0.7):
            yield (
                "groove",
                at(
                    box(0.03, deep * 1.03, tall * 0.8, bevel=0.01),
                    [(x, 0, 0.1 * tall + 0.05) for x in np.linspace(-0.36, 0.36, ribs) * wide],
                ),
                shell,
            )
        yield (
            "wheel",
            both(both(cylinder(0.05, 0.05, sides=14).turn("y", 90).move(0.36 * wide, 0.33 * deep, 0.03)), "y"),
            dark,
        )
        high = draw(0.05, 0.45)
        pole = rod((0.14, deep * 0.3, tall), (0.14, deep * 0.3, tall + 0.1 + high), 0.015)
        yield "pole", both(pole), metal
        yield "handle", box(0.34, 0.05, 0.05, bevel=0.015).move(0, deep * 0.3, tall + 0.08 + high), dark
    else:
        hoop = arc(0.17, 0, 180, 12, 0.13) + (0, tall + 0.04)
        yield "handle", tube(in_plane(hoop, "y"), 0.026, 8), draw.leather()
        yield (
            "strap",
            both(box(0.08, deep * 1.04, tall * 1.03, bevel=0.02).move(x=0.3 * wide, z=0.04)),
            draw.leather(),
        )
        yield "clasp", both(box(0.1, 0.04, 0.09, bevel=0.01).move(0.3 * wide, -deep / 2 - 0.015, tall * 0.8)), metal


@category("backpack")
def backpack(draw: Draw) -> Pieces:
    cloth, second = draw.cloth(), draw.cloth()
    wide, tall, deep = draw(0.55, 0.7), draw(0.75, 1.0), draw(0.3, 0.4)
    yield "body", superellipsoid(wide, deep, tall, 0.35, 0.4).taper(draw(0.8, 0.95)).move(z=tall / 2), cloth
    low = draw(0.35, 0.5) * tall
    yield "pocket", superellipsoid(wide * 0.78, 0.22, low, 0.3, 0.4).move(y=-deep / 2, z=low / 2 + 0.06), second
    yield "zip", box(wide * 0.6, 0.02, 0.025).move(y=-deep / 2 - 0.1, z=low * 0.8), draw.metal()
    if draw.chance():
        yield (
            "side pocket",
            both(superellipsoid(0.16, 0.7 * deep, 0.4 * tall, 0.4, 0.4).move(wide / 2, 0, 0.26 * tall)),
            second,
        )
    if draw.chance(0.5):
        flap = ellipsoid(wide * 0.95, deep * 1.15, 0.3, 22, 12).move(y=-0.02, z=tall - 0.04)
        yield "flap", flap, draw.pick(cloth, second)
        yield (
            "buckle",
            both(box(0.05, 0.04, 0.24, bevel=0.01).move(0.16, -deep / 2 - 0.03, tall * 0.62)),
            draw.leather(),
        )
    hoop = arc(0.1, 0, 180, 10, 0.11) + (0, tall - 0.02)
    yield "handle", tube(in_plane(hoop, "y", deep * 0.25), 0.02, 7), draw.dark()
    strap = in_plane(
        curve(
            [
                (deep * 0.35, 0.9 * tall),
                (deep * 0.5 + 0.2, 0.72 * tall),
                (deep * 0.5 + 0.16, 0.3 * tall),
                (deep * 0.4, 0.08 * tall),
            ],
            14,
        ),
        "x",
    )
    yield (
        "strap",
        both(tube(strap, np.tile((0.02, 0.055), (14, 1)), 8).move(x=0.2 * wide)),
        draw.pick(second, draw.dark()),
    )
