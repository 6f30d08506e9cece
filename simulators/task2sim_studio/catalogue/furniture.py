"""Things to sit at, lie on and keep things in."""

from __future__ import annotations

import numpy as np

from task2sim_studio.catalogue.drawing import BRASS, PALES, Draw, Pieces, category
from task2sim_studio.forms import (
    Form,
    around,
    at,
    box,
    corners,
    curve,
    cylinder,
    in_plane,
    join,
    lathe,
    rod,
    superellipsoid,
    torus,
    tube,
)


def _leg(draw: Draw, height: float, thickness: float) -> Form:
    """A leg that stands on the origin: square, tapered, round or turned."""
    kind = draw.whole(0, 3)
    if kind == 0:
        return box(thickness, thickness, height, bevel=0.1 * thickness)
    if kind == 1:
        return box(0.6 * thickness, 0.6 * thickness, height).taper(1.7)
    if kind == 2:
        return cylinder(0.35 * thickness, height, top=0.6 * thickness, sides=12)
    knobs = np.array([0.3, 0.5, 0.35, 0.6, 0.4, 0.6, 0.3, 0.55, 0.55]) * draw.many(9, 0.85, 1.15)
    return lathe(np.stack([thickness * knobs, np.linspace(0, height, 9)], axis=1), 12)


@category("chair")
def chair(draw: Draw) -> Pieces:
    width, depth, height, back = draw(0.42, 0.56), draw(0.42, 0.52), draw(0.4, 0.5), draw(0.4, 0.65)
    thick, wood = draw(0.035, 0.05), draw.pick(draw.wood, draw.plastic, draw.metal)()
    seat = draw.pick(wood, draw.cloth(), draw.leather())
    x, y = width / 2 - 0.04, depth / 2 - 0.04
    yield "seat", box(width, depth, draw(0.03, 0.08), bevel=0.015).move(z=height), seat
    if draw.chance(0.75):
        spread = draw(0, 6)
        yield "leg", corners(_leg(draw, height, thick).move(z=-height).turn("y", -spread).move(z=height), x, y), wood
    else:
        foot = around(box(0.28, 0.04, 0.03, bevel=0.01).move(x=0.14), draw.whole(3, 5))
        yield "leg", foot + cylinder(0.03, height), wood
    lean = draw(3, 14)
    uprights = at(box(thick, thick, back, bevel=0.005), [(-x, 0, 0), (x, 0, 0)])
    kind = draw.pick("slats", "bars", "solid", "solid")
    if kind == "slats":
        count = draw.whole(2, 5)
        filling = at(box(2 * x, 0.02, back / (2.2 * count)), [(0, 0, back * (k + 0.6) / count) for k in range(count)])
    elif kind == "bars":
        count = draw.whole(3, 7)
        bars = at(
            cylinder(0.011, back, sides=8), in_plane([(k, 0) for k in np.linspace(-x, x, count + 2)[1:-1]], "y")
        )
        filling = bars + box(2 * x + thick, 0.035, 0.07, bevel=0.01).move(z=back - 0.035)
    else:
        filling = superellipsoid(2 * x, 0.04, back * 0.75, 0.3, 0.3).move(z=back * 0.62)
    frame = (uprights + filling).turn("x", -lean).move(y=y, z=height)
    yield "back", frame, seat if kind == "solid" and draw.chance() else wood
    if draw.chance(0.35):
        rest = box(0.05, depth, 0.03, bevel=0.01).move(z=0.2) + box(0.03, 0.03, 0.2).move(y=-depth / 2 + 0.04)
        yield "arm", at(rest, [(-x - 0.02, 0, height), (x + 0.02, 0, height)]), wood


@category("stool")
def stool(draw: Draw) -> Pieces:
    height, radius = draw(0.45, 0.8), draw(0.16, 0.22)
    finish = draw.pick(draw.wood, draw.metal, draw.plastic)()
    thick = draw(0.03, 0.07)
    top = (
        cylinder(radius, thick, bevel=0.3 * thick, sides=28)
        if draw.chance(0.7)
        else box(2 * radius, 1.7 * radius, thick, 0.01)
    )
    yield "seat", top.move(z=height), draw.pick(finish, draw.leather(), draw.cloth())
    if draw.chance(0.25):
        yield "leg", cylinder(0.03, height) + cylinder(radius, 0.03, 0.05), finish
        return
    count, spread = draw.whole(3, 4), draw(1.0, 1.4)
    yield (
        "leg",
        around(rod((radius * spread, 0, 0), (0.7 * radius, 0, height), draw(0.013, 0.025)), count, 45),
        finish,
    )
    if draw.chance(0.7):
        level = draw(0.25, 0.5)
        yield (
            "ring",
            torus(radius * (spread + (0.7 - spread) * level), 0.01, section=6).move(z=level * height),
            finish,
        )


