"""Animals, toy-like. Most are built looking towards -x."""

from __future__ import annotations

import numpy as np

from task2sim_studio.catalogue.drawing import Draw, Finish, Pieces, category
from task2sim_studio.forms import (
    Form,
    arc,
    at,
    both,
    circle,
    curve,
    cylinder,
    ellipsoid,
    extrude,
    in_plane,
    lathe,
    leaf,
    rod,
    scatter,
    tube,
)

FURS = ("#8a5a35", "#5a3a28", "#c89a60", "#3a3230", "#d8c8b0", "#a8a09a", "#e8dcc8", "#b8703a")


def _eyes(draw: Draw, x: float, y: float, z: float, size: float) -> Pieces:
    yield "eye", both(ellipsoid(size, size, size, 10, 7).move(x, y, z), "y"), draw.plastic("#141210", "#201814")


def _body(points: list[tuple[float, float, float]], count: int = 18, sides: int = 14) -> Form:
    """A body along a line of (x, z, radius), rounded at both ends."""
    line = curve(points, count)
    return tube(in_plane(line[:, :2], "y"), np.maximum(line[:, 2], 0.02), sides, round_ends=True)


def _quadruped(draw: Draw, fur: Finish, length: float, girth: float, legs: float, thick: float) -> Pieces:
    """Trunk and legs; the back lies along x, the feet stand on z = 0."""
    half, z = length / 2, legs + girth * 0.7
    belly = draw(0.85, 1.05)
    yield (
        "body",
        _body(
            [
                (-half, z + 0.1 * girth, 0.9 * girth),
                (-0.2 * half, z, girth * belly),
                (0.5 * half, z, 0.9 * girth * belly),
                (half, z, 0.85 * girth),
            ]
        ),
        fur,
    )
    stride = draw(-0.12, 0.12) * legs
    for x, shift in ((-0.85 * half, stride), (0.9 * half, -stride)):
        y = 0.6 * girth
        for side in (-1, 1):
            foot = (x + side * shift, side * y, thick * 0.6)
            knee = (x - 0.04 * legs, side * y, 0.5 * legs)
            path = curve([(x, side * y * 0.9, z), knee, foot], 8)
            yield (
                "leg",
                tube(path, thick * np.array([1.7, 1.5, 1.25, 1.0, 0.9, 0.85, 0.85, 0.95]), 9, round_ends=True),
                fur,
            )


@category("dog", looks="-x")
def dog(draw: Draw) -> Pieces:
    fur = draw.natural(*FURS)
    length, girth, legs = draw(0.75, 1.2), draw(0.17, 0.24), draw(0.28, 0.55)
    yield from _quadruped(draw, fur, length, girth, legs, 0.06)
    top, front = legs + girth * 1.7, -length / 2
    head = np.array((front - draw(0.12, 0.2), 0, top + draw(0.12, 0.28)))
    yield "neck", rod((front + 0.02, 0, legs + girth), head, 0.8 * girth, 0.55 * girth, 12), fur
    size, snout = draw(0.28, 0.34), draw(0.14, 0.3)
    yield "head", ellipsoid(1.1 * size, size, size).move(*head), fur
    muzzle = rod((0, 0, 0), (-0.3 * size - snout, 0, -0.1), 0.36 * size, 0.24 * size, 12)
    yield "muzzle", muzzle.move(*head).move(z=-0.04), draw.pick(fur, draw.finish("plastic", *FURS))
    yield (
        "nose",
        ellipsoid(0.09, 0.1, 0.08, 10, 7).move(*(head + (-0.3 * size - snout, 0, -0.11))),
        draw.plastic("#141210", "#3a2420"),
    )
    yield from _eyes(draw, head[0] - 0.42 * size, 0.28 * size, head[2] + 0.18 * size, 0.055)
    ear = leaf(draw(0.2, 0.32), 0.17, 20, 0.04)
    ear = ear.turn("x", draw(-170, -140)) if draw.chance(0.65) else ear.turn("x", -20)
    yield (
        "ear",
        both(ear.move(head[0] + 0.03, 0.42 * size, head[2] + 0.3 * size), "y"),
        draw.pick(fur, draw.finish("plastic", *FURS)),
    )
    tail = curve(
        [
            (length / 2 + 0.05, legs + girth),
            (length / 2 + 0.2, top),
            (length / 2 + draw(0.15, 0.4), top + draw(0.1, 0.3)),
        ],
        9,
    )
    yield "tail", tube(in_plane(tail, "y"), np.linspace(0.05, 0.03, 9), 8, round_ends=True), fur
    if draw.chance(0.6):
        yield (
            "collar",
            cylinder(0.67 * girth, 0.06)
            .turn("y", -35)
            .move(*(head * 0.62 + np.array((front + 0.02, 0, legs + girth)) * 0.38)),
            draw.leather("#b81a2a", "#2f6fc4", "#2a2a2e"),
        )


