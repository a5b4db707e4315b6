"""Compare the counts of draws with their law."""

from scipy import stats

FALSE_ALARM = 1e-6  # of every chi-square test, over seeds; the tests fix their seeds


def fits(found, law, draws):
    """Whether counts look like `draws` draws of `law` (outcome -> probability)."""
    assert sum(law.values()) == 1 and set(found) <= set(law)
    outcomes = sorted(law, key=str)
    expected = [float(law[outcome]) * draws for outcome in outcomes]
    assert min(expected) > 5
    return stats.chisquare([found[outcome] for outcome in outcomes], expected).pvalue > FALSE_ALARM
