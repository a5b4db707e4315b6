"""How a report looks: light and dark, on a phone and on paper."""

LIGHT = """--paper: #fff; --ink: #1a1a1a; --soft: #595959; --line: #d4d4d4; --field: #f4f4f4; --forced: #ffe3c9;
  --forced-ink: #7a2e00; --right: #00664b; --wrong: #a83800; --link: #005a94;"""
DARK = """--paper: #161616; --ink: #e6e6e6; --soft: #a8a8a8; --line: #444; --field: #222; --forced: #4a2508;
  --forced-ink: #ffc08a; --right: #4fd3ab; --wrong: #ff9a66; --link: #7cc4f5;"""
"""Colours by what they are for."""

FORCED = """mark { background: var(--forced); color: var(--forced-ink); font-weight: 700; text-decoration: underline; }
mark::before { content: "\\27E6"; } mark::after { content: "\\27E7"; }"""
"""How forced text looks."""

CSS = (
    f""":root {{ color-scheme: light dark; {LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}
{FORCED}
"""
    """* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.25rem; margin-top: 2.5rem;
  border-bottom: 1px solid var(--line); } h3 { font-size: 1rem; margin: 0 0 .5rem; }
a { color: var(--link); } nav a { display: inline-block; margin-right: 1rem; }
p { max-width: 46rem; } .headline { font-size: 1.125rem; margin: .5rem 0; }
.note, .counts, figcaption { color: var(--soft); font-size: .875rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .875rem; overflow-wrap: normal; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap;
  font-variant-numeric: tabular-nums; }
th.name, td.name { text-align: left; white-space: normal; min-width: 10rem; max-width: 24rem; overflow-wrap: anywhere; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .875rem; }
dt { color: var(--soft); } dd { margin: 0; font-family: ui-monospace, monospace; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; } figure img { display: block; width: 100%; max-width: 30rem; background: #fff; padding: .5rem;
  border: 1px solid var(--line); border-radius: 4px; }
figure.wide { grid-column: 1 / -1; } figure.wide img { max-width: 60rem; min-width: 40rem; } .figures + details {
  margin-top: 1rem; }
@media screen and (prefers-color-scheme: dark) { figure img { filter: invert(.91) hue-rotate(180deg); } }
.problem { border: 1px solid var(--line); border-radius: 4px; padding: .75rem 1rem; margin: 1rem 0; }
.text { white-space: pre-wrap; unicode-bidi: plaintext; background: var(--field); padding: .6rem .8rem;
  border-radius: 4px; font: .8125rem/1.5 ui-monospace, monospace; max-height: 40rem; overflow-y: auto; }
details { border-top: 1px solid var(--line); } summary { cursor: pointer; padding: .35rem 0; }
.right { color: var(--right); font-weight: 600; } .wrong { color: var(--wrong); font-weight: 600; }
footer { margin-top: 3rem; color: var(--soft); font-size: .875rem; }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; }
  .problem { padding: .5rem; } }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } .text { max-height: none; overflow: visible; }
  .problem, details { border-color: #999; } figure, tr { break-inside: avoid; } nav { display: none; }
  h2, h3 { break-after: avoid; } .scroll { overflow: visible; } table { font-size: 7.5pt; } th, td {
  padding: .15rem .3rem; } th.name, td.name { min-width: 0; }
  .figures { grid-template-columns: 1fr 1fr; } figure.wide img { min-width: 0; }
  details::details-content { content-visibility: visible; height: auto; } }
"""
)
