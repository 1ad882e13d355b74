import re
import xml.etree.ElementTree as ET

import pytest

from pareta_report import Comparison, judge, quality_against_cost
from pareta_report.render.labels import LETTER_WIDTH, LINE_HEIGHT, Place, Point, place
from tests.report.runs import published, right, run, scored


def comparison(*costs: float, name: str = "model") -> Comparison:
    results = [scored(f"{name}-{i}", right(60 + 3 * i, 100), cost=cost) for i, cost in enumerate(costs)]
    return judge("x", None, run(*results))


def words(svg: str) -> list[str]:
    return [
        text for element in ET.fromstring(svg).iter() for text in [element.text or ""] if element.tag.endswith("}text")
    ]


def test_the_drawing_is_wellformed_and_names_every_model() -> None:
    drawn = words(quality_against_cost(comparison(10, 100, 1_000)))
    assert {"model-0", "model-1", "model-2"} <= set(drawn)


def test_the_drawing_depends_on_nothing_but_the_comparison() -> None:
    assert quality_against_cost(comparison(10, 100)) == quality_against_cost(comparison(10, 100))


def test_the_drawing_takes_its_colours_from_the_readers_theme() -> None:
    svg = quality_against_cost(comparison(10, 100))
    assert "prefers-color-scheme:dark" in svg
    drawn = svg.partition("</style>")[2]
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawn)) == set()
    assert "var(--plot-ink)" in drawn


def test_a_model_name_that_is_markup_or_mathematics_is_a_name() -> None:
    hostile = '</text><script>alert(1)</script> $\\frac{1}$ 日本 \x07 "&'
    results = [scored(f"{i}{hostile}", right(90 - i, 100), cost=10 + i) for i in range(2)]
    svg = quality_against_cost(judge(hostile, None, run(*results)))
    root = ET.fromstring(svg)
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert any("</text><script>" in text for text in words(svg))


def test_costs_far_apart_get_a_logarithmic_axis() -> None:
    far = [text for text in words(quality_against_cost(comparison(10, 10_000))) if re.fullmatch(r"[\d.]+", text)]
    near = [text for text in words(quality_against_cost(comparison(10, 12))) if re.fullmatch(r"[\d.]+", text)]
    assert {"0.01", "0.1", "1", "10"} <= set(far)
    assert not {"0.1", "1"} & set(near)


@pytest.mark.parametrize("cost", [None, 0])
def test_a_comparison_without_costs_or_with_free_models_is_drawn_too(cost: float | None) -> None:
    svg = quality_against_cost(
        judge("x", None, run(scored("a", right(9, 10), cost=cost), scored("b", right(1, 10), cost=cost)))
    )
    ET.fromstring(svg)
    assert ("No model has both" in svg) == (cost is None)


def test_a_model_without_an_interval_is_a_dot() -> None:
    ET.fromstring(quality_against_cost(judge("x", None, run(published("a", 0.9)))))


def test_the_front_is_marked_and_the_dominated_are_not() -> None:
    one = quality_against_cost(comparison(100, 10))
    two = quality_against_cost(comparison(10, 100))
    assert one.count("stroke-width: 1.2") < two.count("stroke-width: 1.2")


def test_no_name_covers_another_or_leaves_the_plot() -> None:
    points = [Point(100 + 9 * i, 100 + 4 * (i % 5), 90, 120) for i in range(20)]
    names = [f"a-model-{i}" for i in range(20)]
    places = place(points, names, 400, 300)
    boxes = [_box(spot, name) for spot, name in zip(places, names, strict=True) if spot is not None]
    assert len(boxes) >= 4
    assert all(left >= 0 and right <= 400 for left, _, right, _ in boxes)
    for i, (left, bottom, right_, top) in enumerate(boxes):
        for other in boxes[i + 1 :]:
            assert right_ <= other[0] or other[2] <= left or top <= other[1] or other[3] <= bottom


def test_a_lone_name_stands_right_of_its_point() -> None:
    (spot,) = place([Point(50, 50, 40, 60)], ["alone"], 300, 100)
    assert spot is not None
    assert (spot.anchor, spot.y) == ("start", 50)


def _box(spot: Place, name: str) -> tuple[float, float, float, float]:
    width = LETTER_WIDTH * len(name)
    left = {"start": spot.x, "middle": spot.x - width / 2, "end": spot.x - width}[spot.anchor]
    return left, spot.y - LINE_HEIGHT / 2, left + width, spot.y + LINE_HEIGHT / 2