@category("cat", looks="-x")
def cat(draw: Draw) -> Pieces:
    fur = draw.natural("#d08040", "#3a3230", "#a8a09a", "#e8dcc8", "#5a4a40", "#f0ece4")
    size, sitting = draw(0.3, 0.36), draw.chance(0.55)
    if sitting:
        tall = draw(0.5, 0.65)
        yield (
            "body",
            lathe(curve([(0.1, 0), (0.26, 0.12), (0.24, 0.3), (0.13, tall), (0.0, tall + 0.06)], 16)).bend(-10),
            fur,
        )
        yield (
            "leg",
            both(
                rod((-0.2, 0.09, 0.04), (-0.14, 0.08, 0.4), 0.055, 0.06)
                + ellipsoid(0.16, 0.1, 0.09, 12, 8).move(-0.24, 0.09, 0.045)
                + ellipsoid(0.34, 0.16, 0.24, 14, 9).move(0.02, 0.2, 0.12),
                "y",
            ),
            fur,
        )
        head, root = np.array((-0.14, 0, tall + 0.1)), (0.22, 0.0, 0.08)
        tail = [root, (0.4, 0.1, 0.05), (0.3, 0.34, 0.05), (0.02, 0.4, 0.06)]
    else:
        length, girth, legs = draw(0.75, 0.95), draw(0.14, 0.18), draw(0.26, 0.34)
        yield from _quadruped(draw, fur, length, girth, legs, 0.045)
        head, top = np.array((-length / 2 - 0.14, 0, legs + girth * 2 + 0.02)), legs + girth
        yield "neck", rod((-length / 2 + 0.06, 0, top), head, 0.8 * girth, 0.6 * girth, 12), fur
        tail = [
            (length / 2, 0, top),
            (length / 2 + 0.22, 0, top + 0.05),
            (length / 2 + 0.28, 0, top + 0.35),
            (length / 2 + draw(0.1, 0.4), 0, top + 0.5),
        ]
    yield "tail", tube(curve(tail, 14), 0.035, 8, round_ends=True), fur
    yield "head", ellipsoid(0.95 * size, 1.1 * size, 0.95 * size).move(*head), fur
    ear = cylinder(0.08, draw(0.13, 0.2), 0.01, sides=10).scale(0.5, 1, 1).turn("x", -18)
    yield "ear", both(ear.move(head[0], 0.3 * size, head[2] + 0.32 * size), "y"), fur
    pale = draw.plastic("#f5f0e8", "#f0d8d0")
    yield (
        "muzzle",
        both(ellipsoid(0.11, 0.12, 0.09, 12, 8).move(head[0] - 0.45 * size, 0.045, head[2] - 0.16 * size), "y"),
        pale,
    )
    yield (
        "nose",
        ellipsoid(0.04, 0.05, 0.035, 8, 6).move(head[0] - 0.58 * size, 0, head[2] - 0.03 * size),
        draw.plastic("#d88080", "#3a2420"),
    )
    yield (
        "eye",
        both(
            ellipsoid(0.05, 0.075, 0.075, 10, 7).move(head[0] - 0.4 * size, 0.24 * size, head[2] + 0.12 * size), "y"
        ),
        draw.plastic("#8ab83a", "#d8b03a", "#4a90c0"),
    )
    yield (
        "pupil",
        both(
            ellipsoid(0.03, 0.025, 0.065, 8, 6).move(head[0] - 0.46 * size, 0.25 * size, head[2] + 0.12 * size), "y"
        ),
        draw.plastic("#141210"),
    )