@category("table")
def table(draw: Draw) -> Pieces:
    length, width, height = draw(0.9, 1.9), draw(0.7, 0.95), draw(0.45, 0.78)
    thick, wood = draw(0.025, 0.06), draw.wood()
    top_finish = draw.pick(wood, wood, draw.finish("marble", *PALES), draw.finish("granite"), draw.plastic(*PALES))
    if draw.chance(0.35):
        top = lathe([(width / 2 - 0.01, 0), (width / 2, 0.01), (width / 2, thick)], 36)
        top = top.scale(draw.pick(1.0, draw(1.0, 1.6)), 1, 1)
        length = 0.72 * float(np.ptp(top.vertices[:, 0]))
        width *= 0.72
    else:
        top = box(length, width, thick, bevel=0.008)
    yield "top", top.move(z=height), top_finish
    if draw.chance(0.7):
        leg = _leg(draw, height, draw(0.05, 0.09))
        yield "leg", corners(leg, length / 2 - 0.07, width / 2 - 0.07), wood
        if draw.chance(0.6):
            rail = box(length - 0.15, 0.025, 0.09).move(y=width / 2 - 0.08, z=height - 0.09)
            yield "rail", rail + rail.mirror("y"), wood
    else:
        foot = around(
            tube(curve([(0.05, 0, 0.15), (0.15, 0, 0.06), (0.32, 0, 0)], 7), [0.03] * 6 + [0.02], 8), draw.whole(3, 5)
        )
        yield "leg", cylinder(0.05, height) + foot, wood


@category("desk")
def desk(draw: Draw) -> Pieces:
    length, width, height = draw(1.1, 1.6), draw(0.55, 0.75), draw(0.7, 0.78)
    wood, handle = draw.wood(), draw.metal()
    yield "top", box(length, width, 0.04, bevel=0.008).move(z=height), wood
    sides = draw.pick((1,), (-1,), (-1, 1))
    cabinet, count = draw(0.32, 0.42), draw.whole(2, 4)
    for side in (-1, 1):
        if side in sides:
            x = side * (length / 2 - cabinet / 2 - 0.02)
            yield "cabinet", box(cabinet, width - 0.06, height - 0.05).move(x, 0, 0.05), wood
            step = (height - 0.08) / count
            levels = [(x, -width / 2 + 0.02, 0.07 + k * step) for k in range(count)]
            yield (
                "drawer",
                at(box(cabinet - 0.05, 0.03, step - 0.025, bevel=0.006), levels),
                draw.pick(wood, draw.wood()),
            )
            yield "handle", at(box(0.12, 0.03, 0.015).move(y=-0.03, z=step * 0.5), levels), handle
        else:
            legs = at(box(0.05, 0.05, height), [(0, -width / 2 + 0.05, 0), (0, width / 2 - 0.05, 0)])
            yield "leg", legs.move(x=side * (length / 2 - 0.05)), draw.pick(wood, handle)
    if draw.chance():
        yield "rail", box(length - 0.1, 0.02, 0.35).move(y=width / 2 - 0.06, z=height - 0.36), wood


@category("sofa")
def sofa(draw: Draw) -> Pieces:
    seats, each, depth = draw.whole(2, 4), draw(0.55, 0.7), draw(0.8, 1.0)
    width, base, arm = seats * each, draw(0.25, 0.34), draw(0.12, 0.25)
    cloth = draw.pick(draw.leather, draw.cloth)()
    yield "base", box(width, depth, base - 0.1, bevel=0.03).move(z=0.1), cloth
    places = [((k + 0.5) * each - width / 2, 0, 0) for k in range(seats)]
    cushion = superellipsoid(each * 0.99, depth * 0.8, 0.18, 0.45, 0.2).move(y=-0.08, z=base + 0.07)
    yield "cushion", at(cushion, places), draw.pick(cloth, draw.cloth())
    high = draw(0.35, 0.55)
    back = superellipsoid(each * 0.99, 0.2, high, 0.3, 0.35).turn("x", -10).move(y=depth / 2 - 0.2, z=base + high / 2)
    yield (
        "back",
        at(back, places) + box(width, 0.14, high * 0.8 + 0.1, bevel=0.04).move(y=depth / 2 - 0.07, z=base - 0.1),
        cloth,
    )
    rest = box(arm, depth, draw(0.4, 0.55), bevel=draw(0.03, 0.08)).move(x=width / 2 + arm / 2, z=0.08)
    yield "arm", rest + rest.mirror(), cloth
    yield "foot", corners(cylinder(0.025, 0.1, 0.035, sides=10), width / 2, depth / 2 - 0.06), draw.wood()


