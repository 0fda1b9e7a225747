# SPDX-License-Identifier: Apache-2.0
"""Profiles that are made for a test, as bytes."""
import gzip

from lib.profiles import profile_pb2

BYTES = (("inuse_objects", "count"), ("inuse_space", "bytes"))


class Made:
    """Made(types).add(stack, values, labels).bytes(): a stack is functions, innermost first; one
    that begins with "inline " is inlined into the next, one that begins with "+0x" has no name."""

    def __init__(self, types=BYTES, default=""):
        self.p = profile_pb2.Profile()
        self.strings, self.functions, self.locations = {"": 0}, {}, {}
        for kind, unit in types:
            self.p.sample_type.add(type=self.text(kind), unit=self.text(unit))
        self.p.default_sample_type = self.text(default)
        self.p.mapping.add(id=1, memory_start=0x1000, memory_limit=0x100000, file_offset=0x1000,
                           filename=self.text("/usr/lib/libmade.so.1"))

    def text(self, value):
        return self.strings.setdefault(value, len(self.strings))

    def function(self, name):
        if name not in self.functions:
            number = self.functions[name] = len(self.functions) + 1
            self.p.function.add(id=number, name=self.text(name), system_name=self.text(name),
                                filename=self.text(f"/src/{number}.c"))
        return self.functions[name]

    def location(self, names):
        if names not in self.locations:
            number = self.locations[names] = len(self.locations) + 1
            if names[0].startswith("+0x"):
                self.p.location.add(id=number, mapping_id=1, address=int(names[0][1:], 16))
            else:
                location = self.p.location.add(id=number, mapping_id=1, address=0x1000 + number)
                for name in names:
                    location.line.add(function_id=self.function(name), line=10 + number)
        return self.locations[names]

    def add(self, stack, values, labels=()):
        sample = self.p.sample.add(value=values)
        inlined = ()
        for name in stack:
            inlined += (name.removeprefix("inline "),)
            if not name.startswith("inline "):
                sample.location_id.append(self.location(inlined))
                inlined = ()
        for key, value in dict(labels).items():
            if isinstance(value, str):
                sample.label.add(key=self.text(key), str=self.text(value))
            else:
                sample.label.add(key=self.text(key), num=value)
        return self

    def bytes(self):
        del self.p.string_table[:]
        self.p.string_table.extend(self.strings)
        return gzip.compress(self.p.SerializeToString(), 1, mtime=0)
