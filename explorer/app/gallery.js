// Draws the frame that gallery.py packs: 4 bytes (little endian) length of the header, the header as JSON, one PNG
// or JPEG with all pictures. Tiles are kept between frames, so that keyboard focus survives a rerun; the data is only ever
// written as text and attributes, never as markup.

const galleries = new WeakMap();
const LONGEST_CLOSING = 3000; // milliseconds that a dialog may take to go

export default function ({ data, parentElement, setTriggerValue }) {
  const gallery = galleries.get(parentElement) ?? createGallery(parentElement);
  gallery.onClick = (id) => setTriggerValue("clicked", id);
  return show(gallery, unpack(data));
}

function createGallery(parentElement) {
  const root = document.createElement("div");
  root.className = "gallery";
  root.setAttribute("role", "group");
  const gallery = {
    root, parts: [], tiles: [], current: 0, selected: null, newest: 0, sheet: null, drawn: null, onClick: null,
  };
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button"); // none where tiles are not clickable
    if (!button) return;
    setCurrent(gallery, gallery.tiles.indexOf(button));
    gallery.onClick(button.dataset.id);
  });
  root.addEventListener("focusin", (event) => setCurrent(gallery, gallery.tiles.indexOf(event.target)));
  root.addEventListener("keydown", (event) => moveFocus(gallery, event));
  parentElement.appendChild(root);
  galleries.set(parentElement, gallery);
  return gallery;
}

function unpack(data) {
  const length = new DataView(data.buffer, data.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(data.subarray(4, 4 + length)));
  return { ...header, file: data.subarray(4 + length) };
}

async function show(gallery, frame) {
  const turn = ++gallery.newest;
  if (gallery.sheet?.digest !== frame.digest) {
    // Decoded before anything is touched: pictures and captions change in the same paint.
    const bitmap = await createImageBitmap(new Blob([frame.file]));
    if (turn !== gallery.newest) return bitmap.close();
    gallery.sheet?.bitmap.close();
    gallery.sheet = { bitmap, digest: frame.digest };
  }
  const { root, tiles } = gallery;
  root.setAttribute("aria-label", frame.label);
  root.classList.toggle("pixelated", frame.pixelated);
  root.style.setProperty("--tile-size", `${frame.tile_size}px`);
  while (tiles.length > frame.tiles.length) tiles.pop().remove();
  while (tiles.length < frame.tiles.length) tiles.push(createTile(frame.clickable));
  arrange(gallery, frame);
  frame.tiles.forEach((content, index) => fillTile(tiles[index], content, content.id === frame.selected));
  drawPictures(gallery, frame);
  const left = frame.selected === null ? gallery.selected : null;
  const moved = frame.selected === gallery.selected ? null : frame.selected ?? gallery.selected;
  const target = frame.tiles.findIndex((content) => content.id === moved);
  gallery.selected = frame.selected;
  setCurrent(gallery, target >= 0 ? target : Math.min(gallery.current, tiles.length - 1));
  if (left !== null) returnFocus(gallery, performance.now() + LONGEST_CLOSING);
}

// One part for all tiles or, under headings, one for each row of the sprite. Only tiles that change parts are moved.
function arrange({ root, parts, tiles }, { headings, columns }) {
  const count = Math.max(1, headings.length);
  const perPart = headings.length ? columns : tiles.length;
  while (parts.length > count) parts.pop().remove();
  while (parts.length < count) parts.push(root.appendChild(createPart()));
  parts.forEach((part, index) => {
    const [question, rest] = headings[index] ?? ["", ""];
    const heading = part.firstChild;
    heading.hidden = !question;
    heading.firstChild.textContent = question;
    heading.lastChild.textContent = ` ${rest}`;
    setOrRemove(part, "role", question && "group");
    setOrRemove(part, "aria-label", question && `${question} ${rest}`);
  });
  tiles.forEach((tile, index) => {
    const grid = parts[Math.floor(index / perPart)].lastChild;
    if (tile.parentElement !== grid) grid.appendChild(tile);
  });
}

function createPart() {
  const part = document.createElement("div");
  const heading = part.appendChild(document.createElement("p"));
  heading.append(document.createElement("strong"), "");
  part.appendChild(document.createElement("div")).className = "tiles";
  return part;
}

