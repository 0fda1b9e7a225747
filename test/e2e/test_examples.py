# SPDX-License-Identifier: Apache-2.0
"""The files in examples/ do what they say: each is parsed or run by the program that it is for,
where Debian has that."""
import json
import re
import subprocess

import pytest
import yaml

from lib.harness import AGENT, PREFIX, ROOT, environment, victim
from lib.profiles import Profile

EXAMPLES = ROOT / "examples"
ENTRYPOINT = EXAMPLES / "docker-entrypoint.sh"


def run(*words, env=None):
    """(exit status, stdout, stderr)"""
    done = subprocess.run([str(word) for word in words], env=env, capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def program(shared_start):
    return shared_start([victim("v_spin"), "1"])


def parca_jobs(port=6060, folder="/run/pprofagent"):
    """The jobs of parca.yaml, for another port and folder."""
    text = (EXAMPLES / "parca.yaml").read_text(encoding="utf-8")
    text = text.replace("localhost:6060", f"localhost:{port}").replace("/run/pprofagent", folder)
    config = yaml.safe_load(text)
    assert set(config) == {"object_storage", "scrape_configs"}
    return config["scrape_configs"]


def promtool(tmp_path, jobs, *words):
    """Parca takes the jobs of Prometheus; its own profiling_config is not in the example."""
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump({"scrape_configs": jobs}), encoding="utf-8")
    return run("promtool", *(word.replace("CONFIG", str(config)) for word in words))


# ------------------------------------------------------------------ scrapers

def test_prometheus_reads_the_jobs_and_the_file_of_targets(program, tmp_path):
    (tmp_path / "targets.json").write_text(program.get("/targets").text, encoding="utf-8")
    check = parca_jobs(folder=str(tmp_path)), "check", "config", "CONFIG"
    status, out, err = promtool(tmp_path, *check)
    assert status == 0 and "WARNING" not in out + err
    (tmp_path / "targets.json").write_text('[{"targets": 1}]', encoding="utf-8")
    assert promtool(tmp_path, *check)[0] != 0


def test_its_discovery_makes_a_target_of_each_process(program, tmp_path):
    """promtool always waits for its timeout."""
    _, out, _ = promtool(tmp_path, parca_jobs(program.port), "check", "service-discovery",
                         "--timeout=3s", "CONFIG", "tree")
    found, = json.loads(out)
    assert found["discoveredLabels"]["__param_pid"] == str(program.pid)
    assert found["labels"]["program"] == "v_spin" == found["labels"]["service_name"]


def test_scrapers_share_the_cpu_profile():
    assert [job["params"] for job in parca_jobs()] == [{"share": ["1"]}] * 3
    assert 'params = { share = ["1"] }' in (EXAMPLES / "alloy.alloy").read_text(encoding="utf-8")


def test_alloy_asks_for_profiles_that_there_are(program):
    """No Debian package has Alloy: its default paths, for the profiles that the file enables."""
    paths = {"process_cpu": "/profile?seconds=1&share=1", "godeltaprof_memory": "/delta_heap",
             "godeltaprof_block": "/delta_block", "godeltaprof_mutex": "/delta_mutex",
             "memory": None, "block": None, "mutex": None}
    text = (EXAMPLES / "alloy.alloy").read_text(encoding="utf-8")
    chosen = dict(re.findall(r"profile\.(\w+) \{\s+enabled = (\w+)", text))
    assert set(chosen) == set(paths)
    for kind, path in paths.items():
        assert chosen[kind] == ("true" if path else "false")
        if path:
            Profile(program.get(path).body)
    assert text.count("{") == text.count("}") and text.count("[") == text.count("]")


def test_every_url_of_the_examples_is_answered(program):
    seen = set()
    programs = set(EXAMPLES.glob("*.c"))  # they have profiles of their own
    for path in [*(set(EXAMPLES.iterdir()) - programs), ROOT / "agent/docs/scraping.md"]:
        text = path.read_text(encoding="utf-8")
        seen |= set(re.findall(rf"localhost:6060{PREFIX}([\w/?=&]+)", text))
    assert "/targets" in seen and "/heap" in seen
    for path in seen:
        assert program.get(path).status == 200, path


