"""Buildings and what stands in streets."""

from __future__ import annotations

import numpy as np

from task2sim_studio.catalogue.drawing import PALES, Draw, Finish, Pieces, category
from task2sim_studio.forms import (
    Form,
    arc,
    around,
    at,
    both,
    box,
    corners,
    curve,
    cylinder,
    ellipsoid,
    extrude,
    in_plane,
    join,
    lathe,
    rod,
    superellipsoid,
    torus,
    tube,
)

PANES = ("#2a3a48", "#5a7a8f", "#f0d890", "#3a4a58")


def _wall(draw: Draw) -> Finish:
    return draw.pick(
        draw.finish("brick", "#a8523a", "#b8644a", "#c8a080", "#8a4a3a"),
        draw.plastic(*PALES, "#e8c890", "#d9a080", "#b8c8d0", "#c8d8b0", "#e8a0a0"),
        draw.wood(*PALES, "#a8743f", "#b83a30", "#5a7a9a"),
    )


def _roofing(draw: Draw) -> Finish:
    return draw.finish("brick", "#a8432f", "#7a3a2a", "#4a4d55", "#6a5a50", "#3f5a5a", "#8a3a30")


def _gable(width: float, depth: float, height: float, eaves: float = 0.08) -> Form:
    """A gable roof with its ridge along y."""
    half = width / 2 + eaves
    low = -eaves * 2 * height / width
    line = [(-half, low), (0, height), (half, low), (half, low + 0.05), (0, height + 0.06), (-half, low + 0.05)]
    return extrude(line, depth + 2 * eaves)


def _window(width: float, height: float) -> tuple[Form, Form]:
    """A window that looks to -y, and its frame."""
    frame = box(width * 1.2, 0.05, height * 1.15).move(z=-0.075 * height)
    bars = box(0.02, 0.08, height) + box(width, 0.08, 0.02).move(z=height / 2)
    return box(width, 0.07, height), frame + bars


@category("house")
def house(draw: Draw) -> Pieces:
    width, depth, height, floors = draw(1.0, 1.5), draw(0.8, 1.2), draw(0.45, 0.55), draw.whole(1, 2)
    tall, wall, tiles, trim = height * floors, _wall(draw), _roofing(draw), draw.plastic(*PALES, "#3f6a4f", "#5a3422")
    rise, turned = draw(0.35, 0.7), draw.chance()
    yield "wall", box(width, depth, tall), wall
    span, along = (depth, width) if turned else (width, depth)
    gable = extrude([(-span / 2, 0), (0, rise), (span / 2, 0)], along)
    roof = _gable(span, along, rise)
    if turned:
        gable, roof = gable.turn("z", 90), roof.turn("z", 90)
    yield "wall", gable.move(z=tall), wall
    yield "roof", roof.move(z=tall), tiles
    pane, frame = _window(0.2, 0.24)
    door = draw(-0.25, 0.25) * width
    spots = [
        (x, -depth / 2, k * height + 0.16)
        for k in range(floors)
        for x in np.linspace(-0.33, 0.33, draw.whole(2, 3)) * width
        if k or abs(x - door) > 0.22
    ]
    spots = spots or [(0.33 * width, -depth / 2, 0.16)]
    aside = [(x, 0.0, k * height + 0.16) for k in range(floors) for x in (-0.25 * depth, 0.25 * depth)]
    for name, form, finish in (("window", pane, draw.plastic(*PANES)), ("frame", frame, trim)):
        row = at(form, aside).move(y=-width / 2)
        yield name, at(form, spots) + row.turn("z", 90) + row.turn("z", -90), finish
    yield (
        "door",
        box(0.22, 0.06, 0.36).move(door, -depth / 2, 0),
        draw.wood("#8a2a24", "#2f5a3f", "#6b4226", "#274690"),
    )
    if draw.chance(0.7):
        yield (
            "chimney",
            box(0.14, 0.14, rise * 0.9 + 0.12).move(draw(0.15, 0.3) * width, draw(-0.2, 0.2) * depth, tall + 0.1),
            draw.finish("brick", "#a8523a", "#8a4a3a"),
        )
    if draw.chance(0.4):
        wide = width * draw(0.35, 0.5)
        yield "wall", box(wide, depth * 0.8, height * 0.8).move(width / 2 + wide / 2), wall
        yield (
            "roof",
            _gable(depth * 0.8, wide, 0.3, 0.05).turn("z", 90).move(width / 2 + wide / 2, 0, height * 0.8),
            tiles,
        )