@category("bed")
def bed(draw: Draw) -> Pieces:
    width, length, height, wood = draw(0.9, 1.8), draw(1.9, 2.15), draw(0.25, 0.4), draw.wood()
    yield "frame", box(width, length, 0.14, bevel=0.02).move(z=height - 0.1), wood
    yield "leg", corners(_leg(draw, height - 0.08, 0.09), width / 2 - 0.06, length / 2 - 0.06), wood
    yield (
        "mattress",
        superellipsoid(width * 0.97, length * 0.97, 0.26, 0.3, 0.12).move(z=height + 0.12),
        draw.cloth(*PALES),
    )
    fold = draw(0.5, 0.75)
    blanket = superellipsoid(width * 1.03, length * fold, 0.27, 0.3, 0.1)
    yield "blanket", blanket.move(y=-length * (1 - fold) / 2 - 0.01, z=height + 0.14), draw.cloth()
    pillow = (
        superellipsoid(draw(0.45, 0.6), 0.38, 0.17, 0.8, 0.4)
        .turn("x", -15)
        .move(y=length / 2 - 0.28, z=height + 0.33)
    )
    yield "pillow", pillow if width < 1.3 else at(pillow, [(-width / 4, 0, 0), (width / 4, 0, 0)]), draw.cloth(*PALES)
    for y, tall in ((length / 2, draw(0.35, 0.8)), (-length / 2, draw(0.0, 0.3))):
        board: Form = box(width, 0.06, height + tall, bevel=0.02)
        if draw.chance(0.4):
            posts = at(cylinder(0.04, height + tall + 0.08, bevel=0.02), [(-width / 2, 0, 0), (width / 2, 0, 0)])
            slats = at(
                box(0.05, 0.03, tall + 0.1),
                [(x, 0, height - 0.05) for x in np.linspace(-width / 2.2, width / 2.2, 7)],
            )
            board = posts + slats + box(width, 0.05, 0.08).move(z=height + tall - 0.05)
        yield "board", board.move(y=y), wood


@category("bookshelf")
def bookshelf(draw: Draw) -> Pieces:
    width, depth, height = draw(0.6, 1.1), draw(0.25, 0.35), draw(1.1, 2.0)
    wood, levels = draw.wood(), draw.whole(3, 6)
    yield "side", at(box(0.04, depth, height), [(-width / 2, 0, 0), (width / 2, 0, 0)]), wood
    step = (height - 0.1) / levels
    yield "shelf", at(box(width, depth, 0.03), [(0, 0, 0.05 + k * step) for k in range(levels + 1)]), wood
    if draw.chance(0.7):
        yield "back", box(width, 0.02, height).move(y=depth / 2), wood
    piles: list[list[Form]] = [[], [], []]
    for k in range(levels):
        x, end = -width / 2 + 0.04, width / 2 - draw(0.04, 0.5 * width)
        while x < end:
            thick = draw(0.02, 0.055)
            book = box(thick * 0.92, depth * draw(0.6, 0.85), step * draw(0.55, 0.88))
            piles[draw.whole(0, 2)].append(book.move(x + thick / 2, -0.02, 0.08 + k * step))
            x += thick
    for k, pile in enumerate(piles):
        if pile:
            yield f"books {k + 1}", join(pile), draw.plastic()


@category("wardrobe")
def wardrobe(draw: Draw) -> Pieces:
    width, depth, height = draw(0.9, 1.7), draw(0.5, 0.65), draw(1.5, 2.1)
    wood, foot, doors = draw.wood(), draw(0.04, 0.14), draw.whole(2, 4)
    drawers = draw.chance(0.4)
    bottom = 0.35 if drawers else 0.05
    yield "body", box(width, depth, height, bevel=0.01).move(z=foot), wood
    front, each = draw.pick(wood, draw.wood(), draw.wood(*PALES)), width / doors
    places = [((k + 0.5) * each - width / 2, -depth / 2, foot) for k in range(doors)]
    yield "door", at(box(each - 0.03, 0.05, height - bottom - 0.05, bevel=0.012).move(z=bottom), places), front
    panels = draw.whole(0, 2)
    if panels:
        tall = (height - bottom - 0.05) / panels
        inlay = [(0, -0.03, bottom + tall * (k + 0.1)) for k in range(panels)]
        yield "panel", at(at(box(each * 0.65, 0.02, tall * 0.8, bevel=0.02), inlay), places), wood
    knob = superellipsoid(0.05, 0.06, draw.pick(0.05, 0.3), 1, 1, 10, 7)
    shift = [
        (x + (0.4 if k % 2 == 0 else -0.4) * each, y - 0.06, z + height * 0.5) for k, (x, y, z) in enumerate(places)
    ]
    yield "handle", at(knob, shift), draw.metal(*BRASS)
    if drawers:
        yield "drawer", box(width - 0.04, 0.05, bottom - 0.08, bevel=0.012).move(y=-depth / 2, z=foot + 0.04), front
    yield "foot", corners(box(0.08, 0.08, foot), width / 2 - 0.05, depth / 2 - 0.05), wood
    if draw.chance(0.6):
        yield "cornice", box(width + 0.08, depth + 0.08, 0.07).taper(draw(1.0, 1.06)).move(z=foot + height), wood


