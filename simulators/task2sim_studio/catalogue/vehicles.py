"""Things that drive, sail and fly. They are built looking towards -x."""

from __future__ import annotations

import numpy as np

from task2sim_studio.catalogue.drawing import PALES, Draw, Pieces, category
from task2sim_studio.forms import (
    Floats,
    Form,
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
    leaf,
    rod,
    rounded,
    skin,
    superellipsoid,
    torus,
    tube,
)

GLASS = ("#2a3a48", "#3a4a58", "#1f2a33", "#5a7a8f")


def _wheel(radius: float, width: float) -> tuple[Form, Form]:
    """A tyre about the y axis, and its hub."""
    tyre = lathe(
        [
            (0.55 * radius, -width / 2),
            (0.9 * radius, -width / 2),
            (radius, -0.3 * width),
            (radius, 0.3 * width),
            (0.9 * radius, width / 2),
            (0.55 * radius, width / 2),
        ],
        24,
        loop=True,
    )
    hub = cylinder(0.6 * radius, 0.8 * width, sides=16).move(z=-0.4 * width) + cylinder(
        0.15 * radius, width * 1.05, sides=8
    ).move(z=-0.525 * width)
    return tyre.turn("x", 90), hub.turn("x", 90)


def _wheels(draw: Draw, radius: float, width: float, places: list[tuple[float, float]]) -> Pieces:
    """Wheels on both sides at each (x, distance from the middle)."""
    tyre, hub = _wheel(radius, width)
    points = [(x, side * y, radius) for x, y in places for side in (-1, 1)]
    yield "tyre", at(tyre, points), draw.dark()
    yield "hub", at(hub, points), draw.metal()


@category("car", looks="-x")
def car(draw: Draw) -> Pieces:
    length, width, belt, roof, radius = (
        draw(1.7, 2.2),
        draw(0.78, 0.9),
        draw(0.48, 0.56),
        draw(0.72, 0.92),
        draw(0.17, 0.22),
    )
    paint, low, nose = draw.plastic(), 0.6 * radius, draw(0.24, 0.32)
    hood, front, back = draw(0.16, 0.3) * length, draw(0.14, 0.24), draw(0.04, 0.22)
    tail = draw.pick(0.03, draw(0.1, 0.22)) * length
    half = length / 2
    side = [
        (-half, low),
        (-half, nose + 0.08),
        (-half + 0.1, belt - 0.07),
        (-half + hood, belt),
        (half - tail, belt),
        (half - 0.02, belt - 0.03),
        (half, low),
    ]
    yield "body", extrude(rounded(side, 0.08, 3), width, 0.06), paint
    cabin = rounded(
        [
            (-half + hood, belt - 0.04),
            (-half + hood + front, roof - 0.02),
            (half - tail - back, roof - 0.02),
            (half - tail, belt - 0.04),
        ],
        0.06,
        3,
    )
    yield (
        "glass",
        extrude(cabin, 0.92 * width, 0.02).shift("y", lambda x, y, z: -0.5 * y * np.clip(z - belt, 0, 1)),
        draw.plastic(*GLASS),
    )
    x0, x1 = -half + hood + front, half - tail - back
    top = superellipsoid(x1 - x0 + 0.08, 0.87 * width, 0.06, 0.4, 0.3).move(x=(x0 + x1) / 2, z=roof - 0.01)
    yield "roof", top, paint
    pillars = [
        rod((a, 0.46 * width, belt - 0.03), (b, 0.41 * width, roof - 0.02), 0.025, sides=6)
        for a, b in ((x0 - front, x0), ((x0 + x1) / 2, (x0 + x1) / 2), (x1 + back, x1))
    ]
    yield "pillar", both(join(pillars), "y"), paint
    axle = draw(0.29, 0.33) * length
    yield from _wheels(draw, radius, 0.14, [(-axle, width / 2 - 0.04), (axle, width / 2 - 0.04)])
    lamp = ellipsoid(0.08, 0.16, 0.09, 12, 8).move(-half + 0.02, 0.33 * width, nose + 0.06)
    yield "headlamp", both(lamp, "y"), draw.plastic("#f5f0d8")
    yield (
        "tail lamp",
        both(box(0.04, 0.14, 0.07).move(half - 0.02, 0.35 * width, nose + 0.04), "y"),
        draw.plastic("#b81a1a"),
    )
    yield (
        "bumper",
        both(box(0.06, width * 0.95, 0.07, bevel=0.02).move(x=half, z=low + 0.02)),
        draw.pick(draw.metal(), draw.dark(), paint),
    )


