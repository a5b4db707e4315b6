"""Reports in words."""

from typing import get_args

from s1_hf import Report
from s1_hf.forcing.report import ENDED_NAMES, Ended, EndedName


def test_every_way_to_end_has_its_name_in_reports():
    assert {ended.label for ended in Ended} == set(ENDED_NAMES) == set(get_args(EndedName))
    assert (Ended.NEVER_STARTED.label, Ended.CUT.label) == ("never_started", "cut")


def test_the_mask_of_forced_tokens_is_not_printed():
    report = Report(thinking_tokens=5, ended="cut", ends_ignored=1, forced=(False, True), answer_tokens=2)
    assert repr(report) == "Report(thinking_tokens=5, ended='cut', ends_ignored=1, answer_tokens=2)"
    assert report != Report(thinking_tokens=5, ended="cut", ends_ignored=1, forced=(True, True), answer_tokens=2)
