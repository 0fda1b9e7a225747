// SPDX-License-Identifier: Apache-2.0
// The table of functions, and the page of threads.

// element('tag', {property: value}, child, ...): a child that is no element is a text.
function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
}

const ROWS_AT_ONCE = 500;
const COLUMNS = [['flat', 'flat'], ['flat%', 'flat'], ['cum', 'cum'], ['cum%', 'cum'],
    ['function', 'text']];

// on: {sort(column), focus(name)}; sort is a column, with a minus: the smallest first.
function showTable(to, selection, unit, matches, sort, on, limit = ROWS_AT_ONCE) {
    const column = sort.replace('-', ''), sign = sort.startsWith('-') ? -1 : 1;
    const rows = selection.table().filter(row => !matches || matches[row.name]);
    const by = (of, a, b) => Math.abs(b[of]) - Math.abs(a[of]);
    rows.sort((a, b) => sign * (column !== 'text' && (by(column, a, b) || by('cum', a, b)) ||
        (a.text < b.text ? -1 : 1)));
    const head = COLUMNS.map(([title, of]) => {
        const now = of === column && title === (of === 'text' ? 'function' : of);
        const cell = element('th', {scope: 'col'}, element('button', {
            onclick: () => on.sort(now && sign > 0 ? '-' + of : of),
        }, title + (now ? sign > 0 ? ' ▾' : ' ▴' : '')));
        if (now)
            cell.ariaSort = (of === 'text') === (sign > 0) ? 'ascending' : 'descending';
        return cell;
    });
    const cells = value => [textOf(value, unit), shareOf(value, selection.total)].map(text =>
        element('td', {title: exact(value), className: value < 0 ? 'down' : ''}, text));
    const body = rows.slice(0, limit).map(row => element('tr', {}, ...cells(row.flat),
        ...cells(row.cum), element('td', {}, element('button', {
            title: 'callers and callees', onclick: () => on.focus(row.text)}, row.text))));
    to.replaceChildren(element('table', {}, element('thead', {}, element('tr', {}, ...head)),
        element('tbody', {}, ...body)));
    if (rows.length > limit)
        to.append(element('button', {onclick: () => showTable(to, selection, unit, matches, sort,
            on, limit * 4)}, `${exact(rows.length - limit)} more functions`));
}

// ---- threads

// The text of goroutine?debug=2: [{tid, state, name, stack}, ...].
function parseThreads(text) {
    return text.split(/\n\n+/).map(block => {
        const [head, ...stack] = block.split('\n');
        const found = /^goroutine (\d+) \[(.*?)\](?: (.*))?:$/.exec(head);
        // Labels: {thread: "its name", ...}
        return found && {tid: found[1], state: found[2], stack, name: (found[3] || '')
            .replace(/^\{(?:thread: "(.*?)",? ?)?(.*)\}$/, '$1 $2').trim()};
    }).filter(Boolean);
}

// What a thread waits for without the addresses, by which equal waits differ.
function kindOf(thread) {
    return thread.state.replace(/ 0x[0-9a-f]+/g, '').replace(/(held by|join) \d+/g, '$1 …');
}

function groupThreads(threads) {
    const groups = new Map();
    for (const thread of threads) {
        const key = kindOf(thread) + '\n' + thread.stack.join('\n').replace(/created by .*/s, '');
        if (!groups.has(key))
            groups.set(key, []);
        groups.get(key).push(thread);
    }
    return [...groups.values()].sort((a, b) => b.length - a.length);
}

// Function names with their files: "name  file:line".
function stackText(lines) {
    const out = [];
    for (let i = 0; i < lines.length; i++) {
        let line = lines[i].replace(/\(\.\.\.\)$/, '');
        if (lines[i + 1] && lines[i + 1].startsWith('\t'))
            line += '  ' + lines[++i].trim();
        out.push(line);
    }
    return out.join('\n').trim();
}

function showThreads(to, text, matches) {
    const goTo = tid => {
        const there = document.getElementById('thread-' + tid);
        to.querySelectorAll('.here').forEach(each => each.classList.remove('here'));
        if (!there)
            return;
        there.classList.add('here');
        there.scrollIntoView({block: 'center'});
        there.focus();
    };
    const line = thread => {
        const row = element('p', {id: 'thread-' + thread.tid, tabIndex: -1},
            element('b', {}, thread.tid), ` ${thread.name}: `);
        const parts = thread.state.split(/((?:held by|join) \d+)/);
        row.append(...parts.map(part => {
            const [, tid] = /^(?:held by|join) (\d+)$/.exec(part) || [];
            return tid ? element('button', {onclick: () => goTo(tid),
                title: 'show that thread'}, part) : part;
        }));
        return row;
    };
    const groups = groupThreads(parseThreads(text)).filter(group => !matches ||
        group.some(thread => matches(`${thread.name} ${thread.state} ${thread.stack.join('\n')}`)));
    const count = sum(groups.map(group => group.length));
    to.replaceChildren(element('p', {}, `${exact(count)} threads, ${exact(groups.length)} stacks`),
        ...groups.map(group => element('section', {className: 'threads'},
            element('h2', {}, `${exact(group.length)} × ${kindOf(group[0])}`),
            ...group.map(line), element('pre', {}, stackText(group[0].stack)))));
}