@category("bus", looks="-x")
def bus(draw: Draw) -> Pieces:
    length, width, tall, radius = draw(2.2, 3.0), draw(0.68, 0.8), draw(0.75, 0.95), 0.15
    decks = draw.pick(1, 1, 2)
    paint, glass = draw.plastic(), draw.plastic(*GLASS)
    whole = tall * (1 if decks == 1 else 1.6)
    yield "body", superellipsoid(length, width, whole, 0.12, 0.12, 32, 14).move(z=radius + whole / 2 - 0.04), paint
    if draw.chance(0.6):
        yield "stripe", box(length * 0.98, width * 1.01, draw(0.05, 0.12)).move(z=radius + 0.12), draw.plastic()
    windows = draw.whole(5, 8)
    step = length * 0.86 / windows
    for deck in range(decks):
        z = radius + (0.42 if deck == 0 else 0.42 + 0.62 * tall) * (tall if deck == 0 else 1)
        pane = box(step * 0.84, width * 1.02, 0.3 * tall, bevel=0.01)
        yield "window", at(pane, [((k - windows / 2 + 0.5) * step, 0, z) for k in range(windows)]), glass
        yield "window", box(length * 1.006, width * 0.82, 0.34 * tall, bevel=0.01).move(z=z - 0.01), glass
    yield from _wheels(draw, radius, 0.12, [(-0.33 * length, width / 2 - 0.05), (0.3 * length, width / 2 - 0.05)])
    yield (
        "headlamp",
        both(cylinder(0.05, 0.03, sides=12).turn("y", -90).move(-length / 2, 0.33 * width, radius + 0.12), "y"),
        draw.plastic("#f5f0d8"),
    )
    yield "door", box(0.2, 0.02, 0.6 * tall).move(-0.42 * length, -width / 2 - 0.005, radius + 0.04), draw.dark()


@category("truck", looks="-x")
def truck(draw: Draw) -> Pieces:
    load, cab, width, radius = draw(1.1, 1.9), draw(0.42, 0.55), draw(0.66, 0.78), draw(0.15, 0.19)
    tall, paint = draw(0.75, 0.95), draw.plastic()
    start = -load / 2 - cab - 0.06
    yield "chassis", box(load + cab, 0.3, 0.1).move(x=-cab / 2, z=radius), draw.dark()
    slant = draw(0.03, 0.16)
    side = [(0, 0.14), (0, 0.5 * tall), (slant, tall), (cab, tall), (cab, 0.14)]
    yield "cab", extrude(rounded(side, 0.06, 3), width, 0.03).move(x=start), paint
    yield "window", box(cab * 0.45, width * 1.01, 0.24).move(start + cab * 0.42, 0, 0.55 * tall), draw.plastic(*GLASS)
    low, high = np.array((0, 0.5 * tall)), np.array((slant, tall))
    front = np.array([low + (high - low) * t for t in (0.1, 0.78)])
    pane = np.concatenate([front - (0.012, 0), front[::-1] + (0.05, 0)])
    yield "windscreen", extrude(pane, width * 0.86).move(x=start), draw.plastic(*GLASS)
    kind = draw.pick("box", "box", "tank", "flat", "tipper")
    cargo = draw.plastic(*PALES, "#d0342c", "#2f6fc4", "#e8722a", "#4f9d4a")
    if kind == "box":
        yield "cargo", box(load, width * 1.05, draw(0.75, 1.0), bevel=0.015).move(z=radius + 0.1), cargo
    elif kind == "tank":
        tank = lathe(
            [
                (0, 0),
                (0.4 * width, 0.02),
                (0.48 * width, 0.1),
                (0.48 * width, load - 0.1),
                (0.4 * width, load - 0.02),
                (0, load),
            ]
        )
        yield "cargo", tank.turn("y", 90).move(-load / 2, 0, radius + 0.1 + 0.48 * width), draw.metal()
    elif kind == "flat":
        yield "cargo", box(load, width, 0.05).move(z=radius + 0.1), draw.wood()
        log = cylinder(0.12, load * 0.95, sides=12).turn("y", 90)
        rows = [(0, y, radius + 0.27) for y in (-0.24, 0, 0.24)] + [(0, y, radius + 0.48) for y in (-0.12, 0.12)]
        yield "logs", at(log.move(x=-load * 0.475), rows), draw.finish("bark", "#6e5540", "#8a6a4a", "#5b4330")
    else:
        bed = [(-load / 2, 0), (-load / 2 - 0.02, 0.5), (load / 2 + 0.1, 0.5), (load / 2 - 0.12, 0)]
        yield "cargo", extrude(bed, width).move(z=radius + 0.1), cargo
        yield (
            "sand",
            draw.lumps(ellipsoid(load * 0.9, width * 0.85, 0.4), 0.1).move(z=radius + 0.58),
            draw.finish("granite", "#b89a6a", "#8a7a6a"),
        )
    axles = [(start + cab * 0.5, width / 2 - 0.05), (load / 2 - 0.2, width / 2 - 0.05)]
    if load > 1.4:
        axles.append((load / 2 - 0.2 - 2.2 * radius, width / 2 - 0.05))
    yield from _wheels(draw, radius, 0.13, axles)
    yield "headlamp", both(box(0.03, 0.1, 0.07).move(start, 0.36 * width, 0.22), "y"), draw.plastic("#f5f0d8")


