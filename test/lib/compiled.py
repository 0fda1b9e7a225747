# SPDX-License-Identifier: Apache-2.0
"""Programs that are compiled for one test, and sqlite3 with something to do."""
import subprocess

import pytest

SQL = ("create table t(a integer primary key, b text);"
       "with recursive n(i) as (select 1 union all select i+1 from n where i<20000)"
       " insert into t select i, hex(i*i) from n;"
       "select count(*), sum(length(b)), max(b) from t;")
SQLITE = ["/usr/bin/sqlite3", ":memory:", SQL]

HELLO = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long sum;
static void *work(void *unused)
{
	for (int i = 0; i < 20000; i++) {
		char *p = malloc(16 + i % 100);
		pthread_mutex_lock(&lock);
		sum += (p[0] = 1);
		pthread_mutex_unlock(&lock);
		free(p);
	}
	return unused;
}
int main(void)
{
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("hello %lu\n", sum);
	return 3;
}
"""


def compiled(folder, compiler, *flags, source=HELLO, name="hello", language="c"):
    path = folder / name
    (folder / f"{name}.{language}").write_text(source)
    done = subprocess.run([compiler, *flags, "-o", path, folder / f"{name}.{language}", "-pthread"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{compiler} {' '.join(flags)}: {done.stderr[-200:]}")
    return str(path)


def move_debug_information(program, debug):
    """As distributions do: the program is stripped, and names its file of debug information."""
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    subprocess.run(["strip", "--strip-all", program], check=True)
    subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", program], check=True)
