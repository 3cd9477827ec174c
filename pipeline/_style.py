"""How the page looks: on screens from 320 pixels, in light and dark, and on paper."""

from __future__ import annotations

STYLE = """
:root { --ink: #1b1b1b; --quiet: #555555; --paper: #ffffff; --tint: #f4f4f1; --line: #8a8a8a;
  --link: #0a4fa3; --alert: #8c1d18; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e6; --quiet: #b4b4b0; --paper: #161616; --tint: #232322; --line: #7d7d7a;
    --link: #9cc3ff; --alert: #ffb4ab; } }
* { box-sizing: border-box; }
html { color-scheme: light dark; scroll-behavior: auto; }
body { margin: 0 auto; padding: 0 1rem 3rem; max-width: 52rem; overflow-wrap: anywhere;
  color: var(--ink); background: var(--paper);
  font: 1rem/1.55 Charter, "Bitstream Charter", Georgia, "Times New Roman", serif; }
h1, h2, h3, nav, table, figcaption, summary, dt, .quiet, footer {
  font-family: "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 2rem 0 1rem; }
h2 { font-size: 1.25rem; margin: 3rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 2rem 0 .5rem; }
p, ul, ol, dl { margin: .6rem 0; }
li { margin: .25rem 0; }
a { color: var(--link); text-underline-offset: .15em; }
a:focus-visible, summary:focus-visible, .frame:focus-visible, main:focus-visible {
  outline: 3px solid var(--link); outline-offset: 2px; }
main:focus:not(:focus-visible) { outline: none; }
.skip { position: absolute; left: -999rem; background: var(--paper); padding: .5rem 1rem; z-index: 1; }
.skip:focus { left: 0; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0;
  font-size: .9rem; }
.question { font-size: 1.15rem; }
.notice { border: 1px solid var(--line); border-left-width: .5rem; padding: .25rem 1rem; margin: 1.25rem 0;
  background: var(--tint); }
.alert { border-color: var(--alert); }
.alert strong { color: var(--alert); }
.claims > li { font-size: 1.1rem; margin: .75rem 0; }
.quiet, footer { color: var(--quiet); font-size: .85rem; }
.claims .quiet { display: block; }
figure { margin: 1.5rem 0; }
figure img { display: block; max-width: 100%; height: auto; background: #ffffff;
  border: 1px solid var(--line); }
figcaption { font-size: .85rem; color: var(--quiet); margin-top: .5rem; }
.small { display: grid; gap: 0 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); }
.small figure { margin: .75rem 0; }
.frame { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; min-width: min(24rem, 100%); font-size: .85rem; line-height: 1.35;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .25rem 0 .5rem; color: var(--quiet); caption-side: top; }
th, td { text-align: left; vertical-align: top; padding: .25rem 1rem .25rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: normal; }
td bdi, th bdi, td code { display: inline-block; max-width: 24rem; overflow-wrap: break-word; }
td:last-child bdi { min-width: 9rem; }
.number { white-space: nowrap; }
thead th { border-bottom-width: 2px; }
tbody th { font-weight: normal; }
code { font: .85em/1.4 "DejaVu Sans Mono", Menlo, Consolas, monospace; }
details { margin: .75rem 0; }
summary { cursor: pointer; }
dl { display: grid; grid-template-columns: minmax(6rem, 11rem) 1fr; gap: .15rem 1rem; font-size: .9rem; }
dt { color: var(--quiet); }
dd { margin: 0; }
footer { border-top: 1px solid var(--line); margin-top: 3rem; padding-top: .75rem; }
@media (max-width: 30rem) { h1 { font-size: 1.5rem; } ol, ul { padding-left: 1.25rem; } }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
@media print { :root { --ink: #000000; --quiet: #333333; --paper: #ffffff; --tint: #ffffff; --link: #000000;
    --alert: #000000; }
  body { max-width: none; font-size: 10pt; padding: 0; } nav, .skip { display: none; }
  h2, h3 { break-after: avoid; } figure, tr { break-inside: avoid; } .frame { overflow: visible; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
  a[href^="https"]::after { content: " (" attr(href) ")"; font-size: .85em; } }
"""
