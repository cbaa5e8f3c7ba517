"""Messages made of bytes: every choice is read from them, so a fuzzer and hypothesis can both look for the worst.

What is made has the shapes of the msgspec structs in a module, with the words that stand in its source as values, and
here and there something else in their place: a module that is new is covered by itself.
"""

from __future__ import annotations

import ast
import base64
import inspect
import json
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any, TypeVar

import msgspec
from msgspec import inspect as shapes

T = TypeVar("T")
MANY = "\N{SECTION SIGN}"
"""Stands in identifiers; whoever repeats a message may put another number there each time."""
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**300, 0.5, -1e308, 1e308, 1e-308, "", " ", "\x00", "\u2028",
    "\x1b[31m", "<speak>", "ﷺ" * 40, "x" * 300, f"id{MANY}", "-1", "1e999", "2026-01-01", "NaN", [], {}, [[]], [None],
    [{}], {"": ""}, {"__proto__": {}}, [0] * 40,
)  # fmt: skip
RAW = (
    b"", b"null", b"[]", b"{}", b'"', b"{", b"[" * 2_000, b'{"a":' * 2_000, b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x00",
    b'{"type":"error","type":7}', b'{"event":1e999}', b'{"type":"\\ud800"}', b"NaN", b" " * 5_000, b"1" * 5_000,
)  # fmt: skip


AS_IT_STANDS = b"\xff as it stands\n"
"""What begins so holds messages, a line each, and no choices: samples of real ones are the seeds of a fuzzer."""


class Bytes:
    """A supply of choices; when it is used up, every choice is the first."""

    def __init__(self, data: bytes, *, of_messages: bool = True) -> None:
        told = of_messages and data.startswith(AS_IT_STANDS)
        self.lines = data.removeprefix(AS_IT_STANDS).split(b"\n")[::-1] if told else []
        self._data = b"" if self.lines else data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data) or bool(self.lines)

    def below(self, limit: int) -> int:
        size = 1 if limit <= 256 else 2
        taken = int.from_bytes(self.take(size))
        return taken % limit

    def pick(self, among: Sequence[T]) -> T:
        return among[self.below(len(among))]

    def seldom(self) -> bool:
        return self.below(256) > 240

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def rest(self) -> bytes:
        return b"\n".join(self.lines[::-1]) or self.take(len(self._data))