@category("rabbit", looks="-x")
def rabbit(draw: Draw) -> Pieces:
    fur, pale = (
        draw.finish(draw.pick("plastic", "knit"), "#e8dcc8", "#a08870", "#f2eee8", "#7a6a5a", "#c8a880"),
        draw.plastic("#f5f0ec", "#f0d8d4"),
    )
    plump = draw(0.85, 1.1)
    yield "body", ellipsoid(0.75, 0.52 * plump, 0.56 * plump).turn("y", draw(10, 30)).move(0.05, 0, 0.3), fur
    head = np.array((-0.32, 0, draw(0.56, 0.68)))
    yield "head", ellipsoid(0.36, 0.32, 0.32).move(*head), fur
    ear, lean = leaf(draw(0.38, 0.6), draw(0.11, 0.16), draw(0, 40), 0.05, 0.6), draw(5, 28)
    inner = ear.scale(0.4, 0.6, 0.85).move(x=-0.025)
    for name, form, finish in (("ear", ear, fur), ("inner ear", inner, draw.plastic("#e8b0b0", "#d8a0a0"))):
        yield name, both(form.turn("x", -lean).move(head[0] + 0.04, 0.07, head[2] + 0.1), "y"), finish
    yield (
        "leg",
        both(
            ellipsoid(0.42, 0.2, 0.34, 14, 9).move(0.18, 0.2, 0.18)
            + ellipsoid(0.34, 0.12, 0.1, 12, 8).move(0.06, 0.22, 0.05)
            + rod((-0.24, 0.1, 0.04), (-0.18, 0.1, 0.34), 0.055, 0.08),
            "y",
        ),
        fur,
    )
    yield "tail", ellipsoid(0.17, 0.17, 0.17, 12, 8).move(0.44, 0, 0.24), pale
    yield "cheek", both(ellipsoid(0.12, 0.12, 0.1, 10, 7).move(head[0] - 0.15, 0.045, head[2] - 0.06), "y"), pale
    yield "nose", ellipsoid(0.04, 0.06, 0.04, 8, 6).move(head[0] - 0.19, 0, head[2] - 0.01), draw.plastic("#d88080")
    yield from _eyes(draw, head[0] - 0.12, 0.125, head[2] + 0.06, 0.06)


@category("elephant", looks="-x")
def elephant(draw: Draw) -> Pieces:
    hide = draw.finish(draw.pick("plastic", "leather", "leather"), "#8a8a90", "#75757c", "#9a938c", "#a8a0a8")
    length, girth, legs = draw(0.8, 1.05), draw(0.32, 0.38), draw(0.3, 0.42)
    yield from _quadruped(draw, hide, length, girth, legs, 0.11)
    head = np.array((-length / 2 - 0.3, 0, legs + 1.2 * girth))
    yield "head", ellipsoid(0.5, 0.46, 0.52).move(*head), hide
    reach = draw(0.1, 0.35)
    trunk = curve(
        [(-0.15, 0.02), (-0.3, -0.12), (-0.34, -0.4), (-0.38, -0.56), (-0.38 - reach, draw(-0.62, -0.45))], 16
    )
    yield "trunk", tube(in_plane(trunk, "y") + head, np.linspace(0.13, 0.05, 16), 11, round_ends=True), hide
    flap = ellipsoid(0.08, draw(0.42, 0.55), draw(0.5, 0.62), 18, 10).move(y=0.22).turn("z", draw(15, 45))
    yield "ear", both(flap.move(head[0] + 0.1, 0.18, head[2] + 0.02), "y"), hide
    if draw.chance(0.75):
        tusk = in_plane(curve([(-0.14, -0.12), (-0.3, -0.26), (-0.46, -0.2)], 9), "y", 0.13)
        yield (
            "tusk",
            both(tube(tusk + head, np.linspace(0.045, 0.012, 9), 8, round_ends=True), "y"),
            draw.ceramic("#f0e8d4"),
        )
    yield (
        "tail",
        tube(
            in_plane(
                curve(
                    [
                        (length / 2 + 0.2, legs + girth),
                        (length / 2 + 0.36, legs + 0.6 * girth),
                        (length / 2 + 0.36, legs),
                    ],
                    8,
                ),
                "y",
            ),
            0.022,
            6,
            round_ends=True,
        ),
        hide,
    )
    yield from _eyes(draw, head[0] - 0.18, 0.15, head[2] + 0.1, 0.05)


