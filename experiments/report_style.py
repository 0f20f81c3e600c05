"""The look of report.html: one column, one accent, light or dark as the reader's system is."""

STYLE = """
:root{--paper:#fdfcfa;--ink:#22262b;--soft:#646b73;--line:#e3e0da;--panel:#f5f3ee;--accent:#1f5f8b;
--good:#2b6e4f;--bad:#a4481f}
@media (prefers-color-scheme:dark){:root{--paper:#16191d;--ink:#dfe2e5;--soft:#98a0a8;--line:#2d3238;--panel:#1e2227;
--accent:#7fb6de;--good:#7fc4a0;--bad:#e39a6f}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.6 Charter,"Bitstream Charter","Iowan Old Style",
Georgia,"DejaVu Serif",serif}
main{max-width:62rem;margin:0 auto;padding:3rem 1.25rem 5rem}
h1,h2{line-height:1.2;font-weight:600;letter-spacing:-.01em}
h1{font-size:2.2rem;margin:.2rem 0 .3rem}
h2{font-size:1.35rem;margin:3.2rem 0 .7rem;padding-top:1.1rem;border-top:1px solid var(--line)}
p{margin:.5rem 0 1rem;max-width:44rem;overflow-wrap:anywhere}
.run,.card,table,.caption,.state,.kind,summary,.facts,figcaption,.features{font-family:system-ui,-apple-system,
"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
.run{margin:0;color:var(--soft);font-size:.85rem;overflow-wrap:anywhere}
.subtitle{font-size:1.1rem;color:var(--soft);margin:0 0 1.2rem}
.data{border-left:3px solid var(--accent);padding:.1rem 0 .1rem .9rem}
.kind{font-size:.78rem;font-weight:600;color:var(--accent);display:block}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.2rem,1fr));gap:.8rem;margin:2rem 0 0}
.card{background:var(--panel);border-radius:.5rem;padding:.9rem 1rem;display:flex;flex-direction:column}
.card dt{font-size:.8rem;color:var(--soft);line-height:1.35;flex:1}
.card dd{margin:.2rem 0 0;font-size:1.7rem;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.25}
.card .note{font-size:.76rem;font-weight:400;color:var(--soft);line-height:1.35}
.signatures{list-style:none;padding:0;margin:0}
.signatures li{display:flex;gap:1rem;padding:.75rem 0;border-bottom:1px solid var(--line)}
.signatures p{margin:.1rem 0 0}
.advice{color:var(--soft)}
.state{flex:0 0 5.2rem;font-size:.8rem;font-weight:600;padding-top:.2rem;color:var(--soft)}
.state::before{content:"\\25CB\\00A0"}
.passed{color:var(--good)}.passed::before{content:"\\2713\\00A0"}
.raised{color:var(--bad)}.raised::before{content:"\\25B2\\00A0"}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.88rem;line-height:1.4;margin:1rem 0 1.6rem;min-width:min(100%,30rem)}
.caption{color:var(--soft);font-size:.88rem;margin:1.4rem 0 0}
.caption+.wide table{margin-top:.3rem}
th,td{padding:.42rem .9rem .42rem 0;text-align:right;border-bottom:1px solid var(--line);vertical-align:top}
th:first-child{text-align:left;min-width:10rem}
thead th{font-weight:600;color:var(--soft);font-size:.8rem;vertical-align:bottom;border-bottom-color:var(--soft)}
tbody th{font-weight:400}
td{font-variant-numeric:tabular-nums;white-space:nowrap}
.control th,.control td{color:var(--soft)}
figure{margin:1.4rem 0 1.8rem}
figure .wide{background:#fff;border:1px solid var(--line);border-radius:.5rem;padding:.6rem}
img{display:block;max-width:100%;height:auto;margin:0 auto}
figcaption{color:var(--soft);font-size:.85rem;margin-top:.5rem;max-width:44rem}
.features{font-size:.82rem;color:var(--soft);padding-left:1.1rem;overflow-wrap:anywhere}
.cite{font-size:.92rem;color:var(--soft)}
details{border-bottom:1px solid var(--line);padding:.55rem 0}
summary{cursor:pointer;font-size:.92rem;color:var(--accent)}
code{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.86em;overflow-wrap:anywhere}
pre{background:var(--panel);border-radius:.5rem;padding:1rem;overflow-x:auto;font-size:.78rem;line-height:1.45;
max-height:32rem}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.2rem;font-size:.85rem;margin:.8rem 0}
.facts dt{color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere}
@media (max-width:40rem){
main{padding:1.6rem 1rem 3rem}
h1{font-size:1.8rem}
h2{margin-top:2.4rem}
.cards{grid-template-columns:1fr 1fr}
.card dd{font-size:1.4rem}
figure .wide img{max-width:none;width:46rem}
.signatures li{flex-direction:column;gap:.1rem}
.state{flex-basis:auto}
.facts{grid-template-columns:1fr}
.facts dd{margin-bottom:.4rem}
th:first-child{min-width:8.5rem}
}
@media print{details{display:none}figure,table{break-inside:avoid}body{background:#fff}}
"""
