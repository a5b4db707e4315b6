"""What goes to the Hub: models, data sets, packs and results, each with a card, and nothing that is not theirs.

- `folders`: what a folder is, by what is in it.
- `files`: which of its files go, and why others do not.
- `cards`: a card where there is none.
- `uploading`: the plan, which asks nobody, and the upload.
"""

from s1_hf.publishing.uploading import Plan, Pushed, plan_of, push

__all__ = ["Plan", "Pushed", "plan_of", "push"]
