from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from task2sim_vqa.swapping import FeaturePool, swap


def rows(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)[:, None] * np.ones((1, 3), dtype=np.float32)


OTHER = FeaturePool([(rows(100, 101, 200), ["mug", "mug", "chair"]), (rows(102, 300, 999), ["mug", "fork"])])
MINE, CLASSES = rows(0, 1, 2, 3, 4), ["mug", "chair", "mug", "spoon"]  # The last row is the whole image.


def test_the_pool_holds_regions_by_class() -> None:
    assert OTHER.classes == {"mug", "chair", "fork"}
    drawn = OTHER.draw("mug", 200, np.random.default_rng(0))
    assert set(drawn[:, 0]) == {100, 101, 102}


def test_swaps_as_the_article_says() -> None:
    random = np.random.default_rng(0)
    replaced = {"mug": 0, "chair": 0}
    for _ in range(2000):
        got = swap(MINE, CLASSES, OTHER, random)
        assert got[3, 0] == 3  # No spoon in the other domain.
        assert got[4, 0] == 4
        changed = set(np.nonzero(got[:, 0] != MINE[:, 0])[0].tolist())
        # A fifth of two classes is one: its regions change all together.
        assert changed in (set(), {0, 2}, {1})
        if changed == {0, 2}:
            replaced["mug"] += 1
            assert set(got[[0, 2], 0]) <= {100, 101, 102}
        elif changed:
            replaced["chair"] += 1
            assert got[1, 0] == 200
    # lambda ~ Beta(1, 1) is above a half in half of all cases; classes are equally likely then.
    assert abs(sum(replaced.values()) - 1000) < 100
    assert abs(replaced["mug"] - replaced["chair"]) < 120
    assert (MINE[:, 0] == [0, 1, 2, 3, 4]).all()


def test_a_fifth_of_many_classes() -> None:
    names = [f"kind {k}" for k in range(10)]
    pool = FeaturePool([(rows(*range(100, 110)), names)])
    counts = [
        int((swap(rows(*range(10)), names, pool, np.random.default_rng(seed))[:, 0] >= 100).sum())
        for seed in range(40)
    ]
    assert set(counts) == {0, 2}


def test_depends_on_the_generator_alone() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]  # noqa: NPY002
    several = [swap(MINE, CLASSES, OTHER, np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(*several)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002


def test_nothing_in_common_changes_nothing() -> None:
    pool = FeaturePool([(rows(1), ["ship"])])
    for seed in range(20):
        assert swap(MINE, CLASSES, pool, np.random.default_rng(seed)) is MINE
