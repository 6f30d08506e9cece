"""What a build sends: FlatBuffers written by the classes that TDW generated to read them.

Each function makes one frame of an answer. A frame begins with the offset of its root and four letters that say what
it holds (`imag`, `tran`, ...); `tdw.output_data` reads it. Only `vers` is no FlatBuffer.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from task2sim_threedworld.compatibility import import_tdw
from task2sim_threedworld.testing.picture import Picture, draw
from task2sim_threedworld.testing.world import World

import_tdw()

from tdw.FBOutput import (  # noqa: E402
    Bounds,
    CameraMatrices,
    Categories,
    Category,
    Color,
    DirectionalLight,
    Extension,
    ImagePass,
    Images,
    ImageSensor,
    ImageSensors,
    Lights,
    LogMessage,
    MessageType,
    PassMask,
    Quaternion,
    QuitSignal,
    SceneRegion,
    SceneRegions,
    SegmentationColors,
    Transforms,
    Vector3,
)
from tdw.flatbuffers import Builder  # noqa: E402
from tdw.version import __version__ as TDW_VERSION  # noqa: E402

UNITY_VERSION = "task2sim peer"
"""Where a build names its version of Unity, the peer names itself."""

DEPTH_STEPS = 1 << 24
"""How many depths the three bytes of a `_depth` pixel tell apart."""


def outputs(world: World) -> list[bytes]:
    """Make a frame of all that a world is to send now.

    Args:
        world: Its `due` says what; pictures are drawn if they are due.

    Returns:
        The frames in the order in which they were asked for, without the frame number that ends an answer.
    """
    return [_OUTPUTS[kind](world, ids) for kind, ids in world.due]


def failed_to_receive() -> bytes:
    """Make the frame (`ftre`) by which a build asks for the last request again."""
    builder = Builder(64)
    builder.StartObject(0)
    return _finish(builder, builder.EndObject(), b"ftre")


def quit_signal(ok: bool) -> bytes:
    """Make the frame (`quit`) of a build that ends.

    Args:
        ok: Whether it was told to, rather than having failed.
    """
    builder = Builder(64)
    return _finish(builder, _table(builder, QuitSignal, Ok=ok), b"quit")


def log_message(about: str, message: str) -> bytes:
    """Make the frame (`logm`) that carries an error in a build's log.

    Args:
        about: What logged it; of a rejected command the name of its class, such as `AddObject`.
        message: What it says.
    """
    builder = Builder(256)
    words = {"ObjectType": builder.CreateString(about), "Message": builder.CreateString(message)}
    table = _table(builder, LogMessage, MessageType=MessageType.MessageType.error, **words)
    return _finish(builder, table, b"logm")


def version() -> bytes:
    """Make the frame (`vers`) that tells the build's version, TDW's own, and Unity's."""
    theirs = TDW_VERSION.encode()
    return b"".join((bytes(4), b"vers", b"\x01", bytes([len(theirs)]), theirs, UNITY_VERSION.encode()))


def images(world: World, picture: Picture) -> bytes:
    """Make the frame (`imag`) of an avatar's pictures.

    `_depth` is raw, three bytes a pixel from the bottom row up; all others are PNG files, `_img` a JPG one where the
    world's encoding says so.

    Args:
        world: Whose avatar took the picture, and which passes it takes.
        picture: What it saw.
    """
    avatar = world.avatar
    assert avatar is not None, "only an avatar takes pictures"
    builder = Builder(picture.rgb.size * 2 * len(avatar.pass_masks) + 1024)
    passes = []
    for name in avatar.pass_masks:
        suffix = world.encoding if name == "_img" else "png"
        data = (
            encode_depth(picture.depth, avatar.near, avatar.far)
            if name == "_depth"
            else _encode(picture.rgb if name == "_img" else getattr(picture, name[1:]), suffix)
        )
        passes.append(
            _table(
                builder,
                ImagePass,
                Image=builder.CreateByteVector(data),
                PassMask=getattr(PassMask.PassMask, name),
                Extension=getattr(Extension.Extension, suffix),
            )
        )
    table = _table(
        builder,
        Images,
        Passes=_offsets(builder, Images.ImagesStartPassesVector, passes),
        AvatarId=builder.CreateString(avatar.id),
        SensorName=builder.CreateString(avatar.sensor_name),
        Width=world.width,
        Height=world.height,
    )
    return _finish(builder, table, b"imag")


