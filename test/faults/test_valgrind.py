# SPDX-License-Identifier: Apache-2.0
"""Programs that run under valgrind."""
import pytest

from lib.compiled import HELLO, SQL, SQLITE, compiled
from lib.fault_rows import have, row

THREADED_CXX = r"""
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
int main()
{
	std::mutex mutex;
	std::condition_variable ready;
	std::vector<std::string> texts;
	std::vector<std::thread> threads;
	for (int i = 0; i < 3; i++)
		threads.emplace_back([&] {
			for (int k = 0; k < 300; k++) {
				std::lock_guard<std::mutex> hold(mutex);
				texts.push_back(std::string(50 + k, 'x'));
				ready.notify_one();
			}
		});
	std::unique_lock<std::mutex> hold(mutex);
	ready.wait(hold, [&] { return texts.size() == 900; });
	hold.unlock();
	for (auto &thread : threads)
		thread.join();
	size_t sum = 0;
	for (auto &text : texts)
		sum += text.size();
	try {
		throw std::string("thrown");
	} catch (const std::string &text) {
		std::printf("%zu %s\n", sum, text.c_str());
	}
	return 4;
}
"""


@row("F96d", "valgrind: no new errors, no new leaks", severity=3)
def test_valgrind(case, tmp_path):
    # The loader's own, when it opens a library that has a RUNPATH with $ORIGIN.
    known = tmp_path / "known"
    known.write_text("{\n  origin\n  Memcheck:Addr8\n  fun:strncmp\n  fun:is_dst\n  ...\n}\n")
    argv = ["valgrind", "--error-exitcode=9", "--leak-check=full",
            "--errors-for-leak-kinds=definite", f"--suppressions={known}",
            "--log-file=" + str(tmp_path / "log"),
            *SQLITE[:2], SQL.replace("20000", "200")]
    bare, under = case.both(argv)
    text = (tmp_path / "log").read_text()
    case.note(text.strip().splitlines()[-1].split("== ")[-1])
    assert (under.status, under.out, under.err) == (bare.status, bare.out, bare.err), text[-3000:]
    assert "ERROR SUMMARY: 0 errors" in text


@row("F96e", "valgrind: threaded programs, no word of the agent", severity=2)
@pytest.mark.parametrize("tool", ["memcheck", "helgrind"])
@pytest.mark.parametrize("language", ["c", "cpp"])
def test_valgrind_tools(case, tmp_path, tool, language):
    have("valgrind")
    compiler, source = {"c": ("gcc", HELLO), "cpp": ("g++", THREADED_CXX)}[language]
    argv = ["valgrind", f"--tool={tool}", "--error-exitcode=9", "-q", f"--log-file={tmp_path}/log",
            compiled(tmp_path, compiler, "-g", "-O1", source=source, language=language)]
    case.same(argv)
    assert (tmp_path / "log").read_text() == ""