@category("giraffe", looks="-x")
def giraffe(draw: Draw) -> Pieces:
    hide, brown = draw.plastic("#e0b050", "#d8a448", "#e8c070"), draw.plastic("#8a5228", "#7a4522", "#a06030")
    length, girth, legs, neck = draw(0.6, 0.75), draw(0.17, 0.21), draw(0.65, 0.85), draw(0.7, 1.0)
    yield from _quadruped(draw, hide, length, girth, legs, 0.05)
    start, head = (
        np.array((-length / 2, 0, legs + girth)),
        np.array((-length / 2 - draw(0.2, 0.35), 0, legs + girth + neck)),
    )
    yield "neck", rod(start, head, 0.13, 0.07, 12), hide
    yield (
        "head",
        rod(head + (0.06, 0, 0.04), head + (-0.24, 0, -0.06), 0.09, 0.05, 12)
        + ellipsoid(0.2, 0.17, 0.18, 14, 9).move(*(head + (0.03, 0, 0.03))),
        hide,
    )
    yield (
        "horn",
        both(
            rod((0.03, 0.045, 0.08), (0.06, 0.06, 0.2), 0.016)
            + ellipsoid(0.05, 0.05, 0.05, 8, 6).move(0.06, 0.06, 0.21),
            "y",
        ).move(*head),
        brown,
    )
    yield "ear", both(leaf(0.16, 0.08, 20, 0.02, rows=6).turn("x", -75).move(0.07, 0.07, 0.07), "y").move(*head), hide
    patches = 26
    along, turn = np.repeat((np.arange(9) + draw(0.2, 0.8)) / 9.5, 3)[:patches], np.arange(patches) * 2.2
    on_neck = np.arange(patches) % 2 == 0
    axis = np.where(
        on_neck[:, None],
        start + along[:, None] * (head - start),
        np.array((-length / 2, 0, legs + 0.7 * girth)) + along[:, None] * (length, 0, 0),
    )
    reach = np.where(on_neck, 0.13 - 0.06 * along, 0.93 * girth)
    out = np.stack(
        [np.where(on_neck, np.cos(turn), 0), np.sin(turn), np.where(on_neck, 0, np.abs(np.cos(turn)))], axis=1
    )
    yield (
        "patch",
        scatter(
            ellipsoid(0.13, 0.11, 0.035, 7, 5), axis + reach[:, None] * out * 0.93, out, draw.many(patches, 0.7, 1.1)
        ),
        brown,
    )
    yield (
        "mane",
        tube([start + (0.13, 0, 0.1), head + (0.08, 0, 0.06)], np.array([(0.02, 0.02), (0.02, 0.02)])),
        brown,
    )
    yield (
        "tail",
        tube(
            in_plane(
                curve(
                    [
                        (length / 2 + 0.1, legs + girth),
                        (length / 2 + 0.2, legs * 0.9),
                        (length / 2 + 0.16, legs * 0.6),
                    ],
                    8,
                ),
                "y",
            ),
            0.018,
            6,
            round_ends=True,
        ),
        brown,
    )
    yield from _eyes(draw, head[0] - 0.02, 0.08, head[2] + 0.06, 0.045)


@category("duck", looks="-x")
def duck(draw: Draw) -> Pieces:
    down = draw.plastic("#f2c830", "#f0ece4", "#7a5a3a", "#e8d8a0", "#5a6a5a")
    plump, neck = draw(0.9, 1.15), draw(0.05, 0.3)
    yield (
        "body",
        _body(
            [
                (-0.38, 0.3, 0.2 * plump),
                (-0.1, 0.24, 0.3 * plump),
                (0.25, 0.28, 0.22 * plump),
                (0.5, draw(0.38, 0.5), 0.04),
            ]
        ),
        down,
    )
    head = np.array((-0.42, 0, 0.62 + neck))
    yield "neck", rod((-0.34, 0, 0.34), head, 0.17, 0.12, 12), down
    crown = draw.pick(down, draw.plastic("#2a6a4a", "#1f5a3f"))
    yield "head", ellipsoid(0.38, 0.34, 0.34).move(*head), crown
    bill = _bill(draw(0.2, 0.3))
    yield "bill", bill.move(*(head + (-0.12, 0, -0.03))), draw.plastic("#e8802a", "#f0a030", "#d8b03a")
    wing = leaf(0.55, 0.32, 0, 0.12, 0.35).turn("y", 80).turn("x", 90)
    yield (
        "wing",
        both(wing.move(-0.18, 0.27 * plump, 0.32), "y"),
        draw.pick(down, draw.plastic("#8a7a6a", "#f0ece4", "#e0b020")),
    )
    yield from _eyes(draw, head[0] - 0.1, 0.12, head[2] + 0.07, 0.055)
    if draw.chance(0.6):
        foot = extrude([(0, 0), (-0.2, 0.1), (-0.22, 0), (-0.2, -0.1)], 0.03).turn("x", 90)
        yield (
            "foot",
            both((foot + rod((0, 0, 0), (0.02, 0, 0.25), 0.025)).move(-0.02, 0.12, -0.2), "y"),
            draw.plastic("#e8802a", "#f0a030"),
        )