def encode_depth(depth: npt.NDArray[np.float32], near: float, far: float) -> bytes:
    """Write depths as a `_depth` pass: the inverse of `TDWUtils.get_depth_values`.

    A pixel is the number (65536 R + 256 G + B) / 2^24 * (far - near).

    Args:
        depth: Metres along the view axis, (height, width), top row first.
        near: Distance of the near clipping plane.
        far: Distance of the far clipping plane.

    Returns:
        height * width * 3 bytes, bottom row first.
    """
    steps = np.rint(np.flipud(depth).astype(np.float64) / (far - near) * DEPTH_STEPS)
    steps = np.clip(steps, 0, DEPTH_STEPS - 1).astype(">u4")
    return steps.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()


def transforms(world: World, ids: Sequence[int]) -> bytes:
    """Make the frame (`tran`) of objects' positions, rotations and forward directions."""
    builder = Builder(1024)
    items = [world.objects[key] for key in ids]
    table = _table(
        builder,
        Transforms,
        Ids=_integers(builder, Transforms.TransformsStartIdsVector, ids),
        Positions=_floats(builder, Transforms.TransformsStartPositionsVector, [item.position for item in items]),
        Rotations=_floats(builder, Transforms.TransformsStartRotationsVector, [item.rotation for item in items]),
        Forwards=_floats(builder, Transforms.TransformsStartForwardsVector, [item.forward for item in items]),
    )
    return _finish(builder, table, b"tran")


def bounds(world: World, ids: Sequence[int]) -> bytes:
    """Make the frame (`boun`) of objects' bounds: seven points each, as `WorldObject.bounds` has them."""
    builder = Builder(1024)
    points = [world.objects[key].bounds for key in ids]
    table = _table(
        builder,
        Bounds,
        Ids=_integers(builder, Bounds.BoundsStartIdsVector, ids),
        BoundPositions=_floats(builder, Bounds.BoundsStartBoundPositionsVector, points),
    )
    return _finish(builder, table, b"boun")


def segmentation_colours(world: World, ids: Sequence[int]) -> bytes:
    """Make the frame (`segm`) that tells objects' names, categories and colours in the `_id` pass."""
    builder = Builder(1024)
    items = [world.objects[key] for key in ids]
    starts = SegmentationColors
    names = [builder.CreateString(item.name) for item in items]
    categories = [builder.CreateString(item.category) for item in items]
    colours = [part for item in items for part in item.segmentation_colour]
    table = _table(
        builder,
        SegmentationColors,
        Ids=_integers(builder, starts.SegmentationColorsStartIdsVector, ids),
        Names=_offsets(builder, starts.SegmentationColorsStartNamesVector, names),
        Categories=_offsets(builder, starts.SegmentationColorsStartCategoriesVector, categories),
        Colors=_integers(builder, starts.SegmentationColorsStartColorsVector, colours),
    )
    return _finish(builder, table, b"segm")


def categories(world: World) -> bytes:
    """Make the frame (`cate`) of the categories in the scene and their colours in the `_category` pass."""
    builder = Builder(1024)
    tables = []
    for name, colour in world.categories.items():
        text = builder.CreateString(name)
        tables.append(_table(builder, Category, Name=text, Color=_struct(Color, colour)))
    data = _offsets(builder, Categories.CategoriesStartCategoryDataVector, tables)
    return _finish(builder, _table(builder, Categories, CategoryData=data), b"cate")


def lights(world: World) -> bytes:
    """Make the frame (`ligh`) of the sun; colours are whole numbers from 0 to 255, as the format has them."""
    builder = Builder(512)
    sun = world.light
    colour = np.rint(np.clip(sun.colour, 0, 1) * 255).astype(int).tolist()
    table = _table(
        builder,
        DirectionalLight,
        Intensity=sun.intensity,
        Color=_struct(Color, colour),
        Rotation=_struct(Quaternion, sun.rotation),
    )
    directional = _offsets(builder, Lights.LightsStartDirectionalLightsVector, [table])
    point = _offsets(builder, Lights.LightsStartPointLightsVector, [])
    table = _table(builder, Lights, DirectionalLights=directional, PointLights=point)
    return _finish(builder, table, b"ligh")


def camera_matrices(world: World) -> bytes:
    """Make the frame (`cama`) of the camera's matrices, row by row."""
    avatar = world.avatar
    assert avatar is not None, "only an avatar has a camera"
    builder = Builder(1024)
    projection = avatar.projection_matrix(world.width / world.height)
    starts = CameraMatrices
    table = _table(
        builder,
        CameraMatrices,
        AvatarId=builder.CreateString(avatar.id),
        SensorName=builder.CreateString(avatar.sensor_name),
        ProjectionMatrix=_floats(builder, starts.CameraMatricesStartProjectionMatrixVector, [projection]),
        CameraMatrix=_floats(builder, starts.CameraMatricesStartCameraMatrixVector, [avatar.camera_matrix]),
    )
    return _finish(builder, table, b"cama")


