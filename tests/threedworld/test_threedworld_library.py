from __future__ import annotations

import json
import platform
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tdw")

from task2sim import ConfigError
from task2sim_threedworld import records
from task2sim_threedworld.compatibility import import_tdw
from task2sim_threedworld.library import Library, Model
from task2sim_threedworld.records import Materials, Models, Skyboxes, packaged, read_library

PAPER = Path(__file__).parents[2].parent / "shared" / "data" / "task2sim-cvpr22"
MODELS = PAPER / "tdw_simple_objs_100.json"
MATERIALS = PAPER / "tdw_material_subset.txt"

PUBLIC = "https://tdw-public.s3.amazonaws.com/"
PRIVATE = "bucketnew"  # only in models_full.json, on the private bucket
IN_TEST = "b05_783611_antiqua_lightstar"  # only in models_full.json, on a bucket for tests
UNUSABLE = "salt"  # in models_core.json, marked do_not_use

Writer = Callable[[Any], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def write_list(content: Any) -> Path:
        path = tmp_path / "list"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write_list


def library(
    categories: tuple[str, ...] | Path | None = None, materials: Path | None = None, *libraries: Path
) -> Library:
    return Library(categories, materials, libraries)


def names(found: Library) -> dict[str, list[str]]:
    return {category: [model.name for model in models] for category, models in found.models.items()}


def model_record(name: str, **changes: Any) -> dict[str, Any]:
    box = {"left": (-0.5, 1, 0), "right": (0.5, 1, 0), "bottom": (0, 0, 0), "top": (0, 2, 0)}
    points = {**box, "back": (0, 1, -1.5), "front": (0, 1, 1.5), "center": (0, 1, 0)}
    record = {
        "name": name,
        "urls": dict.fromkeys(("Linux", "Darwin", "Windows"), f"https://example.org/{name}"),
        "wnid": "n99999999",
        "wcategory": "gadget, gizmo",
        "scale_factor": 2.0,
        "do_not_use": False,
        "do_not_use_reason": "",
        "bounds": {side: dict(zip("xyz", point, strict=True)) for side, point in points.items()},
        "substructure": [{"name": "body", "materials": ["a", "b"]}, {"name": "lid", "materials": ["a"]}],
    }
    return record | changes


def sky_record(name: str, **changes: Any) -> dict[str, Any]:
    record = {
        "name": name,
        "urls": dict.fromkeys(("Linux", "Darwin", "Windows"), f"https://example.org/{name}"),
        "location": "exterior",
        "exposure": 1.0,
        "initial_skybox_rotation": 0,
        "sun_elevation": 150,
        "sun_initial_angle": 10,
        "sun_intensity": 2.0,
        "color_temperature": 6500,
    }
    return record | changes


def put(folder: Path, kind: str, *items: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    content = {"description": "", "records": {item["name"]: item for item in items}}
    (folder / f"{kind}.json").write_text(json.dumps(content))
    return folder


def put_bundle(folder: Path, kind: str, name: str, content: bytes = b"bundle") -> Path:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / kind / name).write_bytes(content)
    return folder


# --- tdw's own files ---


@pytest.mark.parametrize("file", ["models_core.json", "models_full.json"])
def test_models_read_as_the_librarian_reads_them(file: str) -> None:
    import_tdw()
    from tdw.librarian import ModelLibrarian

    ours = packaged(Models, file)
    theirs = ModelLibrarian(file).records
    assert list(ours) == [record.name for record in theirs]
    for record in theirs:
        mine = ours[record.name]
        assert mine.url == record.get_url()
        assert (mine.wnid, mine.wcategory) == (record.wnid, record.wcategory)
        assert (mine.scale_factor, mine.do_not_use) == (record.scale_factor, record.do_not_use)
        assert mine.do_not_use_reason == record.do_not_use_reason
        assert mine.bounds == record.bounds
        assert [(p["name"], list(p["materials"])) for p in mine.substructure] == [
            (part["name"], part["materials"]) for part in record.substructure
        ]


def test_materials_and_skyboxes_read_as_the_librarian_reads_them() -> None:
    import_tdw()
    from tdw.librarian import HDRISkyboxLibrarian, MaterialLibrarian

    for record in MaterialLibrarian("materials_low.json").records:
        assert packaged(Materials, "materials_low.json")[record.name].url == record.get_url()
        assert packaged(Materials, "materials_low.json")[record.name].type == record.type
    found = library().skyboxes
    for record in HDRISkyboxLibrarian().records:
        if record.name in found:
            mine = found[record.name]
            assert mine.url == record.get_url()
            assert mine.exposure == record.exposure
            assert mine.initial_skybox_rotation == record.initial_skybox_rotation
            assert mine.sun_elevation == record.sun_elevation
            assert mine.sun_initial_angle == record.sun_initial_angle
            assert mine.sun_intensity == record.sun_intensity


# --- the default ---


def test_default_is_100_public_categories_by_number_of_models() -> None:
    found = library()
    core = packaged(Models, "models_core.json")
    assert len(found.models) == 100
    counts = [(-len(models), name) for name, models in found.models.items()]
    assert counts == sorted(counts)
    everything = [model for models in found.models.values() for model in models]
    assert len({model.name for model in everything}) == len(everything) == 571
    for model in everything:
        assert model.url.startswith(PUBLIC)
        assert not core[model.name].do_not_use
    assert found.left_out == ()
    for category, models in found.models.items():
        assert "," not in category
        assert [model.name for model in models] == sorted(model.name for model in models)
        assert {model.category for model in models} == {category}


def test_default_merges_ids_and_names_that_mean_the_same() -> None:
    core = packaged(Models, "models_core.json")
    found = names(library())
    assert {core[name].wnid for name in found["bowl"]} == {"n00104409", "n03206908"}
    assert {core[name].wcategory for name in found["microwave"]} == {"microwave", "microwave, microwave oven"}
    assert {core[name].wcategory for name in found["shelf"]} == {"shelf", "bookshelf"}
    assert "bookshelf" not in found


def test_no_category_that_was_not_taken_has_more_models_than_one_that_was() -> None:
    core = packaged(Models, "models_core.json")
    found = names(library())
    taken = {core[name].wnid for models in found.values() for name in models}
    others = Counter(r.wnid for r in core.values() if r.wnid not in taken and not r.do_not_use)
    assert len(others) == 17
    assert max(others.values()) <= min(len(models) for models in found.values())


def test_default_materials_are_balanced_and_public() -> None:
    public = packaged(Materials, "materials_low.json")
    offered = Counter(record.type for record in public.values())
    found = library().materials
    assert Counter(public[name].type for name in found) == {t: min(14, n) for t, n in offered.items()}
    assert len(found) == 138
    assert list(found) == sorted(found)
    assert all(url.startswith(PUBLIC + "materials_low/") for url in found.values())
    # Evenly spread over the names, not the first ones of the alphabet.
    fabrics = sorted(name for name, record in public.items() if record.type == "Fabric")
    places = [fabrics.index(name) for name in found if public[name].type == "Fabric"]
    gaps = [after - before for before, after in pairwise(places)]
    assert max(gaps) - min(gaps) <= 1
    assert places[0] < 14
    assert places[-1] >= len(fabrics) - 14


def test_skyboxes_are_the_papers() -> None:
    public = packaged(Skyboxes, "hdri_skyboxes.json")
    found = list(library().skyboxes)
    assert len(found) == 43
    assert found[0] == "fish_hoek_beach_4k"
    assert found[1:] == sorted(found[1:])
    assert set(found) == {
        name for name, record in public.items() if record.location != "interior" and record.sun_elevation >= 120
    }


# --- models ---


def test_a_models_box_is_that_of_its_record() -> None:
    model = next(m for m in library(("candle", "pan")).models["pan"] if m.name == "measuring_pan")
    record = packaged(Models, "models_core.json")["measuring_pan"]
    assert model.low == (record.bounds["left"]["x"], record.bounds["bottom"]["y"], record.bounds["back"]["z"])
    assert model.high == (record.bounds["right"]["x"], record.bounds["top"]["y"], record.bounds["front"]["z"])
    assert model.extent == max(high - low for low, high in zip(model.low, model.high, strict=True))
    assert model.centre == pytest.approx([record.bounds["center"][axis] for axis in ("x", "y", "z")], abs=1e-6)


def test_boxes_of_models_that_lie_on_their_side_are_boxes() -> None:
    # The "front" of a cork is its top; the "left" of some pillows is to the right of their "right".
    for models in library().models.values():
        for model in models:
            assert all(low < high for low, high in zip(model.low, model.high, strict=True)), model.name
            assert 0.01 < model.extent < 10.0


def test_slots_are_materials_of_parts(tmp_path: Path) -> None:
    twice = [{"name": "leg", "materials": ["a"]}] * 2
    folder = put(tmp_path, "models", model_record("one"), model_record("two", substructure=twice))
    found = {model.name: model for model in library(("gadget", "chair"), None, folder).models["gadget"]}
    assert found["one"].slots == (("body", 0), ("body", 1), ("lid", 0))
    assert found["two"].slots == (("leg", 0),)
    assert found["one"] == Model(
        name="one",
        category="gadget",
        url="https://example.org/one",
        scale_factor=2.0,
        low=(-0.5, 0.0, -1.5),
        high=(0.5, 2.0, 1.5),
        slots=(("body", 0), ("body", 1), ("lid", 0)),
    )
    assert found["one"].extent == 3.0
    assert found["one"].centre == (0.0, 1.0, 0.0)


def test_urls_are_those_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    for system, folder in (("Linux", "linux"), ("Darwin", "osx"), ("Windows", "windows")):
        monkeypatch.setattr(platform, "system", lambda system=system: system)
        found = library()
        assert f"/{folder}/" in found.models["chair"][0].url
        assert all(f"/{folder}/" in url for url in found.materials.values())
        assert all(f"/{folder}/" in skybox.url for skybox in found.skyboxes.values())


# --- names of categories ---


def test_names_choose_among_all_categories_in_their_order() -> None:
    found = names(library(("truck", "chair", "apple")))
    assert list(found) == ["truck", "chair", "apple"]  # there is one truck: it is not in the default
    assert "truck" not in library().models
    assert found["chair"] == names(library())["chair"]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (("chair", "tabel"), "no public category 'tabel'; did you mean 'table'?"),
        (("chair", "microwave oven"), "did you mean 'microwave'?"),
        (("chair", "chair"), "stands there twice"),
        (("chair",), "at least two categories are needed, not 1"),
        ((), "at least two"),
        (("chair", "qqqqqqqq"), "there are alarm clock, apple, .* more"),
    ],
)
def test_names_that_do_not_do(chosen: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _ = library(chosen).models


# --- files of categories ---


def test_the_papers_list_gives_what_is_public() -> None:
    if not MODELS.exists():
        pytest.skip(f"the paper's list is not at {MODELS}")
    listed = json.loads(MODELS.read_text())
    found = library(MODELS)
    assert len(found.models) == 70
    assert sum(map(len, found.models.values())) == 316
    reasons = Counter(re.sub(r".*?\): |.*?: ", "", line, count=1).split(":")[0] for line in found.left_out)
    assert reasons == {
        "on TDW's private bucket": 787 - 323,
        "not to be used, says TDW": 323 - 316,
        "none of its models can be used": 100 - 70,
    }
    assert found.left_out[0] == "category bucket: none of its models can be used"
    # Order of the list, readable names.
    assert list(found.models)[:4] == ["candle", "cassette", "trumpet", "dishwasher"]
    assert names(found)["candle"] == listed["n02948072"]
    assert "shelf" in found.models


def test_the_papers_materials() -> None:
    if not MATERIALS.exists():
        pytest.skip(f"the paper's list is not at {MATERIALS}")
    found = library(None, MATERIALS).materials
    assert list(found) == MATERIALS.read_text().split()
    assert len(found) == 141


def test_keys_are_names_of_ones_own_or_ids(write: Writer) -> None:
    path = write({"lights": ["candle", "cerno_lamp"], "n03001627": ["blue_side_chair"]})
    found = library(path)
    assert names(found) == {"lights": ["candle", "cerno_lamp"], "chair": ["blue_side_chair"]}
    assert found.models["lights"][1].category == "lights"
    assert found.left_out == ()


def test_what_can_not_be_used_is_told(write: Writer) -> None:
    path = write(
        {
            "a": ["candle", PRIVATE],
            "b": ["cerno_lamp", UNUSABLE, "no_such_model", IN_TEST],
            "n02909870": [PRIVATE + "x"],
        }
    )
    found = library(path)
    assert names(found) == {"a": ["candle"], "b": ["cerno_lamp"]}
    category, *models = found.left_out
    assert category == "category n02909870: none of its models can be used"
    assert models[0] == f"{PRIVATE} (a): on TDW's private bucket"
    assert models[1].startswith(f"{UNUSABLE} (b): not to be used, says TDW: ")
    assert models[2:] == [
        "no_such_model (b): unknown to TDW",
        f"{IN_TEST} (b): on TDW's private bucket",
        f"{PRIVATE}x (n02909870): unknown to TDW",
    ]


def test_fewer_than_two_categories_are_too_few(write: Writer) -> None:
    path = write({"a": ["candle"], "n02909870": [PRIVATE, "b05_coal_hod"]})
    with pytest.raises(ConfigError, match="1 of 2 categories can be used") as caught:
        _ = library(path).models
    assert caught.value.place == str(path)
    assert "2 of 3 models are on TDW's private bucket" in caught.value.message
    assert "folder 'models' of a library folder" in caught.value.mend


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ("[]", "holds no models by category"),
        ("{}", "holds no models by category"),
        ("3", "holds no models by category"),
        ({"a": []}, "'a' is no category with a list of models"),
        ({"a": "candle"}, "'a' is no category with a list"),
        ({"a": {"candle": 1}}, "'a' is no category with a list"),
        ({" ": ["candle"]}, "' ' is no category"),
        ({"a": ["candle", 3]}, "a: 3 is no name of a model"),
        ({"a": [""]}, "a: '' is no name of a model"),
        ({"a": ["candle", "candle"]}, "a: 'candle' stands there twice"),
        ({"a": ["candle"], "b": ["candle"]}, "a and b: 'candle' stands there twice"),
        ('{"a": ["candle"], "a": ["cerno_lamp"]}', "'a' stands there twice"),
        ({"candle": ["cerno_lamp"], "n02948072": ["candle"]}, "the keys 'candle' and 'n02948072' both mean 'candle'"),
        ({"n02909870": [PRIVATE], "bucket": ["candle"]}, "both mean 'bucket'"),
    ],
)
def test_bad_files_of_categories(write: Writer, content: Any, message: str) -> None:
    path = write(content)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        _ = library(path).models
    assert caught.value.place == str(path)
    assert caught.value.mend


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        for made in (library(path), library(None, path)):
            with pytest.raises(ConfigError, match="can't read the file") as caught:
                _ = made.models, made.materials
            assert caught.value.place == str(path)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_every_listed_model_is_used_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    everything = [*packaged(Models, "models_full.json"), "unknown", "also unknown"]
    listed = data.draw(st.lists(st.sampled_from(everything), min_size=4, max_size=40, unique=True))
    lists = {"first": ["candle"], "second": ["cerno_lamp"]}
    for number, name in enumerate(n for n in listed if n not in ("candle", "cerno_lamp")):
        lists.setdefault(f"key {number % 5}", []).append(name)
    path = tmp_path_factory.mktemp("lists") / "list.json"
    path.write_text(json.dumps(lists))
    found = library(path)
    told = {line.split(f" ({key}): ")[0] for key in lists for line in found.left_out if f" ({key}): " in line}
    used = {name for models in names(found).values() for name in models}
    assert used | told == {name for models in lists.values() for name in models}
    assert not used & told
    assert list(found.models) == [key for key in lists if key in found.models]
    # All of models_core.json is public, and nothing else.
    full, core = packaged(Models, "models_full.json"), packaged(Models, "models_core.json")
    assert used == {n for n in used | told if n in full and n in core and not core[n].do_not_use}