def _bill(length: float) -> Form:
    """A flat bill that points towards -x."""
    line = np.array([(0.0, 0.0), (-0.5 * length, 0.0), (-0.85 * length, -0.01), (-length, -0.01)])
    return tube(
        in_plane(line, "y"), np.array([(0.09, 0.1), (0.05, 0.09), (0.03, 0.1), (0.02, 0.07)]), 12, round_ends=True
    )


@category("penguin", looks="-x")
def penguin(draw: Draw) -> Pieces:
    coat, white, orange = (
        draw.plastic("#20242e", "#2a2a30", "#2a3a50"),
        draw.plastic("#f5f2ea"),
        draw.plastic("#f0a030", "#e8802a"),
    )
    tall, girth = draw(0.8, 1.05), draw(0.27, 0.34)
    yield (
        "body",
        lathe(
            curve(
                [
                    (0.1, 0.02),
                    (girth, 0.25 * tall),
                    (0.85 * girth, 0.6 * tall),
                    (0.55 * girth, 0.82 * tall),
                    (0, 0.9 * tall),
                ],
                18,
            )
        ),
        coat,
    )
    yield "belly", ellipsoid(1.5 * girth, 1.6 * girth, 0.76 * tall, 22, 14).move(-0.32 * girth, 0, 0.36 * tall), white
    z, size = 0.9 * tall, girth * draw(1.15, 1.35)
    yield "head", ellipsoid(size, size, size).move(z=z), coat
    yield (
        "cheek",
        both(ellipsoid(0.5 * size, 0.42 * size, 0.5 * size, 12, 8).move(-0.24 * size, 0.2 * size, z), "y"),
        draw.pick(white, orange),
    )
    yield "beak", rod((-0.4 * size, 0, z), (-0.4 * size - draw(0.1, 0.18), 0, z - 0.02), 0.06, 0.01), orange
    flipper = leaf(draw(0.45, 0.58), 0.17, 10, 0.05).turn("y", 90).turn("y", 90).turn("x", draw(12, 50))
    yield "flipper", both(flipper.move(0.02, 0.85 * girth, 0.66 * tall), "y"), coat
    yield "foot", both(ellipsoid(0.28, 0.17, 0.07, 12, 7).move(-0.1, 0.14, 0.03), "y"), orange
    yield "tail", leaf(0.25, 0.14, 0, 0.05).turn("y", 115).move(0.18, 0, 0.1), coat
    yield from _eyes(draw, -0.45 * size, 0.26 * size, z + 0.07 * size, 0.055)