@category("bicycle", looks="-x")
def bicycle(draw: Draw) -> Pieces:
    radius, base, paint, bar = (
        draw(0.3, 0.36),
        draw(0.98, 1.15),
        draw.metal("#d0342c", "#2f6fc4", "#2a2a2e", "#4f9d4a", "#f2b632", "#f0ede4"),
        draw(0.016, 0.024),
    )
    rear, hub = (base / 2, 0, radius), (-base / 2, 0, radius)
    ends = at(torus(radius, 0.024, 32, 8).turn("x", 90), [rear, hub])
    yield "tyre", ends, draw.dark()
    yield (
        "spokes",
        at(around(rod((0, 0, 0), (radius, 0, 0), 0.004, sides=4), 14).turn("x", 90), [rear, hub]),
        draw.metal(),
    )
    pedal = np.array((0.04, 0, 0.8 * radius))
    head = np.array((-base / 2 + 0.2, 0, radius + draw(0.36, 0.44)))
    saddle = np.array((0.18, 0, radius + draw(0.36, 0.48)))
    low = head + (-0.03, 0, -0.1) if draw.chance(0.75) else head + (0.02, 0, -0.24)
    lines = [
        (pedal, saddle),
        (pedal, low),
        (saddle * (1, 1, 0.96), low),
        (pedal, np.array(rear)),
        (saddle * (1, 1, 0.94), np.array(rear)),
    ]
    yield "frame", join([rod(a, b, bar, sides=8) for a, b in lines]), paint
    steer = head + (0.03, 0, 0.1)
    yield "fork", rod(hub, head, bar, sides=8) + rod(head, steer, bar, sides=8), paint
    drop = draw.chance(0.4)
    grip = (
        [(0, 0, 0), (-0.02, 0.12, 0.02), (-0.12, 0.2, 0), (-0.1, 0.21, -0.13), (0, 0.21, -0.14)]
        if drop
        else [(0, 0, 0), (-0.03, 0.12, 0.05), (0.02, 0.24, 0.05), (0.08, 0.28, 0.04)]
    )
    yield "handlebar", both(tube(curve(grip, 10) + steer, 0.015, 7), "y"), draw.dark()
    yield (
        "saddle",
        superellipsoid(0.28, 0.14, 0.07, 0.8, 0.9, 16, 8).taper(1.5, "x").move(*(saddle + (0.02, 0, 0.05))),
        draw.leather(),
    )
    yield "stem", rod(saddle * (1, 1, 0.95), saddle + (0, 0, 0.04), 0.013), draw.metal()
    crank = rod((0, 0.05, 0), (0.12, 0.05, -0.08), 0.012) + box(0.09, 0.08, 0.02).move(0.13, 0.1, -0.09)
    yield (
        "crank",
        join([crank, crank.turn("y", 180).mirror("y"), cylinder(0.09, 0.02, sides=20).turn("x", 90)]).move(*pedal),
        draw.metal(),
    )
    if draw.chance(0.35):
        yield (
            "basket",
            box(0.26, 0.3, 0.2, bevel=0.01).taper(1.2).move(*(head + (-0.2, 0, -0.04))),
            draw.finish("knit", "#a8743f", "#8a5a2b"),
        )


