"""The page: what stands where, and what is pressed for what."""

from __future__ import annotations

from typing import Any

import gradio as gr

from s1_hf.playground import showing
from s1_hf.playground.handling import Handlers
from s1_hf.playground.look import CSS, ON_LOAD
from s1_hf.reporting.html import element


def build(handlers: Handlers, model: str, engine: str, question: str) -> gr.Blocks:
    """The page for one model.

    Args:
        model, engine (`str`): what they are called.
        question (`str`): stands in the field at first.
    """
    most = handlers.most
    with gr.Blocks(title=f"s1-hf playground: {model}", analytics_enabled=False, fill_width=True) as page:
        with gr.Row():
            gr.HTML(_title(model, engine), elem_id="s1-title")
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                settings = _settings(most.new_tokens, most.characters, handlers.engine.context, question)
            with gr.Column(scale=5, min_width=320), gr.Tabs():
                with gr.Tab("Answer"):
                    _action(handlers, "answer", "Run", handlers.answer, settings, [])
                with gr.Tab("Compare"):
                    lists = _lists("16, 32, none", "0, 1")
                    _action(handlers, "compare", "Compare", handlers.compare, settings, lists)
                with gr.Tab("Curve"):
                    count = gr.Slider(
                        1, most.problems, min(48, most.problems), step=1, label="Problems of the embedded task"
                    )
                    lists = [count, *_lists("16, 32, 48", "1, 2")]
                    _action(handlers, "curve", "Draw", handlers.curve, settings, lists)
        page.unload(handlers.leave)
    return page


def launched(page: gr.Blocks, *, host: str | None, port: int | None, share: bool = False) -> str:
    """Serve the page, which loads nothing from elsewhere and tells nobody anything; returns its address."""
    _, local, public = page.queue(max_size=64).launch(
        server_name=host,
        server_port=port,
        share=share,
        prevent_thread_lock=True,
        quiet=True,
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        footer_links=[],
        theme=_theme(),
        css=CSS,
        js=ON_LOAD,
    )
    return public or local


def _theme() -> gr.Theme:
    """Gradio's own, with the fonts of the visitor's machine, and with texts that can be read."""
    stock = gr.themes.Default(
        primary_hue="blue", font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "Consolas", "monospace")
    )
    soft: dict[str, str] = {}
    for name in ("body_text_color_subdued", "block_title_text_color", "block_label_text_color"):
        soft |= {name: "*neutral_600", f"{name}_dark": "*neutral_300"}
    return stock.set(
        **soft,
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
    )


def _title(model: str, engine: str) -> str:
    said = f"{model}, run by {engine}: how long it thinks is set by a budget, as in the paper s1."
    return str(element("div", element("h1", "s1-hf playground"), element("p", said, class_="note"), showing.legend()))


def _settings(most_tokens: int, most_characters: int, context: int | None, question: str) -> list[Any]:
    """The fields of [`Settings`], in their order."""
    most = min(most_tokens, context or most_tokens)
    asked = gr.Textbox(question, label="Question", lines=4, max_lines=12, max_length=most_characters)
    cap = gr.Slider(0, most, min(32, most), step=1, label="Maximum thinking tokens", info="max_thinking_tokens")
    no_cap = gr.Checkbox(True, label="No maximum")
    cap.input(None, None, no_cap, js="() => false")  # who moves the slider means it
    least = gr.Slider(0, most, 0, step=1, label="Minimum thinking tokens", info="min_thinking_tokens")
    ignores = gr.Slider(0, 10, 1, step=1, label="Ignored ends", info="num_ignores: attempts to end thinking")
    wait = gr.Textbox("Wait", label="Wait text", info="wait_text: replaces an ignored end; empty for nothing")
    window = gr.Slider(
        0, 256, 0, step=1, label="Soft cut", info="cut_window: cut at the end of a line, so many tokens before the cap"
    )
    at = gr.Radio(["line", "sentence"], value="line", label="Soft cut at the end of a", info="cut_at")
    with gr.Accordion("Length and sampling", open=False):
        tokens = gr.Slider(1, most, min(512, most), step=1, label="Most tokens in all", info="max_new_tokens")
        temperature = gr.Slider(0, 2, 0, step=0.05, label="Temperature", info="0 decodes greedily")
        seed = gr.Number(0, precision=0, minimum=0, label="Random seed")
    return [asked, cap, no_cap, least, ignores, wait, window, at, tokens, temperature, seed]


def _lists(caps: str, ignores: str) -> list[Any]:
    with gr.Row():
        one = gr.Textbox(
            caps, label="Maximums", info="in place of the slider's, with commas; none is no maximum", min_width=160
        )
        two = gr.Textbox(ignores, label="Ignored ends", info="in place of the slider's, with commas", min_width=160)
    return [one, two]


def _action(handlers: Handlers, kind: str, name: str, work: Any, settings: list[Any], more: list[Any]) -> None:
    """A button that starts, one that stops, and the places for what comes of it."""
    problem = gr.HTML("", elem_id=f"s1-{kind}-problem")
    with gr.Row():
        start = gr.Button(name, variant="primary", elem_id=f"s1-{kind}-start", min_width=120)
        stop = gr.Button("Stop", elem_id=f"s1-{kind}-stop", min_width=120)
    status = gr.HTML(showing.status(""), elem_id=f"s1-{kind}-status")
    aloud = gr.HTML(showing.aloud(""), elem_id=f"s1-{kind}-aloud")
    shown = gr.HTML("", elem_id=f"s1-{kind}-shown")
    event = start.click(
        work,
        [*more, *settings],
        [problem, status, aloud, shown],
        show_progress="minimal",
        show_progress_on=status,
        concurrency_id="model",
        concurrency_limit=handlers.at_once,
        api_visibility="private",
    )
    stop.click(handlers.stop(kind), None, [status, aloud], cancels=[event], queue=False, api_visibility="private")
