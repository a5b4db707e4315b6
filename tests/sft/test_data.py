"""The labels: where the loss is, position for position."""

import runpy
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytest.importorskip("trl")
pytest.importorskip("datasets")

import datasets
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM
from trl import SFTConfig, SFTTrainer

from s1_hf import embedded
from s1_hf.data.conversation import to_conversation
from s1_hf.data.s1k import load_s1k
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.sft.data import IGNORED, show_mask, tokenize, training_rows
from shared_data import REAL_ROWS, SHARED, needs_shared

QWEN = SHARED / "tokenizers/qwen2.5-instruct"

ROWS = [
    {"question": "2+2?", "thinking_trajectories": ["two and two", "are four"], "attempt": "4"},
    {"question": "Say Answer: 5", "thinking_trajectories": ["five\n"], "attempt": "The Answer: 5"},
    {"question": "<user> assistant\n", "thinking_trajectories": [" x "], "attempt": "line\nline\n"},
]


@pytest.fixture(scope="module")
def tokenizer():
    return embedded.load()[1]


def completion_only_labels(ids: list[int], tokenizer) -> list[int]:
    """The original's collator: the loss is on everything between an assistant's heading and the next user's.

    train/sft.py of simplescaling/s1 gives TRL 0.12's `DataCollatorForCompletionOnlyLM` these two headings.
    """
    response = tokenizer.encode("<|im_start|>assistant\n", add_special_tokens=False)
    instruction = tokenizer.encode("<|im_start|>user", add_special_tokens=False)

    def ends_of(part):
        return [i + len(part) for i in range(len(ids) - len(part) + 1) if ids[i : i + len(part)] == part]

    labels = [IGNORED] * len(ids)
    for begin in ends_of(response):
        end = min((i - len(instruction) for i in ends_of(instruction) if i > begin), default=len(ids))
        labels[begin:end] = ids[begin:end]
    return labels


def trl_labels(rows, tokenizer) -> list[dict]:
    """What `SFTTrainer` makes of the same conversations, given as messages."""
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        num_key_value_heads=1,
    )  # fmt: skip
    messages = datasets.Dataset.from_list([to_conversation(row) for row in rows])
    with TemporaryDirectory() as folder:
        args = SFTConfig(folder, use_cpu=True, bf16=False, max_length=None, report_to="none")
        trainer = SFTTrainer(Qwen2ForCausalLM(config), args, train_dataset=messages, processing_class=tokenizer)
    return [{"input_ids": row["input_ids"], "labels": row["labels"]} for row in trainer.train_dataset]


def s1(tokenizer) -> ThinkingFormat:
    return ThinkingFormat.from_tokenizer(tokenizer, "s1")


def test_labels_equal_those_of_the_originals_collator(tokenizer):
    for row in ROWS:
        tokens = tokenize(row, tokenizer, s1(tokenizer))
        assert tokens.labels == completion_only_labels(tokens.input_ids, tokenizer)


@needs_shared
def test_labels_of_the_real_rows_equal_those_of_the_originals_collator():
    tokenizer = AutoTokenizer.from_pretrained(QWEN)
    rows = load_s1k(path=str(REAL_ROWS), traces="gemini")
    assert len(rows) == 5
    for row in rows:
        tokens = tokenize(row, tokenizer, s1(tokenizer))
        assert tokens.labels == completion_only_labels(tokens.input_ids, tokenizer)
        trained = [i for i in tokens.labels if i != IGNORED]
        assert trained[:2] == [151644, 26865]  # <|im_start|>think
        assert trained[-2:] == [151645, 198]  # <|im_end|> and the newline of the template


def test_ids_and_labels_equal_those_of_the_trainer_itself(tokenizer):
    ours = training_rows(datasets.Dataset.from_list(ROWS), tokenizer, s1(tokenizer))
    assert list(ours) == trl_labels(ROWS, tokenizer)


