(() => {
  // What is hard to read in a page: texts on top of each other, and texts with too little contrast.
  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const ratio = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const parsed = (text) => {
    const numbers = text.match(/[\d.]+/g);
    return text.startsWith("rgb") && numbers ? numbers.map(Number) : null;
  };
  const isSolid = (color) => color && (color.length === 3 || color[3] === 1);
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parsed(getComputedStyle(at).backgroundColor);
      if (isSolid(color)) return color;
    }
    return [255, 255, 255];
  };
  const overlap = (a, b) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;

  const problems = [];
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || element.closest("svg, script, style") || !element.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) if (box.width && box.height) texts.push([box, node.data.trim()]);
    const found = ratio(parsed(getComputedStyle(element).color), background(element));
    if (found < 4.5) problems.push(`contrast ${found.toFixed(2)}: ${node.data.trim().slice(0, 40)}`);
  }
  const check = (boxes, where) => {
    boxes.sort((a, b) => a[0].top - b[0].top);
    boxes.forEach(([box, text], place) => {
      for (let next = place + 1; next < boxes.length && boxes[next][0].top < box.bottom; next++)
        if (overlap(box, boxes[next][0])) problems.push(`overlap in ${where}: ${text.slice(0, 40)} / ${boxes[next][1].slice(0, 40)}`);
    });
  };
  check(texts, "the page");

  for (const figure of document.querySelectorAll("svg")) {
    const name = figure.closest("figure").id;
    const labels = [...figure.querySelectorAll('g[id*="-text_"]')].filter((label) => label.getBoundingClientRect().width > 0);
    check(labels.map((label) => [label.getBoundingClientRect(), label.id]), name);
    const painted = [...figure.querySelectorAll("path")].filter((path) => !path.closest('defs, g[id*="-text_"]'));
    for (const label of labels) {
      const glyph = [...label.querySelectorAll("use")].at(-1) ?? label.querySelector("path");
      const ink = parsed(getComputedStyle(glyph).fill);
      const own = [...label.querySelectorAll("path")].filter((path) => !path.closest("defs") && path !== glyph);
      const box = glyph.getBoundingClientRect();
      const point = new DOMPoint(box.left + box.width / 2, box.top + box.height / 2);
      let paper = background(figure);
      for (const path of [...painted, ...own]) {
        if (path.compareDocumentPosition(label) & Node.DOCUMENT_POSITION_PRECEDING) continue;
        const style = getComputedStyle(path), color = parsed(style.fill);
        if (!isSolid(color) || style.opacity !== "1" || style.fillOpacity !== "1") continue;
        if (path.isPointInFill(point.matrixTransform(path.getScreenCTM().inverse()))) paper = color;
      }
      const found = ratio(ink, paper);
      if (found < 4.5) problems.push(`contrast ${found.toFixed(2)} in ${name}: ${label.id} rgb(${ink}) on rgb(${paper})`);
    }
  }
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) problems.push(`wider than the window: ${document.documentElement.scrollWidth} > ${width}`);
  if (matchMedia("print").matches)
    for (const part of document.querySelectorAll(".scroll"))
      if (part.scrollWidth > part.clientWidth + 1) problems.push(`cut off in print: ${part.getAttribute("aria-label")} ${part.scrollWidth} > ${part.clientWidth}`);
  return problems;
})()
