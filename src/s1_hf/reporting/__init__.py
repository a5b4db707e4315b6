"""Results as figures, tables and one page to read and share: `s1-hf plot`. Needs the `plot` extra."""

from s1_hf.reporting.models import draw_models
from s1_hf.reporting.report import WrittenReport, load_about, write_report

__all__ = ["WrittenReport", "draw_models", "load_about", "write_report"]
