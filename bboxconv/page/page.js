"use strict";
// The browser of images. Whatever comes from data becomes text of a node or a pixel: never markup, never code.
(() => {
  const find = (id) => document.getElementById(id);
  const root = document.documentElement;
  const data = JSON.parse(find("data").textContent);
  const pictures = JSON.parse(find("pictures").textContent);

  const ARRAYS = { Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array };
  const numbers = (column) => new ARRAYS[column.type](bytesOf(column.data).buffer);
  const bytesOf = (data) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(data);
    const text = atob(data);
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
    return bytes;
  };
  const names = data.names;
  const [splitOf, widths, heights, counts, boxes, classes] = ["split", "widths", "heights", "counts", "boxes", "classes"].map(
    (name) => numbers(data[name]),
  );
  const flags = data.flags ? numbers(data.flags) : new Uint8Array(classes.length);
  const filters = data.filters.map((one) => ({ ...one, images: numbers(one.images) }));
  const starts = new Uint32Array(names.length + 1);
  for (let image = 0; image < names.length; image++) starts[image + 1] = starts[image] + counts[image];
  const UNIT = data.unit;
  const FARTHEST = 32767;
  const NOWHERE = -32768;
  const CROWD = 1;
  const NO_CLASS = data.class_names.length;
  const classNames = [...data.class_names, "(no class)"];
  const colors = [...data.colors, "#999999"];
  const classOf = (box) => (classes[box] < 0 ? NO_CLASS : classes[box]);

  // -- small helpers

  const SVG = "http://www.w3.org/2000/svg";
  const make = (name, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  };
  const drawn = (name, attributes, ...children) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
  const inkOn = (color) => {
    const [r, g, b] = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
    return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#000000" : "#ffffff";
  };
  const lastPart = (name) => name.slice(name.lastIndexOf("/") + 1) || name;
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // -- what is shown

  const visible = new Uint8Array(classNames.length).fill(1);
  const wanted = { words: "", filter: -1, split: -1, order: "source", only: false };
  let result = [];
  let lower = null;

  const hasVisible = (image) => {
    for (let box = starts[image]; box < starts[image + 1]; box++) if (visible[classOf(box)]) return true;
    return false;
  };

  const select = () => {
    const words = wanted.words.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && !lower) lower = names.map((name) => name.toLowerCase());
    const from = wanted.filter < 0 ? names.keys() : filters[wanted.filter].images;
    result = [];
    for (const image of from) {
      if (wanted.split >= 0 && splitOf[image] !== wanted.split) continue;
      if (words.length && !words.every((word) => lower[image].includes(word))) continue;
      if (wanted.only && !hasVisible(image)) continue;
      result.push(image);
    }
    if (wanted.order === "name") result.sort((a, b) => (names[a] < names[b] ? -1 : names[a] > names[b] ? 1 : a - b));
    if (wanted.order === "most") result.sort((a, b) => counts[b] - counts[a] || a - b);
    if (wanted.order === "least") result.sort((a, b) => counts[a] - counts[b] || a - b);
    const all = names.length.toLocaleString("en");
    find("count").value =
      result.length === names.length ? count(names.length, "image", "images") : `${result.length.toLocaleString("en")} of ${all} images`;
    find("nothing").hidden = result.length > 0;
    grid.reset();
  };

  // -- an image with its boxes

  const sizeOf = (image) => [Math.abs(widths[image]), Math.abs(heights[image])];
  const fit = (image, width, height) => {
    const [w, h] = sizeOf(image);
    const scale = Math.min(width / w, height / h);
    return { x: (width - w * scale) / 2, y: (height - h * scale) / 2, w: w * scale, h: h * scale };
  };
  const place = (box, area) => {
    const [x1, y1, x2, y2] = boxes.subarray(4 * box, 4 * box + 4);
    if (x1 === NOWHERE) return null;
    return {
      x: area.x + (x1 / UNIT) * area.w,
      y: area.y + (y1 / UNIT) * area.h,
      w: ((x2 - x1) / UNIT) * area.w,
      h: ((y2 - y1) / UNIT) * area.h,
    };
  };
  let [ground, halo, haloOfPale] = ["", "", ""];
  const picture = (image, width, height) => {
    const area = fit(image, width, height);
    const canvas = make("canvas");
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const under = (color) => {
      const ink = inkOn(color);
      return pictures[image] ? `${ink}99` : ink === "#000000" ? haloOfPale : halo; // on a picture, one of the two is seen
    };
    const holder = make("span", { className: "picture" });
    holder.style.height = `${height + 2}px`; // with its border
    if (pictures[image]) holder.append(photo(image, area));
    else {
      pen.fillStyle = ground;
      pen.fillRect(area.x, area.y, area.w, area.h);
    }
    for (let box = starts[image]; box < starts[image + 1]; box++) {
      const at = visible[classOf(box)] ? place(box, area) : null;
      if (!at) continue;
      pen.setLineDash(flags[box] & CROWD ? [4, 3] : []);
      pen.lineWidth = 3;
      pen.strokeStyle = under(colors[classOf(box)]);
      pen.strokeRect(at.x, at.y, at.w, at.h);
      pen.lineWidth = 1.5;
      pen.strokeStyle = colors[classOf(box)];
      pen.strokeRect(at.x, at.y, at.w, at.h);
    }
    holder.append(canvas);
    return holder;
  };
  const photo = (image, area) => {
    const node = make("img", { src: `data:image/jpeg;base64,${pictures[image]}`, alt: "" });
    Object.assign(node.style, { left: `${area.x}px`, top: `${area.y}px`, width: `${area.w}px`, height: `${area.h}px` });
    return node;
  };
  const about = (image) => (counts[image] ? count(counts[image], "box", "boxes") : "no boxes");
  const tile = (image, width, height, open) => {
    const node = make(
      "button",
      { type: "button", className: "tile", title: names[image], ariaLabel: `${names[image]}, ${about(image)}` },
      picture(image, width, height),
      make("span", { className: "name", textContent: lastPart(names[image]) }),
      make("span", { className: "note", textContent: about(image) }),
    );
    node.addEventListener("click", open);
    return node;
  };

  // -- the grid: only the tiles near the window exist

  const grid = (() => {
    const GAP = 16;
    const CAPTION = 44;
    const TALLEST = 12e6; // browsers give up beyond some 17 million pixels; farther lists are scrolled in larger steps
    const list = find("grid");
    const tiles = new Map();
    let columns = 1;
    let width = 0;
    let height = 0;
    let active = 0;
    let asked = false;
    let before = 0;

    const total = () => Math.max(Math.ceil(result.length / columns) * (height + CAPTION + GAP) - GAP, 0);
    const step = () => height + CAPTION + GAP;
    const top = () => find("bar").getBoundingClientRect().bottom;
    const offset = () => {
      const shown = Math.min(total(), TALLEST);
      const scrolled = clamp(-list.getBoundingClientRect().top, 0, shown);
      const beyond = total() > shown ? (total() - window.innerHeight) / (shown - window.innerHeight) : 1;
      return { scrolled, virtual: scrolled * beyond, beyond };
    };
    const measure = () => {
      const room = (before = list.clientWidth);
      const least = room < 500 ? 140 : 190;
      columns = Math.max(1, Math.floor((room + GAP) / (least + GAP)));
      width = Math.floor((room - GAP * (columns - 1)) / columns);
      height = Math.round(width * 0.75);
      list.style.height = `${Math.min(total(), TALLEST)}px`;
    };
    const render = () => {
      asked = false;
      const { scrolled, virtual } = offset();
      const first = Math.max(0, Math.floor(virtual / step()) - 1) * columns;
      const rows = Math.ceil(window.innerHeight / step()) + 3;
      const last = Math.min(result.length, first + rows * columns);
      const focused = list.contains(document.activeElement);
      for (const [at, item] of tiles) {
        if ((at < first || at >= last) && !(focused && at === active)) {
          item.remove();
          tiles.delete(at);
        }
      }
      for (let at = first; at < last; at++) if (!tiles.has(at)) add(at);
      for (const [at, item] of tiles) {
        const y = Math.floor(at / columns) * step() - virtual + scrolled;
        item.style.transform = `translate(${(at % columns) * (width + GAP)}px, ${y}px)`;
      }
    };
    const add = (at) => {
      const button = tile(result[at], width - 2, height - 2, () => {
        active = at;
        viewer.open(result, at, focus);
      });
      button.tabIndex = at === active ? 0 : -1;
      button.addEventListener("focus", () => mark(at));
      const item = make("li", { ariaSetSize: String(result.length), ariaPosInSet: String(at + 1) }, button);
      item.style.width = `${width}px`;
      tiles.set(at, item);
      const after = [...tiles.keys()].filter((other) => other > at).sort((a, b) => a - b)[0];
      list.insertBefore(item, tiles.get(after) ?? null);
    };
    const mark = (at) => {
      const old = tiles.get(active)?.firstChild;
      if (old) old.tabIndex = -1;
      active = at;
      const now = tiles.get(at)?.firstChild;
      if (now) now.tabIndex = 0;
    };
    const reveal = (at) => {
      for (let turn = 0; turn < 3; turn++) {
        const { scrolled, virtual, beyond } = offset();
        const from = list.getBoundingClientRect().top + scrolled; // where the visible part of the list begins
        const y = Math.floor(at / columns) * step() - virtual + from;
        const low = top() + GAP;
        const high = Math.max(window.innerHeight - step(), low);
        if (y >= low && y <= high) break;
        window.scrollBy(0, (y - (y < low ? low : high)) / beyond);
      }
      render();
    };
    const focus = (at) => {
      if (!result.length) return;
      at = clamp(at, 0, result.length - 1);
      reveal(at);
      if (!tiles.has(at)) add(at);
      mark(at);
      tiles.get(at).firstChild.focus({ preventScroll: true });
      render();
    };
    const redraw = () => {
      const focused = list.contains(document.activeElement);
      list.replaceChildren();
      tiles.clear();
      measure();
      render();
      if (focused) focus(active);
    };
    const soon = () => {
      if (!asked) requestAnimationFrame(render);
      asked = true;
    };

    list.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const page = Math.max(1, Math.floor(window.innerHeight / step()) - 1) * columns;
      const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, PageUp: -page, PageDown: page };
      const goal =
        event.key === "Home" ? 0 : event.key === "End" ? result.length - 1 : event.key in moves ? active + moves[event.key] : null;
      if (goal === null) return;
      event.preventDefault();
      const row = event.key === "ArrowUp" || event.key === "ArrowDown";
      if (!row || (goal >= 0 && goal < result.length)) focus(goal);
    });
    window.addEventListener("scroll", soon, { passive: true });
    new ResizeObserver(() => list.clientWidth !== before && redraw()).observe(list);
    return {
      redraw,
      focus,
      first: () => focus(active),
      reset: () => {
        active = 0;
        redraw();
      },
    };
  })();

  // -- one image, large

  const viewer = (() => {
    const dialog = find("viewer");
    const stage = find("stage");
    const MOST = 500;
    const LABELLED = 40;
    let list = [];
    let at = 0;
    let after = null;

    const words = (box, image) => {
      const corners = [...boxes.subarray(4 * box, 4 * box + 4)];
      if (corners[0] === NOWHERE) return "no box";
      if (corners.some((corner) => Math.abs(corner) === FARTHEST)) return "far outside the image";
      const [w, h] = widths[image] === -1 ? [100, 100] : sizeOf(image); // else of the reach of its boxes, in pixels too
      const [x1, y1, x2, y2] = corners.map((corner, side) => (corner / UNIT) * (side % 2 ? h : w));
      const digits = Math.max(w, h) > 1600 ? 0 : 1;
      const show = (number) => number.toFixed(digits).replace(/\.0$/, "");
      return `${show(x1)}, ${show(y1)}, ${show(x2 - x1)} × ${show(y2 - y1)}`;
    };
    const marks = (box) => data.flag_names.filter((_, bit) => flags[box] & (1 << bit));

    const draw = () => {
      const image = list[at];
      const area = fit(image, stage.clientWidth, stage.clientHeight);
      const svg = drawn("svg", { width: stage.clientWidth, height: stage.clientHeight, role: "img" });
      svg.setAttribute("aria-label", `${names[image]}, ${about(image)}`);
      svg.append(drawn("title", {}, names[image]));
      const nodes = [];
      if (!pictures[image]) svg.append(drawn("rect", { class: "ground", x: area.x, y: area.y, width: area.w, height: area.h }));
      const labelled = counts[image] <= LABELLED;
      for (let box = starts[image]; box < starts[image + 1]; box++) {
        const where = visible[classOf(box)] ? place(box, area) : null;
        if (!where) continue;
        const name = classNames[classOf(box)];
        const shape = { x: where.x, y: where.y, width: Math.max(where.w, 0), height: Math.max(where.h, 0) };
        const crowd = flags[box] & CROWD ? " crowd" : "";
        const group = drawn("g", { class: labelled ? "named" : "", "data-box": box });
        const short = name.length > 32 ? `${name.slice(0, 31)}…` : name;
        const wide = measure(short) + 10;
        const top = where.y >= 18 ? where.y - 18 : where.y;
        const word = drawn("text", { class: "word", x: where.x + 4, y: top + 13 }, short);
        word.style.fill = inkOn(colors[classOf(box)]);
        group.append(
          drawn("title", {}, name),
          drawn("rect", { class: inkOn(colors[classOf(box)]) === "#000000" ? "under" : "under light", ...shape }),
          drawn("rect", { class: `box${crowd}`, stroke: colors[classOf(box)], ...shape }),
          drawn("rect", { class: "tag", x: where.x - 1, y: top, width: wide, height: 18, fill: colors[classOf(box)] }),
          word,
        );
        nodes.push([where.w * where.h, group]);
      }
      nodes.sort((a, b) => b[0] - a[0]); // the small ones on top, where the mouse finds them
      svg.append(...nodes.map((pair) => pair[1]));
      stage.classList.toggle("photo", Boolean(pictures[image]));
      stage.replaceChildren(...(pictures[image] ? [photo(image, area)] : []), svg);
    };
    const pen = make("canvas").getContext("2d");
    pen.font = `600 12px ${getComputedStyle(document.body).fontFamily}`;
    const measure = (text) => pen.measureText(text).width;

    const rows = () => {
      const image = list[at];
      const unit = widths[image] === -1 ? "% of the image" : "pixels";
      const table = make("table", {}, make("caption", { className: "quiet", textContent: `left, top, width × height in ${unit}` }));
      const stop = Math.min(starts[image + 1], starts[image] + MOST);
      for (let box = starts[image]; box < stop; box++) {
        const swatch = make("span", { className: "swatch" });
        swatch.style.background = colors[classOf(box)];
        const name = make("span", { className: "name", textContent: classNames[classOf(box)] });
        const note = [words(box, image), ...marks(box)].join(", ");
        const row = make(
          "tr",
          { className: visible[classOf(box)] ? "" : "off" },
          make("th", { scope: "row" }, make("span", { className: "label" }, swatch, name)),
          make("td", { className: "quiet", textContent: note }),
        );
        row.dataset.box = box;
        table.append(row);
      }
      const rest = starts[image + 1] - stop;
      const said = counts[image] ? [table] : [make("p", { className: "quiet", textContent: "This image has no boxes." })];
      if (rest > 0) said.push(make("p", { className: "quiet", textContent: `and ${rest.toLocaleString("en")} more` }));
      find("objects").replaceChildren(...said);
      find("objects").scrollTop = 0;
    };
    const show = () => {
      const image = list[at];
      const [w, h] = [widths[image], heights[image]];
      const parts = [
        `${(at + 1).toLocaleString("en")} of ${list.length.toLocaleString("en")}`,
        w > 0 ? `${w} × ${h} px` : "size not known",
        about(image),
      ];
      if (splitOf[image] >= 0) parts.splice(1, 0, data.splits[splitOf[image]]);
      find("viewer-name").textContent = names[image];
      find("viewer-about").textContent = parts.join(" · ");
      // not disabled: a button that is loses the focus, and the keys with it
      find("before").ariaDisabled = String(at === 0);
      find("after").ariaDisabled = String(at === list.length - 1);
      rows();
      draw();
    };
    const move = (to) => {
      if (to < 0 || to >= list.length) return;
      at = to;
      show();
    };
    const light = (event) => {
      const box = event.target.closest("[data-box]")?.dataset.box;
      for (const node of dialog.querySelectorAll(".here")) node.classList.remove("here");
      if (box) for (const node of dialog.querySelectorAll(`[data-box="${box}"]`)) node.classList.add("here");
    };

    find("before").addEventListener("click", () => move(at - 1));
    find("after").addEventListener("click", () => move(at + 1));
    find("close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("mouseover", light);
    dialog.addEventListener("close", () => after?.(at));
    dialog.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const goals = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: list.length - 1 };
      if (!(event.key in goals)) return;
      event.preventDefault();
      move(goals[event.key]);
    });
    new ResizeObserver(() => dialog.open && draw()).observe(stage);
    return {
      open: (images, start, then) => {
        [list, at, after] = [images, start, then];
        dialog.showModal();
        find("after").focus();
        show();
      },
    };
  })();

  // -- controls

  const search = find("search");
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      wanted.words = search.value;
      select();
      if (search.value) find("images").scrollIntoView();
    }, 60);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      search.value = "";
      wanted.words = "";
      select();
      search.blur();
    } else if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      clearTimeout(waiting);
      wanted.words = search.value;
      select();
      grid.focus(0);
    }
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea, dialog[open]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });

  const options = (id, list, key, texts) => {
    texts.forEach((text, value) => list.append(make("option", { value: String(value), textContent: text })));
    list.addEventListener("change", () => {
      wanted[key] = Number(list.value);
      select();
    });
  };
  options("finding", find("finding"), "filter", filters.map((one) => `${one.name} (${one.images.length.toLocaleString("en")})`));
  options("split", find("split"), "split", data.splits);
  find("split-label").hidden = !data.splits.length;
  find("order").addEventListener("change", (event) => {
    wanted.order = event.target.value;
    select();
  });
  find("only").addEventListener("change", (event) => {
    wanted.only = event.target.checked;
    select();
  });
  find("reset").addEventListener("click", () => {
    Object.assign(wanted, { words: "", filter: -1, split: -1, only: false });
    search.value = "";
    find("finding").value = find("split").value = "-1";
    find("only").checked = false;
    select();
  });

  const boxesOf = new Uint32Array(classNames.length);
  for (let box = 0; box < classes.length; box++) boxesOf[classOf(box)]++;
  const checks = [...boxesOf.keys()]
    .filter((at) => at !== NO_CLASS || boxesOf[NO_CLASS])
    .sort((a, b) => boxesOf[b] - boxesOf[a] || a - b)
    .map((at) => {
      const check = make("input", { type: "checkbox", checked: true, autocomplete: "off" });
      const swatch = make("span", { className: "swatch" });
      swatch.style.background = colors[at];
      const name = make("span", { className: "name", textContent: classNames[at], title: classNames[at] });
      const number = make("span", { className: "number", textContent: boxesOf[at].toLocaleString("en") });
      const item = make("li", {}, make("label", {}, check, swatch, name, number));
      check.addEventListener("change", () => {
        visible[at] = check.checked;
        changed();
      });
      return { at, check, item };
    });
  const changed = () => (wanted.only ? select() : grid.redraw());
  const setAll = (on) => {
    for (const { at, check, item } of checks) {
      if (item.hidden) continue;
      check.checked = on;
      visible[at] = on;
    }
    changed();
  };
  find("class-list").append(...checks.map((one) => one.item));
  find("all").addEventListener("click", () => setAll(true));
  find("none").addEventListener("click", () => setAll(false));
  find("find-class").hidden = checks.length <= 12;
  find("find-class").addEventListener("input", (event) => {
    const word = event.target.value.toLowerCase();
    for (const { at, item } of checks) item.hidden = !classNames[at].toLowerCase().includes(word);
  });

  // -- findings with pictures

  const beside = () => {
    for (const holder of document.querySelectorAll(".pictures")) {
      const at = Number(holder.dataset.finding);
      const images = filters[at].images;
      const tiles = [...images.subarray(0, data.beside)].map((image, place) => {
        const node = tile(image, 142, 106, () => viewer.open(images, place, () => node.focus()));
        return node;
      });
      if (images.length) {
        const all = make("button", { type: "button", textContent: `Browse ${count(images.length, "image", "images")}` });
        all.addEventListener("click", () => {
          find("finding").value = String(at);
          wanted.filter = at;
          select();
          find("images").scrollIntoView();
          grid.focus(0);
        });
        tiles.push(all);
      }
      holder.replaceChildren(...tiles);
    }
  };

  // -- light and dark

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const tone = () => {
    find("theme").textContent = isDark() ? "Light" : "Dark";
    find("theme").ariaLabel = isDark() ? "Show the page light" : "Show the page dark";
    const probe = make("span");
    document.body.append(probe);
    [ground, halo, haloOfPale] = ["var(--canvas)", "var(--halo)", "var(--halo-of-pale)"].map((name) => {
      probe.style.color = name;
      return getComputedStyle(probe).color;
    });
    probe.remove();
    beside();
  };
  const paint = () => {
    tone();
    grid.redraw();
  };
  const remember = (theme) => {
    try {
      localStorage.setItem("bboxconv-theme", theme);
    } catch {
      // a page from a file may have no storage
    }
  };
  try {
    const theme = localStorage.getItem("bboxconv-theme");
    if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  } catch {
    // as above
  }
  find("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    paint();
  });
  dark.addEventListener("change", paint);

  if (matchMedia("(max-width: 60rem)").matches) find("panel").open = false;
  find("browser").hidden = false;
  tone();
  select();
  root.dataset.ready = "yes";
  performance.mark("ready");
})();
