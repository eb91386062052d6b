// Returns the labels of the charts that cover each other, or what is drawn.
const box = node => node.getBoundingClientRect();
const cross = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;

const found = [];
for (const chart of document.querySelectorAll("svg.chart")) {
  const labels = [...chart.querySelectorAll("text")], drawn = [...chart.querySelectorAll(".line, .eigen-now, .eigen-then")];
  labels.forEach((label, i) => {
    for (const other of [...labels.slice(i + 1), ...drawn]) {
      if (cross(box(label), box(other))) found.push(`${chart.id}: “${label.textContent}” and ${other.textContent || other.getAttribute("class")}`);
    }
  });
}
return found;