# --- files of materials ---


def test_materials_by_name_in_their_order(write: Writer) -> None:
    path = write("wood_red_cedar\r\n\n  acoustic_panel \nwood_red_cedar\n")
    assert list(library(None, path).materials) == ["wood_red_cedar", "acoustic_panel"]


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (
            "acoustic_panel\nwood_red_ceder\n",
            ":2",
            "there is no material 'wood_red_ceder'; did you mean 'wood_red",
        ),
        (b"\xff\xfe\x00", "", "this is no text"),
        ("\n\n", "", "this names no material"),
        ("", "", "this names no material"),
    ],
)
def test_bad_files_of_materials(write: Writer, content: str | bytes, place: str, message: str) -> None:
    path = write(content)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        _ = library(None, path).materials
    assert caught.value.place == f"{path}{place}"
    assert caught.value.mend


# --- library folders ---


def test_local_bundles_take_the_place_of_downloads_and_change_nothing_else(tmp_path: Path) -> None:
    for kind, name in (("models", "candle"), ("models", UNUSABLE), ("models", PRIVATE)):
        put_bundle(tmp_path / "a b", kind, name)
    put_bundle(tmp_path / "a b", "materials", "acoustic_panel")
    put_bundle(tmp_path / "a b", "hdri_skyboxes", "bergen_4k")
    put_bundle(tmp_path / "a b", "models", ".DS_Store")
    found, public = library(None, None, tmp_path / "a b"), library()
    assert names(found) == names(public)  # neither marked nor private ones slip in
    urls = {model.name: model.url for models in found.models.values() for model in models}
    path = (tmp_path / "a b" / "models" / "candle").resolve().as_posix().lstrip("/")
    assert urls.pop("candle") == f"file:///{path}"
    assert all(url.startswith(PUBLIC) for url in urls.values())
    assert found.skyboxes["bergen_4k"].url.endswith("a b/hdri_skyboxes/bergen_4k")
    assert found.skyboxes["bergen_4k"].sun_intensity == public.skyboxes["bergen_4k"].sun_intensity
    assert found.fingerprint() == public.fingerprint()


