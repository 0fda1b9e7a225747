// SPDX-License-Identifier: Apache-2.0
// Boxes of trees, on a canvas and as SVG.

const ROW = 18;

// Boxes of one tree, zoomed to a node: [{tree, node, x, w, row}], those wider than a pixel.
// Rows count from 0, the root; downwards, or upwards with negative numbers. focus: row 0 is the
// function below the root instead, which only the tree that goes down shows.
function boxesOf({tree, zoom, up, focus = 0}, width) {
    const sign = up ? -1 : 1, scale = width / tree.weight[zoom], boxes = [];
    const add = (node, x, w) => {
        const row = tree.depth[node] - focus;
        if (row >= (focus && up ? 1 : 0))
            boxes.push({tree, node, x, w, row: sign * row});
    };
    for (let node = zoom; node >= 0; node = tree.parent[node])
        add(node, 0, width);
    const stack = tree.weight[zoom] ? [[zoom, 0]] : [];
    while (stack.length) {
        let [node, x] = stack.pop();
        for (const child of tree.children(node, 1 / scale)) {
            const w = tree.weight[child] * scale;
            add(child, x, w);
            stack.push([child, x]);
            x += w;
        }
    }
    return boxes;
}

const dark = matchMedia('(prefers-color-scheme: dark)');

function hsl(hue, saturation, lightness) {
    return `hsl(${hue} ${saturation}% ${lightness}%)`;
}

// The colour of a box; where values fall and rise, also that of its part that falls.
function coloursOf(signed, {tree, node}, found) {
    const {matches: isDark} = dark, light = isDark ? 34 : 74, name = tree.name[node];
    if (found)
        return [hsl(285, isDark ? 55 : 75, light + 4)];
    if (!node)
        return [hsl(220, 7, isDark ? 30 : 84)];
    const step = hashOf(names[name]) >>> 8, strong = isDark ? 45 : 80, shade = light + step % 9 - 4;
    if (signed)
        return [hsl(8, strong, shade), hsl(205, strong, shade)];
    if (nameless[name])
        return nameless[name] === 1 ? [hsl(60, 4, light - 2)] : [hsl(215, strong - 15, light + 4)];
    const hue = 18 + step % 36;
    return [tree.how[node] === 1 ? hsl(hue + 85, strong / 2, light) : hsl(hue, strong, light)];
}