# ------------------------------------------------------------------ systemd

def test_systemd_takes_the_drop_in(tmp_path):
    (tmp_path / "server.service").write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
    folder = tmp_path / "server.service.d"
    folder.mkdir()
    text = (EXAMPLES / "pprofagent.conf").read_text(encoding="utf-8")
    (folder / "pprofagent.conf").write_text(text.replace("LIB/", f"{AGENT.parent}/"),
                                            encoding="utf-8")
    verify = "systemd-analyze", "verify", tmp_path / "server.service"
    assert "pprofagent.conf" not in run(*verify)[2]
    (folder / "pprofagent.conf").write_text(text.replace("Environment=", "Environmant="),
                                            encoding="utf-8")
    assert "pprofagent.conf" in run(*verify)[2]


# ------------------------------------------------------------------ containers

@pytest.fixture
def entrypoint(tmp_path):
    """entrypoint(agent): a copy of the file that expects the agent there."""
    def copy(agent=AGENT):
        text = ENTRYPOINT.read_text(encoding="utf-8")
        placed = re.sub(r"(?m)^agent=.*", f"agent={agent}", text)
        assert placed != text
        path = tmp_path / "docker-entrypoint.sh"
        path.write_text(placed, encoding="utf-8")
        path.chmod(0o755)
        return path
    return copy


def test_the_entrypoint_is_plain_shell():
    assert run("sh", "-n", ENTRYPOINT)[0] == 0
    assert run("shellcheck", ENTRYPOINT) == (0, "", "")


def test_the_entrypoint_puts_the_agent_before_the_program(start, entrypoint):
    target = start([entrypoint(), victim("v_spin"), "1"], preload=())
    assert target.get("/cmdline").text.split("\0") == [str(victim("v_spin")), "1"]


@pytest.mark.parametrize("agent, settings", [
    ("/nonexistent.so", {}), (AGENT, {"enabled": "false"})], ids=["absent", "off"])
def test_without_the_agent_it_runs_the_bare_program(entrypoint, agent, settings):
    env = environment(preload=(), **settings)
    assert run(entrypoint(agent), "sh", "-c", 'echo "${LD_PRELOAD-none}" "$1"', "sh", "a  b",
               env=env) == (0, "none a  b\n", "")


def test_it_keeps_other_preloads_and_says_when_nothing_is_to_run(entrypoint):
    env = environment(preload=("libc.so.6",), address="off")
    assert run(entrypoint(), "sh", "-c", "echo $LD_PRELOAD; exit 7", env=env) == \
        (7, f"{AGENT}:{env['LD_PRELOAD']}\n", "")
    assert run(entrypoint(), env=env) == (2, "", "docker-entrypoint.sh: no program is given\n")


# ------------------------------------------------------------------ Kubernetes

def pod():
    text = (EXAMPLES / "kubernetes.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["spec"]["template"]


def mounts(container):
    return {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}


def test_the_pod_mounts_what_it_preloads():
    spec = pod()["spec"]
    (install,), (server, alloy) = spec["initContainers"], spec["containers"]
    env = {entry["name"]: entry["value"] for entry in server["env"]}
    assert install["command"][-1].rstrip("/") == mounts(install)["agent"]
    assert env["LD_PRELOAD"] == mounts(server)["agent"] + "/" + AGENT.name
    assert alloy["args"][1] == mounts(alloy)["alloy"] + "/config.alloy"
    volumes = {volume["name"] for volume in spec["volumes"]}
    assert volumes == {*mounts(install), *mounts(server), *mounts(alloy)}


def test_its_annotations_name_the_port_of_the_agent():
    annotations = pod()["metadata"]["annotations"]
    ports = {value for name, value in annotations.items() if name.endswith(".port")}
    env = {entry["name"]: entry["value"] for entry in pod()["spec"]["containers"][0]["env"]}
    assert all(isinstance(value, str) for value in annotations.values())  # others are refused
    assert ports == {env["PPROFAGENT_ADDRESS"].rsplit(":", 1)[1]}