def image_sensors(world: World) -> bytes:
    """Make the frame (`imse`) of how the avatar's camera is turned and how wide it sees."""
    avatar = world.avatar
    assert avatar is not None, "only an avatar has a camera"
    builder = Builder(512)
    sensor = _table(
        builder,
        ImageSensor,
        Name=builder.CreateString(avatar.sensor_name),
        IsOn=True,
        Rotation=_struct(Quaternion, avatar.sensor_rotation),
        Forward=_struct(Vector3, avatar.sensor_forward),
        FieldOfView=avatar.field_of_view,
    )
    table = _table(
        builder,
        ImageSensors,
        AvatarId=builder.CreateString(avatar.id),
        Sensors=_offsets(builder, ImageSensors.ImageSensorsStartSensorsVector, [sensor]),
    )
    return _finish(builder, table, b"imse")


def scene_regions(world: World) -> bytes:
    """Make the frame (`sreg`) of the rooms: number, centre and size of each."""
    builder = Builder(512)
    SceneRegions.SceneRegionsStartRegionsVector(builder, len(world.regions))
    for number, region in reversed(list(enumerate(world.regions))):
        SceneRegion.CreateSceneRegion(builder, number, *map(float, (*region.centre, *region.size)))
    table = _table(builder, SceneRegions, Regions=builder.EndVector(len(world.regions)))
    return _finish(builder, table, b"sreg")


_OUTPUTS: Mapping[str, Callable[[World, Any], bytes]] = {
    "images": lambda world, _: images(world, draw(world)),
    "image_sensors": lambda world, _: image_sensors(world),
    "camera_matrices": lambda world, _: camera_matrices(world),
    "transforms": transforms,
    "bounds": bounds,
    "segmentation_colors": segmentation_colours,
    "categories": lambda world, _: categories(world),
    "lights": lambda world, _: lights(world),
    "scene_regions": lambda world, _: scene_regions(world),
    "version": lambda world, _: version(),
    "quit": lambda world, _: quit_signal(ok=True),
}
"""What makes the frame of each kind of data that a world can owe."""


def _encode(pixels: npt.NDArray[np.uint8], suffix: str) -> bytes:
    file = io.BytesIO()
    if suffix == "png":
        # The file is the same picture however hard it is pressed, and pressing it would cost more than drawing it.
        Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    else:
        Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


# The generated code names everything by its table: ImagesStart, ImagesAddWidth, ImagesEnd, CreateColor.


def _table(builder: Any, kind: ModuleType, **fields: Any) -> int:
    """Write a table; a field is a number, the place of what was written before, or a function that writes it."""
    name = kind.__name__.rpartition(".")[2]
    getattr(kind, f"{name}Start")(builder)
    for key, value in fields.items():
        # A struct stands inside its table and can't be written before.
        getattr(kind, f"{name}Add{key}")(builder, value(builder) if callable(value) else value)
    return int(getattr(kind, f"{name}End")(builder))


def _struct(kind: ModuleType, values: Iterable[Any]) -> Callable[[Any], int]:
    """Give a function that writes a struct of numbers."""
    name = kind.__name__.rpartition(".")[2]
    create: Callable[..., int] = getattr(kind, f"Create{name}")
    numbers = [number if isinstance(number, int) else float(number) for number in values]
    return lambda builder: create(builder, *numbers)


def _vector(builder: Any, start: Callable[..., Any], values: Sequence[Any], prepend: Callable[[Any], None]) -> int:
    start(builder, len(values))
    for value in reversed(values):
        prepend(value)
    return int(builder.EndVector(len(values)))


def _offsets(builder: Any, start: Callable[..., Any], values: Sequence[int]) -> int:
    return _vector(builder, start, values, builder.PrependUOffsetTRelative)


def _integers(builder: Any, start: Callable[..., Any], values: Sequence[int]) -> int:
    return _vector(builder, start, values, builder.PrependInt32)


def _floats(builder: Any, start: Callable[..., Any], arrays: Sequence[npt.NDArray[np.float64]]) -> int:
    return _vector(builder, start, [x for array in arrays for x in array.ravel().tolist()], builder.PrependFloat32)


def _finish(builder: Any, root: int, identifier: bytes) -> bytes:
    """End a FlatBuffer with its four letters, which the builder that comes with tdw can't write itself."""
    builder.Prep(builder.minalign, 8)
    for letter in reversed(identifier):
        builder.PrependByte(letter)
    builder.Finish(root)
    return bytes(builder.Output())
