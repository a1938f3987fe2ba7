"""How a page looks, and the little that a script adds: values under the pointer, lines to hide, light or dark."""

from __future__ import annotations

_LIGHT = """
--paper:#ffffff;--card:#f6f7f9;--ink:#1b1f24;--soft:#5b6470;--hair:#dde1e6;--good:#00785a;--bad:#b34700;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b0589a;--c4:#b98400;--c5:#3aa0dd;--c6:#7a4b1e;--c7:#6b7280;"""
_DARK = """
--paper:#14171b;--card:#1d2127;--ink:#e8eaed;--soft:#a2abb6;--hair:#343a42;--good:#3ccf9f;--bad:#ff9457;
--c0:#4aa8e8;--c1:#ff8a3d;--c2:#2fcb9a;--c3:#dd8cc8;--c4:#f0bf3f;--c5:#8fd0f5;--c6:#c99767;--c7:#a3aab5;"""

STYLE = (
    f"""
:root{{{_LIGHT}color-scheme:light}}
@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{_DARK}color-scheme:dark}}}}
@media screen{{:root[data-theme=dark]{{{_DARK}color-scheme:dark}}}}
"""
    + """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
header,main{max-width:1240px;margin:0 auto;padding:0 20px}
header{padding-top:28px}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 10px;letter-spacing:-.01em}
h2{font-size:1.2rem;margin:0 0 4px}
h3{font-size:1rem;margin:18px 0 8px}
h4{font-size:.75rem;font-weight:500;margin:8px 0 2px;color:var(--soft)}
section{margin-top:44px}
.note{color:var(--soft);margin:0 0 12px;max-width:110ch;font-size:.9rem}
.remark{margin:8px 0 0;padding-left:10px;border-left:3px solid var(--c4);max-width:100ch;font-size:.9rem}
pre,.command{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
.command{padding:8px 12px;background:var(--card);border-radius:8px}
#theme{float:right;font:inherit;font-size:.8rem;color:var(--soft);background:none;border:1px solid var(--hair);
border-radius:99px;padding:3px 12px;cursor:pointer}
ul{list-style:none;padding:0;margin:0}
.chips{display:flex;flex-wrap:wrap;gap:6px;margin-bottom:12px}
.chips li{background:var(--card);border:1px solid var(--hair);border-radius:99px;padding:1px 11px;font-size:.85rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:20px}
.tiles dl{margin:0;padding:12px 14px;background:var(--card);border-radius:10px}
.tiles dt{font-size:.8rem;color:var(--soft)}
.tiles dd{margin:0;font-size:1.3rem;font-weight:600;letter-spacing:-.02em;overflow-wrap:anywhere}
.tiles dd.note{font-size:.78rem;font-weight:400;letter-spacing:0;color:var(--soft)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:20px 22px}
figure{margin:0;break-inside:avoid;min-width:0}
figcaption{font-size:.88rem;font-weight:600;margin-bottom:2px;overflow-wrap:anywhere}
.none{color:var(--soft);background:var(--card);border-radius:8px;padding:60px 0;text-align:center;margin:0}
svg.chart{display:block;width:100%;height:auto;touch-action:pan-y}
svg text{font-size:11.5px;fill:var(--soft)}
text.y{text-anchor:end;dominant-baseline:middle}
text.x{text-anchor:middle}
.grid{stroke:var(--hair)}
.tick{stroke:var(--soft)}
.rule{stroke:var(--soft);stroke-dasharray:1 4;stroke-linecap:round;stroke-width:1.4}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.d1{stroke-dasharray:7 4}
.line.d2{stroke-dasharray:1 4.5}
.line.ink{stroke:var(--ink)}
.line.wide{stroke-width:7;opacity:.22}
.line.ink.d1{stroke-width:1.4}
.band{stroke:none;opacity:.13}
.band.ink{fill:none}
figure:has(.band.d1) .band{opacity:.05}
.bar{--own:var(--c0)}
.c0{--own:var(--c0)}.c1{--own:var(--c1)}.c2{--own:var(--c2)}.c3{--own:var(--c3)}
.c4{--own:var(--c4)}.c5{--own:var(--c5)}.c6{--own:var(--c6)}.c7{--own:var(--c7)}
.line:not(.ink){stroke:var(--own)}
.band:not(.ink){fill:var(--own)}
.swatch{display:inline-block;width:.7em;height:.7em;border-radius:2px;background:var(--own);margin-right:.5em}
.swatch.d1{background:none;border:2px solid var(--own)}
.swatch.d2{opacity:.5}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;margin-bottom:12px;font-size:.85rem}
.legend li{display:flex;align-items:center;gap:6px}
.legend li[role]{cursor:pointer}
.legend svg{width:28px;height:12px}
.legend .off{opacity:.35;text-decoration:line-through}
path.off{display:none}
.by{display:inline-flex;gap:12px;border:1px solid var(--hair);border-radius:99px;padding:3px 14px;margin:0 0 12px;
font-size:.85rem;align-items:center}
.by legend{float:left;color:var(--soft);padding:0}
.by label{display:flex;gap:5px;align-items:center;cursor:pointer}
section:has(input[value=steps]:checked) :is(.by-rollouts,.by-seconds),
section:has(input[value=rollouts]:checked) :is(.by-steps,.by-seconds),
section:has(input[value=seconds]:checked) :is(.by-steps,.by-rollouts){display:none}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums;min-width:100%}
th,td{padding:5px 10px;border-bottom:1px solid var(--hair);text-align:right;white-space:nowrap}
thead th{color:var(--soft);font-weight:500;font-size:.8rem;vertical-align:bottom}
th:first-child,td.name{text-align:left}
tbody th{font-weight:600}
td.bar{background:linear-gradient(90deg,var(--own) var(--share),var(--hair) 0) no-repeat;
background-position:10px 100%;background-size:calc(100% - 20px) 3px}
td small{display:block;color:var(--soft)}
details{margin:10px 0}
summary{cursor:pointer;font-weight:600;padding:4px 0}
.samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,270px),1fr));gap:12px}
article{background:var(--card);border-radius:10px;padding:10px 14px 12px;border-left:4px solid var(--bad);min-width:0;
break-inside:avoid;overflow:hidden}
article.right{border-color:var(--good)}
article pre{max-height:22em;overflow:auto}
.verdict{margin:0;font-weight:600;color:var(--bad)}
.right .verdict{color:var(--good)}
em{color:var(--soft)}
main{padding-bottom:60px}
#tip{position:absolute;z-index:2;pointer-events:none;background:var(--paper);border:1px solid var(--hair);
font-size:.8rem;border-radius:8px;box-shadow:0 4px 16px #0003;padding:6px 10px;max-width:300px;
font-variant-numeric:tabular-nums}
#tip div{display:flex;gap:12px;justify-content:space-between}
#tip i{margin-right:.5em}
@media print{#theme,#tip,.by{display:none}details::details-content{content-visibility:visible;display:block}
body{font-size:11px}section{margin-top:24px}article pre{max-height:none}.charts{grid-template-columns:1fr 1fr 1fr}}
"""
)