@category("fish")
def fish(draw: Draw) -> Pieces:
    length, tall, thick = draw(0.9, 1.2), draw(0.36, 0.75), draw(0.18, 0.3)
    skin_ = draw.finish(
        draw.pick("plastic", "stripes", "dots", "metal", "checker"),
        "#e8722a",
        "#f2b632",
        "#2f6fc4",
        "#8fb0c8",
        "#d0342c",
        "#2a9d9a",
        "#d95c9a",
    )
    fins = draw.plastic("#e8722a", "#f2b632", "#2f6fc4", "#d0342c", "#2a9d9a", "#7d4ab0")
    t = np.linspace(0, 1, 16)
    shape = np.interp(t, [0, 0.08, 0.35, 0.7, 0.92, 1], [0.05, 0.45, 1, 0.7, 0.2, 0.22])
    path = in_plane(np.stack([(t - 0.5) * length, 0 * t], axis=1), "y")
    yield (
        "body",
        tube(path, np.stack([shape * tall / 2, np.minimum(shape, 1) * thick / 2], axis=1), 18, round_ends=True),
        skin_,
    )
    end, fork = length / 2 - 0.02, draw(0.05, 0.2)
    span = draw(0.2, 0.36)
    yield (
        "tail",
        extrude(
            [(end, 0.05), (end + 0.3, span), (end + 0.3 - fork, 0), (end + 0.3, -span), (end, -0.05)], 0.03, 0.01
        ),
        fins,
    )
    rise = draw(0.12, 0.3)
    back = curve(
        [
            (-0.2 * length, 0.42 * tall),
            (-0.02, 0.45 * tall + rise),
            (0.2 * length, 0.38 * tall + 0.4 * rise),
            (0.28 * length, 0.28 * tall),
        ],
        9,
    )
    yield "fin", extrude(np.concatenate([back, [(0.0, 0.3 * tall)]]), 0.025, 0.008), fins
    under = [(0.0, -0.42 * tall), (0.1, -0.45 * tall - 0.6 * rise), (0.2, -0.33 * tall)]
    yield "fin", extrude(under, 0.025, 0.008), fins
    yield (
        "fin",
        both(
            leaf(draw(0.2, 0.32), 0.16, 20, 0.02, 0.6)
            .turn("y", 105)
            .turn("z", 28)
            .move(-0.15 * length, 0.42 * thick, -0.08 * tall),
            "y",
        ),
        fins,
    )
    eye = (-0.36 * length, 0.3 * thick, 0.1 * tall)
    yield "eye white", both(ellipsoid(0.13, 0.07, 0.13, 12, 8).move(*eye), "y"), draw.plastic("#f5f2ea")
    yield (
        "eye",
        both(ellipsoid(0.07, 0.05, 0.07, 10, 7).move(eye[0], eye[1] + 0.03, eye[2]), "y"),
        draw.plastic("#141210"),
    )


@category("butterfly")
def butterfly(draw: Draw) -> Pieces:
    tilt = draw(-75, -40)
    for name, form, finish in _butterfly(draw):
        yield name, form.turn("x", tilt), finish


def _butterfly(draw: Draw) -> Pieces:
    colour = draw.finish(
        draw.pick("plastic", "dots", "clouds"),
        "#e8722a",
        "#f2b632",
        "#2f6fc4",
        "#7d4ab0",
        "#d95c9a",
        "#2a9d9a",
        "#f0ede4",
    )
    dark, lift = draw.plastic("#20181a", "#3a2a20"), draw(8, 45)
    a, b = draw(0.5, 0.65), draw(0.35, 0.5)
    upper = curve(
        [(0.02, 0.02), (0.3 * a, 0.55 * a), (1.1 * a, 0.85 * a), (1.05 * a, 0.3 * a), (0.5 * a, 0.02), (0.02, -0.02)],
        22,
    )
    lower = curve(
        [
            (0.02, 0.0),
            (0.7 * b, 0.05),
            (0.95 * b, -0.4 * b),
            (0.6 * b, -0.95 * b),
            (0.2 * b, -0.6 * b),
            (0.02, -0.08),
        ],
        20,
    )

    def wings(outline: np.ndarray, size: float, thick: float) -> Form:
        centre = outline.mean(axis=0)
        plate = extrude(centre + (outline - centre) * size, thick).turn("x", 90)
        return both(plate.turn("y", -lift))

    yield "rim", wings(upper[:-1], 1.0, 0.02) + wings(lower[:-1], 1.0, 0.018), dark
    yield "wing", wings(upper[:-1], 0.84, 0.03) + wings(lower[:-1], 0.84, 0.028), colour
    spot = cylinder(0.07, 0.044, sides=14).move(z=-0.022)
    yield "spot", both(at(spot, [(0.72 * a, -0.5 * a, 0), (0.5 * b, 0.45 * b, 0)]).turn("y", -lift)), draw.plastic()
    yield "body", _body([(-0.2, 0, 0.035), (0.0, 0, 0.055), (0.35, -0.02, 0.03)]).turn("z", 90), dark
    yield "head", ellipsoid(0.11, 0.11, 0.11, 12, 8).move(y=-0.26), dark
    feeler = tube(curve([(0.02, -0.3, 0.02), (0.08, -0.42, 0.1), (0.16, -0.5, 0.12)], 7), 0.01, 5) + ellipsoid(
        0.035, 0.035, 0.035, 7, 5
    ).move(0.16, -0.5, 0.12)
    yield "feeler", both(feeler), dark


