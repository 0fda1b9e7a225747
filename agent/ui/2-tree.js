// SPDX-License-Identifier: Apache-2.0
// Trees of stacks, and tables of functions.

// Node 0 is the root. A node is a function below the functions that called it.
class Tree {
    constructor(room) {
        this.count = 0;
        this.parent = new Int32Array(room);
        this.name = new Int32Array(room);
        // Bit 0: some samples have it inlined; bit 1: some do not.
        this.how = new Uint8Array(room);
        this.depth = new Uint16Array(room);
        this.self = new Float64Array(room);
        this.add(-1, -1);
        this.depth[0] = 0;
    }
    add(parent, name) {
        this.parent[this.count] = parent;
        this.name[this.count] = name;
        this.depth[this.count] = this.depth[parent] + 1;
        return this.count++;
    }
    // Sums, from the leaves up: a child comes after its parent. The width of a box is its weight,
    // in which values of opposite signs do not cancel each other out.
    finish() {
        const {count, parent, name, self} = this, hashes = [];
        const value = this.value = self.slice(0, count);
        const weight = this.weight = value.map(Math.abs);
        const first = this.first = new Int32Array(count).fill(-1);
        const next = this.next = first.slice();
        for (let node = count - 1; node > 0; node--) {
            const above = parent[node];
            value[above] += value[node];
            weight[above] += weight[node];
            next[node] = first[above];
            first[above] = node;
        }
        const path = this.path = new Int32Array(count);
        for (let node = 1; node < count; node++) {
            const hash = hashes[name[node]] ??= hashOf(names[name[node]]);
            path[node] = Math.imul(path[parent[node]] ^ hash, 0x5bd1e995) + 1;
        }
        return this;
    }
    // Children with at least that weight, the heaviest first.
    children(node, least) {
        const list = [];
        for (let child = this.first[node]; child >= 0; child = this.next[child])
            if (this.weight[child] >= least && this.weight[child] > 0)
                list.push(child);
        return list.sort((a, b) => this.weight[b] - this.weight[a] || this.name[a] - this.name[b]);
    }
    // The node of a path, by the hash of its names; 0 if there is none.
    find(path) {
        return Math.max(0, this.path.indexOf(path, 1));
    }
}

function hashOf(text) {
    let hash = 0x811c9dc5;
    for (let i = 0; i < text.length; i++)
        hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    return hash;
}

function sum(list) {
    return list.reduce((all, value) => all + value, 0);
}

function labelOf(profile, s, key) {
    const found = (profile.labels[s] || []).find(label => label[0] === key);
    return found ? found[1] : '(none)';
}