def test_listed_models_with_a_local_bundle_are_used(tmp_path: Path, write: Writer) -> None:
    folder = put_bundle(put_bundle(tmp_path / "mine", "models", PRIVATE), "models", UNUSABLE)
    path = write({"n02909870": [PRIVATE, "b05_coal_hod"], "salty": [UNUSABLE]})
    found = library(path, None, folder)
    assert names(found) == {"bucket": [PRIVATE], "salty": [UNUSABLE]}
    assert found.models["bucket"][0].url.endswith(f"/mine/models/{PRIVATE}")
    assert found.left_out == ("b05_coal_hod (bucket): on TDW's private bucket",)


def test_a_later_folder_takes_the_place_of_an_earlier(tmp_path: Path) -> None:
    first, second = (put_bundle(tmp_path / name, "materials", "acoustic_panel") for name in ("first", "second"))
    put(first, "models", model_record("mine", scale_factor=1.0))
    put(second, "models", model_record("mine", scale_factor=3.0))
    chosen = ("gadget", "chair")
    assert library(chosen, None, first, second).models["gadget"][0].scale_factor == 3.0
    assert library(chosen, None, second, first).models["gadget"][0].scale_factor == 1.0
    path = tmp_path / "materials.txt"
    path.write_text("acoustic_panel")
    assert "/second/" in library(None, path, first, second).materials["acoustic_panel"]