@category("motorcycle", looks="-x")
def motorcycle(draw: Draw) -> Pieces:
    radius, base, paint, steel = draw(0.24, 0.28), draw(1.0, 1.2), draw.plastic(), draw.metal()
    tyre, hub = _wheel(radius, draw(0.12, 0.18))
    ends = [(-base / 2, 0, radius), (base / 2, 0, radius)]
    yield "tyre", at(tyre, ends), draw.dark()
    yield "hub", at(hub, ends), steel
    steer = np.array((-base / 2 + 0.25, 0, radius + 0.5))
    fork = rod((-base / 2, 0.09, radius), steer + (0, 0.07, 0), 0.022)
    yield "fork", both(fork, "y"), steel
    bar = curve([(0, 0, 0), (0.02, 0.15, 0.08), (0.12, 0.32, draw(0.03, 0.2))], 8)
    yield "handlebar", both(tube(bar + steer, 0.018, 7), "y"), draw.dark()
    yield "tank", superellipsoid(0.5, 0.26, 0.24, 0.8, 0.8).taper(0.75, "x").move(-0.08, 0, radius + 0.42), paint
    seat = curve([(0.05, radius + 0.4), (0.3, radius + 0.36), (0.55, radius + draw(0.4, 0.55))], 8)
    yield "seat", tube(in_plane(seat, "y"), np.tile((0.06, 0.13), (8, 1)), round_ends=True), draw.leather()
    yield (
        "engine",
        box(0.34, 0.24, 0.3, bevel=0.04).move(-0.02, 0, 0.6 * radius)
        + at(box(0.22, 0.3, 0.02), [(-0.02, 0, radius + 0.03 * k) for k in range(5)]),
        steel,
    )
    yield (
        "frame",
        rod((base / 2, 0.06, radius), (0.05, 0.06, radius + 0.32), 0.025)
        + rod((base / 2, -0.06, radius), (0.05, -0.06, radius + 0.32), 0.025)
        + rod(steer - (0, 0, 0.1), (0.0, 0, radius * 0.8), 0.03),
        draw.dark(),
    )
    yield (
        "exhaust",
        rod((0.05, -0.16, 0.7 * radius), (base / 2 + 0.12, -0.17, radius * draw(0.8, 1.3)), 0.035, 0.05),
        steel,
    )
    mud = tube(in_plane(arc(radius + 0.05, 20, 130, 10), "y"), np.tile((0.012, 0.09), (10, 1)), section=circle(1, 8))
    yield "mudguard", mud.move(base / 2, 0, radius) + mud.mirror().move(-base / 2, 0, radius), paint
    yield "headlamp", ellipsoid(0.14, 0.16, 0.16, 14, 9).move(*(steer + (-0.1, 0, -0.04))), draw.plastic("#f5f0d8")


