// SPDX-License-Identifier: Apache-2.0
// Controls, files, and the start.

function fill(select, options, value) {
    const all = options.some(([given]) => given === value) ? options : [...options, [value, value]];
    const key = JSON.stringify(all);
    if (select.dataset.key !== key)
        select.replaceChildren(...all.map(([given, text]) =>
            element('option', {value: given}, text)));
    select.dataset.key = key;
    select.value = value;
}

function fillControls() {
    fill($('pid'), processes, state.pid);
    fill($('profile'), profiles, state.profile);
    for (const key of ['seconds', 'find', 'order'])
        $(key).value = state[key];
    for (const view of VIEWS)
        $(view + '-view').ariaSelected = view === state.view;
    fill($('base'), [['', 'nothing'],
        ...earlier.filter(each => each !== current).map(({number, title}) =>
            ['earlier:' + number, title]),
        ...processes.filter(([pid]) => pid !== state.pid).map(([pid, text]) =>
            ['pid:' + (pid || own), text]),
    ], state.base);
    const url = current && current.url, token = sessionStorage.token &&
        (/\?/.test(url) ? '&' : '?') + 'token=$PPROFAGENT_TOKEN';
    $('command').value = url ? `go tool pprof -http=: "${url}${token || ''}"` : '';
    document.title = `${state.profile} ${state.pid || own} – pprof`;
}

function fillLabels() {
    const {profile, type, total} = selection, labels = selection.labels();
    fill($('type'), profile.types.map(({type, unit}) => [type, `${type} (${unit})`]),
        profile.types[type].type);
    for (const key in state.only)
        labels.set(key, labels.get(key) || []);
    fill($('group'), [['', 'nothing'], ...[...labels.keys()].map(key => [key, key])], state.group);
    $('only').replaceChildren(...[...labels].map(([key, values]) => {
        const select = element('select', {onchange() {
            const {[key]: _, ...only} = state.only;
            if (select.value)
                only[key] = select.value.slice(1);
            go({only, zoom: ''});
        }});
        fill(select, [['', 'all'], ...values.slice(0, 500).map(([text, weight]) =>
            ['=' + text, `${text} (${shareOf(weight, total)})`])],
        key in state.only ? '=' + state.only[key] : '');
        return element('label', {}, key + ' ', select);
    }));
}

// A file of what is shown; suffix '': its bytes.
function save(suffix, data) {
    $('files').open = false;
    const {kind, bytes} = current, name = `${kind}-${state.pid || own}`.replace(/[^\w.-]/g, '_');
    const link = element('a', {href: URL.createObjectURL(new Blob([data || bytes])),
        download: name + (suffix || (current.profile ? '.pb.gz' : ''))});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function openFile({target}) {
    const [file] = target.files;
    try {
        const bytes = new Uint8Array(await file.arrayBuffer());
        const answer = keep({title: file.name, kind: file.name, url: '', bytes,
            profile: await decode(bytes)});
        showError();
        drawn = null;
        $('files').open = false;
        if (target.id === 'other')
            return go({base: 'earlier:' + answer.number});
        current = answer;
        go({type: '', zoom: '', only: {}, group: '', base: ''});
    } catch (error) {
        showError({message: `${file.name}: ${error.message}`});
    }
}

function on(id, type, what) {
    $(id).addEventListener(type, event => {
        if (type === 'submit')
            event.preventDefault();
        what(event);
    });
}

function listen() {
    on('ask', 'submit', () => {
        threads = null;
        go({seconds: $('seconds').value}, {load: true});
    });
    on('login', 'submit', () => {
        sessionStorage.token = $('token').value;
        start();
    });
    on('cancel', 'click', () => running && running.abort());
    on('pid', 'change', () => {
        threads = null;
        go({pid: $('pid').value, base: ''}, {load: true});
    });
    on('profile', 'change', () => {
        const profile = $('profile').value;
        go({profile, type: '', zoom: '', only: {}, group: '', base: '',
            seconds: RECORDED[profile] || '',
            view: state.view === 'threads' ? 'graph' : state.view}, {load: true});
    });
    on('type', 'change', () => go({type: $('type').value}));
    on('order', 'change', () => go({order: $('order').value}));
    on('group', 'change', () => go({group: $('group').value, zoom: ''}));
    on('base', 'change', () => go({base: $('base').value},
        {load: /^pid/.test($('base').value)}));
    on('open', 'change', openFile);
    on('other', 'change', openFile);
    on('find', 'input', () => go({find: $('find').value}, {push: false}));
    on('find', 'keydown', event => {
        if (event.key === 'Enter' && !$('graph').hidden)
            graph.next();
    });
    for (const view of VIEWS)
        on(view + '-view', 'click', () => go({view}));
    on('save', 'click', () => current && save(''));
    on('folded', 'click', () => selection && save('.folded', selection.folded()));
    on('svg', 'click', () => {
        if ($('graph').hidden)
            go({view: 'graph'});
        if (selection)
            save('.svg', graph.svg());
    });
    on('copy', 'click', () => {
        $('command').select();
        document.execCommand('copy');
    });
    addEventListener('popstate', () => {
        const before = profilePath(state.pid) + state.base;
        readAddress();
        const now = profilePath(state.pid) + state.base;
        if (lacks() || now !== before && !/^earlier/.test(state.base))
            load();
        else
            render();
    });
    addEventListener('keydown', event => {
        if (event.key === '/' && !/INPUT|SELECT/.test(event.target.tagName)) {
            event.preventDefault();
            $('find').focus();
        }
    });
    addEventListener('resize', render);
    dark.addEventListener('change', render);
}

// ---- start

// Those that serve, parents before their children.
async function findProcesses() {
    try {
        const list = (await (await ask('processes?format=json')).json()).processes;
        processes = list.filter(({state}) => state === 'serving').map(({pid, depth, program}) =>
            [pid == own ? '' : String(pid), '\xa0\xa0'.repeat(depth) + program + ' ' + pid]);
    } catch {
        processes = [['', 'this process ' + own]];
    }
}

// The rows of the index: a count and a name.
async function findProfiles() {
    const text = await (await ask('./')).text(), parser = new DOMParser();
    profiles = [...text.matchAll(/<td>(\d+)<\/td><td><a [^>]*>([^<]*)</g)].map(([, count, row]) => {
        const name = parser.parseFromString(row, 'text/html').body.textContent;
        return [name, count > 0 ? `${name} (${count})` : name];
    }).concat([['fgprof', 'fgprof (wall clock)']]);
}

async function start() {
    try {
        own = String((await (await ask('agent?format=json')).json()).agent.pid);
        await Promise.all([findProcesses(), findProfiles()]);
        load();
    } catch (error) {
        showError(error);
    }
}

takeToken();
readAddress();
fillControls();
listen();
start();
