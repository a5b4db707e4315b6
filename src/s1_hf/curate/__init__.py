"""Build a data set like s1K from a pool of questions with traces (https://arxiv.org/abs/2501.19393, section 2).

Each stage is a function on a `datasets.Dataset` with its own dataclass of options; [`curate`] runs them in order:

    decontaminate -> check_quality -> deduplicate -> keep_difficult -> select

For every row that it drops, a stage records the rule and what the rule found.
"""

from s1_hf.curate.columns import Columns, as_pool
from s1_hf.curate.decontamination import Decontamination, TestSet, decontaminate
from s1_hf.curate.difficulty import Difficulty, keep_difficult
from s1_hf.curate.domains import Domains, assign_domains
from s1_hf.curate.duplicates import Duplicates, deduplicate
from s1_hf.curate.output import save
from s1_hf.curate.pipeline import Curation, curate
from s1_hf.curate.quality import Quality, check_quality
from s1_hf.curate.recipe import Recipe, read_recipe
from s1_hf.curate.selection import Benchmark, Diversity, Trusted, select
from s1_hf.curate.stage import Drop, Stage

__all__ = [
    "Benchmark",
    "Columns",
    "Curation",
    "Decontamination",
    "Difficulty",
    "Diversity",
    "Domains",
    "Drop",
    "Duplicates",
    "Quality",
    "Recipe",
    "Stage",
    "TestSet",
    "Trusted",
    "as_pool",
    "assign_domains",
    "check_quality",
    "curate",
    "decontaminate",
    "deduplicate",
    "keep_difficult",
    "read_recipe",
    "save",
    "select",
]