@category("church")
def church(draw: Draw) -> Pieces:
    width, depth, tall, rise = draw(0.6, 0.8), draw(1.1, 1.5), draw(0.5, 0.7), draw(0.35, 0.5)
    wall, tiles, size, high = _wall(draw), _roofing(draw), draw(0.3, 0.4), draw(1.0, 1.4)
    yield (
        "wall",
        box(width, depth, tall) + extrude([(-width / 2, 0), (0, rise), (width / 2, 0)], depth).move(z=tall),
        wall,
    )
    yield "roof", _gable(width, depth, rise).move(z=tall), tiles
    y = -depth / 2 - 0.3 * size
    yield "tower", box(size, size, high).move(y=y), wall
    spire = draw(0.4, 0.9)
    sides = draw.pick(4, 4, 8)
    if draw.chance(0.75):
        top = cylinder(size * 0.76, spire, 0, sides=sides).turn("z", 180 / sides)
    else:
        top = lathe(curve([(0.4 * size, 0), (0.62 * size, 0.15), (0.3 * size, 0.4), (0.03, spire)], 12), 20)
    yield "spire", top.move(y=y, z=high), tiles
    cross = box(0.025, 0.025, 0.2) + box(0.11, 0.025, 0.025).move(z=0.12)
    yield "cross", cross.move(y=y, z=high + spire - 0.03), draw.metal("#d4a63a", "#4a4d50")
    arch = np.concatenate([[(-0.06, 0)], [(0.06, 0)], arc(0.06, 0, 180, 8, 0.09) + (0, 0.2)])
    row = at(
        extrude(arch, width + 0.04).turn("z", 90),
        [(0, k, 0.15) for k in np.linspace(-0.3, 0.4, draw.whole(3, 4)) * depth],
    )
    yield "window", row + extrude(arch * 0.8, size + 0.04).move(y=y, z=high - 0.33), draw.plastic(*PANES)
    yield "door", extrude(arch * 1.4, 0.06).move(y=y - size / 2), draw.wood("#6b4226", "#4a2a1a", "#8a2a24")


@category("castle")
def castle(draw: Draw) -> Pieces:
    wide, tall, radius = draw(1.0, 1.4), draw(0.4, 0.6), draw(0.16, 0.24)
    stone = draw.finish(
        draw.pick("granite", "brick", "leather"), "#9a958a", "#b8ad98", "#7f7c78", "#c8b890", "#a89a9a"
    )
    half = wide / 2
    yield (
        "wall",
        corners(box(wide, 0.1, tall), 0, half).scale(1, 1, 0.999) + both(box(0.1, wide, tall).move(x=half)),
        stone,
    )
    teeth = at(box(0.09, 0.1, 0.09), [(x, 0, tall) for x in np.linspace(-half + 0.25, half - 0.25, 5)]).move(y=half)
    yield "battlement", around(teeth, 4), stone
    high = tall * draw(1.3, 1.8)
    tower = cylinder(radius, high, 0.95 * radius, sides=18) + cylinder(radius, 0.12, 1.18 * radius, sides=18).move(
        z=high - 0.06
    )
    yield "tower", corners(tower, half, half), stone
    pointed, tiles = draw.chance(0.6), draw.finish("brick", "#a8432f", "#3a5a8a", "#4a4d55", "#5a3a6a")
    if pointed:
        yield (
            "roof",
            corners(cylinder(1.25 * radius, draw(0.35, 0.6), 0, sides=18).move(z=high + 0.06), half, half),
            tiles,
        )
    else:
        yield (
            "battlement",
            corners(around(box(0.07, 0.09, 0.1).move(x=1.05 * radius), 8).move(z=high + 0.05), half, half),
            stone,
        )
    keep = draw(0.4, 0.55)
    if draw.chance(0.75):
        top = high * draw(1.1, 1.4)
        yield "keep", box(keep, keep, top).move(y=0.15), stone
        if pointed:
            yield "roof", cylinder(0.75 * keep, 0.45, 0, sides=4).turn("z", 45).move(y=0.15, z=top), tiles
        else:
            yield (
                "battlement",
                around(at(box(0.09, 0.09, 0.1), [(x, -keep / 2 + 0.04, top) for x in (-0.12, 0.12)]), 4).move(y=0.15),
                stone,
            )
    yield (
        "gate",
        extrude(np.concatenate([[(-0.13, 0), (0.13, 0)], arc(0.13, 0, 180, 9) + (0, 0.18)]), 0.14).move(y=-half),
        draw.wood("#4a2a1a", "#6b4226"),
    )
    if draw.chance():
        yield (
            "flag",
            corners(box(0.015, 0.015, 0.4) + box(0.16, 0.01, 0.1).move(x=0.08, z=0.28), half, half).move(
                z=high + (0.35 if pointed else 0)
            ),
            draw.cloth(),
        )