// A canvas that shows boxes. on: {point(box), open(box), back(), describe(box)}.
class Graph {
    constructor(canvas, on) {
        Object.assign(this, {canvas, on, rows: [], boxes: []});
        const listen = (type, what) => canvas.addEventListener(type, what);
        listen('mousemove', event => {
            const box = this.boxAt(event);
            if (box !== this.pointed)
                on.point(box || this.chosen);
            this.pointed = box;
            canvas.classList.toggle('over', Boolean(box));
        });
        listen('mouseleave', () => on.point(this.chosen));
        listen('click', event => {
            const box = this.boxAt(event);
            if (box) {
                this.choose(box);
                on.open(box);
            }
        });
        listen('keydown', event => this.key(event));
        listen('focus', () => !this.chosen && this.choose(this.boxes[0]));
    }
    // parts: [{tree, zoom, up}]; the keyboard starts at the first box of the first part.
    show(signed, parts, matches) {
        const {canvas, chosen} = this, width = canvas.parentElement.clientWidth;
        const boxes = parts.flatMap(part => boxesOf(part, width)), low = boxes.reduce(
            (least, {row}) => Math.min(least, row), 0);
        Object.assign(this, {signed, matches, width, boxes, rows: []});
        for (const box of boxes)
            (this.rows[box.row -= low] ||= []).push(box);
        this.chosen = boxes.find(({tree, node}) => chosen && tree === chosen.tree &&
            node === chosen.node);
        const height = this.height = this.rows.length * ROW;
        // Canvases have at most some 16,000 pixels a side.
        const ratio = Math.min(devicePixelRatio, 16000 / height);
        canvas.width = width * ratio;
        canvas.height = height * ratio;
        canvas.style.width = width + 'px';
        canvas.style.height = height + 'px';
        const context = this.context = canvas.getContext('2d');
        context.scale(ratio, ratio);
        context.font = '11px monospace';
        this.letter = context.measureText('M').width;
        boxes.forEach(box => this.paint(box));
    }
    label({tree, node}) {
        return node ? names[tree.name[node]] : 'all';
    }
    isFound({tree, node}) {
        return node > 0 && this.matches && this.matches[tree.name[node]];
    }
    // Calls rect(x, y, width, colour) and text(text, x, y) for the parts of a box.
    parts(box, rect, text) {
        const {x, w, row, tree, node} = box, y = row * ROW, weight = tree.weight[node];
        const wide = Math.max(1, w - (w > 3 ? 1 : 0)), label = this.label(box);
        const [colour, falling] = coloursOf(this.signed, box, this.isFound(box));
        rect(x, y, wide, colour);
        if (falling)
            rect(x, y, wide * (weight - tree.value[node]) / 2 / weight, falling);
        const room = Math.floor((wide - 6) / this.letter), kind = nameless[tree.name[node]];
        // Of a group its value; of a place its end, by which places differ.
        const long = kind === 2 ? label.replace(/.*?: /, '') : label;
        if (room > 1)
            text(long.length <= room ? long : kind === 1 ? '…' + long.slice(1 - room) :
                long.slice(0, room - 1) + '…', x + 3, y + 12.5);
    }
    paint(box) {
        const {context} = this, ink = dark.matches ? '#eee' : '#111';
        this.parts(box, (x, y, w, colour) => {
            context.fillStyle = colour;
            context.fillRect(x, y, w, ROW - 1);
        }, (text, x, y) => {
            context.fillStyle = ink;
            context.fillText(text, x, y);
        });
        if (box === this.chosen) {
            context.strokeStyle = ink;
            context.lineWidth = 2;
            context.strokeRect(box.x + 1, box.row * ROW + 1, Math.max(1, box.w - 3), ROW - 3);
        }
    }
    boxAt({offsetX, offsetY}) {
        const row = this.rows[Math.floor(offsetY / ROW)];
        return row && row.find(({x, w}) => offsetX >= x && offsetX < x + w);
    }
    choose(box) {
        const before = this.chosen;
        this.chosen = box;
        if (before)
            this.paint(before);
        if (!box)
            return;
        this.paint(box);
        this.on.point(box);
        const y = this.canvas.getBoundingClientRect().top + box.row * ROW;
        if (y < 0 || y > innerHeight - 80)
            scrollBy(0, y - innerHeight / 2);
    }
    // The arrows go to the row above or below, and to the boxes beside.
    key(event) {
        const {on, rows} = this, from = this.chosen || this.boxes[0];
        if (!from || event.ctrlKey || event.altKey || event.metaKey)
            return;
        const beside = step => {
            const row = rows[from.row].slice().sort((a, b) => a.x - b.x);
            this.choose(row[row.indexOf(from) + step] || from);
        };
        const near = step => this.choose((rows[from.row + step] || []).reduce((best, box) =>
            box.x < from.x + from.w && box.x + box.w > from.x && (best === from || box.w > best.w) ?
                box : best, from));
        const moves = {ArrowUp: () => near(-1), ArrowDown: () => near(1),
            ArrowLeft: () => beside(-1), ArrowRight: () => beside(1),
            Home: () => this.choose(this.boxes[0]), Enter: () => on.open(from),
            Escape: on.back, Backspace: on.back};
        if (moves[event.key]) {
            event.preventDefault();
            moves[event.key]();
        }
    }
    // Chooses the next match, in reading order.
    next() {
        const found = this.boxes.filter(box => this.isFound(box))
            .sort((a, b) => a.row - b.row || a.x - b.x);
        this.choose(found[(found.indexOf(this.chosen) + 1) % found.length]);
    }
    svg() {
        const {width, height} = this, clean = text => text.replace(/[\0-\x1f\ufffe\uffff]/g, '?')
            .replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);
        const rect = (x, y, w, colour) => out.push(`<rect x="${x}" y="${y}" width="${w}" height="${
            ROW - 1}" fill="${colour}"/>`);
        const out = [`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height
        }" font-family="monospace" font-size="11">`];
        for (const box of this.boxes) {
            out.push(`<g><title>${clean(this.on.describe(box))}</title>`);
            this.parts(box, rect, (text, x, y) => out.push(`<text x="${x}" y="${y}" fill="${
                dark.matches ? '#eee' : '#111'}">${clean(text)}</text>`));
            out.push('</g>');
        }
        return out.join('\n') + '</svg>\n';
    }
}
