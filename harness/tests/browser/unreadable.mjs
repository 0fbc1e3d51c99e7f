// Everything that makes a chart unreadable: texts on texts, texts that are small or pale, a page wider than the screen.
// Runs in the page.
export const unreadable = () => {
  const faults = [];
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) faults.push(`the page is ${wide} px too wide`);
  const channels = colour => {
    const pen = new OffscreenCanvas(1, 1).getContext("2d");
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  };
  const light = colour => channels(colour).reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = light(getComputedStyle(document.body).backgroundColor);
  for (const svg of document.querySelectorAll(".plot svg")) {
    const where = svg.closest("figure").id, frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].filter(text => text.textContent && !text.closest(".tip"));
    const boxes = texts.map(text => [text.textContent, text.getBoundingClientRect()]);
    boxes.forEach(([one, a], index) => {
      if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 || a.bottom > frame.bottom + 1)
        faults.push(`${where}: "${one}" leaves the chart`);
      for (const [other, b] of boxes.slice(index + 1)) {
        const over = Math.min(a.right, b.right) - Math.max(a.left, b.left), under = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        // A line of text is as high as its font says, ink or not: two pixels of that are no overlap.
        if (over > 0.5 && under > 2) faults.push(`${where}: "${one}" lies on "${other}"`);
      }
    });
    for (const text of texts) {
      const style = getComputedStyle(text), seen = light(style.fill);
      if (parseFloat(style.fontSize) < 10) faults.push(`${where}: "${text.textContent}" is ${style.fontSize}`);
      const contrast = (Math.max(seen, ground) + 0.05) / (Math.min(seen, ground) + 0.05);
      if (contrast < 4.5) faults.push(`${where}: "${text.textContent}" has a contrast of ${contrast.toFixed(1)}`);
    }
    for (const axis of ["x", "y"]) {
      const ticks = svg.querySelectorAll(`[aria-label='${axis}-axis tick label'] text`).length;
      if (ticks < 2) faults.push(`${where}: ${ticks} ticks along ${axis}`);
    }
  }
  return faults;
};
