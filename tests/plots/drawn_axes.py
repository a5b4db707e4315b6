"""What axes show, read back from them."""


def axes():
    from matplotlib.figure import Figure

    return Figure().add_subplot()


def intervals(ax):
    return {tuple(map(tuple, path.vertices)) for c in ax.containers for path in c.lines[2][0].get_paths()}


def texts(ax):
    return [t.get_text() for t in ax.texts]


def legend(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def rows(ax):
    return [t.get_text() for t in ax.get_yticklabels()]


def names(ax):
    """The boxes of what is written beside marks, in pixels."""
    return [t.get_window_extent() for t in ax.texts]


def overlaps(boxes, others=None):
    """Which of the boxes overlap which others; by default, each other."""
    pairs = [(i, j) for i in range(len(boxes)) for j in range(i)]
    if others is not None:
        pairs = [(i, j) for i in range(len(boxes)) for j in range(len(others))]
    others = boxes if others is None else others
    return [(i, j) for i, j in pairs if boxes[i].overlaps(others[j])]