def test_records_of_ones_own_add_to_tdws(tmp_path: Path) -> None:
    stool = model_record("aaa_chair", wnid="n03001627", wcategory="throne")
    replaced = model_record("candle", wnid="n02948072", wcategory="candle", scale_factor=7.0)
    marked = model_record("marked", do_not_use=True)
    folder = put(tmp_path, "models", stool, replaced, marked, model_record("mine"))
    found = library(None, None, folder)
    assert len(found.models) == 100
    assert list(found.models) == list(library().models)
    assert "gadget" not in found.models
    assert names(found)["chair"] == ["aaa_chair", *names(library())["chair"]]
    assert next(m for m in found.models["candle"] if m.name == "candle").scale_factor == 7.0
    assert names(library(("gadget", "chair"), None, folder))["gadget"] == ["mine"]


def test_materials_and_skyboxes_of_ones_own(tmp_path: Path, write: Writer) -> None:
    urls = model_record("x")["urls"]
    folder = put(tmp_path / "mine", "materials", {"name": "my_wood", "type": "Wood", "urls": urls})
    put(folder, "hdri_skyboxes", sky_record("aaa_sky"), sky_record("my_room", location="interior"))
    found = library(None, write("my_wood\nacoustic_panel"), folder)
    assert found.materials["my_wood"] == "https://example.org/x"
    assert list(found.skyboxes)[:2] == ["fish_hoek_beach_4k", "aaa_sky"]
    assert found.skyboxes["aaa_sky"].sun_intensity == 2.0
    assert found.left_out == ("skybox my_room: indoors, or its sun_elevation is below 120",)
    assert list(library(None, None, folder).materials) == list(library().materials)


