// Made by dev/generate/dashboard.ts from src/dashboard/page. Don't edit it; edit that, and run the generator.
/** The files of the page, by name. */
export const assets: Readonly<Record<string, string>> = {
  'index.html': `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>Segue</title>
    <link rel="icon" href="icon.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="style.css" />
    <script type="module" src="dashboard.js"></script>
  </head>
  <body>
    <a class="skip" href="#changes">Skip to the changes</a>
    <header>
      <h1>Schema changes</h1>
      <p id="connection" role="status" data-state="waiting">Asking the operator…</p>
    </header>
    <main>
      <form id="filter" role="search" aria-label="Changes">
        <label for="words">Find</label>
        <input
          id="words"
          type="search"
          autocomplete="off"
          spellcheck="false"
          placeholder="name, table, reason…"
        />
        <label for="standing">Show</label>
        <select id="standing">
          <option value="all">all</option>
          <option value="attention">what needs a person</option>
          <option value="open">what is under way</option>
          <option value="over">what is over</option>
        </select>
        <output id="count" for="words standing"></output>
      </form>
      <ul id="changes" tabindex="-1" aria-label="Changes"></ul>
      <noscript>
        <p>This page needs JavaScript; <code>kubectl get schange -A -o wide</code> says the same.</p>
      </noscript>
    </main>
    <p id="news" class="unseen" role="status" aria-live="polite"></p>
    <footer>
      <p>Read-only. To act on a change, edit or annotate its SchemaChange.</p>
    </footer>
  </body>
</html>
`,
  'style.css': `:root {
  color-scheme: light dark;
  --page: light-dark(#f4f5f7, #14171c);
  --card: light-dark(#fff, #1d2128);
  --line: light-dark(#c9ced6, #3b424d);
  --ink: light-dark(#1a1e24, #e8ebef);
  --quiet: light-dark(#4d5663, #aab3c0);
  --blue: light-dark(#1f4fa8, #9cc0ff);
  --blue-wash: light-dark(#e4edfb, #1d2f4d);
  --green: light-dark(#14603a, #86d9a8);
  --green-wash: light-dark(#e1f3e8, #173626);
  --amber: light-dark(#754600, #f2c46b);
  --amber-wash: light-dark(#fbeed3, #3c2d10);
  --red: light-dark(#9c1c1c, #ffaba3);
  --red-wash: light-dark(#fbe4e2, #4a1d1b);
  --grey-wash: light-dark(#e9ebef, #2b313a);
  font:
    15px/1.5 system-ui,
    sans-serif;
  color: var(--ink);
  background: var(--page);
}

* {
  box-sizing: border-box;
}

body {
  max-width: 72rem;
  margin: 0 auto;
  padding: 0 1rem 2rem;
}

body > header {
  display: flex;
  flex-wrap: wrap;
  gap: 0.25rem 1.5rem;
  align-items: baseline;
  justify-content: space-between;
}

h1 {
  margin: 1rem 0 0.5rem;
  font-size: 1.5rem;
}

h2 {
  margin: 0;
  font-size: 1.1rem;
  overflow-wrap: anywhere;
}

p,
dl {
  margin: 0.4rem 0;
}

.unseen {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}

.skip {
  position: absolute;
  left: -100vw;
  padding: 0.5rem 1rem;
  color: var(--ink);
  background: var(--card);
}

.skip:focus {
  left: 1rem;
  z-index: 1;
}

:focus-visible {
  outline: 3px solid var(--blue);
  outline-offset: 2px;
}

#connection::before {
  content: '◌ ';
}

#connection[data-state='live'] {
  color: var(--green);
}

#connection[data-state='live']::before {
  content: '● ';
}

#connection[data-state='trouble'] {
  color: var(--red);
}

#connection[data-state='trouble']::before {
  content: '✖ ';
}

#filter {
  display: flex;
  flex-wrap: wrap;
  gap: 0.5rem;
  align-items: center;
  margin-bottom: 1rem;
}

#filter input,
#filter select {
  padding: 0.3rem 0.5rem;
  font: inherit;
  color: var(--ink);
  background: var(--card);
  border: 1px solid light-dark(#737d8c, #7f8a99);
  border-radius: 0.3rem;
}

#filter input {
  flex: 0 1 18rem;
  min-width: 8rem;
}

#filter input::placeholder {
  color: var(--quiet);
  opacity: 1;
}

#filter output,
footer,
.facts {
  color: var(--quiet);
}

#changes {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: 0.8rem;
  margin: 0;
  padding: 0;
  list-style: none;
}

article,
.none {
  padding: 0.8rem 1rem;
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 0.5rem;
}

article > header {
  display: flex;
  flex-wrap: wrap;
  gap: 0 1rem;
  align-items: baseline;
  justify-content: space-between;
}

.facts {
  flex-basis: 100%;
  margin: 0;
  overflow-wrap: anywhere;
}

.sign {
  margin-right: 0.35em;
}

.standing {
  margin: 0;
  padding: 0.1rem 0.6rem;
  font-weight: 600;
  color: var(--quiet);
  background: var(--grey-wash);
  border-radius: 1rem;
}

.standing:is([data-standing='stalled'], [data-standing='failed']) {
  color: var(--red);
  background: var(--red-wash);
}

.standing:is([data-standing='awaiting-approval'], [data-standing='waiting']) {
  color: var(--amber);
  background: var(--amber-wash);
}

.standing[data-standing='working'] {
  color: var(--blue);
  background: var(--blue-wash);
}

.standing[data-standing='completed'] {
  color: var(--green);
  background: var(--green-wash);
}

.track {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr));
  gap: 0.3rem;
  margin: 0.6rem 0;
  padding: 0;
  list-style: none;
}

.track li {
  padding: 0.2rem 0.4rem;
  color: var(--quiet);
  border: 1px solid var(--line);
  border-radius: 0.3rem;
}

.track li[data-state='done'] {
  color: var(--green);
  background: var(--green-wash);
  border-color: currentcolor;
}

.track li[aria-current] {
  font-weight: 600;
  color: var(--blue);
  background: var(--blue-wash);
  border-color: currentcolor;
  border-width: 2px;
}

.track li:is([data-state='undone'], [data-state='undoing']) {
  color: var(--amber);
  background: var(--amber-wash);
  border-color: currentcolor;
}

.track li[data-state='stopped'] {
  color: var(--red);
  background: var(--red-wash);
  border-color: currentcolor;
}

.message,
.blocker {
  max-width: 60rem;
  overflow-wrap: anywhere;
}

.blocker {
  padding-left: 0.7rem;
  border-left: 4px solid var(--amber);
}

.bar {
  display: flex;
  gap: 0.8rem;
  align-items: center;
}

.bar span {
  flex: 0 1 auto;
}

progress {
  flex: 1 1 10rem;
  height: 0.7rem;
  overflow: hidden;
  appearance: none;
  background: var(--grey-wash);
  border: 1px solid var(--quiet);
  border-radius: 0.4rem;
}

progress::-webkit-progress-bar {
  background: var(--grey-wash);
}

progress::-webkit-progress-value {
  background: var(--blue);
}

progress::-moz-progress-bar {
  background: var(--blue);
}

dl {
  display: flex;
  flex-wrap: wrap;
  gap: 0.2rem 1.6rem;
}

dl > div {
  display: flex;
  gap: 0.4rem;
}

dt,
figcaption,
caption {
  color: var(--quiet);
}

dd {
  margin: 0;
  font-weight: 600;
}

.curves {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr));
  gap: 1.6rem;
}

figure {
  margin: 0.4rem 0;
}

figcaption {
  display: flex;
  justify-content: space-between;
}

figcaption strong {
  color: var(--ink);
}

svg {
  display: block;
  width: 100%;
  height: 3.5rem;
  border-bottom: 1px solid var(--line);
}

polyline {
  fill: none;
  stroke: var(--blue);
  stroke-width: 2px;
}

polygon {
  fill: var(--blue-wash);
}

.scroll {
  margin: 0.4rem 0;
  overflow-x: auto;
}

table {
  border-collapse: collapse;
}

caption {
  text-align: left;
}

th,
td {
  padding: 0.15rem 1.2rem 0.15rem 0;
  text-align: left;
  border-bottom: 1px solid var(--line);
}

td.number {
  text-align: right;
}

thead th {
  font-weight: 400;
  color: var(--quiet);
  white-space: nowrap;
}

summary {
  width: fit-content;
  cursor: pointer;
}

@media (prefers-reduced-motion: no-preference) {
  .track li[data-state='current'] .sign {
    animation: breathe 2s ease-in-out infinite;
  }

  progress::-webkit-progress-value {
    transition: width 0.6s;
  }
}

@keyframes breathe {
  50% {
    opacity: 0.35;
  }
}
`,
  'icon.svg': `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
  <rect width="16" height="16" rx="3" fill="#2b5cb8" />
  <path d="M3 5h4v6h6M10 8l3 3-3 3" fill="none" stroke="#fff" stroke-width="1.6" />
</svg>
`,
  'dashboard.js': `// filter.ts
var groups = {
  attention: ["stalled", "awaiting-approval", "failed"],
  open: ["stalled", "awaiting-approval", "suspended", "waiting", "working", "new"],
  over: ["completed", "rolled-back", "failed"]
};
var needsPerson = ({ standing }) => groups["attention"]?.includes(standing) === true;
var fits = (view, { words: words2, group: group2 }) => {
  if (groups[group2]?.includes(view.standing) === false) return false;
  const text = [
    view.namespace,
    view.name,
    view.table,
    view.kind,
    view.phase,
    view.standing,
    view.reason,
    view.message
  ].join(" ").toLowerCase();
  return words2.toLowerCase().split(/\\s+/u).every((word) => text.includes(word));
};

// tree.ts
var el = (tag, attributes = {}, ...children) => ({
  tag,
  attributes: Object.fromEntries(
    Object.entries(attributes).flatMap(
      ([name, value]) => value === void 0 || value === false ? [] : [[name, value === true ? "" : String(value)]]
    )
  ),
  children: children.filter((child) => child !== void 0)
});

// trend.ts
var mostSamples = 300;
var Trends = class {
  #samples = /* @__PURE__ */ new Map();
  /** Takes a sample of each change whose backfill runs; forgets the others. */
  note(changes2, at) {
    const running = changes2.filter(({ phase, backfill: backfill2 }) => phase === "Backfill" && backfill2 !== void 0);
    const uids = new Set(running.map(({ uid }) => uid));
    for (const uid of this.#samples.keys()) if (!uids.has(uid)) this.#samples.delete(uid);
    for (const { uid, backfill: backfill2 } of running) {
      const { rowsPerSecond: rate = 0, percent = 0 } = backfill2 ?? {};
      this.#samples.set(uid, [...this.of(uid), { at, rate, percent }].slice(-mostSamples));
    }
  }
  /** Oldest first. */
  of(uid) {
    return this.#samples.get(uid) ?? [];
  }
};
var pointsOf = (samples, valueOf, { width: width2, height: height2, top }) => {
  const from = samples[0]?.at ?? 0;
  const duration = Math.max(1, (samples.at(-1)?.at ?? 0) - from);
  return samples.map((sample) => {
    const x = (sample.at - from) / duration * width2;
    const y = height2 - Math.min(valueOf(sample), top) / Math.max(top, 1e-9) * height2;
    return \`\${x.toFixed(1)},\${y.toFixed(1)}\`;
  }).join(" ");
};

// words.ts
var numbers = new Intl.NumberFormat("en");
var count = (value) => numbers.format(Math.round(value));
var span = (ms) => {
  const seconds = Math.max(0, Math.floor(ms / 1e3));
  const parts = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"]
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first === -1) return "0 s";
  return parts.slice(first, first + 2).filter(([value]) => value > 0).map(([value, unit]) => \`\${value} \${unit}\`).join(" ");
};
var relative = (at, now) => {
  const ms = Date.parse(at) - now;
  const far = Math.abs(ms);
  if (far < 1e3) return "now";
  const words2 = span(far < 6e4 ? far : Math.floor(far / 6e4) * 6e4);
  return ms > 0 ? \`in \${words2}\` : \`\${words2} ago\`;
};
var spoken = (name) => name.replaceAll("-", " ").replaceAll(/([a-z])([A-Z])/gu, (_, before, after) => \`\${before} \${after.toLowerCase()}\`);

// curves.ts
var width = 240;
var height = 48;
var curveOf = (samples, { title, valueOf, format, top }) => {
  const values = samples.map(valueOf);
  const [now = 0, greatest, least] = [values.at(-1), Math.max(...values), Math.min(...values)];
  const points = pointsOf(samples, valueOf, { width, height, top: top ?? greatest });
  const time = span((samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0));
  return el(
    "figure",
    {},
    el("figcaption", {}, \`\${title}, last \${time}\`, el("strong", {}, format(now))),
    el(
      "svg",
      {
        viewBox: \`0 -2 \${width} \${height + 4}\`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": \`\${title} over the last \${time}: now \${format(now)}, between \${format(least)} and \${format(greatest)}\`
      },
      el("polygon", { points: \`0,\${height} \${points} \${width},\${height}\` }),
      el("polyline", { points, "vector-effect": "non-scaling-stroke" })
    )
  );
};
var curves = (samples) => samples.length < 2 ? void 0 : el(
  "div",
  { class: "curves" },
  curveOf(samples, {
    title: "Rows per second",
    valueOf: ({ rate }) => rate,
    format: count
  }),
  curveOf(samples, {
    title: "Progress",
    valueOf: ({ percent }) => percent,
    format: (value) => \`\${count(value)} %\`,
    top: 100
  })
);

// history.ts
var moment = (at) => el("time", { datetime: at }, at.replace("T", " "));
var cells = (...contents) => contents.map((content) => el("td", {}, content));
var history = ({ history: history2, approvals, name }) => {
  if (history2.length === 0 && approvals.length === 0) return void 0;
  return el(
    "details",
    {},
    el("summary", {}, "History", el("span", { class: "unseen" }, \` of \${name}\`)),
    el(
      "div",
      { class: "scroll" },
      el(
        "table",
        {},
        el("caption", { class: "unseen" }, \`History of \${name}\`),
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            ...["Phase", "From", "To", "Took", "Note"].map((title) => el("th", { scope: "col" }, title))
          )
        ),
        el(
          "tbody",
          {},
          ...history2.map(
            ({ phase, startedAt, completedAt, skipped = "" }) => el(
              "tr",
              {},
              el("th", { scope: "row" }, phase),
              ...cells(
                moment(startedAt),
                completedAt === void 0 ? "–" : moment(completedAt),
                completedAt === void 0 ? "–" : span(Date.parse(completedAt) - Date.parse(startedAt)),
                skipped
              )
            )
          )
        )
      )
    ),
    ...approvals.map(
      ({ phase, by = "unknown", at }) => el("p", {}, \`\${phase} was approved by \${by}, \`, moment(at))
    )
  );
};

// measures.ts
var bar = (text, percent) => el(
  "label",
  { class: "bar" },
  el("span", {}, text),
  el("progress", { max: 100, value: percent }),
  el("strong", {}, \`\${percent} %\`)
);
var numbers2 = (...pairs) => el(
  "dl",
  {},
  ...pairs.flatMap(
    ([term, value]) => value === void 0 || value === "" ? [] : [el("div", {}, el("dt", {}, term), el("dd", {}, value))]
  )
);
var rows = (done, total) => total === void 0 ? count(done) : \`\${count(done)} of about \${count(total)}\`;
var backfill = ({ backfill: backfill2, phase, name }, now) => {
  if (backfill2 === void 0 || phase !== "Backfill") return [];
  const { rowsDone, rowsTotal, percent, rowsPerSecond, estimatedCompletion, workers, throttledBy, badRows } = backfill2;
  return [
    bar(\`Backfill of \${name}\`, percent),
    numbers2(
      ["Rows filled", rows(rowsDone, rowsTotal)],
      ["Rows per second", count(rowsPerSecond)],
      ["Estimated end", estimatedCompletion === void 0 ? void 0 : relative(estimatedCompletion, now)],
      ["Workers", count(workers)],
      ["Slowed down by", throttledBy],
      ["Bad rows", badRows === 0 ? void 0 : count(badRows)]
    )
  ];
};
var verification = ({ verification: verification2, phase, name }) => {
  if (verification2 === void 0 || phase === "Completed" || phase === "RolledBack") return [];
  const { percent = 100, rowsCompared, mismatches, share, repaired = 0 } = verification2;
  return [
    ...share === void 0 ? [bar(\`Verification of \${name}\`, percent)] : [],
    numbers2(
      ["Rows compared", count(rowsCompared)],
      ["Rows that differ", count(mismatches)],
      ["Share compared", share === void 0 ? void 0 : \`\${count(share)} %\`],
      ["Rows repaired", repaired === 0 ? void 0 : count(repaired)]
    )
  ];
};
var quarantine = ({ quarantine: quarantine2, phase }, now) => {
  if (quarantine2 === void 0 || phase !== "Quarantine") return [];
  const { startedAt, endsAt, hiddenAt, lastUse, blindSpots = [] } = quarantine2;
  return [
    numbers2(
      ["Quarantine began", relative(startedAt, now)],
      ["Quarantine over", relative(endsAt, now)],
      ["Hidden", hiddenAt === void 0 ? void 0 : relative(hiddenAt, now)],
      [
        "Last use",
        lastUse === void 0 ? "none seen" : \`\${lastUse.kind} by \${lastUse.by}, \${relative(lastUse.at, now)}\`
      ],
      ["Not seen", blindSpots.join(" ")]
    )
  ];
};
var measures = (view, now) => [
  ...backfill(view, now),
  ...verification(view),
  ...quarantine(view, now)
];

// ../../api/phase.ts
var codes = ["old", "writes-both", "reads-new", "new-only"];

// workloads.ts
var row = (rollout, columns) => {
  const { kind = "Deployment", deployment, strategy, weight, step = "", podsByCode = {} } = rollout;
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, \`\${kind} \${deployment}\`),
    ...columns.map((code) => el("td", { class: "number" }, String(podsByCode[code] ?? 0))),
    el("td", {}, strategy === "None" ? "Observed" : spoken(strategy)),
    el("td", { class: "number" }, weight === void 0 ? "–" : \`\${weight} %\`),
    el("td", {}, step)
  );
};
var workloads = ({ rollouts, phase, name }) => {
  if (rollouts.length === 0 || phase === "Completed" || phase === "RolledBack") return void 0;
  const others = rollouts.flatMap(({ podsByCode = {} }) => Object.keys(podsByCode));
  const columns = [.../* @__PURE__ */ new Set([...codes, ...others])];
  return el(
    "div",
    { class: "scroll" },
    el(
      "table",
      {},
      el("caption", {}, "Pods by code", el("span", { class: "unseen" }, \` of \${name}\`)),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ...["Workload", ...columns, "Strategy", "Traffic", "Step"].map(
            (title) => el("th", { scope: "col" }, title)
          )
        )
      ),
      el("tbody", {}, ...rollouts.map((rollout) => row(rollout, columns)))
    )
  );
};

// card.ts
var standingWords = {
  stalled: ["✖", "Needs a person"],
  "awaiting-approval": ["◆", "Awaits approval"],
  suspended: ["‖", "Suspended"],
  waiting: ["◷", "Waits"],
  working: ["▶", "In progress"],
  new: ["○", "Not looked at yet"],
  failed: ["✖", "Given up"],
  "rolled-back": ["↩", "Rolled back"],
  completed: ["✔", "Completed"]
};
var needsReason = /* @__PURE__ */ new Set(["stalled", "waiting", "failed"]);
var stepWords = {
  todo: ["○", "to come"],
  current: ["●", "now"],
  done: ["✔", "done"],
  undoing: ["↩", "being undone"],
  undone: ["↩", "undone"],
  stopped: ["✖", "stopped here"]
};
var sign = (text) => el("span", { "aria-hidden": "true", class: "sign" }, text);
var track = ({ track: track2, name }) => el(
  "ol",
  { class: "track", "aria-label": \`Phases of \${name}\` },
  ...track2.map(({ phase, state }) => {
    const [mark, words2] = stepWords[state];
    const isPresent = state === "current" || state === "undoing";
    return el(
      "li",
      { "data-state": state, "aria-current": isPresent ? "step" : void 0 },
      sign(mark),
      el("span", { class: "phase" }, phase),
      el("span", { class: "unseen" }, \`: \${words2}\`)
    );
  })
);
var facts = (view, now) => el(
  "p",
  { class: "facts" },
  [
    view.namespace,
    spoken(view.kind),
    view.table,
    view.phase === "RollingBack" ? "walks back" : void 0,
    view.isReady && view.standing !== "completed" ? "ready" : void 0,
    view.isDeleting ? "being deleted" : void 0,
    view.isOutdated ? "its spec was edited and has not been looked at yet" : void 0,
    \`made \${relative(view.createdAt, now)}\`
  ].filter((text) => text !== void 0).join(" · ")
);
var head = (view, now) => {
  const [mark, words2] = standingWords[view.standing];
  return el(
    "header",
    {},
    el("h2", { id: \`name-\${view.uid}\` }, view.name),
    el(
      "p",
      { class: "standing", "data-standing": view.standing },
      sign(mark),
      needsReason.has(view.standing) && view.reason !== void 0 ? \`\${words2}: \${view.reason}\` : words2
    ),
    facts(view, now)
  );
};
var card = (view, samples, now) => el(
  "li",
  { "data-key": view.uid },
  el(
    "article",
    { "aria-labelledby": \`name-\${view.uid}\` },
    head(view, now),
    track(view),
    view.message === void 0 ? void 0 : el("p", { class: "message" }, view.message),
    view.blocker === void 0 ? void 0 : el("p", { class: "blocker" }, el("strong", {}, \`\${view.blocker.kind}: \`), view.blocker.message),
    ...measures(view, now),
    curves(samples),
    workloads(view),
    history(view)
  )
);

// list.ts
var mostShown = 200;
var note = (text) => el("li", { class: "none" }, text);
var listOf = ({ changes: changes2, trends: trends2, now }, wanted) => {
  const found = changes2.filter((view) => fits(view, wanted));
  const cards = found.slice(0, mostShown).map((view) => card(view, trends2.of(view.uid), now));
  const rest = found.length - cards.length;
  const items = found.length === 0 ? [note(changes2.length === 0 ? "There is no SchemaChange yet." : "No change fits.")] : rest === 0 ? cards : [...cards, note(\`\${rest} more are not shown; find them by a word of their name or table.\`)];
  return { items, found: found.length };
};

// news.ts
var said = ({ phase, standing, reason }) => [phase, standing, reason].join(" ");
var mostSaid = 3;
var newsOf = (before, now) => {
  if (before === void 0) return "";
  const known = new Map(before.map((view) => [view.uid, said(view)]));
  const changed = now.filter((view) => known.get(view.uid) !== said(view));
  const sentences = changed.slice(0, mostSaid).map(
    ({ name, phase, standing, reason }) => \`\${name}: \${spoken(phase)}, \${spoken(standing)}\${reason === void 0 ? "" : \`, \${spoken(reason)}\`}.\`
  );
  const rest = changed.length - mostSaid;
  return [...sentences, ...rest > 0 ? [\`And \${rest} more.\`] : []].join(" ");
};

// patch.ts
var svgNamespace = "http://www.w3.org/2000/svg";
var svgTags = /* @__PURE__ */ new Set(["svg", "polyline", "polygon", "line"]);
var keyAttribute = "data-key";
var create = ({ tag }) => svgTags.has(tag) ? document.createElementNS(svgNamespace, tag) : document.createElement(tag);
var fits2 = (node, wanted) => {
  if (typeof wanted === "string") return node instanceof Text;
  return node instanceof Element && node.localName === wanted.tag && node.getAttribute(keyAttribute) === (wanted.attributes[keyAttribute] ?? null);
};
var move = (parent, node, before) => {
  if ("moveBefore" in parent) parent.moveBefore(node, before);
  else parent.insertBefore(node, before);
};
var patchAttributes = (element, { tag, attributes }) => {
  for (const name of element.getAttributeNames())
    if (!(name in attributes) && !(tag === "details" && name === "open")) element.removeAttribute(name);
  for (const [name, value] of Object.entries(attributes))
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
};
var patchOne = (node, wanted) => {
  if (typeof wanted === "string") {
    if (node.nodeValue !== wanted) node.nodeValue = wanted;
    return;
  }
  patchAttributes(node, wanted);
  patchChildren(node, wanted.children);
};
var patchChildren = (parent, wanted) => {
  let next = parent.firstChild;
  for (const content of wanted) {
    let node = next;
    while (node !== null && !fits2(node, content)) node = node.nextSibling;
    if (node === null) {
      node = typeof content === "string" ? document.createTextNode("") : create(content);
      parent.insertBefore(node, next);
    } else if (node === next) {
      next = next.nextSibling;
    } else if (typeof content !== "string" && keyAttribute in content.attributes) {
      move(parent, node, next);
    } else {
      while (next !== null && next !== node) {
        const gone = next;
        next = next.nextSibling;
        gone.remove();
      }
      next = node.nextSibling;
    }
    patchOne(node, content);
  }
  while (next !== null) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
};

// main.ts
var pollMs = 2e3;
var hiddenPollMs = 2e4;
var timeoutMs = 15e3;
var find = (id) => document.querySelector(\`#\${id}\`);
var list = find("changes");
var words = find("words");
var group = find("standing");
var trends = new Trends();
var changes;
var etag;
var knownAt = 0;
var say = (id, text) => {
  const element = find(id);
  if (element.textContent !== text) element.textContent = text;
};
var show = () => {
  if (changes === void 0) return;
  const wanted = { words: words.value, group: group.value };
  const { items, found } = listOf({ changes, trends, now: Date.now() }, wanted);
  patchChildren(list, items);
  say("count", \`\${found} of \${changes.length}\`);
  const waiting = changes.filter(needsPerson).length;
  document.title = waiting === 0 ? "Segue" : \`(\${waiting}) Segue\`;
};
var connection = (trouble) => {
  const since = knownAt === 0 ? "" : \` Shown is what was so at \${new Date(knownAt).toLocaleTimeString()}.\`;
  say("connection", trouble === void 0 ? "Live" : \`\${trouble}\${since}\`);
  find("connection").dataset["state"] = trouble === void 0 ? "live" : "trouble";
};
var take = (known) => {
  const news = newsOf(changes, known);
  if (news !== "") say("news", news);
  changes = known;
};
var ask = async () => {
  const response = await fetch("api/changes", {
    headers: etag === void 0 ? {} : { "if-none-match": etag },
    cache: "no-store",
    signal: AbortSignal.timeout(timeoutMs)
  }).catch(() => {
    throw new Error("The operator does not answer.");
  });
  if (response.status !== 304) {
    const body = await response.json().catch(() => ({}));
    if (body.changes === void 0)
      throw new Error(body.trouble ?? \`The operator answers \${response.status}.\`);
    take(body.changes);
    etag = response.headers.get("etag") ?? void 0;
  }
  knownAt = Date.now();
  trends.note(changes ?? [], knownAt);
};
var poll = async () => {
  try {
    await ask();
    connection();
  } catch (error) {
    connection(error instanceof Error ? error.message : String(error));
  }
  show();
};
var timer;
var isAsking = false;
var loop = async () => {
  if (isAsking) return;
  isAsking = true;
  clearTimeout(timer);
  await poll();
  isAsking = false;
  timer = setTimeout(() => void loop(), document.hidden ? hiddenPollMs : pollMs);
};
words.addEventListener("input", show);
group.addEventListener("change", show);
find("filter").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("visibilitychange", () => void loop());
void loop();
`,
};
