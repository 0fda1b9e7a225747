# SPDX-License-Identifier: Apache-2.0
"""Programs in the minimal systems that scripts/dist_chroots makes."""
import os
from pathlib import Path

from lib.harness import BUILD

CHROOTS = Path(os.environ.get("DIST_CHROOTS", BUILD / "chroots"))
ENTER = ('mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && root=$1 && shift && '
         'exec chroot "$root" "$@"')


def inside(suite, *argv):
    """The words that run argv there; those of the form NAME=VALUE at its begin are settings."""
    return ["unshare", "--mount", "sh", "-c", ENTER, "sh", str(CHROOTS / suite),
            "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *argv]