@category("lighthouse")
def lighthouse(draw: Draw) -> Pieces:
    tall, foot, head = draw(1.2, 1.8), draw(0.24, 0.34), draw(0.14, 0.18)
    bands, paint, second = (
        draw.whole(3, 6),
        draw.plastic(*PALES),
        draw.plastic("#c8281c", "#274690", "#20262e", "#d0342c"),
    )
    z = np.linspace(0, tall, bands + 1)
    r = np.interp(z, [0, tall], [foot, head])
    for k in range(bands):
        yield ("tower", "stripe")[k % 2], lathe([(r[k], z[k]), (r[k + 1], z[k + 1])], 28), (paint, second)[k % 2]
    yield "gallery", cylinder(head * 1.5, 0.05, sides=28).move(z=tall), second
    rail = torus(head * 1.42, 0.012, 28, 6).move(z=tall + 0.16) + around(
        cylinder(0.008, 0.12, sides=5).move(x=head * 1.42), 12
    ).move(z=tall + 0.04)
    yield "rail", rail, draw.metal()
    yield "lantern", cylinder(head * 0.85, 0.24, sides=12).move(z=tall + 0.05), draw.plastic("#fff0b0", "#f5e8a0")
    dome = (
        curve([(head * 1.1, 0), (head * 0.8, 0.12), (0, draw(0.17, 0.26))], 9)
        if draw.chance()
        else np.array([(head * 1.15, 0), (0, 0.22)])
    )
    yield "roof", lathe(dome, 24).move(z=tall + 0.29), second
    yield (
        "rock",
        draw.lumps(ellipsoid(3.2 * foot, 3.2 * foot, 0.36, 20, 10), 0.25, 4),
        draw.finish("granite", "#7f7c78", "#6a655f"),
    )
    yield "door", box(0.12, 0.1, 0.24).move(y=-foot + 0.03, z=0.13), draw.wood("#8a2a24", "#274690", "#4a2a1a")
    yield (
        "window",
        at(box(0.07, 0.1, 0.11), [(0, -np.interp(h, [0, 1], [foot, head]) + 0.04, h * tall) for h in (0.45, 0.75)]),
        draw.plastic(*PANES),
    )


