"""The bare `transformers serve --trust-remote-code` on an exported folder, without our middleware."""

from __future__ import annotations

import json

import pytest
from servers import CHAT, QUESTION, client_of, running, streamed

from s1_hf import embedded, generate
from s1_hf.generation.export import export_custom_generate

pytest.importorskip("openai")
pytest.importorskip("transformers.cli.serving.server")

SERVE = ["transformers.cli.transformers", "serve", "model", "--trust-remote-code", "--host", "127.0.0.1"]
SERVE += ["--device", "cpu", "--dtype", "float32"]


def test_it_keeps_budgets_and_answers_what_is_wrong_with_status_400(tmp_path):
    import shutil

    import openai

    from s1_hf.serving.start import check_transformers

    check_transformers()
    export_custom_generate(shutil.copytree(embedded.MODEL_PATH, tmp_path / "model"), num_ignores=1)
    model, tokenizer = embedded.load()
    expected = lambda **budget: generate(model, tokenizer, QUESTION, **budget)[0].token_ids  # noqa: E731
    with running(SERVE, tmp_path) as url, client_of(url) as client:

        def ask(budget: dict | None = None, **more):
            body = {} if budget is None else {"generation_config": json.dumps(budget)}
            return client.chat.completions.create(model="model", messages=CHAT, extra_body=body, **more)

        assert ask().usage.completion_tokens == len(expected(num_ignores=1))
        short = {"max_thinking_tokens": 16, "num_ignores": 0}
        whole = ask(short)
        assert whole.usage.completion_tokens == len(expected(max_thinking_tokens=16))
        assert streamed(ask(short, stream=True))[0] == whole.choices[0].message.content
        assert ask(short, stop=["Final"]).choices[0].message.content.endswith("Final")
        for wrong, message in (
            ({"max_thinking_tokens": -1}, "has to be an integer of at least 0"),
            ({"max_thinking_tokns": 5}, "Did you mean `max_thinking_tokens`?"),
            ({"thinking_budget": 5}, "is no setting of `generation_config`"),
            ({"_from_model_config": True, "max_thinking_tokens": 5}, "`_from_model_config` is no setting"),
            ({"_other": True}, "`_other` is no setting"),
            ({"wait_text": 'say "a"\n<|im_end|>'}, "free of delimiters"),
        ):
            with pytest.raises(openai.BadRequestError) as caught:
                ask(wrong)
            assert message in caught.value.response.json()["detail"]
            with client.chat.completions.with_streaming_response.create(
                model="model", messages=CHAT, stream=True, extra_body={"generation_config": json.dumps(wrong)}
            ) as stream:
                events = [line for line in stream.iter_lines() if line.startswith("data: ")]
            assert message in json.loads(events[-1].removeprefix("data: "))["error"]
