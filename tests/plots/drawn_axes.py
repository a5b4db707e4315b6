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