@category("windmill")
def windmill(draw: Draw) -> Pieces:
    tall, foot, head, sides = draw(1.0, 1.4), draw(0.32, 0.42), draw(0.18, 0.24), draw.pick(6, 8, 24)
    wall = draw.pick(_wall(draw), draw.plastic(*PALES))
    yield "tower", cylinder(foot, tall, head, sides=sides), wall
    yield (
        "cap",
        lathe(curve([(head * 1.15, 0), (head * 0.95, 0.16), (0, draw(0.24, 0.36))], 9), 20).move(z=tall),
        _roofing(draw),
    )
    wood, reach, count = draw.wood(*PALES, "#6b4226", "#8a5a2b"), draw(0.75, 1.0), draw.pick(4, 4, 4, 6)
    frame = [
        box(0.035, 0.03, reach),
        *[box(0.17, 0.015, 0.015).move(x=0.1, z=reach * k) for k in np.linspace(0.2, 0.98, 8)],
        box(0.015, 0.015, reach * 0.8).move(x=0.18, z=0.19 * reach),
    ]
    sail, cloth = join(frame), box(0.15, 0.01, reach * 0.78).move(0.1, 0.012, 0.2 * reach)
    spin, y = draw(0, 90), -head - 0.1
    for name, form, finish in (("sail", sail, wood), ("cloth", cloth, draw.finish("fabric", *PALES, "#c8402a"))):
        if name == "sail" or draw.chance(0.7):
            yield (
                name,
                join([form.turn("y", spin + 360 * k / count) for k in range(count)]).move(y=y, z=tall + 0.08),
                finish,
            )
    yield "axle", rod((0, y - 0.05, tall + 0.08), (0, 0, tall + 0.08), 0.04), draw.metal("#4a4d50", "#6b4226")
    yield "door", box(0.17, 0.12, 0.32).move(y=-foot + 0.06), draw.wood("#8a2a24", "#2f5a3f", "#4a2a1a")
    yield (
        "window",
        at(box(0.09, 0.1, 0.12), [(0, -np.interp(h, [0, 1], [foot, head]) + 0.05, h * tall) for h in (0.5, 0.75)]),
        draw.plastic(*PANES),
    )


@category("skyscraper")
def skyscraper(draw: Draw) -> Pieces:
    size, z, steps = draw(0.4, 0.6), 0.0, draw.whole(1, 4)
    frame = draw.finish(
        draw.pick("granite", "metal", "plastic", "marble"), "#b8b4aa", "#8a9098", "#c8b890", "#6a7078", "#a87a60"
    )
    glass = draw.plastic("#3a5a7a", "#2a3a48", "#5a7a8f", "#3f6a6a", "#8fb0c8")
    sides, twist = draw.pick(4, 4, 4, 6, 24), draw.pick(0.0, 0.0, draw(5, 25))
    for k in range(steps):
        tall = draw(1.2, 2.0) / steps
        floors = max(3, int(tall / 0.1))
        yield "core", cylinder(0.7 * size, tall, sides=sides).turn("z", 180 / sides + k * twist).move(z=z), glass
        plate = cylinder(0.74 * size, 0.035, sides=sides).turn("z", 180 / sides + k * twist)
        yield "floor", at(plate, [(0, 0, z + tall * (j + 0.65) / floors) for j in range(floors)]), frame
        if sides == 4:
            ribs = around(
                at(box(0.03, 0.05, tall), [(x * size, -0.5 * size, z) for x in (-0.48, -0.16, 0.16, 0.48)]),
                4,
                k * twist,
            )
            yield "rib", ribs, frame
        size, z = size * draw(0.68, 0.92), z + tall
    if draw.chance(0.65):
        yield "mast", cylinder(0.04, draw(0.25, 0.6), 0.008, sides=8).move(z=z), draw.metal()
    yield "plinth", box(0.95, 0.95, 0.06), frame