SCRIPT = """
(() => {
const all = (query, within = document) => [...within.querySelectorAll(query)];
const theme = document.getElementById('theme');
theme.hidden = false;
theme.addEventListener('click', () => {
  const isDark = getComputedStyle(document.documentElement).colorScheme === 'dark';
  document.documentElement.dataset.theme = isDark ? 'light' : 'dark';
});

for (const entry of all('.legend li')) {
  entry.setAttribute('role', 'button');
  entry.setAttribute('aria-pressed', 'true');
  entry.tabIndex = 0;
  const toggle = () => {
    const isOff = entry.classList.toggle('off');
    entry.setAttribute('aria-pressed', String(!isOff));
    for (const line of all('figure path', entry.closest('section')))
      if (line.dataset.name === entry.dataset.name) line.classList.toggle('off', isOff);
  };
  entry.addEventListener('click', toggle);
  entry.addEventListener('keydown', event => {
    if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); toggle(); }
  });
}

const tip = document.createElement('div');
tip.id = 'tip';
tip.hidden = true;
document.body.append(tip);
const write = (value, form) => form === 'percent' ? (100 * value).toFixed(1) + '%'
  : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : String(+value.toPrecision(3));
const points = path => [...path.getAttribute('d').matchAll(/[ML]([-0-9.]+),([-0-9.]+)/g)].map(m => [+m[1], +m[2]]);

for (const chart of all('svg.chart')) {
  const [end, low, high] = chart.dataset.ends.split(' ').map(Number);
  const [left, right, top, bottom] = chart.dataset.box.split(' ').map(Number);
  const rule = document.createElementNS('http://www.w3.org/2000/svg', 'line');
  rule.setAttribute('class', 'tick');
  const hide = () => { tip.hidden = true; rule.remove(); };
  chart.addEventListener('pointerleave', hide);
  chart.addEventListener('pointermove', event => {
    const box = chart.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width * chart.viewBox.baseVal.width;
    const near = all('path.line:not(.off)', chart)
      .map(path => [path, points(path)])
      .filter(([, all]) => all.length && at > all[0][0] - 9 && at < all[all.length - 1][0] + 9)
      .map(([path, all]) => [path, all.sort((a, b) => Math.abs(a[0] - at) - Math.abs(b[0] - at))[0]])
      .sort((a, b) => a[1][1] - b[1][1]);
    if (!near.length || at < left - 8 || at > right + 8) return hide();
    const x = near.reduce((best, [, point]) => Math.abs(point[0] - at) < Math.abs(best - at) ? point[0] : best, 1e9);
    for (const [name, value] of Object.entries({x1: x, x2: x, y1: top, y2: bottom})) rule.setAttribute(name, value);
    chart.append(rule);
    const head = document.createElement('div');
    head.textContent = write((x - left) / (right - left) * end, 'number') + ' ' + chart.dataset.by;
    tip.replaceChildren(head, ...near.map(([path, point]) => {
      const [row, name, swatch] = ['div', 'span', 'i'].map(tag => document.createElement(tag));
      const value = low + (bottom - point[1]) / (bottom - top) * (high - low);
      swatch.className = 'swatch';
      swatch.style.background = getComputedStyle(path).stroke;
      name.append(swatch, path.dataset.name);
      row.append(name, write(value, chart.dataset.form));
      return row;
    }));
    tip.hidden = false;
    const width = tip.offsetWidth, room = document.documentElement.clientWidth;
    tip.style.left = Math.max(4, Math.min(event.pageX + 16, room - width - 8)) + 'px';
    tip.style.top = event.pageY + 18 + 'px';
  });
}

const folded = () => all('details:not([open])');
let opened = [];
addEventListener('beforeprint', () => { opened = folded(); for (const one of opened) one.open = true; });
addEventListener('afterprint', () => { for (const one of opened) one.open = false; });
})();
"""