@category("train", looks="-x")
def train(draw: Draw) -> Pieces:
    length, radius, paint, dark = draw(1.3, 1.7), draw(0.24, 0.3), draw.plastic(), draw.dark()
    z, half = 0.5, length / 2
    boiler = (
        lathe([(0, 0), (radius * 0.8, 0), (radius, 0.04), (radius, 0.7 * length)], 24).turn("y", 90).move(-half, 0, z)
    )
    yield "boiler", boiler, draw.pick(paint, dark)
    yield (
        "band",
        at(torus(radius, 0.015, 24, 6).turn("y", 90), [(-half + k * 0.22 * length, 0, z) for k in range(1, 4)]),
        draw.metal("#d4a63a", "#c8ccd0"),
    )
    cabin = 0.32 * length
    yield "cabin", box(cabin, 0.66, 0.72, bevel=0.01).move(half - cabin / 2, 0, z - 0.25), paint
    yield "window", box(cabin * 0.55, 0.67, 0.22).move(half - cabin / 2, 0, z + 0.16), draw.plastic(*GLASS)
    roof = extrude(np.concatenate([arc(0.4, 0, 180, 10, 0.12), [(-0.4, -0.03), (0.4, -0.03)]]), cabin * 1.2).turn(
        "z", 90
    )
    yield "roof", roof.move(half - cabin / 2, 0, z + 0.49), draw.pick(dark, draw.plastic())
    yield "frame", box(length + 0.05, 0.56, 0.09).move(z=0.2), draw.plastic("#a8201a", "#2a2a2e", "#3a2a20")
    tall = draw(0.25, 0.42)
    funnel = [(0.08, 0), (0.07, 0.6 * tall), (draw(0.08, 0.16), tall), (0.05, tall)]
    yield "chimney", lathe(funnel).move(-half + 0.18, 0, z + radius - 0.03), dark
    for k in range(draw.whole(1, 2)):
        yield (
            "dome",
            lathe(curve([(0.1, 0), (0.09, 0.08), (0, 0.16)], 8)).move(
                -half + 0.2 + 0.27 * (k + 1), 0, z + radius - 0.03
            ),
            draw.metal("#d4a63a", "#c8ccd0"),
        )
    small, big = 0.12, draw(0.17, 0.22)
    count = draw.whole(2, 3)
    for r, xs in ((small, [-half + 0.14]), (big, [half - 0.2 - k * 2.15 * big for k in range(count)])):
        wheel = (
            torus(r - 0.02, 0.025, 24, 6)
            + around(box(r, 0.025, 0.02).move(x=r / 2), 6)
            + cylinder(0.05, 0.06, sides=10).move(z=-0.03)
        )
        yield (
            "wheel",
            at(wheel.turn("x", 90), [(x, y, r) for x in xs for y in (-0.29, 0.29)]),
            draw.metal("#a8201a", "#3a3a3e"),
        )
    yield (
        "rod",
        both(box(count * 2.15 * big, 0.025, 0.04).move(half - 0.2 - big, 0.34, big - 0.02), "y"),
        draw.metal(),
    )
    catcher = extrude([(0, 0.02), (-0.22, 0.02), (0, 0.22)], 0.5).move(x=-half)
    yield "catcher", catcher, draw.metal("#a8201a", "#3a3a3e", "#9ba1a8")
    yield (
        "lamp",
        cylinder(0.06, 0.06, sides=14).turn("y", -90).move(-half, 0, z + radius * 0.75),
        draw.plastic("#f5f0d8"),
    )


def _wing(span: float, root: float, tip: float, sweep: float, thick: float) -> Form:
    """Half a wing along +y, its leading edge towards -x."""
    section = np.array([(-0.5, 0), (-0.3, 0.5), (0.1, 0.45), (0.5, 0), (0.1, -0.2), (-0.3, -0.3)])
    rings = np.stack(
        [
            in_plane(section * (chord, thick * chord / root) + (shift, 0), "y", y)
            for chord, shift, y in ((root, 0, 0), (tip, sweep, span))
        ]
    )
    return skin(rings)


