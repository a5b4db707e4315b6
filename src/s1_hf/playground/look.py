"""How the playground looks: the report's colours, light and dark, on a desk and on a phone."""

from s1_hf.reporting.layout import DARK, FORCED, LIGHT

CSS = (
    f""":root {{ {LIGHT} --edge: #6b6b6b; }}
.dark {{ {DARK} --edge: #9a9a9a; }}
{FORCED}
"""
    """
[id$="-problem"]:not(:has(p)) { display: none; }
.unseen, [id$="-aloud"] { position: absolute !important; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
button[role="tab"].selected { color: var(--link) !important; }
#s1-title h1 { font-size: 1.5rem; margin: 0; } .note { color: var(--soft); font-size: .875rem; margin: .25rem 0;
  overflow-wrap: anywhere; }
.transcript { display: grid; gap: .75rem; }
.part { border: 1px solid var(--edge); border-radius: 4px; background: var(--field); color: var(--ink); }
.part.thinking { border-style: dashed; } .part.answer { border-width: 3px; }
.part .name { margin: 0; padding: .2rem .8rem; font-size: .8125rem; font-weight: 700; border-bottom: inherit;
  border-bottom-width: 1px; color: var(--ink); }
.part .text { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext;
  padding: .6rem .8rem; color: var(--ink);
  font: .875rem/1.5 ui-monospace, Consolas, monospace; max-height: 40rem; overflow-y: auto; }
.part.thinking .text { font-style: italic; color: var(--soft); } .part.thinking mark { font-style: normal; }
dl.report { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .875rem;
  margin: .75rem 0; }
dl.report dt { color: var(--soft); } dl.report dd { margin: 0; color: var(--ink); }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: 1rem; }
.panel { min-width: 0; } .panel h2 { margin: 0 0 .5rem; font-size: 1rem; color: var(--ink); }
.problem-note { border-left: 4px solid var(--wrong); padding: .4rem .8rem; margin: 0; color: var(--ink); }
.problem-note strong { color: var(--wrong); }
.figure img { display: block; width: 100%; max-width: 40rem; background: #fff; padding: .5rem; border-radius: 4px;
  border: 1px solid var(--edge); }
.dark .figure img { filter: invert(.91) hue-rotate(180deg); }
.scroll { overflow-x: auto; } .scroll table { border-collapse: collapse; font-size: .875rem; color: var(--ink); }
.scroll th, .scroll td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; font-variant-numeric: tabular-nums; }
.scroll th.name { text-align: left; }
:focus-visible { outline: 3px solid var(--link) !important; outline-offset: 2px; }
@media (max-width: 36rem) { dl.report { grid-template-columns: 1fr; } dl.report dd { margin-bottom: .4rem; } }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
"""
)

ON_LOAD = "() => { document.documentElement.lang = 'en'; }"
"""Run in the browser when the page has come."""
