"""The package as a whole."""

from s1_hf import metrics


def test_the_folder_exports_what_its_summary_names():
    assert all(f"`{name}`" in metrics.__doc__ for name in metrics.__all__)