@category("aeroplane", looks="-x")
def aeroplane(draw: Draw) -> Pieces:
    length, radius, paint = (
        draw(1.7, 2.3),
        draw(0.1, 0.15),
        draw.plastic(*PALES, "#d0342c", "#2f6fc4", "#f2b632", "#9ba1a8"),
    )
    stations = np.array([0, 0.02, 0.08, 0.18, 0.6, 0.8, 1.0])
    profile = np.stack([radius * np.array([0, 0.4, 0.8, 1, 1, 0.75, 0.2]), length * stations], axis=1)
    yield "fuselage", lathe(curve(profile, 24)).turn("y", 90).move(x=-length / 2), paint
    propeller = draw.chance(0.45)
    span, root = draw(0.75, 1.1), draw(0.3, 0.42)
    sweep = draw(-0.02, 0.08) if propeller else draw(0.25, 0.5)
    z = draw.pick(-0.5, 0.8 if propeller else -0.5) * radius
    second = draw.plastic()
    wing = _wing(span, root, root * draw(0.4, 0.9), sweep, 0.05).move(-0.12, 0, z)
    yield "wing", both(wing, "y"), draw.pick(paint, second)
    if propeller and draw.chance(0.35):
        yield "wing", both(wing.move(z=0.36), "y"), paint
        yield (
            "strut",
            both(join([rod((x, 0.6 * span, z), (x, 0.6 * span, z + 0.36), 0.01) for x in (-0.15, 0.05)]), "y"),
            draw.wood(),
        )
    tail = _wing(0.3 * span, 0.6 * root, 0.35 * root, 0.5 * sweep + 0.06, 0.03)
    yield "tailplane", both(tail.move(x=length * 0.42), "y"), second
    yield "fin", tail.scale(1, 1.15, 1).turn("x", 90).move(x=length * 0.41), second
    if propeller:
        count, spin = draw.whole(2, 4), draw(0, 90)
        blade = join([leaf(0.3, 0.08, 0, 0.02).turn("x", spin + 360 * k / count) for k in range(count)])
        yield "propeller", blade.move(x=-length / 2 - 0.02), draw.dark()
        yield "spinner", ellipsoid(0.16, 0.1, 0.1, 12, 8).move(x=-length / 2), draw.metal()
        yield (
            "canopy",
            ellipsoid(0.42, 1.3 * radius, 1.5 * radius, 16, 10).move(-0.12 * length, 0, 0.75 * radius),
            draw.plastic(*GLASS),
        )
    else:
        engine = lathe([(0.0, 0), (0.035, 0.02), (0.055, 0), (0.065, 0.08), (0.04, 0.26), (0, 0.26)], 16).turn(
            "y", 90
        )
        places = [0.4 * span] if draw.chance(0.6) else [0.3 * span, 0.6 * span]
        yield (
            "engine",
            both(join([engine.move(-0.3 + sweep * y / span, y, z - 0.05) for y in places]), "y"),
            draw.pick(second, draw.metal()),
        )
        yield (
            "windscreen",
            superellipsoid(0.14, 1.2 * radius, 0.5 * radius, 0.7, 0.7, 14, 8).move(-0.43 * length, 0, 0.5 * radius),
            draw.plastic(*GLASS),
        )
        yield (
            "windows",
            at(
                cylinder(0.018, 2.04 * radius, sides=8).turn("x", 90).move(y=1.02 * radius),
                [(x, 0, 0.15 * radius) for x in np.linspace(-0.3, 0.28, 14) * length],
            ),
            draw.plastic(*GLASS),
        )
    if draw.chance(0.6):
        yield (
            "wheel",
            at(
                _wheel(0.06, 0.05)[0],
                [(-0.1, -0.18, z - 0.22), (-0.1, 0.18, z - 0.22), (-0.38 * length, 0, -radius - 0.1)],
            ),
            draw.dark(),
        )
        yield (
            "strut",
            both(rod((-0.1, 0.18, z - 0.22), (-0.08, 0.12, z), 0.012), "y")
            + rod((-0.38 * length, 0, -radius - 0.1), (-0.38 * length, 0, 0), 0.012),
            draw.metal(),
        )


@category("helicopter", looks="-x")
def helicopter(draw: Draw) -> Pieces:
    body, tail, paint = draw(0.7, 0.95), draw(0.7, 1.0), draw.plastic()
    yield "body", superellipsoid(body, 0.46, 0.5, draw(0.7, 1), 0.9).taper(0.8, "x"), paint
    yield "glass", ellipsoid(0.5 * body, 0.44, 0.42, 18, 12).move(-0.27 * body, 0, 0.03), draw.plastic(*GLASS)
    boom = rod((0.3 * body, 0, 0.06), (0.4 * body + tail, 0, 0.14), 0.1, 0.04)
    yield "tail", boom, paint
    fin = extrude([(0, 0), (0.12, 0.3), (0.22, 0.3), (0.14, -0.05)], 0.025).move(0.35 * body + tail, 0, 0.12)
    yield "fin", fin, draw.plastic()
    yield "mast", cylinder(0.03, 0.2).move(z=0.2) + box(0.3, 0.2, 0.1, bevel=0.03).move(z=0.2), draw.metal()
    blades, reach = draw.whole(2, 5), draw(0.75, 0.95)
    yield "rotor", around(box(reach, 0.07, 0.012).move(x=reach / 2), blades, draw(0, 90)).move(z=0.4), draw.dark()
    yield (
        "tail rotor",
        around(box(0.16, 0.035, 0.01).move(x=0.08), 3).turn("x", 90).move(0.4 * body + tail, -0.05, 0.14),
        draw.dark(),
    )
    runner = tube(curve([(-0.42, 0.22, -0.34), (-0.36, 0.22, -0.4), (0.3, 0.22, -0.4)], 8), 0.018, 7)
    yield (
        "skid",
        both(
            runner
            + rod((-0.2, 0.1, -0.2), (-0.2, 0.22, -0.4), 0.015)
            + rod((0.18, 0.1, -0.2), (0.18, 0.22, -0.4), 0.015),
            "y",
        ),
        draw.metal(),
    )