@pytest.mark.parametrize("url", ["bundles/mine", "file:///{folder}/bundles/mine", "file:////{folder}/bundles/mine"])
def test_records_of_ones_own_may_lie_beside_their_bundles(tmp_path: Path, url: str) -> None:
    url = url.format(folder=tmp_path.as_posix().lstrip("/"))
    folder = put(tmp_path, "models", model_record("mine", urls={platform.system(): url}))
    with pytest.raises(ConfigError, match="no asset bundle of 'mine'") as caught:
        _ = library(("gadget", "chair"), None, folder).models
    assert caught.value.place.endswith("/bundles/mine")
    put_bundle(tmp_path, "bundles", "mine")
    found = library(("gadget", "chair"), None, folder).models["gadget"][0].url
    assert re.fullmatch(r"file:////?[^/].*/bundles/mine", found)


def test_private_records_of_ones_own_need_a_bundle(tmp_path: Path) -> None:
    urls = {platform.system(): "https://tdw-private.s3.amazonaws.com/models/mine"}
    folder = put(tmp_path, "models", model_record("mine", urls=urls))
    with pytest.raises(ConfigError, match="no public category 'gadget'"):
        _ = library(("gadget", "chair"), None, folder).models
    put_bundle(folder, "models", "mine")
    assert names(library(("gadget", "chair"), None, folder))["gadget"] == ["mine"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Invalid JSON"),
        ("[]", "valid"),
        ("{}", "records: Field required"),
        ({"records": {"mine": {}}}, "records: mine: name: Field required"),
        ({"records": {"mine": model_record("mine", scale_factor=0)}}, "scale_factor: Input should be greater than 0"),
        ({"records": {"mine": model_record("mine", bounds={})}}, "bounds: Value error, these points make no box"),
        ({"records": {"mine": model_record("mine", urls={"Amiga": "x"})}}, "'mine' has no URL for"),
        (
            {"records": {"mine": model_record("mine", scale_factor=float("inf"))}},
            "scale_factor: Input should be a fin",
        ),
    ],
)
def test_bad_records(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "models.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        _ = library(None, None, tmp_path).models
    assert caught.value.place == str(path)
    assert caught.value.mend


def test_library_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such library folder"):
        library(None, None, tmp_path / "none")
    with pytest.raises(ConfigError, match="neither records nor asset bundles") as caught:
        library(None, None, tmp_path)
    assert caught.value.place == str(tmp_path)


# --- fingerprints ---


def test_fingerprints_tell_contents_not_places(tmp_path: Path) -> None:
    def made(folder: str, lists: Any, materials: str, scale: float) -> str:
        place = tmp_path / folder
        put(place, "models", model_record("mine", scale_factor=scale))
        (place / "list.json").write_text(json.dumps(lists))
        (place / "materials.txt").write_text(materials)
        return library(place / "list.json", place / "materials.txt", place).fingerprint()

    lists = {"a": ["candle", "mine"], "b": ["cerno_lamp"]}
    same = made("one", lists, "acoustic_panel\nwood_red_cedar", 2.0)
    assert same == made("two", lists, "acoustic_panel\n\nwood_red_cedar\n", 2.0)
    tdws = {"b": ["candle"], "a": ["cerno_lamp"]}
    assert made("one", tdws, "acoustic_panel", 2.0) != made("one", dict(sorted(tdws.items())), "acoustic_panel", 2.0)
    others = {
        made("one", {"a": ["mine", "candle"], "b": ["cerno_lamp"]}, "acoustic_panel\nwood_red_cedar", 2.0),
        made("one", {"b": ["cerno_lamp"], "a": ["candle", "mine"]}, "acoustic_panel\nwood_red_cedar", 2.0),
        made("one", {"c": ["candle", "mine"], "b": ["cerno_lamp"]}, "acoustic_panel\nwood_red_cedar", 2.0),
        made("one", lists, "wood_red_cedar\nacoustic_panel", 2.0),
        made("one", lists, "acoustic_panel\nwood_red_cedar", 2.5),
    }
    assert len({same, *others}) == 6


@pytest.mark.parametrize("kind", ["models", "materials", "hdri_skyboxes"])
def test_fingerprints_tell_the_bundles_of_ones_own_records(tmp_path: Path, kind: str) -> None:
    urls = {platform.system(): "mine.bundle"}
    made = {
        "models": model_record("mine", urls=urls),
        "materials": {"name": "mine", "urls": urls, "type": "Wood"},
        "hdri_skyboxes": sky_record("mine", urls=urls),
    }
    folder = put(tmp_path / "a", kind, made[kind])
    (folder / "materials.txt").write_text("mine" if kind == "materials" else "acoustic_panel")
    categories = ("gadget", "chair") if kind == "models" else None

    def fingerprint(content: bytes) -> str:
        (folder / "mine.bundle").write_bytes(content)
        return library(categories, folder / "materials.txt", folder).fingerprint()

    first = fingerprint(b"one")
    assert fingerprint(b"two") != first
    assert fingerprint(b"one") == first


def test_fingerprints_tell_skyboxes(tmp_path: Path) -> None:
    import_tdw()
    from tdw.librarian import HDRISkyboxLibrarian

    record = HDRISkyboxLibrarian().get_record("bergen_4k").get_serializable()
    copied = library(None, None, put(tmp_path, "hdri_skyboxes", record)).fingerprint()
    dimmed = library(None, None, put(tmp_path, "hdri_skyboxes", record | {"sun_intensity": 0.125})).fingerprint()
    assert copied != dimmed


def test_fingerprint_tells_the_version_of_tdw(monkeypatch: pytest.MonkeyPatch) -> None:
    before = library().fingerprint()
    assert library().fingerprint() == before
    monkeypatch.setattr("task2sim_threedworld.library.fingerprint_libraries", lambda *names: f"{names} 2.0")
    assert library().fingerprint() != before


def test_files_are_read_when_needed_and_once(monkeypatch: pytest.MonkeyPatch, write: Writer) -> None:
    packaged.cache_clear()
    read = []

    def reading(form: Any, path: Path) -> Any:
        read.append(path.name)
        return read_library(form, path)

    monkeypatch.setattr(records, "read_library", reading)
    made = library(write({"a": ["candle"], "b": ["cerno_lamp"]}))
    assert read == []
    _ = made.models, library().models, library(("chair", "pan")).models
    assert read == ["models_core.json"]
    _ = made.materials, made.skyboxes, made.left_out, made.fingerprint()
    assert read == ["models_core.json", "materials_low.json", "hdri_skyboxes.json"]
    _ = library(write({"a": ["candle"], "b": ["cerno_lamp"], "c": [PRIVATE]})).models
    assert read[3:] == ["models_full.json"]
