// SPDX-License-Identifier: Apache-2.0
// State, requests, what is shown. The whole state is in the fragment of the address.

const $ = id => document.getElementById(id);
const VIEWS = ['graph', 'table', 'sandwich', 'threads'];
const DEFAULTS = {profile: 'heap', pid: '', seconds: '', type: '', view: 'graph', zoom: '',
    find: '', order: 'icicle', group: '', base: '', sort: 'flat', focus: ''};
// Seconds of the profiles that are always recorded.
const RECORDED = {profile: '10', fgprof: '10', trace: '1'};
// Fetches that are kept for comparisons: each is as large as its decoded profile.
const KEPT = 6;

const state = {};
let own = '';        // pid of the process that serves this page
let processes = [['', 'this process']], profiles = [];
let current = null;  // what is shown: {title, kind, url, bytes, profile or text}
let base = null;     // of a comparison with a file or a process, like current
let earlier = [];    // the last fetches, the newest first
let fetches = 0;
let threads = null;  // text of all stacks
let running = null;  // AbortController of the requests under way
// What is drawn: made by prepare() from the state that drawn is the text of.
let drawn, selection, tree, sandwich, unit;

// ---- address

function readAddress() {
    const pid = new URLSearchParams(location.search).get('pid') || '';
    Object.assign(state, DEFAULTS, {only: {}, pid});
    for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
        const [, label, text] = key === 'only' && /^(.*?)=(.*)$/s.exec(value) || [];
        if (label)
            state.only[label] = text;
        else if (key in DEFAULTS)
            state[key] = value;
    }
    state.seconds ||= RECORDED[state.profile] || '';
}

function lacks() {
    return state.view === 'threads' ? threads === null : !current;
}

// Changes the state, and asks anew if something else has to be fetched.
function go(changes, {push = true, load: anew = false} = {}) {
    Object.assign(state, changes);
    const parameters = new URLSearchParams();
    for (const key in DEFAULTS)
        if (state[key] !== DEFAULTS[key])
            parameters.set(key, state[key]);
    for (const key in state.only)
        parameters.append('only', `${key}=${state.only[key]}`);
    history[push ? 'pushState' : 'replaceState'](null, '', '#' + parameters);
    if (anew || 'view' in changes && lacks())
        load();
    else
        render();
}

// A token in the address moves to the storage of this tab: addresses are sent and logged.
function takeToken() {
    const url = new URL(location), token = url.searchParams.get('token');
    if (token) {
        sessionStorage.token = token;
        url.searchParams.delete('token');
        history.replaceState(null, '', url);
    }
}

// ---- requests

function pathOf(pid, profile, parameters) {
    const query = new URLSearchParams(parameters);
    if (pid && pid !== own)
        query.set('pid', pid);
    return (profile === 'fgprof' ? '../fgprof' :
        profile.split('/').map(encodeURIComponent).join('/')) + (query.size ? '?' + query : '');
}

function profilePath(pid) {
    const {profile, seconds} = state;
    // share: beside a CPU profile that another client records.
    return pathOf(pid, profile, {...seconds && {seconds}, ...profile === 'profile' && {share: 1}});
}

// Throws the server's own words.
async function ask(path, signal) {
    const headers = sessionStorage.token ? {Authorization: 'Bearer ' + sessionStorage.token} : {};
    const response = await fetch(path, {signal, headers});
    if (!response.ok) {
        $('login').hidden = response.status !== 401;
        throw new Error(`${response.status} ${response.statusText}: ${await response.text()}`);
    }
    return response;
}

function keep(answer) {
    answer.number = ++fetches;
    earlier = [answer, ...earlier].slice(0, KEPT);
    return answer;
}

// Without a relay the answers would be those of the process that serves this page.
async function reach(pid, signal) {
    const answer = pid && await ask(pathOf(pid, 'agent', {format: 'json'}), signal);
    if (pid && (await answer.json()).agent.pid != pid)
        throw new Error(`Process ${pid} is not reached through this port.`);
}

async function askProfile(pid, signal) {
    await reach(pid, signal);
    const path = profilePath(pid), response = await ask(path, signal), kind = state.profile;
    const bytes = new Uint8Array(await response.arrayBuffer());
    const answer = {bytes, kind, url: new URL(path, location).href,
        title: `${kind} of ${pid || own} at ${new Date().toTimeString().slice(0, 8)}`};
    if (/^text/.test(response.headers.get('Content-Type')))
        answer.text = new TextDecoder().decode(bytes).replaceAll('\0', ' ');
    else if (kind === 'trace')
        answer.text = `An execution trace: save it as a file, then\ngo tool trace FILE`;
    else
        keep(answer).profile = await decode(bytes);
    return answer;
}

function showError(error) {
    $('error').hidden = !error;
    $('error').textContent = error ? error.message.trim() : '';
}

// Returns a timer to clear.
function showProgress(seconds) {
    const bar = $('progress'), until = performance.now() + 1000 * seconds;
    bar.hidden = $('cancel').hidden = false;
    const show = () => {
        const left = (until - performance.now()) / 1000;
        if (left > 0)
            bar.value = 1 - left / seconds;
        else
            bar.removeAttribute('value');
        $('status').textContent = left > 0 ? `recording, ${Math.ceil(left)} s left` : 'waiting';
    };
    show();
    return setInterval(show, 100);
}

