"""The picture's labels."""

from sae_merge_method.experiment.report.scatter import place_labels


def test_names_in_the_picture_do_not_cover_each_other_nor_leave_it() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    figure = Figure(figsize=(8, 5), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    points = [(0.5 + i % 3 * 0.01, 0.5 + i // 3 * 0.02) for i in range(6)] + [(0.0, 0.0), (1.0, 1.0)]
    axes.plot(*zip(*points, strict=True), "o")
    frame = axes.get_window_extent()
    place_labels(axes, points, {i: f"a-rather-long-name-{i}" for i in range(8)})
    boxes = [Text.get_window_extent(text, canvas.get_renderer()) for text in axes.texts]
    assert len(boxes) == 8
    assert all(frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1) for box in boxes)
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