@needs_shared
def test_ids_and_labels_of_the_real_rows_equal_those_of_the_trainer_itself():
    tokenizer = AutoTokenizer.from_pretrained(QWEN)
    rows = load_s1k(path=str(REAL_ROWS), traces="gemini")
    ours = training_rows(rows, tokenizer, s1(tokenizer))
    assert list(ours) == trl_labels(list(rows), tokenizer)


def test_the_trained_part_is_shown_decoded(tokenizer):
    rows = training_rows(datasets.Dataset.from_list(ROWS), tokenizer, s1(tokenizer))
    masked, trained = show_mask(rows[0], tokenizer).splitlines()
    assert masked.startswith("no loss on") and masked.endswith("<|im_start|>assistant\\n'")
    assert "loss on" in trained and "'<|im_start|>think\\ntwo and two" in trained
    assert trained.endswith("Answer: 4<|im_end|>\\n'")


def test_a_template_that_drops_the_thinking_of_earlier_turns_trains_all_of_it(tokenizer):
    """As DeepSeek-R1's does: the model does not see the template's rendering of what it is writing."""
    kept = training_rows(datasets.Dataset.from_list(ROWS), tokenizer, s1(tokenizer))
    drops = embedded.load()[1]
    drops.chat_template = drops.chat_template.replace(
        "message.content", "message.content.split('<|im_start|>answer')[-1]"
    )
    assert list(training_rows(datasets.Dataset.from_list(ROWS), drops, s1(drops))) == list(kept)


def test_a_row_that_cannot_be_used_is_named_with_its_number(tokenizer):
    bad = [*ROWS, ROWS[0] | {"attempt": "4<|im_end|>"}]
    with pytest.raises(ValueError, match="Row 3: the trained part has to contain the end of turn '<|im_end|>' once"):
        training_rows(datasets.Dataset.from_list(bad), tokenizer, s1(tokenizer))


def test_a_template_without_an_end_of_turn_is_refused():
    tokenizer = embedded.load()[1]
    tokenizer.chat_template = tokenizer.chat_template.replace("<|im_end|>", "")
    with pytest.raises(ValueError, match="has to end with the end of turn '<|im_end|>', but ends with"):
        tokenize(ROWS[0], tokenizer, s1(tokenizer))


def test_a_template_that_opens_the_turn_differently_is_refused():
    tokenizer = embedded.load()[1]
    tokenizer.chat_template += "{% if add_generation_prompt %}<|im_start|>x{% endif %}"
    with pytest.raises(ValueError, match="renders the prompt differently"):
        tokenize(ROWS[0], tokenizer, s1(tokenizer))


def test_an_end_of_turn_within_a_row_is_refused(tokenizer):
    row = ROWS[0] | {"attempt": "4<|im_end|>5"}
    with pytest.raises(ValueError, match="has to contain the end of turn '<|im_end|>' once, but also has it in"):
        tokenize(row, tokenizer, s1(tokenizer))


TABLE = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "training.py"))
CELLS = [
    (name, written)
    for name, model in TABLE["MODELS"].items()
    for written in dict.fromkeys(("s1", "think", model.own))
    if written is not None and not TABLE["cell"](model, written).startswith("refused")
]


@pytest.mark.parametrize(("name", "written"), CELLS, ids=lambda value: value)
def test_the_loss_is_on_trace_delimiters_answer_and_end_of_turn_of_every_family(name, written):
    """What the table in docs/training.md calls trainable: the prompt is the template's, the rest is the reply."""
    model = TABLE["MODELS"][name]
    prompt, reply, _ = TABLE["trained"](model, written, "add")
    (message,) = to_conversation(TABLE["_ROW"], written)["completion"]
    begun = next((text for text in ("<think>\n", "<think>") if prompt.endswith(text)), "")
    assert (begun + reply).startswith(message["content"])
    end = (begun + reply).removeprefix(message["content"])
    ends = {model.eos, model.stops, dict(model.fields).get("eos_token")} - {None}
    assert any(end.strip().endswith(token) for token in ends) and "How much" not in reply
    assert prompt.count("How much is 1+1?") == 1