async function load() {
    const mine = new AbortController(), {signal} = mine, ofThreads = state.view === 'threads';
    if (running)
        running.abort();
    running = mine;
    const timer = showProgress(ofThreads ? 0 : Number(state.seconds));
    showError();
    fillControls();
    try {
        if (ofThreads) {
            await reach(state.pid, signal);
            threads = await (await ask(pathOf(state.pid, 'goroutine', {debug: 2}), signal)).text();
        } else {
            const [, other] = /^pid:(.*)$/.exec(state.base) || [];
            const asked = [askProfile(state.pid, signal)];
            if (other)
                asked.push(askProfile(other, signal));
            [current, base = base] = await Promise.all(asked);
            drawn = null;
        }
        $('login').hidden = true;
    } catch (error) {
        if (!signal.aborted)
            showError(error);
    }
    clearInterval(timer);
    if (running === mine) {
        $('progress').hidden = $('cancel').hidden = true;
        $('status').textContent = signal.aborted ? 'cancelled' : '';
        running = null;
        render();
    }
}

// ---- what is shown

// Selects, and builds the tree, if something has changed that they depend on.
function prepare() {
    const {profile} = current, [, number] = /^earlier:(.*)$/.exec(state.base) || [];
    const other = state.base && (number ? earlier.find(each => each.number == number) : base);
    const typeNamed = name => profile.types.findIndex(({type}) => type === name);
    const type = [typeNamed(state.type), typeNamed(profile.preset), profile.types.length - 1]
        .find(index => index >= 0);
    const now = JSON.stringify([other && other.number, type, state.only, state.group]);
    if (drawn === now)
        return;
    const whole = other ? difference(profile, other.profile) : profile;
    selection = new Selection(whole, type, state.only, state.group);
    drawn = now;
    unit = profile.types[type].unit;
    sandwich = null;
    tree = selection.tree();
    fillLabels();
}

function matcher() {
    try {
        const pattern = new RegExp(state.find, 'i');
        return state.find && (text => pattern.test(text));
    } catch {
        return text => text.includes(state.find);
    }
}

// Share of the stacks with a matching function, of what is zoomed to.
function shareOfMatches({tree, zoom}, matches) {
    const stack = [zoom];
    let found = 0;
    while (stack.length) {
        const node = stack.pop();
        if (node && matches[tree.name[node]])
            found += tree.weight[node];
        else
            for (let child = tree.first[node]; child >= 0; child = tree.next[child])
                stack.push(child);
    }
    return shareOf(found, tree.weight[zoom]) + ' match';
}

function describe(box) {
    const {tree, node} = box;
    const of = value => `${textOf(value, unit)} (${shareOf(value, selection.total)})`;
    return `${graph.label(box)}${['', ' (inlined)', '', ' (partly inlined)'][tree.how[node]]
    }: flat ${of(tree.self[node])}, cum ${of(tree.value[node])}`;
}

function showInfo(box) {
    if (!box)
        return $('info').replaceChildren([`Total ${textOf(selection.net, unit)}`,
            ...current.profile.comments].join('. '));
    const {tree, node} = box, lines = node ? tree.lines(node) : [], name = graph.label(box);
    const places = lines.slice(0, 3).map(([place, value]) => lines.length > 1 ?
        `${place} ${shareOf(value, tree.value[node])}` : place);
    $('info').replaceChildren(element('b', {}, name), describe(box).slice(name.length) + '. ',
        places.join(', ') + (lines.length > 3 ? ', … ' : ' '));
    if (node && nameless[tree.name[node]] < 2)
        $('info').append(element('button', {onclick: () => focusOn(name)},
            'callers and callees'));
}

function focusOn(name) {
    go({view: 'sandwich', focus: name});
}

function zoomed() {
    return tree.find(parseInt(state.zoom, 36) | 0);
}

function zoomTo(node) {
    go({zoom: node > 0 ? tree.path[node].toString(36) : ''});
}

const graph = new Graph($('boxes'), {
    point: showInfo,
    describe,
    open(box) {
        if (state.view === 'sandwich')
            focusOn(graph.label(box));
        else
            zoomTo(box.node);
    },
    back() {
        if (state.view === 'graph')
            zoomTo(tree.parent[zoomed()]);
    },
});

// The parts of the graph: the tree; or what is below a function, and above it.
function partsOf() {
    if (state.view === 'graph')
        return [{tree, zoom: zoomed(), up: state.order === 'flame'}];
    const focus = numbers.get(state.focus);
    if (focus === undefined)
        return [];
    if (!sandwich || sandwich.focus !== focus)
        sandwich = {focus, trees: [selection.tree(focus), selection.tree(focus, true)]};
    return sandwich.trees.map((tree, n) =>
        ({tree, zoom: Math.max(0, tree.first[0]), up: n > 0, focus: 1}));
}

function render() {
    const found = matcher(), inThreads = state.view === 'threads';
    fillControls();
    const text = !inThreads && current && current.text, inTable = state.view === 'table';
    const asList = inThreads || text || inTable;
    $('list').hidden = lacks() || !asList;
    $('graph').hidden = lacks() || asList;
    $('info').hidden = lacks() || inThreads || text;
    $('matches').textContent = '';
    if (lacks())
        return;
    if (inThreads)
        return showThreads($('list'), threads, found);
    if (text)
        return $('list').replaceChildren(element('pre', {}, text));
    try {
        prepare();
    } catch (error) {
        return showError(error);
    }
    const matches = found && names.map(found);
    if (inTable) {
        showTable($('list'), selection, unit, matches, state.sort,
            {sort: sort => go({sort}, {push: false}), focus: focusOn});
        return showInfo();
    }
    const parts = partsOf();
    graph.show(selection.signed, parts, matches);
    if (matches && parts.length)
        $('matches').textContent = shareOfMatches(parts[0], matches);
    if (state.view === 'sandwich' && !graph.chosen)
        graph.choose(graph.boxes[0]);
    if (parts.length)
        showInfo(graph.chosen);
    else
        $('info').textContent = 'Choose a function in the table, or in the graph.';
}
