// SPDX-License-Identifier: Apache-2.0
// Bytes of a profile (gzip, profile.proto) to tables of numbers.

// ---- names: each text has one number, whatever profile it is in

const names = [], nameless = [], numbers = new Map();

// kind: 0 a function; 1 the place of one without a name; 2 a group of samples.
function numberOf(text, kind = 0) {
    let number = numbers.get(text);
    if (number === undefined) {
        numbers.set(text, number = names.push(text) - 1);
        nameless.push(kind);
    }
    return number;
}

// ---- bytes

// Grows by doubling. All are of one type: code for several is slower.
class Numbers {
    constructor() {
        this.at = new Float64Array(1024);
        this.length = 0;
    }
    push(value) {
        if (this.length === this.at.length) {
            const old = this.at;
            this.at = new Float64Array(2 * old.length);
            this.at.set(old);
        }
        this.at[this.length++] = value;
    }
}

function bad(why) {
    throw new Error('not a profile: ' + why);
}

async function unzip(bytes) {
    if (bytes[0] !== 0x1f || bytes[1] !== 0x8b)
        return bytes;
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Reads protobuf's wire format. Numbers are exact up to 2^53, negative ones as well.
class Wire {
    constructor(bytes) {
        this.bytes = bytes;
        this.at = 0;
    }
    number() {
        const {bytes} = this, parts = [0, 0, 0];
        let byte, n = 0;
        do {
            byte = bytes[this.at++];
            if (byte === undefined || n > 9)
                bad('a number is cut off');
            parts[n >> 2] |= (byte & 127) << 7 * (n++ & 3);
        } while (byte > 127);
        const [low, middle, high] = parts;
        if (high & 128)
            return -((~low & 0xfffffff) + (~middle & 0xfffffff) * 2 ** 28 +
                (~high & 255) * 2 ** 56 + 1);
        return low + middle * 2 ** 28 + high * 2 ** 56;
    }
    // Calls each(field, wire type) for the fields up to end; it reads the field, or returns false.
    fields(end, each) {
        while (this.at < end) {
            const tag = this.number(), type = tag & 7;
            if (each(tag >>> 3, type) !== false)
                continue;
            if (type === 0)
                this.number();
            else
                this.at = type === 2 ? this.end() : this.at + (type === 1 ? 8 : 4);
        }
        if (this.at !== end)
            bad('a field is cut off');
    }
    // The end of a field with a length.
    end() {
        const end = this.number() + this.at;
        return end <= this.bytes.length ? end : bad('it is cut off');
    }
    // A message: keys[field] is the name of a number, or a function that reads the field.
    message(keys) {
        const out = {};
        this.fields(this.end(), (field, type) => {
            const key = keys[field];
            if (typeof key === 'function')
                key(out);
            else if (key && type === 0)
                out[key] = this.number();
            else
                return false;
        });
        return out;
    }
    // Repeated numbers, packed or not.
    numbers(type, to) {
        const end = type === 2 ? this.end() : 0;
        do
            to.push(this.number());
        while (this.at < end);
    }
}

// The messages of a profile. Sample s has places.at[stacks.at[s]] to places.at[stacks.at[s + 1]].
function readTables(bytes) {
    const wire = new Wire(bytes), decoder = new TextDecoder();
    const out = {strings: [], types: [], mappings: [], locations: [], functions: [], comments: [],
        labels: [], stacks: new Numbers(), places: new Numbers(), values: new Numbers()};
    const line = {1: 'function', 2: 'line'};
    const list = (to, keys) => () => to.push(wire.message(keys));
    const put = {
        1: list(out.types, {1: 'type', 2: 'unit'}),
        2: () => {
            const before = out.values.length, label = {1: 'key', 2: 'str', 3: 'num', 4: 'unit'};
            let labels = null;
            out.stacks.push(out.places.length);
            wire.fields(wire.end(), (field, type) => {
                if (field < 3)
                    wire.numbers(type, field === 1 ? out.places : out.values);
                else if (field === 3)
                    (labels ||= []).push(wire.message(label));
                else
                    return false;
            });
            if (out.values.length - before !== out.types.length)
                bad('values do not match the sample types');
            out.labels.push(labels);
        },
        3: list(out.mappings, {1: 'id', 2: 'start', 4: 'offset', 5: 'file'}),
        4: list(out.locations, {1: 'id', 2: 'mapping', 3: 'address',
            4: to => (to.lines ||= []).push(wire.message(line))}),
        5: list(out.functions, {1: 'id', 2: 'name', 4: 'file'}),
        6: () => {
            const end = wire.end();
            out.strings.push(decoder.decode(bytes.subarray(wire.at, end)));
            wire.at = end;
        },
        13: type => wire.numbers(type, out.comments),
        14: () => { out.preset = wire.number(); },
    };
    wire.fields(bytes.length, (field, type) => put[field] ? put[field](type) : false);
    out.stacks.push(out.places.length);
    if (!out.types.length || out.strings[0] !== '')
        bad('it has no values');
    return out;
}

// ---- profiles

// Name of a place without a function.
function placeName({address = 0}, {start = 0, offset = 0} = {}, file = '') {
    return file ? `${file.replace(/.*\//, '')}+0x${(address - start + offset).toString(16)}` :
        '0x' + address.toString(16);
}

/*
 * The profile for the views. A frame is a function at a line: {name, file, line, inlined}, its name
 * being a number. The frames of sample s are at[starts[s]] to at[starts[s + 1]], innermost first;
 * its values are values[type][s], its labels [[key, text], ...] or null.
 */
async function decode(packed) {
    const tables = readTables(await unzip(packed)), text = index => tables.strings[index] || '';
    const byId = list => new Map(list.map(entry => [entry.id, entry]));
    const mappings = byId(tables.mappings), functions = byId(tables.functions);
    const frames = [], ofLocation = new Map();
    for (const location of tables.locations) {
        const {lines = []} = location, list = [], mapping = mappings.get(location.mapping);
        const add = (name, file, line, inlined) =>
            list.push(frames.push({name, file, line, inlined}) - 1);
        lines.forEach((line, n) => {
            const {name, file} = functions.get(line.function) || {};
            const own = text(name);
            // Functions of stripped files are named by their place.
            const kind = /.\+0x[0-9a-f]+$/.test(own) ? 1 : 0;
            add(numberOf(own || '?', kind), text(file), line.line, n < lines.length - 1);
        });
        if (!lines.length) {
            const file = mapping ? text(mapping.file) : '';
            add(numberOf(placeName(location, mapping, file), 1), file);
        }
        ofLocation.set(location.id, list);
    }
    const {stacks, places} = tables, count = stacks.length - 1, width = tables.types.length;
    const starts = new Uint32Array(count + 1), small = [];
    for (const [id, list] of ofLocation)
        if (id < 4 * ofLocation.size + 64)
            small[id] = list;
    const framesAt = i => small[places.at[i]] || ofLocation.get(places.at[i]) || [];
    for (let s = 0, end = 0; s < count; starts[++s] = end)
        for (let i = stacks.at[s]; i < stacks.at[s + 1]; i++)
            end += framesAt(i).length;
    const at = new Int32Array(starts[count]);
    for (let i = 0, n = 0; i < places.length; i++)
        for (const frame of framesAt(i))
            at[n++] = frame;
    return {
        count, starts, frames, at, preset: text(tables.preset),
        comments: tables.comments.map(text),
        types: tables.types.map(({type, unit}) => ({type: text(type), unit: text(unit)})),
        values: tables.types.map((_, type) => {
            const column = new Float64Array(count);
            for (let s = 0; s < count; s++)
                column[s] = tables.values.at[s * width + type];
            return column;
        }),
        labels: tables.labels.map(list => list && list.map(({key, str, num = 0, unit}) =>
            [text(key), str ? text(str) : num + (unit ? ' ' + text(unit) : '')])),
    };
}

// A profile with the samples of both, those of base with the opposite sign.
function difference(profile, base) {
    const matches = profile.types.map(({type}) => base.types.findIndex(each => each.type === type));
    if (Math.max(...matches) < 0)
        throw new Error('the two profiles have no values in common');
    const {count, frames} = profile, ends = profile.at.length;
    const join = (Type, left, right) => {
        const both = new Type(left.length + right.length);
        both.set(left);
        both.set(right, left.length);
        return both;
    };
    return {
        ...profile, count: count + base.count, ofBase: count,
        starts: join(Uint32Array, profile.starts, base.starts.subarray(1).map(end => end + ends)),
        at: join(Int32Array, profile.at, base.at.map(at => at + frames.length)),
        frames: frames.concat(base.frames), labels: profile.labels.concat(base.labels),
        values: matches.map((match, type) => join(Float64Array, profile.values[type],
            match < 0 ? new Float64Array(base.count) : base.values[match].map(value => -value))),
    };
}