@category("rocket")
def rocket(draw: Draw) -> Pieces:
    tall, radius, foot = draw(1.3, 2.0), draw(0.2, 0.3), draw(0.5, 0.95)
    paint, second = (
        draw.plastic(*PALES, "#9ba1a8", "#d0342c", "#e8e4da"),
        draw.plastic("#d0342c", "#e8722a", "#2f6fc4", "#2a2a2e", "#f2b632"),
    )
    nose = draw(0.25, 0.4)
    where = tall * (1 - nose)
    yield "body", lathe(curve([(foot * radius, 0), (radius, 0.4 * tall), (0.92 * radius, where)], 12), 28), paint
    yield (
        "nose",
        lathe(curve([(0.92 * radius, where), (0.6 * radius, where + 0.6 * nose * tall), (0.0, tall)], 10), 28),
        second,
    )
    yield (
        "band",
        lathe(
            [
                (radius * 0.5, 0.3 * tall),
                (radius * 1.02, 0.31 * tall),
                (radius * 1.03, 0.36 * tall),
                (radius * 0.5, 0.37 * tall),
            ],
            28,
        ),
        second,
    )
    out, high = draw(0.2, 0.4), draw(0.35, 0.6)
    fin = curve([(0, high), (0.7 * out, 0.4 * high), (out, -0.12)], 7)
    blade = extrude(np.concatenate([fin, [(0.75 * out, -0.02), (0, 0.03)]]), 0.04, 0.01).move(x=0.75 * radius * foot)
    yield "fin", around(blade, draw.whole(3, 4), draw(0, 90)), second
    yield (
        "nozzle",
        lathe([(0.7 * foot * radius, -0.12), (0.4 * foot * radius, 0.02), (0.5 * foot * radius, -0.12)], loop=True),
        draw.metal("#4a4d50", "#6a6d70"),
    )
    holes = draw.whole(1, 3)
    levels = [(0, -0.97 * radius, (0.48 + 0.13 * k) * tall) for k in range(holes)]
    port = draw(0.06, 0.1)
    yield "porthole", at(torus(port, 0.02, 20, 8).turn("x", 90), levels), draw.metal("#d4a63a", "#c8ccd0")
    yield "glass", at(ellipsoid(2 * port, 0.05, 2 * port, 16, 8), levels), draw.plastic(*GLASS)
    if draw.chance(0.4):
        yield (
            "flame",
            lathe(curve([(0.0, -0.6), (0.5 * foot * radius, -0.25), (0.3 * radius * foot, -0.08)], 9)),
            draw.plastic("#ff9a2e", "#ffc83a"),
        )


def _hull(length: float, width: float, deep: float, stern: float) -> Form:
    """A hull whose deck lies at z = 0, its bow towards -x."""
    t = np.linspace(0, 1, 9)
    beam = np.interp(t, [0, 0.12, 0.45, 1], [0.03, 0.35, 1, stern]) * width / 2
    draught = np.interp(t, [0, 0.2, 0.6, 1], [0.35, 0.85, 1, 0.75]) * deep
    sheer = 0.25 * deep * (1 - t) ** 2
    turn = np.radians(np.linspace(0, 180, 9))
    rings = np.empty((9, 9, 3))
    rings[..., 0] = (length * (t - 0.5) + 0.0)[:, None] + 0.12 * length * np.where(t < 0.3, 1, 0)[:, None] * (
        np.sin(turn) * (0.3 - t[:, None]) / 0.3
    )
    rings[..., 1] = beam[:, None] * np.cos(turn)
    rings[..., 2] = sheer[:, None] - (draught + sheer)[:, None] * np.sin(turn) ** 0.8
    return skin(rings)