// What is shown of a profile: one sample type, the samples that the labels select, their groups.
class Selection {
    constructor(profile, type, only, group) {
        const wanted = Object.entries(only);
        Object.assign(this, {profile, type});
        this.values = profile.values[type].map((value, s) =>
            wanted.every(([key, text]) => labelOf(profile, s, key) === text) ? value : 0);
        this.frameName = Int32Array.from(profile.frames, frame => frame.name);
        // As pprof: shares are of all values, of a comparison's of those that it is compared with.
        const of = this.values.subarray(profile.ofBase || 0);
        this.total = sum(of.map(Math.abs)) || sum(this.values.map(Math.abs));
        this.net = sum(this.values);
        this.signed = this.values.some(value => value < 0);
        this.groups = group && Int32Array.from(profile.labels, (_, s) =>
            numberOf(`${group}: ${labelOf(profile, s, group)}`, 2));
    }
    // Index of the outermost frame with that name; -1.
    outermost(s, name) {
        const {starts, at} = this.profile;
        let i = starts[s + 1] - 1;
        while (i >= starts[s] && this.frameName[at[i]] !== name)
            i--;
        return i >= starts[s] ? i : -1;
    }
    // focus: only what is below (callees) or above (callers) a function, which is the only child of
    // the root.
    tree(focus = -1, callers = false) {
        const {profile: {starts, at, frames, count}, values, frameName} = this;
        const groups = focus < 0 && this.groups, step = callers ? 1 : -1;
        const inlined = Uint8Array.from(frames, frame => frame.inlined ? 1 : 2);
        const name = Int32Array.from(at, frame => frameName[frame]);
        const begin = s => focus < 0 ? starts[s + 1] - 1 : this.outermost(s, focus);
        const end = s => callers ? starts[s + 1] : starts[s] - 1;
        const from = Int32Array.from({length: count}, (_, s) => begin(s));
        // Equal beginnings of stacks are beside each other, so that a stack is compared with the
        // one before it only.
        const order = Int32Array.from(values.keys()).filter(s => values[s] &&
            (focus < 0 || from[s] >= 0)).sort((a, b) => {
            if (groups && groups[a] !== groups[b])
                return groups[a] - groups[b];
            let i = from[a], j = from[b];
            const endOfA = end(a), endOfB = end(b);
            for (; i !== endOfA && j !== endOfB; i += step, j += step)
                if (name[i] !== name[j])
                    return name[i] - name[j];
            return (j === endOfB) - (i === endOfA);
        });
        const tree = new Tree(at.length + count + 2), leaves = new Int32Array(count).fill(-1);
        const path = [0];
        for (const s of order) {
            let depth = 0;
            const enter = next => {
                if (++depth < path.length && tree.name[path[depth]] === next)
                    return;
                path.length = depth;
                path.push(tree.add(path[depth - 1], next));
            };
            if (groups)
                enter(groups[s]);
            for (let i = from[s]; i !== end(s); i += step) {
                enter(name[i]);
                tree.how[path[depth]] |= inlined[at[i]];
            }
            tree.self[path[depth]] += values[s];
            leaves[s] = path[depth];
            path.length = depth + 1;
        }
        tree.finish();
        // Values of the lines of a node: [[file:line, value], ...], the largest first.
        tree.lines = node => {
            const found = new Map(), depth = tree.depth[node];
            for (let s = 0; s < count; s++) {
                let leaf = leaves[s];
                while (leaf >= 0 && tree.depth[leaf] > depth)
                    leaf = tree.parent[leaf];
                const up = depth - (groups ? 2 : 1);
                if (leaf !== node || up < 0)
                    continue;
                const frame = frames[at[from[s] + step * up]];
                const text = frame.file + (frame.line ? ':' + frame.line : '');
                if (text)
                    found.set(text, (found.get(text) || 0) + values[s]);
            }
            return [...found].sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
        };
        return tree;
    }
    // flat and cum of each function; recursion counts once.
    table() {
        const {profile: {starts, at, count}, values, frameName} = this, {length} = names;
        const flat = new Float64Array(length), cum = new Float64Array(length);
        const seen = new Int32Array(length).fill(-1);
        for (let s = 0; s < count; s++) {
            if (!values[s])
                continue;
            for (let i = starts[s]; i < starts[s + 1]; i++) {
                const name = frameName[at[i]];
                if (i === starts[s])
                    flat[name] += values[s];
                if (seen[name] !== s)
                    cum[name] += values[s];
                seen[name] = s;
            }
        }
        return names.map((text, name) => ({text, name, flat: flat[name], cum: cum[name]}))
            .filter(row => seen[row.name] >= 0);
    }
    // {key: [[value, weight], ...]}, the heaviest first.
    labels() {
        const found = new Map(), {profile} = this;
        profile.labels.forEach((list, s) => (list || []).forEach(([key, text]) => {
            if (!found.has(key))
                found.set(key, new Map());
            const of = found.get(key);
            of.set(text, (of.get(text) || 0) + Math.abs(profile.values[this.type][s]));
        }));
        return new Map([...found].map(([key, of]) => [key, [...of].sort((a, b) => b[1] - a[1])]));
    }
    // Lines for flamegraph.pl and others.
    folded() {
        const tree = this.tree(), lines = [];
        for (let node = 1; node < tree.count; node++) {
            if (!tree.self[node])
                continue;
            const stack = [];
            for (let at = node; at > 0; at = tree.parent[at])
                stack.unshift(names[tree.name[at]].replace(/;/g, ':').replace(/\s+/g, ' '));
            lines.push(`${stack.join(';')} ${tree.self[node]}\n`);
        }
        return lines.join('');
    }
}

// ---- numbers as texts, as pprof writes them

const SCALES = {
    bytes: [[2 ** 40, 'TB'], [2 ** 30, 'GB'], [2 ** 20, 'MB'], [1024, 'kB'], [1, 'B']],
    nanoseconds: [[3.6e12, 'hrs'], [6e10, 'mins'], [1e9, 's'], [1e6, 'ms'], [1e3, 'us'], [1, 'ns']],
};

function textOf(value, unit) {
    const [scale, word] = (SCALES[unit] || []).find(([size]) => Math.abs(value) >= size) || [1, ''];
    const digits = String(Math.round(value / scale * 100) / 100);
    return SCALES[unit] ? digits + (word || SCALES[unit].at(-1)[1]) : exact(value);
}

function exact(value) {
    return value.toLocaleString('en');
}

function shareOf(value, total) {
    return total ? (100 * value / total).toFixed(2) + '%' : '0%';
}