@category("turtle", looks="-x")
def turtle(draw: Draw) -> Pieces:
    hide = draw.natural("#6f9a4a", "#8aa05a", "#5a8a5a", "#a8a060")
    shell = draw.natural("#6b4a2a", "#4f6a3a", "#8a6a3a", "#3f5a4a")
    tall, long = draw(0.22, 0.4), draw(1.0, 1.2)
    yield "shell", lathe(arc(0.5, 0, 90, 12, tall), 28).scale(long, 0.9, 1).move(z=0.14), shell
    yield (
        "rim",
        lathe(circle(0.05, 8) + (0.49, 0), 28, loop=True).scale(long, 0.9, 1).move(z=0.15),
        draw.plastic("#c8b070", "#8a7a4a", "#5a4a2a"),
    )
    points = np.concatenate(
        [
            [(0, 0, 1)],
            np.stack(
                [0.75 * np.cos(np.arange(6) * np.pi / 3), 0.75 * np.sin(np.arange(6) * np.pi / 3), np.full(6, 0.66)],
                axis=1,
            ),
        ]
    )
    yield (
        "scute",
        scatter(
            cylinder(0.13, 0.05, 0.08, sides=6),
            points * (0.5 * long, 0.45, tall) + (0, 0, 0.115),
            points * (1, 1, 1.6),
        ),
        draw.finish("plastic", "#8a6a3a", "#6f8a4a", "#a8884a", "#4a5a2a"),
    )
    yield "belly", ellipsoid(0.9 * long, 0.8, 0.14).move(z=0.12), draw.plastic("#d8c890")
    reach = draw(0.62, 0.75)
    yield "head", _body([(-0.4, 0.14, 0.08), (-reach, 0.24, 0.085), (-reach - 0.1, 0.25, 0.09)], 10), hide
    foot = ellipsoid(0.2, 0.32, 0.13, 14, 8).turn("x", -15)
    yield (
        "leg",
        both(foot.turn("z", -40).move(-0.32, 0.42, 0.08) + foot.turn("z", 35).move(0.34, 0.4, 0.08), "y"),
        hide,
    )
    yield "tail", rod((0.45, 0, 0.12), (0.66, 0, 0.08), 0.05, 0.01), hide
    yield from _eyes(draw, -reach - 0.12, 0.075, 0.29, 0.04)


@category("snail", looks="-x")
def snail(draw: Draw) -> Pieces:
    flesh = draw.natural("#c8a880", "#a89078", "#d8c0a0", "#8a8070")
    turns, size = draw(2.2, 3.0), draw(0.48, 0.6)
    angle = np.linspace(0, turns * 2 * np.pi, 54)
    out = 0.62 * size * np.exp(-0.13 * angle)
    spiral = np.stack([out * np.cos(angle + 3.6), 0.006 * angle, out * np.sin(angle + 3.6)], axis=1)
    shell = tube(spiral, np.maximum(0.55 * out, 0.02), 14)
    yield (
        "shell",
        shell.move(0.1, -0.05, 0.84 * size + 0.08),
        draw.finish(
            draw.pick("leather", "plastic", "marble", "wood"),
            "#b8703a",
            "#8a5228",
            "#d8a060",
            "#c8605a",
            "#6a7a5a",
            "#e0c090",
        ),
    )
    foot = curve([(-0.75, 0.1), (-0.45, 0.07), (0.2, 0.07), (0.75, 0.03)], 14)
    yield (
        "foot",
        tube(
            in_plane(foot, "y"),
            np.stack(
                [np.linspace(0.09, 0.03, 14), np.interp(np.linspace(0, 1, 14), [0, 0.4, 1], [0.11, 0.17, 0.03])],
                axis=1,
            ),
            14,
            round_ends=True,
        ),
        flesh,
    )
    yield "neck", _body([(-0.5, 0.1, 0.11), (-0.68, 0.2, 0.1), (-0.76, draw(0.3, 0.4), 0.1)], 9), flesh
    horn = rod((-0.78, 0.05, 0.34), (-0.9, 0.12, draw(0.56, 0.7)), 0.022)
    tip = horn.vertices[horn.vertices[:, 2].argmax()]
    yield "horn", both(horn + rod((-0.84, 0.04, 0.28), (-0.95, 0.07, 0.3), 0.015), "y"), flesh
    yield "eye", both(ellipsoid(0.07, 0.07, 0.07, 10, 7).move(*tip), "y"), draw.plastic("#141210")