@category("sailing boat", looks="-x")
def sailing_boat(draw: Draw) -> Pieces:
    length, width, tall = draw(1.2, 1.7), draw(0.36, 0.5), draw(1.3, 1.9)
    yield "hull", _hull(length, width, draw(0.22, 0.32), draw(0.5, 0.85)), draw.pick(draw.plastic, draw.wood)()
    yield "deck", box(length * 0.62, width * 0.5, 0.05, bevel=0.02).move(x=0.08 * length, z=0.02), draw.wood()
    step = -0.1 * length
    yield (
        "mast",
        cylinder(0.022, tall + 0.1, 0.012).move(x=step) + rod((step, 0, 0.2), (0.42 * length, 0, 0.2), 0.015),
        draw.wood(),
    )
    cloth = draw.finish(
        draw.pick("plastic", "leather", "stripes"), *PALES, "#d0342c", "#f2b632", "#2f6fc4", "#e8722a"
    )

    def belly(x: Floats, y: Floats, z: Floats) -> Floats:
        bow: Floats = 0.35 * np.sin(np.pi * np.clip(z / tall, 0, 1)) * np.abs(x - step)
        return bow

    boom, peak = 0.4 * length - step, draw(0.02, 0.14)
    lines = [
        in_plane([(step + 0.03, z), (step + 0.04 + boom * (1 + (peak - 1) * (z - 0.24) / (tall - 0.24)), z)], "y")
        for z in np.linspace(0.24, tall, 10)
    ]
    yield "mainsail", _sail(lines, 0.012).shift("y", belly), cloth
    if draw.chance(0.75):
        bow = -0.48 * length
        jib = [
            in_plane([(step - 0.04, z), (bow + (step - 0.045 - bow) * (z - 0.12) / (0.86 * tall), z)], "y")
            for z in np.linspace(0.12, 0.12 + 0.85 * tall, 10)
        ]
        yield "jib", _sail(jib, 0.012).shift("y", belly), draw.pick(cloth, draw.finish("fabric", *PALES))
    if draw.chance():
        yield "flag", box(0.16, 0.01, 0.09).move(step + 0.08, 0, tall + 0.03), draw.cloth()


def _sail(lines: list[Floats], thick: float) -> Form:
    """Cloth between two edges: each line holds both of its ends, (2, 3), in the plane across y."""
    rings = []
    for a, b in lines:
        across = [a + (b - a) * t for t in (0, 0.33, 0.67, 1)]
        rings.append([p - (0, thick / 2, 0) for p in across] + [p + (0, thick / 2, 0) for p in across[::-1]])
    return skin(np.array(rings))


@category("ship", looks="-x")
def ship(draw: Draw) -> Pieces:
    length, width, deep = draw(1.8, 2.4), draw(0.4, 0.55), draw(0.3, 0.4)
    yield (
        "hull",
        _hull(length, width, deep, draw(0.75, 1.0)),
        draw.plastic("#20262e", "#8a2a24", "#274690", "#f0ede4", "#3a3f47"),
    )
    yield "rail", _hull(length, width * 1.03, 0.06, 0.9).move(z=0.02), draw.plastic(*PALES)
    white, windows = draw.plastic(*PALES), draw.plastic(*GLASS)
    z, long, wide, x = 0.03, length * draw(0.3, 0.6), width * 0.75, 0.12 * length
    for _ in range(draw.whole(2, 4)):
        yield "cabin", box(long, wide, 0.14, bevel=0.01).move(x=x, z=z), white
        yield "window", box(long * 0.92, wide * 1.01, 0.045).move(x=x, z=z + 0.06), windows
        long, wide, z = long * draw(0.65, 0.9), wide * 0.88, z + 0.14
    for k in range(draw.whole(1, 3)):
        funnel = lathe([(0.075, 0), (0.065, 0.22), (0.07, 0.3), (0.045, 0.3)], 18).turn("y", 8)
        yield "funnel", funnel.move(x + 0.2 * (k - 0.5), 0, z - 0.02), draw.plastic("#d0342c", "#e8722a", "#20262e")
    yield "mast", rod((-0.3 * length, 0, 0.05), (-0.3 * length, 0, draw(0.5, 0.8)), 0.015), draw.metal()
    if draw.chance():
        crates = [(-0.33 * length + 0.15 * i, (j - 1) * 0.12, 0.05) for i in range(3) for j in range(3)]
        for k in range(3):
            yield f"cargo {k + 1}", at(box(0.13, 0.1, draw(0.1, 0.25)), crates[k::3]), draw.plastic()