def _shade(draw: Draw) -> Form:
    """A lamp shade about the z axis, open at both ends, 1 in radius."""
    top, height, wall = draw(0.35, 0.95), draw(0.9, 1.6), 0.04
    if draw.chance(0.3):
        outside = curve([(1, 0), (0.85, 0.6 * height), (0.3, height)], 9)
    else:
        outside = np.array([(1, 0), (top, height)])
    return lathe([*outside, *(outside[::-1] - (wall, 0))], draw.pick(6, 24, 24, 32), loop=True)


@category("lamp")
def lamp(draw: Draw) -> Pieces:
    radius, metal = draw(0.16, 0.26), draw.pick(draw.metal, draw.dark, draw.ceramic, draw.wood)()
    floor = draw.chance(0.4)
    height = draw(1.0, 1.4) if floor else draw(0.3, 0.5)
    yield (
        "shade",
        _shade(draw).scale(radius).move(z=height),
        draw.cloth("#f2e6c9", "#e9d8b0", "#f5f0e0", "#d9a066", "#c0504d", "#7fa3b5"),
    )
    if floor or draw.chance(0.3):
        yield "stand", cylinder(0.014, height + 0.1) + cylinder(draw(0.12, 0.17), 0.03, 0.1), metal
    else:
        bulge = np.array([0.1, 0.12, draw(0.05, 0.13), draw(0.05, 0.14), draw(0.03, 0.1), 0.02])
        body = lathe(curve(np.stack([bulge, np.linspace(0, height, 6)], axis=1), 18))
        yield "stand", body + cylinder(0.012, 0.12).move(z=height), metal
    bulb = superellipsoid(0.11, 0.11, 0.13, 1, 1, 12, 8).move(z=height + 0.5 * radius)
    yield "bulb", bulb + cylinder(0.012, 0.4 * radius).move(z=height), draw.plastic("#fff6d8")


@category("bench")
def bench(draw: Draw) -> Pieces:
    length, depth, height = draw(1.2, 1.9), draw(0.36, 0.48), draw(0.4, 0.48)
    wood, frame = draw.wood(), draw.pick(draw.metal("#3a3d40", "#4a4f4a", "#2f3a33"), draw.wood())
    planks = draw.whole(3, 5)
    each = depth / planks
    places = [(0, (k + 0.5) * each - depth / 2, height) for k in range(planks)]
    yield "seat", at(box(length, each * 0.8, 0.035, bevel=0.006), places), wood
    x = length / 2 - draw(0.1, 0.25)
    legs = at(box(0.05, 0.05, height), [(-x, -depth / 2 + 0.05, 0), (x, -depth / 2 + 0.05, 0)]).mirror("y")
    yield (
        "leg",
        legs + legs.mirror("y") + at(box(0.05, depth, 0.05), [(-x, 0, height - 0.05), (x, 0, height - 0.05)]),
        frame,
    )
    if draw.chance(0.8):
        tall, slats = draw(0.35, 0.5), draw.whole(2, 4)
        back = at(
            box(length, 0.03, tall / slats * 0.6, bevel=0.006),
            [(0, -0.02, tall * (k + 0.4) / slats) for k in range(slats)],
        )
        stays = at(box(0.05, 0.03, tall * 1.05), [(-x, 0.01, 0), (x, 0.01, 0)])
        yield "back", back.turn("x", -12).move(y=depth / 2, z=height), wood
        yield "stay", stays.turn("x", -12).move(y=depth / 2, z=height), frame
        if draw.chance():
            arm = box(0.05, depth, 0.04).move(z=0.22) + box(0.04, 0.04, 0.22).move(y=-depth / 2 + 0.05)
            yield "arm", at(arm, [(-x, 0, height), (x, 0, height)]), frame
