"""What simulators promise of their datasets; what they promise of masks, depth and normals is in `frames`."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from task2sim.conformance import frames
from task2sim.conformance.checks import Breach, CheckList, NotApplicable, require
from task2sim.conformance.digests import digest
from task2sim.conformance.isolation import resident_memory
from task2sim.conformance.specimens import Bench
from task2sim.conformance.subject import SEED, Subject
from task2sim.datasets import FrameBatch
from task2sim.errors import ParameterError
from task2sim.interfaces import Simulator
from task2sim.parameters import Interval, ParameterSetting, ParameterSpace

FEW = tuple(range(12))
"""The images that most checks look at."""

PASSES = 4
LEAK = 24 * 2**20
"""Bytes by which memory may grow while the images' assets are loaded already."""

_checks = CheckList()


def exercise(component: Simulator, bench: Bench, seed: int) -> Any:
    """Two settings, a few images of each, with all that frames hold."""
    space = component.parameter_space
    settings = (_varied(space), _default(space))
    return [images(list(component.render(setting, FEW[:6], seed))) for setting in settings]


def images(batches: Iterable[FrameBatch]) -> list[dict[str, Any]]:
    """What batches hold, image by image, but for their numbers."""
    found = []
    for batch in batches:
        fields = {name: getattr(batch, name) for name in attrs.fields_dict(FrameBatch) if name != "indices"}
        held = {name: value for name, value in fields.items() if value is not None}
        found += [{name: value[k] for name, value in held.items()} for k in range(len(batch.rgb))]
    return found


def _varied(space: ParameterSpace) -> ParameterSetting:
    try:
        return space.everything_varied()
    except ParameterError:
        return next(space.enumerate())


def _default(space: ParameterSpace) -> ParameterSetting:
    try:
        return space.default()
    except ParameterError:
        return list(space.enumerate())[-1]


def _rendered(subject: Subject, indices: Sequence[int], seed: int = SEED) -> list[dict[str, Any]]:
    """Images that a new simulator renders with everything varied."""
    with subject.component() as simulator:
        return images(simulator.render(_varied(simulator.parameter_space), indices, seed))


def _few(subject: Subject) -> list[dict[str, Any]]:
    return subject.remembered("few", lambda: _rendered(subject, FEW))


def _batches(subject: Subject) -> list[FrameBatch]:
    def render() -> list[FrameBatch]:
        with subject.component() as simulator:
            return list(simulator.render(_varied(simulator.parameter_space), FEW, SEED))

    return subject.remembered("batches", render)