@category("tent")
def tent(draw: Draw) -> Pieces:
    cloth, dark, tall = (
        draw.finish(
            draw.pick("fabric", "stripes"),
            *("#d0342c", "#e8722a", "#f2b632", "#4f9d4a", "#2f6fc4", "#c8b890", "#2a9d9a"),
        ),
        draw.cloth("#2a2a2e", "#3a3028"),
        draw(0.6, 0.9),
    )
    kind = draw.pick("ridge", "dome", "tipi")
    if kind == "ridge":
        width, depth = draw(1.0, 1.4), draw(1.2, 1.8)
        yield "cloth", extrude([(-width / 2, 0), (0, tall), (width / 2, 0)], depth).taper(draw(0.85, 1)), cloth
        yield "door", extrude([(-0.16 * width, 0), (0, 0.75 * tall), (0.16 * width, 0)], depth * 1.01), dark
        yield (
            "pole",
            both(cylinder(0.02, tall + 0.1).move(y=depth / 2), "y")
            + rod((0, -depth / 2, tall), (0, depth / 2, tall), 0.02),
            draw.wood(),
        )
        yield (
            "rope",
            corners(rod((0, 0, 0.75 * tall), (0.5, 0.25, 0), 0.008, sides=4), 0.15, depth / 2),
            draw.cloth(*PALES),
        )
    elif kind == "dome":
        radius = draw(0.6, 0.8)
        profile = arc(radius, 0, 90, 12, tall)
        sides = draw.pick(6, 8)
        yield "cloth", lathe(profile, sides), cloth
        arch = in_plane(arc(radius * 1.01, 0, 180, 20, tall * 1.01), "y")
        yield "pole", around(tube(arch, 0.015, 6), sides // 2, 0), draw.dark()
        door = np.concatenate([[(-0.22, 0), (0.22, 0)], arc(0.22, 0, 180, 10, 0.6 * tall)])
        yield "door", extrude(door, 0.5).move(y=-0.62 * radius), dark
        yield "porch", extrude(door * (1.25, 1.2), 0.44).move(y=-0.6 * radius), draw.pick(cloth, draw.cloth())
    else:
        radius = draw(0.55, 0.75)
        yield "cloth", cylinder(radius, 1.5 * tall, 0.06, sides=12), cloth
        yield (
            "pole",
            around(rod((0.07, 0, 1.42 * tall), (-0.12, 0.03, 1.85 * tall), 0.018, sides=6), draw.whole(5, 8)),
            draw.wood(),
        )
        yield (
            "door",
            extrude([(-0.2, 0), (0, 0.9 * tall), (0.2, 0)], 0.02)
            .turn("x", -np.degrees(np.arctan2(radius - 0.06, 1.5 * tall)))
            .move(y=-radius),
            dark,
        )
        yield (
            "band",
            lathe(
                [
                    (radius * 0.5, 0.15 * tall),
                    (0.925 * radius, 0.15 * tall),
                    (0.86 * radius, 0.27 * tall),
                    (radius * 0.5, 0.27 * tall),
                ],
                12,
            ),
            draw.finish("stripes"),
        )


@category("bridge")
def bridge(draw: Draw) -> Pieces:
    span, width, thick = draw(2.2, 2.8), draw(0.35, 0.55), 0.08
    stone = draw.finish(draw.pick("brick", "granite", "leather"), "#a8a095", "#a8523a", "#c8b890", "#7f7c78")
    kind = draw.pick("arch", "suspension", "arch")
    half = span / 2
    if kind == "arch":
        arches, rise, deep = draw.whole(1, 4), draw(0.05, 0.25), draw(0.4, 0.6)
        top = np.array([(x, rise * (1 - (x / half) ** 2)) for x in np.linspace(half, -half, 14)])
        each = span / arches
        holes = [
            arc(0.4 * each, 180, 0, 9, min(0.75 * deep, 0.42 * each)) + (-half + (k + 0.5) * each, -deep)
            for k in range(arches)
        ]
        yield (
            "arch",
            extrude(np.concatenate([top + (0, 0.02), [(-half, -deep)], *holes, [(half, -deep)]]), width),
            stone,
        )
        rail = np.concatenate([top + (0, 0.14), top[::-1]])
        yield "parapet", both(extrude(rail, 0.05).move(y=width / 2 - 0.02), "y"), stone
        road = np.concatenate([top + (0, 0.04), top[::-1]])
        yield "road", extrude(road, width - 0.1), draw.finish("granite", "#4a4a4c", "#6a655f")
    else:
        red = draw.metal("#b83a28", "#8a9098", "#3f6a5a", "#4a4d50")
        yield "road", box(span, width, thick), draw.finish("granite", "#4a4a4c", "#6a655f")
        tall, x = draw(0.7, 1.0), 0.28 * span
        tower = both(box(0.08, 0.07, tall + 0.4).move(y=width / 2 + 0.02, z=-0.4), "y")
        yield (
            "tower",
            both((tower + at(box(0.06, width, 0.06), [(0, 0, 0.4 * tall), (0, 0, tall - 0.06)])).move(x=x)),
            red,
        )
        middle = np.stack([np.linspace(-x, x, 17), 0.12 + (tall - 0.14) * np.linspace(-1, 1, 17) ** 2], axis=1)
        line = np.concatenate([[(-half, 0.08)], middle, [(half, 0.08)]])
        cables = tube(in_plane(line, "y", width / 2 + 0.02), 0.018, 6)
        hangers = join(
            [rod((a, width / 2 + 0.02, 0), (a, width / 2 + 0.02, b), 0.006, sides=4) for a, b in middle[1:-1]]
        )
        yield "cable", both(cables + hangers, "y"), red


@category("street lamp")
def street_lamp(draw: Draw) -> Pieces:
    tall, iron = draw(1.5, 2.1), draw.metal("#2a3a33", "#3a3d40", "#8a9098", "#20262e")
    glow, heads = draw.plastic("#fff0c0", "#f8f4e8", "#ffd890"), draw.whole(1, 2)
    yield "post", lathe([(0.12, 0), (0.12, 0.06), (0.07, 0.14), (0.045, 0.4), (0.035, tall)], 14), iron
    if draw.chance():
        out = draw(0.3, 0.5)
        arm = in_plane(np.concatenate([[(0, tall - 0.15)], arc(out, 180, 60, 10, 0.3) + (out, tall)]), "y")
        head = superellipsoid(0.34, 0.14, 0.08, 0.7, 0.5, 16, 8).move(1.6 * out, 0, tall + 0.24)
        bulb = superellipsoid(0.26, 0.1, 0.05, 0.7, 0.5, 12, 7).move(1.6 * out, 0, tall + 0.205)
        for name, form, finish in (("arm", tube(arm, 0.025, 8), iron), ("head", head, iron), ("glass", bulb, glow)):
            yield name, form if heads == 1 else both(form), finish
    else:
        lantern = lathe([(0.06, 0), (0.12, 0.26), (0.0, 0.26)], draw.pick(4, 6, 8))
        hood = lathe([(0.16, 0.26), (0.1, 0.36), (0.02, 0.4), (0.0, 0.46)], 16)
        if heads == 1:
            yield "glass", lantern.move(z=tall), glow
            yield "hood", hood.move(z=tall), iron
        else:
            yield (
                "arm",
                both(
                    tube(in_plane(curve([(0, tall - 0.25), (0.2, tall - 0.3), (0.3, tall - 0.12)], 9), "y"), 0.02, 7)
                ),
                iron,
            )
            yield "glass", both(lantern.move(x=0.3, z=tall - 0.14)), glow
            yield "hood", both(hood.move(x=0.3, z=tall - 0.14)), iron
            yield "finial", ellipsoid(0.1, 0.1, 0.16, 10, 8).move(z=tall), iron


@category("fire hydrant")
def fire_hydrant(draw: Draw) -> Pieces:
    tall, radius, paint = (
        draw(0.7, 0.95),
        draw(0.15, 0.19),
        draw.metal("#c8281c", "#d0342c", "#e8b020", "#2f6fc4", "#b8322a"),
    )
    second = draw.pick(paint, draw.metal(), draw.plastic("#f0ede4", "#e8b020", "#20262e"))
    yield (
        "barrel",
        lathe(
            [
                (1.5 * radius, 0),
                (1.5 * radius, 0.06),
                (radius, 0.06),
                (radius, tall),
                (1.25 * radius, tall),
                (1.25 * radius, tall + 0.05),
                (radius, tall + 0.05),
            ]
        ),
        paint,
    )
    dome = arc(radius * 1.02, 0, 90, 9, draw(0.12, 0.2))
    yield "bonnet", lathe(dome).move(z=tall + 0.05), second
    yield "nut", cylinder(0.045, 0.08, sides=5).move(z=tall + 0.05 + dome[-1, 1] - 0.01), second
    outlet = (
        cylinder(0.09, 0.12, sides=16)
        + cylinder(0.11, 0.05, sides=8).move(z=0.1)
        + cylinder(0.03, 0.05, sides=5).move(z=0.15)
    )
    side = outlet.turn("y", 90).move(x=radius - 0.03, z=0.68 * tall)
    yield "outlet", both(side), second
    yield "outlet", outlet.scale(1.25).turn("x", 90).move(y=-radius + 0.03, z=0.6 * tall), second
    yield (
        "bolts",
        around(cylinder(0.02, 0.03, sides=6).move(x=1.35 * radius, z=0.06), 8)
        + around(cylinder(0.016, 0.03, sides=6).move(x=1.12 * radius, z=tall + 0.045), 8),
        draw.metal(),
    )
    if draw.chance():
        yield (
            "chain",
            tube(
                in_plane(
                    curve(
                        [(radius + 0.06, 0.68 * tall), (radius + 0.02, 0.45 * tall), (0.6 * radius, 0.5 * tall)], 9
                    ),
                    "y",
                    -0.12,
                ),
                0.012,
                5,
            ),
            draw.metal(),
        )


@category("traffic cone")
def traffic_cone(draw: Draw) -> Pieces:
    tall, radius, top = draw(0.7, 1.1), draw(0.2, 0.28), draw(0.035, 0.06)
    paint, white = draw.plastic("#f0641e", "#e8502a", "#f2a020", "#d8e030"), draw.plastic("#f5f2ea")
    side = draw(2.3, 2.9) * radius
    yield (
        "base",
        (
            box(side, side, 0.06, bevel=0.02)
            if draw.chance(0.75)
            else cylinder(0.55 * side, 0.06, bevel=0.02, sides=draw.pick(8, 28))
        ),
        draw.pick(paint, draw.dark()),
    )
    yield "cone", _hollow_cone(radius, top, tall), paint
    for low in draw.pick((0.5,), (0.3, 0.6), (0.2, 0.45, 0.7)):
        high = low + draw(0.1, 0.17)
        a, b = (0.01 + radius + (top - radius) * k for k in (low, high))
        z, upper = 0.04 + low * (tall - 0.04), 0.04 + high * (tall - 0.04)
        yield "band", lathe([(0.5 * a, z), (a, z), (b, upper), (0.5 * b, upper)], 28), white


def _hollow_cone(radius: float, top: float, tall: float) -> Form:
    """The cone itself, with a hole in its tip."""
    return lathe([(radius, 0.04), (top, tall), (0.7 * top, tall), (0.6 * top, tall - 0.08), (0, tall - 0.08)], 28)


@category("mailbox")
def mailbox(draw: Draw) -> Pieces:
    paint = draw.metal("#c8281c", "#274690", "#9ba1a8", "#2f5a3f", "#e8b020", "#f0ede4")
    if draw.chance(0.6):
        width, depth, tall, high = draw(0.24, 0.32), draw(0.45, 0.6), draw(0.15, 0.2), draw(0.7, 1.0)
        outline = np.concatenate([[(-width / 2, 0), (width / 2, 0)], arc(width / 2, 0, 180, 12) + (0, tall)])
        yield "box", extrude(outline, depth).move(z=high), paint
        yield "door", extrude(outline * 1.04, 0.03).move(y=-depth / 2, z=high - 0.005), draw.pick(paint, draw.metal())
        yield "handle", box(0.05, 0.05, 0.03).move(y=-depth / 2 - 0.03, z=high + tall + 0.03), draw.metal()
        flag = box(0.015, 0.03, 0.2) + box(0.015, 0.12, 0.07).move(y=0.05, z=0.16)
        yield (
            "flag",
            flag.turn("x", draw.pick(0, 90)).move(width / 2 + 0.01, -0.05, high + tall * 0.6),
            draw.plastic("#d0342c"),
        )
        post = box(0.09, 0.09, high, bevel=0.01) if draw.chance() else cylinder(0.045, high)
        yield "post", post, draw.wood()
    else:
        radius, tall = draw(0.2, 0.27), draw(0.8, 1.1)
        yield "box", cylinder(radius, tall, sides=28), paint
        yield (
            "cap",
            lathe(
                [(1.12 * radius, tall), (1.12 * radius, tall + 0.05), (0.8 * radius, tall + 0.12), (0, tall + 0.15)],
                28,
            ),
            paint,
        )
        yield "plinth", cylinder(1.1 * radius, 0.12, sides=28), draw.dark()
        yield "slot", box(1.1 * radius, 0.08, 0.05).move(y=-radius + 0.02, z=0.85 * tall), draw.dark()
        yield "notice", box(0.7 * radius, 0.06, 0.18).move(y=-radius + 0.02, z=0.58 * tall), draw.plastic(*PALES)
