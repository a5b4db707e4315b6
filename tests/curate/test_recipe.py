"""Recipes are read with their types, and what is wrong in them is named with its place."""

import pytest

pytest.importorskip("datasets")

from s1_hf.curate import Recipe, Trusted, read_recipe
from s1_hf.curate.recipe import build
from s1_hf.finding import RECIPES


@pytest.fixture
def recipe(tmp_path):
    def read(text):
        file = tmp_path / "mine.yaml"
        file.write_text(text)
        return read_recipe(file)

    return read


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("curate*.yaml")))
def test_a_shipped_recipe_is_read(name):
    assert read_recipe(name).diversity.n == 1000


def test_the_papers_recipe_has_the_papers_numbers():
    recipe = read_recipe("curate")
    assert recipe.decontamination.ngram_size == 8
    assert [test.name for test in recipe.decontamination.against] == ["AIME24", "MATH500", "GPQA-Diamond"]
    assert recipe.diversity.method == "algorithm_1"
    assert Trusted("qfq/openaimath", min_thinking_tokens=5601) in recipe.diversity.trusted
    assert [benchmark.weight for benchmark in recipe.diversity.benchmarks] == [1.0, 0.5]
    assert recipe.diversity.uniform_share == 0.7 and recipe.quality.asy_sources == ("AIME",)


def test_an_empty_recipe_is_the_defaults(recipe):
    assert recipe("") == recipe("quality:\n") == Recipe()


def test_a_recipe_comes_back_from_its_dictionary():
    recipe = read_recipe("curate")
    assert build(Recipe, recipe.as_dict(), "") == recipe


def test_the_command_line_changes_seed_method_and_n():
    changed = read_recipe("curate").changed(seed=3, method="random", n=None)
    assert (changed.seed, changed.diversity.method, changed.diversity.n) == (3, "random", 1000)
    assert changed.diversity.trusted == read_recipe("curate").diversity.trusted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("qualty: {}", r"`the recipe`: `qualty` \(did you mean `quality`\?\). The fields are seed, "),
        ("quality: {minimum: 3}", "in `quality`: `minimum`.* The fields are skip, min_thinking_tokens, asy_sources"),
        ("diversity: {trusted: [{sorce: AIME}]}", r"`diversity.trusted\[0\]`: `sorce` \(did you mean `source`\?\)"),
        ("diversity: {trusted: [{source: ' '}]}", "has to name a source, and a .min_thinking_tokens. of 0 or more"),
        ("diversity: {trusted: [{}]}", r"`diversity.trusted\[0\]` lacks a field: .*source"),
        ("diversity: {n: many}", "`diversity.n` has to be a whole number, but is 'many'"),
        ("diversity: {n: true}", "`diversity.n` has to be a whole number, but is True"),
        ("diversity: {n: 0}", "in `diversity`: `n` has to be 1 or more, but is 0"),
        ("diversity: {method: best}", "`method` has to be one of algorithm_1, notebook, .*, but is 'best'"),
        ("diversity: {method: notebook}", "`method: notebook` needs `benchmarks`"),
        ("diversity: {benchmarks: [{source: a, weight: 0}]}", "`weight` of the benchmark 'a' has to be above 0"),
        ("diversity: {benchmarks: [{source: a, weight: .nan}]}", "holds a number that is not finite .nan"),
        ("diversity: {benchmarks: [{source: a, weight: .inf}]}", "holds a number that is not finite .inf"),
        ("diversity: {trusted: AIME}", "`diversity.trusted` has to be a list, but is 'AIME'"),
        ("duplicates: {threshold: 2}", "`threshold` has to be more than 0 and at most 1, but is 2.0"),
        ("columns: {question: 3}", "`columns.question` has to be a text, but is 3"),
        ("quality: 3", "`quality` has to be a mapping of fields to values, but is 3"),
        ("licenses: {AIME: 3}", "`licenses` has to be a mapping of texts to texts"),
        ("seed: -1", "`seed` has to be 0 or more, but is -1"),
        ("decontamination: {ngram_size: 0}", "`ngram_size` has to be 1 or more words, but is 0"),
        ("decontamination: {min_share: 2}", "`min_share` has to be from 0 to 1, but is 2"),
        ("- 1", "`the recipe` has to be a mapping"),
        ("a: [", "is not a YAML file"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(recipe, text, said):
    with pytest.raises(ValueError, match=said):
        recipe(text)


def test_a_recipe_of_another_command_is_answered_with_those_of_curation():
    with pytest.raises(ValueError, match="of another command: this one takes curate, curate_embedded, or a file"):
        read_recipe("sft_embedded")