def _differing(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> list[int]:
    """Positions at which two lists of images differ in any way."""
    pairs = itertools.zip_longest(first, second)
    return [number for number, (a, b) in enumerate(pairs) if digest(a) != digest(b)]


# --- what it says of itself ---


@_checks.add(
    "parameter-space",
    "parameter_space is a ParameterSpace with described parameters, and always the same",
    why="policies choose from it, and keys and reports are made of it",
    mend="return a constant; give every parameter a description of one clause",
)
def _parameter_space(subject: Subject) -> None:
    with subject.component() as first, subject.component() as second:
        space = first.parameter_space
        require(isinstance(space, ParameterSpace), f"it is a {type(space).__name__}")
        require(space == first.parameter_space == second.parameter_space, "it was another one the second time")
    bare = [parameter.name for parameter in space if not parameter.description]
    wrong = [name for name in space.names if not name.isidentifier()]
    require(not wrong, f"these names are no identifiers: {', '.join(map(repr, wrong))}")
    require(len(space), "it has no parameters")
    require(not bare, f"no description: {', '.join(bare)}")


@_checks.add(
    "categories",
    "categories is a tuple of two or more different names, and always the same",
    why="a category's position is its label, in this process and in every worker",
    mend="return a constant tuple; sort what comes from a folder or a set",
)
def _categories(subject: Subject) -> None:
    with subject.component() as first, subject.component() as second:
        names = first.categories
        require(
            isinstance(names, tuple) and all(isinstance(name, str) and name for name in names), f"it is {names!r}"
        )
        require(len(names) >= 2, f"there is only {names!r}")
        require(len(set(names)) == len(names), "a name occurs twice")
        require(names == first.categories == second.categories, "they came in another order the second time")


@_checks.add(
    "image-size",
    "image_size is height and width of its images",
    why="datasets are reserved on the disk by it before anything is rendered",
    mend="return (height, width), in this order, as whole numbers",
)
def _image_size(subject: Subject) -> None:
    with subject.component() as simulator:
        size = simulator.image_size
    require(
        isinstance(size, tuple) and len(size) == 2 and all(type(side) is int and side > 0 for side in size),
        f"it is {size!r}",
    )
    shapes = {np.shape(batch.rgb)[1:3] for batch in _batches(subject)}
    require(shapes <= {size}, f"it is {size}, and images are {sorted(shapes)}")


# --- the images ---


@_checks.add(
    "images",
    "images are uint8 arrays of shape (batch, height, width, 3), and not all of one colour",
    why="everything downstream reads sRGB bytes in this form; floats in [0, 1] would become black images",
    mend="scale to 0 to 255, round and convert to numpy.uint8; drop an alpha channel",
)
def _images(subject: Subject) -> None:
    for batch in _batches(subject):
        rgb = batch.rgb
        require(isinstance(rgb, np.ndarray), f"rgb is a {type(rgb).__name__}")
        form = f"rgb is {rgb.dtype} of shape {rgb.shape}"
        require(rgb.dtype == np.uint8 and rgb.ndim == 4 and rgb.shape[3] == 3, form)
    plain = all(np.ptp(image["rgb"].reshape(-1, 3), axis=0).max() == 0 for image in _few(subject))
    require(not plain, "every image has the same colour all over")


@_checks.add(
    "images-asked-for",
    "batches hold exactly the images asked for, in their order; none, if none was asked for",
    why="a dataset's files are filled by it; images would be lost or stand in the wrong place",
    mend="go through `indices` in order, and put those rendered into FrameBatch.indices",
)
def _asked_for(subject: Subject) -> None:
    with subject.component() as simulator:
        setting = _varied(simulator.parameter_space)
        for asked in ((), (0,), (7, 3, 11), range(5, 45)):
            got = [index for batch in simulator.render(setting, asked, SEED) for index in np.asarray(batch.indices)]
            require(got == list(asked), f"asked for {_short(asked)}, it gave {_short(got)}")


def _short(indices: Sequence[int]) -> str:
    listed = ", ".join(str(int(index)) for index in indices[:6])
    return f"[{listed}{', ...' if len(indices) > 6 else ''}] ({len(indices)} images)"


@_checks.add(
    "labels",
    "labels are one integer for each image, a position in categories",
    why="a trainer learns them; others are refused in the middle of a study",
    mend="labels=numpy.array([categories.index(name), ...]), from 0",
)
def _labels(subject: Subject) -> None:
    with subject.component() as simulator:
        categories = len(simulator.categories)
    for batch in _batches(subject):
        labels = np.asarray(batch.labels)
        form = f"labels are {labels.dtype} of shape {labels.shape}"
        require(
            labels.dtype.kind in "iu" and labels.shape == (len(batch.rgb),), f"{form} for {len(batch.rgb)} images"
        )
        require(labels.min() >= 0 and labels.max() < categories, f"they are {labels.min()} to {labels.max()}")


@_checks.add(
    "label-balance",
    "every category gets about as many images as the others",
    why="a backbone learns to guess the frequent ones",
    mend="draw the category evenly from the seed and the index, or take index % len(categories)",
)
def _label_balance(subject: Subject) -> None:
    labels, categories = _long_run(subject).labels, _long_run(subject).categories
    counts = np.bincount(labels[labels >= 0], minlength=categories)[:categories]
    due = len(labels) / categories
    # Pearson's statistic has mean k - 1 and variance of about 2 (k - 1); eight deviations do not happen by chance.
    statistic = float(((counts - due) ** 2 / due).sum())
    bound = (categories - 1) + 8 * (2 * (categories - 1)) ** 0.5
    spread = f"of {len(labels)} images the categories got {counts.min()} to {counts.max()}"
    require(statistic <= bound, spread)


# --- one image, whatever the circumstances ---


@_checks.add(
    "same-in-any-batch",
    "an image is the same whatever other images it is asked for with",
    why="the number of workers decides how a dataset is divided; it would decide what is in it",
    mend="draw from image_uniforms(seed, index, count) for each image, not once for a call",
)
def _any_batch(subject: Subject) -> None:
    together = _few(subject)
    for part in ((4,), (2, 9), tuple(range(3, 12))):
        differ = _differing([together[k] for k in part], _rendered(subject, part))
        require(
            not differ, f"image {part[differ[0]]} is another one when asked for as {_short(part)}" if differ else ""
        )


@_checks.add(
    "same-in-any-order",
    "an image is the same in whatever order images are asked for",
    why="a dataset that goes on after a kill would hold other images than one rendered in one go",
    mend="carry nothing over from one image to the next",
)
def _any_order(subject: Subject) -> None:
    together = _few(subject)
    order = tuple(reversed(FEW))
    differ = _differing([together[k] for k in order], _rendered(subject, order))
    require(not differ, f"image {order[differ[0]]} is another one when the order is reversed" if differ else "")


@_checks.add(
    "other-seeds-differ",
    "another seed gives other images",
    why="repetitions of a trial would all train on the same images, and look more certain than they are",
    mend="let everything that varies follow from the seed and the index",
)
def _other_seeds(subject: Subject) -> None:
    first, second = (_pixels(_rendered(subject, FEW, seed)) for seed in (SEED, SEED + 1))
    same = sum(a == b for a, b in zip(first, second, strict=False))
    require(same <= len(FEW) // 2, f"{same} of {len(FEW)} images are the same with seeds {SEED} and {SEED + 1}")


@_checks.add(
    "other-indices-differ",
    "another index gives another image",
    why="a dataset would hold the same few images again and again",
    mend="use the whole index; do not reduce it to a small number",
)
def _other_indices(subject: Subject) -> None:
    asked = (*FEW, *range(1000, 1012))
    different = len(set(_pixels(_rendered(subject, asked))))
    require(different > len(asked) // 2, f"of {len(asked)} images only {different} differ")


def _pixels(rendered: Iterable[Mapping[str, Any]]) -> list[str]:
    return [digest(image["rgb"]) for image in rendered]


# --- parameters ---


@_checks.add(
    "parameters-matter",
    "each parameter changes the images, each of its values otherwise",
    why="a policy would spend pre-trainings on a choice that changes nothing",
    mend="honour the parameter, or leave it out of parameter_space (or scene_features)",
)
def _parameters_matter(subject: Subject) -> None:
    idle = []
    with subject.component() as simulator:
        space = simulator.parameter_space
        if space.settings is not None:
            raise NotApplicable("its space lists its settings: parameters can't be changed one by one")

        def rendered(**values: Any) -> str:
            setting = space.setting(values)
            return digest(_pixels(images(simulator.render(setting, FEW, SEED))))

        default, varied = space.default().as_dict(), space.everything_varied().as_dict()
        for parameter in space:
            values = (parameter.low, parameter.high) if isinstance(parameter, Interval) else parameter.values
            # What has no effect with all others at rest may have one where they are not.
            if not any(
                len({rendered(**{**others, parameter.name: value}) for value in values}) == len(values)
                for others in (default, varied)
            ):
                idle.append(parameter.name)
    require(not idle, f"these change nothing, or two of their values do the same: {', '.join(idle)}")


@_checks.add(
    "parameters-refused",
    "a setting that is not one of parameter_space is refused with a ParameterError",
    why="a policy's or a user's mistake would be rendered as something else",
    mend="begin render with: setting = self.parameter_space.setting(setting)",
)
def _parameters_refused(subject: Subject) -> None:
    with subject.component() as simulator:
        space = simulator.parameter_space
        good = _default(space).as_dict()
        wrong = [{**good, "no_such_parameter": 1}]
        wrong += [
            {**good, parameter.name: parameter.high + 1.0 if isinstance(parameter, Interval) else "no such value"}
            for parameter in space
        ]
        for values in wrong:
            name = next(name for name in values if name not in good or values[name] != good[name])
            shown = f"{name}={values[name]!r}"
            try:
                list(simulator.render(ParameterSetting(values), FEW[:1], SEED))
            except ParameterError as error:
                text = str(error)
                require(
                    "\n" not in text and name in text, f"for {shown} the error does not name the parameter: {text}"
                )
            except Exception as error:
                raise Breach(f"for {shown} it raised {type(error).__name__}: {error}") from error
            else:
                raise Breach(f"it rendered {shown}")


@_checks.add(
    "every-setting",
    "it renders every setting of its space",
    why="a search would end in the middle, at a combination nobody had tried",
    mend="try combinations of parameters; leave out of the space what can't be combined",
)
def _every_setting(subject: Subject) -> None:
    with subject.component() as simulator:
        space = simulator.parameter_space
        generator = np.random.default_rng(7)
        for _ in range(16):
            setting = space.sample(generator)
            try:
                list(simulator.render(setting, FEW[:2], SEED))
            except Exception as error:
                raise Breach(f"with '{setting.label}' it raised {type(error).__name__}: {error}") from error


# --- how it works ---


@_checks.add(
    "abandoned-iterator",
    "after an iterator that was not read to its end it renders as before",
    why="a worker stops in the middle when the disk is full or Ctrl-C is pressed, and may go on with the next trial",
    mend="hold no lock or half-filled buffer across a yield, or release it in finally",
)
def _abandoned(subject: Subject) -> None:
    expected = _few(subject)
    with subject.component() as simulator:
        setting = _varied(simulator.parameter_space)
        iterator = iter(simulator.render(setting, range(100, 180), SEED))
        next(iterator)
        if hasattr(iterator, "close"):
            iterator.close()
        other = iter(simulator.render(setting, range(200, 280), SEED))
        next(other)
        differ = _differing(expected, images(simulator.render(setting, FEW, SEED)))
    if differ:
        with subject.component() as simulator:
            first, second = (images(simulator.render(setting, FEW, SEED)) for _ in range(2))
        if _differing(first, second):
            raise NotApplicable("it renders something else every time: see same-again")
        raise Breach(f"image {differ[0]} was another one afterwards")


@attrs.frozen(eq=False)
class LongRun:
    """Many images, and what they cost.

    Attributes:
        labels: Labels of all images of the first pass.
        categories: How many there are.
        count: How many images were rendered.
        grown: Bytes by which memory grew after the first pass; None where the system does not say.
        speed: Images a second in the last pass.
    """

    labels: NDArray[np.int64]
    categories: int
    count: int
    grown: int | None
    speed: float


def _long_run(subject: Subject) -> LongRun:
    return subject.remembered("long run", lambda: _measure(subject))


def _measure(subject: Subject) -> LongRun:
    """Render the same images with several settings, so that their assets are loaded in the first pass."""
    count = (500 if subject.quick else 2000) // PASSES
    memory: list[int | None] = []
    speed = 0.0
    labels: list[NDArray[Any]] = []
    with subject.component() as simulator:
        categories = len(simulator.categories)
        space = simulator.parameter_space
        for number, setting in enumerate(_settings_to_measure(space)):
            start = time.perf_counter()
            for batch in simulator.render(setting, range(count), SEED):
                if number == 0:
                    labels.append(np.asarray(batch.labels).reshape(-1).astype(np.int64))
            speed = count / (time.perf_counter() - start)
            memory.append(resident_memory())
    known = [bytes_held for bytes_held in memory if bytes_held is not None]
    grown = known[-1] - known[0] if known else None
    height, width = simulator.image_size
    subject.measures["throughput"] = f"{speed:,.0f} images/s of {height} x {width} pixels"
    return LongRun(np.concatenate(labels), categories, PASSES * count, grown, speed)


def _settings_to_measure(space: ParameterSpace) -> list[ParameterSetting]:
    """Everything varied, then the same without one parameter or another: they need no other assets."""
    varied = _varied(space)
    if space.settings is None:
        fewer = [space.setting({**varied, parameter.name: parameter.default}) for parameter in space]
    else:
        fewer = list(space.settings)
    return [varied, *itertools.islice(itertools.cycle(fewer or [varied]), PASSES - 1)]


@_checks.add(
    "memory-flat",
    "memory does not grow with the number of images",
    why="a dataset of a hundred thousand images would be killed overnight",
    mend="keep no images, scenes or iterators; bound caches; free what the renderer does not free",
)
def _memory_flat(subject: Subject) -> None:
    run = _long_run(subject)
    if run.grown is None:
        raise NotApplicable("this system does not say how much memory a process holds")
    grown = max(0.0, run.grown / 2**20)
    subject.measures["memory"] = f"grew by {grown:.0f} MiB over {run.count * (PASSES - 1) // PASSES} images"
    require(run.grown < LEAK, f"it grew by {grown:.0f} MiB over {run.count * (PASSES - 1) // PASSES} images")


CHECKS = (*_checks, *frames.CHECKS)