function createTile(clickable) {
  const tile = document.createElement(clickable ? "button" : "div");
  tile.className = "tile";
  if (clickable) tile.type = "button";
  else tile.setAttribute("role", "img");
  tile.appendChild(document.createElement("canvas")).setAttribute("aria-hidden", "true");
  const mark = tile.appendChild(document.createElement("span"));
  mark.className = "mark";
  mark.setAttribute("aria-hidden", "true");
  tile.appendChild(document.createElement("span")).className = "caption";
  return tile;
}

function fillTile(tile, content, selected) {
  tile.dataset.id = content.id;
  tile.dataset.tone = content.tone;
  tile.style.setProperty("--colour", content.colour);
  if (tile.type) tile.setAttribute("aria-pressed", String(selected));
  setOrRemove(tile, "aria-label", content.description);
  setOrRemove(tile, "title", content.description);
  tile.querySelector(".mark").textContent = { wrong: "✕", right: "✓", plain: "" }[content.tone];
  const texts = content.title ? [content.title, ...content.lines] : content.lines;
  const caption = tile.querySelector(".caption");
  while (caption.childElementCount > texts.length) caption.lastElementChild.remove();
  while (caption.childElementCount < texts.length) caption.appendChild(document.createElement("span"));
  texts.forEach((text, index) => {
    const line = caption.children[index];
    line.className = content.title && index === 0 ? "title" : "line";
    line.textContent = text;
    line.setAttribute("title", text);
  });
}

function setOrRemove(element, name, text) {
  if (text) element.setAttribute(name, text);
  else element.removeAttribute(name);
}

// A canvas per tile rather than a background position: enlarged backgrounds mix in the edge of the neighbouring picture.
function drawPictures(gallery, frame) {
  const { bitmap, digest } = gallery.sheet;
  const drawn = [digest, frame.columns, frame.rows, frame.tiles.length].join(" ");
  if (drawn === gallery.drawn) return;
  gallery.drawn = drawn;
  const width = bitmap.width / frame.columns;
  const height = bitmap.height / frame.rows;
  gallery.tiles.forEach((tile, index) => {
    const canvas = tile.querySelector("canvas");
    canvas.width = width;
    canvas.height = height;
    const left = (index % frame.columns) * width;
    const top = Math.floor(index / frame.columns) * height;
    canvas.getContext("2d").drawImage(bitmap, left, top, width, height, 0, 0, width, height);
  });
}

// One tab stop for the whole grid: the tab key enters at the current tile, arrow keys move within.
function setCurrent(gallery, index) {
  gallery.current = Math.max(0, index);
  gallery.tiles.forEach((tile, at) => {
    if (tile.type) tile.setAttribute("tabindex", at === gallery.current ? "0" : "-1");
  });
}

// When the dialog that a tile opened is dismissed, the focus falls to the page's body, from where the tab key starts all
// over. It goes back to the tile, as often as the closing dialog takes it, unless the person has gone on to another thing.
function returnFocus(gallery, deadline) {
  const { activeElement, body } = gallery.root.ownerDocument;
  const nowhere = !activeElement || activeElement === body;
  if (nowhere) gallery.tiles[gallery.current]?.focus();
  const waiting = nowhere || gallery.root.getRootNode().host === activeElement || activeElement.closest("[role=dialog]");
  if (waiting && performance.now() < deadline) setTimeout(() => returnFocus(gallery, deadline), 50);
}

function moveFocus(gallery, event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  const { tiles, current } = gallery;
  const firstOfRow2 = tiles.findIndex((tile) => tile.offsetTop > tiles[0].offsetTop);
  const across = firstOfRow2 < 0 ? tiles.length : firstOfRow2;
  const last = tiles.length - 1;
  const target = {
    ArrowLeft: current - 1,
    ArrowRight: current + 1,
    ArrowUp: current - across,
    ArrowDown: current + across,
    Home: 0,
    End: last,
  }[event.key];
  if (target === undefined) return;
  event.preventDefault();
  if (target >= 0 && target <= last) tiles[target].focus();
}