class Vocabulary:
    """The structs and the words of some modules."""

    def __init__(self, modules: Sequence[ModuleType]) -> None:
        kinds = {
            kind
            for module in modules
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        }
        inner = {found for kind in kinds for found in _structs_in(shapes.type_info(kind)) if found is not kind}
        self.whole = sorted(kinds - inner, key=lambda kind: kind.__qualname__) or sorted(kinds, key=repr)
        """The structs that stand in no other: those are messages."""
        self.words = sorted({word for module in modules for word in _words(module)})

    def message(self, source: Bytes) -> bytes:
        if source.lines:
            return source.lines.pop()
        if source.seldom():
            return source.pick(RAW)
        made = json.dumps(self._struct(shapes.type_info(source.pick(self.whole)), source, 0), ensure_ascii=False)
        whole = made.encode(errors="surrogatepass")
        if source.seldom():
            at = source.below(max(1, len(whole)))
            return whole[:at] + source.take(1) + whole[at + source.below(3) :]
        return whole

    def _value(self, kind: shapes.Type, source: Bytes, depth: int) -> Any:
        if source.seldom() or depth > 8:
            return source.pick(ODD)
        match kind:
            case shapes.StructType():
                return self._struct(kind, source, depth)
            case shapes.UnionType(types=types):
                return self._value(source.pick(types), source, depth)
            case shapes.ListType(item_type=item) | shapes.VarTupleType(item_type=item):
                return [self._value(item, source, depth + 1) for _ in range(source.below(4))]
            case shapes.DictType(value_type=item):
                return {self._text(source): self._value(item, source, depth + 1) for _ in range(source.below(3))}
        return self._plain(kind, source, depth)

    def _plain(self, kind: shapes.Type, source: Bytes, depth: int) -> Any:
        match kind:
            case shapes.StrType():
                return self._text(source)
            case shapes.BytesType():
                sound = source.pick((b"\xff" * 40, b"\x00\x10" * 80, b"", b"a")) * source.below(9)
                return base64.b64encode(sound).decode()
            case shapes.BoolType():
                return source.below(2) == 1
            case shapes.IntType():
                return source.pick((0, 1, 2, 3, 7, 100, -1, 2**53, 2**70))
            case shapes.FloatType():
                return source.pick((0.0, 0.2, 1.0, 3.0, 30.0, 1000, 5000, -1.0, 1e308, -1e308))
            case shapes.NoneType():
                return None
            case shapes.LiteralType(values=values):
                return source.pick(values)
        if depth < 6 and source.below(2):
            return self._struct(shapes.type_info(source.pick(self.whole)), source, depth + 1)
        return source.pick(ODD)

    def _struct(self, kind: shapes.Type, source: Bytes, depth: int) -> Any:
        assert isinstance(kind, shapes.StructType)
        made: dict[str, Any] = {}
        if kind.tag_field is not None:
            made[kind.tag_field] = kind.tag
        for field in kind.fields:
            optional = not field.required
            if source.seldom() or (optional and source.below(2)):
                continue
            made[field.encode_name] = self._value(field.type, source, depth + 1)
        if source.seldom():
            made[source.pick(self.words)] = source.pick(ODD)
        return made

    def _text(self, source: Bytes) -> str:
        if source.below(4):
            return source.pick(self.words)
        return source.pick(("a", "b", "a1", "line1", f"id{MANY}", "{}", '{"a":1}', "Hello there.", "こんにちは", " "))


def _structs_in(kind: shapes.Type) -> Iterator[type]:
    if isinstance(kind, shapes.StructType):
        yield kind.cls
        for field in kind.fields:
            yield from _structs_in(field.type)
    for name in ("types", "item_types"):
        for each in getattr(kind, name, ()):
            yield from _structs_in(each)
    for name in ("item_type", "value_type", "key_type"):
        if (each := getattr(kind, name, None)) is not None:
            yield from _structs_in(each)


@lru_cache
def vocabulary(*names: str) -> Vocabulary:
    """Of these modules and of those of their own package that they use, step by step."""
    found: dict[str, ModuleType] = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        found[name] = module = sys.modules[name]
        package = name.rpartition(".")[0]
        wanted += [each.__name__ for each in vars(module).values() if _of(each, package)]
    return Vocabulary(list(found.values()))


def _of(each: object, package: str) -> bool:
    return isinstance(each, ModuleType) and each.__name__.startswith(f"{package}.") and package.endswith(".providers")


def _words(module: ModuleType) -> Iterator[str]:
    tree = ast.parse(inspect.getsource(module))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        word = node.value if isinstance(node, ast.Constant) and id(node) not in told else None
        if isinstance(word, str) and len(word) < 60:
            yield word


def weight(thing: object, seen: set[int] | None = None) -> int:
    """How many octets hang on it, roughly: what it holds itself, and not the modules and classes it knows."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type | ModuleType) or callable(thing):
        return 0
    seen.add(id(thing))
    size = sys.getsizeof(thing)
    inner: list[object] = []
    if isinstance(thing, dict):
        inner += [*thing, *thing.values()]
    elif isinstance(thing, list | tuple | set | frozenset) or type(thing).__name__ == "deque":
        inner += list(thing)  # type: ignore[call-overload]
    elif not isinstance(thing, str | bytes | bytearray | int | float):
        inner += vars(thing).values() if hasattr(thing, "__dict__") else ()
        inner += [getattr(thing, name, None) for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
        inner += [getattr(thing, name, None) for name in getattr(thing, "__struct_fields__", ())]
    return size + sum(weight(each, seen) for each in inner)
