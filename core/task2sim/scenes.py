"""The scene vocabulary: what a scene simulator is asked to render.

Units and axes: metres, degrees for angles a person reads, unit quaternions ``(x, y, z, w)`` for rotations,
linear RGB for colours. The world is right-handed with z up. The object of a single-object scene is at the
origin with its front towards -y; the camera looks at it from the front, a little from the right and from above.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

Vector: TypeAlias = tuple[float, float, float]
"""x, y and z; or red, green and blue."""

Quaternion: TypeAlias = tuple[float, float, float, float]
"""A rotation: (x, y, z, w) of length one."""


@attrs.frozen
class Material:
    """What a part's surface is made of.

    Attributes:
        name: One of the simulator's material names, such as ``"marble"``.
        seed: Which marble: simulators vary colour and pattern by it. Integer in [0, 2**31).
    """

    name: str
    seed: int


@attrs.frozen
class SceneObject:
    """One object of a scene.

    Attributes:
        category: One of the simulator's category names.
        instance: Which object of the category, in [0, number of instances of it).
        position: Centre of the object's bounding sphere, in metres.
        rotation: From the object's own axes (front towards -y, z up) to the world's.
        size: Diameter of the object's bounding sphere, in metres.
        materials: Empty for the object's own materials; otherwise its part k wears
            ``materials[k % len(materials)]``.
    """

    category: str
    instance: int
    position: Vector = (0.0, 0.0, 0.0)
    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)
    size: float = 1.0
    materials: tuple[Material, ...] = ()


@attrs.frozen
class Camera:
    """A thin-lens camera that looks at a point with z up in the picture.

    Attributes:
        position: Where it is, in metres.
        target: What it looks at, in metres; never straight above or below.
        field_of_view: Vertical opening angle in degrees, in (0, 180).
        focus_distance: Distance of the plane that is sharp, in metres, > 0.
        aperture: Diameter of the lens in metres, >= 0; 0 keeps everything sharp.
        motion: How far the picture slides while it is taken, to the right and down, as shares of its height.
        noise: Standard deviation of the sensor's noise in a mid-grey, as a share of white, >= 0.
        noise_seed: Which noise. Integer in [0, 2**31).
    """

    position: Vector
    target: Vector = (0.0, 0.0, 0.0)
    field_of_view: float = 40.0
    focus_distance: float = 1.0
    aperture: float = 0.0
    motion: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0
    noise_seed: int = 0


@attrs.frozen
class Sun:
    """A directional light.

    Attributes:
        direction: Unit vector from the scene towards the sun.
        colour: Linear RGB, each in [0, 1].
        intensity: Relative to a clear day's sun, >= 0; 1 is the default.
        angular_diameter: How large it is in the sky, in degrees, in (0, 90]; the larger, the softer the shadows.
    """

    direction: Vector
    colour: Vector = (1.0, 1.0, 1.0)
    intensity: float = 1.0
    angular_diameter: float = 0.53


@attrs.frozen
class Background:
    """The surroundings, infinitely far away: they fill the picture and light the object from all sides.

    Attributes:
        name: One of the simulator's background names.
        rotation: From the background's own axes (z up) to the world's.
    """

    name: str
    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)


@attrs.frozen
class Floor:
    """A flat, round floor under the first object, at the height of its lowest point.

    Only the simulator knows how far down an object reaches, so the other objects' heights are left to it as well:
    each is lowered or lifted until it stands on the floor.

    Attributes:
        material: What it is made of.
        radius: In metres, about the first object's position.
    """

    material: Material
    radius: float = 4.0


@attrs.frozen
class Fog:
    """Fog that is equally dense everywhere, in the colour of the surroundings.

    Attributes:
        density: Per metre, > 0: light falls to exp(-density * distance).
    """

    density: float


@attrs.frozen
class Extent:
    """A ball that holds what casts shadows in a scene.

    Attributes:
        centre: In metres.
        radius: In metres, > 0.
    """

    centre: Vector
    radius: float


@attrs.frozen
class Scene:
    """Everything a scene simulator needs for one image.

    Attributes:
        index: The image's index in its dataset.
        objects: One or more objects; the first gives the image its label.
        camera: The camera.
        sun: The sun.
        background: The surroundings.
        floor: What the objects stand on; None lets them float.
        fog: What hides the distance; None is clear air.
        extent: What renderers fit a shadow map to; None is the ball around the objects. An edited scene that keeps
            the extent of the original keeps the shadows of what was not edited, bit by bit.
    """

    index: int
    objects: tuple[SceneObject, ...]
    camera: Camera
    sun: Sun
    background: Background
    floor: Floor | None = None
    fog: Fog | None = None
    extent: Extent | None = None


@attrs.frozen
class Sky:
    """A background with the sun that belongs to it.

    Attributes:
        background: The background's name; its sun stands towards its own +y.
        elevation: Of the sun, in degrees above the horizon.
        colour: Of the sun: linear RGB, each in [0, 1].
        intensity: Of the sun, relative to a clear day's, >= 0.
    """

    background: str
    elevation: float
    colour: Vector = (1.0, 1.0, 1.0)
    intensity: float = 1.0


@attrs.frozen
class Staging:
    """How a scene is set up where nothing varies, and how widely the camera varies where it does.

    The ranges follow those of Task2Sim (Mishra et al., CVPR 2022, section 3.1 and its public code) as far as they
    suit a simulator of our own; one that repeats the paper gives the paper's.

    Attributes:
        camera_direction: From the labelled object towards the camera, of any length; not straight up or down. By
            default the front, seen a little from the right and from above.
        camera_distance: From the camera to an object of diameter 1, in metres, > 0. By default such an object fills
            about two thirds of the picture.
        field_of_view: Vertical opening angle in degrees, in (0, 180).
        distance_factors: Nearest and farthest camera, as factors of `camera_distance`. The paper's 0.4 to 1.5 would
            cut objects off at the near end, where ours just fill the picture, so the default is narrower and reaches
            farther.
        aperture_range: Smallest and largest lens of a blurred picture: diameters in metres; by default large as a
            macro photograph's, relative to an object of one metre.
        sun_direction: From the scene towards the sun, of any length.
    """

    camera_direction: Vector = (0.45, -0.8, 0.4)
    camera_distance: float = 2.0
    field_of_view: float = 40.0
    distance_factors: tuple[float, float] = (0.75, 1.75)
    aperture_range: tuple[float, float] = (0.04, 0.16)
    sun_direction: Vector = (0.5, -0.45, 0.74)


@attrs.frozen
class SceneAssets:
    """What a scene simulator has to build scenes from.

    Attributes:
        instances: For each category how many different objects it has, >= 1; the order gives the labels.
        materials: Names of materials, one or more.
        backgrounds: Names of backgrounds, one or more; the first is the fixed default.
        skies: For each kind of ground below them, skies at different times of day; the first ground is the fixed
            default. Empty if the simulator has none; it can't offer ``time_of_day`` then.
        staging: How scenes are set up; leave it as it is for scenes that compare with other simulators' one by one.
    """

    instances: Mapping[str, int]
    materials: tuple[str, ...]
    backgrounds: tuple[str, ...]
    skies: Mapping[str, tuple[Sky, ...]] = attrs.field(factory=dict)
    staging: Staging = Staging()

    @property
    def categories(self) -> tuple[str, ...]:
        """Category names; a category's position is its label."""
        return tuple(self.instances)
