"""The reader of weights: right numbers, and nothing in a file can run, crash or pass by half."""

from __future__ import annotations

import io
import os
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kerasviz.errors import ModelFileError
from kerasviz.samples.torch_file import read_torch_file

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"long": 4}}
FLOATS = np.arange(12, dtype="<f4") / 8 - 0.5
COUNT = np.array([7], "<i8")


class Storage:
    def __init__(self, kind: type, key: str, length: Any, view: Any = None) -> None:
        self.id = ("storage", kind, key, "cpu", length, view)


class Call:
    """Pickles as a call of `function`, the way `__reduce__` makes any pickle run any function."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


class StoragePickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return value.id if isinstance(value, Storage) else None


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Stands in for PyTorch while a test writes a file; the reader must not need it."""
    module, utils = ModuleType("torch"), ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage", "ByteStorage"):
        setattr(module, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    module._utils = utils  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return module


def tensor(torch: ModuleType, storage: Any, offset: Any, shape: Any, strides: Any) -> Call:
    hooks: OrderedDict[str, Any] = OrderedDict()
    rebuild = torch._utils._rebuild_tensor_v2
    return Call(rebuild, storage, offset, shape, strides, False, hooks)


def dump(*pickled: Any) -> bytes:
    stream = io.BytesIO()
    for value in pickled:
        StoragePickler(stream, protocol=2).dump(value)
    return stream.getvalue()


def raw(values: np.ndarray) -> bytes:
    return len(values).to_bytes(8, "little") + values.tobytes()


def small_state(torch: ModuleType) -> OrderedDict[str, Any]:
    floats, count = Storage(torch.FloatStorage, "a", 12), Storage(torch.LongStorage, "b", 1)
    return OrderedDict(
        rows=tensor(torch, floats, 0, (3, 4), (4, 1)),
        columns=tensor(torch, floats, 0, (4, 3), (1, 4)),
        part=tensor(torch, floats, 5, (2, 2), (4, 1)),
        count=tensor(torch, count, 0, (), ()),
    )


def small_file(torch: ModuleType, state: Any = None) -> bytes:
    state = small_state(torch) if state is None else state
    head = dump(MAGIC_NUMBER, 1001, SYSTEM, state, ["b", "a"])
    return head + raw(COUNT) + raw(FLOATS)


def read(folder: Path, content: bytes) -> dict[str, np.ndarray]:
    path = folder / "weights.pth"
    path.write_bytes(content)
    return read_torch_file(path)


def assert_refused(folder: Path, content: bytes, reason: str) -> None:
    with pytest.raises(ModelFileError, match=reason) as caught:
        read(folder, content)
    assert "\n" not in str(caught.value)
    assert "weights.pth" in str(caught.value)


def test_tensors_come_back_with_their_strides_and_offsets(torch, tmp_path) -> None:
    state = read(tmp_path, small_file(torch))
    assert list(state) == ["rows", "columns", "part", "count"]
    rows = FLOATS.reshape(3, 4)
    np.testing.assert_array_equal(state["rows"], rows)
    np.testing.assert_array_equal(state["columns"], rows.T)
    np.testing.assert_array_equal(state["part"], rows[1:, 1:3])
    np.testing.assert_array_equal(state["count"], 7)
    assert state["rows"].dtype == np.float32
    assert state["count"].dtype == np.int64
    assert all(array.flags.c_contiguous and array.flags.owndata for array in state.values())


def test_attributes_on_the_dictionary_are_ignored(torch, tmp_path) -> None:
    hidden = Call(OrderedDict, list(small_state(torch).items()), state={"items": "hidden"})
    assert next(iter(read(tmp_path, small_file(torch, hidden)))) == "rows"


@pytest.mark.parametrize("position", range(5), ids=["magic", "protocol", "system", "state", "keys"])
def test_a_malicious_pickle_runs_nothing(torch, tmp_path, position) -> None:
    marker = tmp_path / "it_ran"
    attack = Call(os.system, f'echo owned > "{marker}"')
    pickles = [MAGIC_NUMBER, 1001, SYSTEM, small_state(torch), ["b", "a"]]
    pickles[position] = [attack]
    assert_refused(tmp_path, dump(*pickles), r"asks to load '(posix|nt)\.system'.*refused")
    assert not marker.exists()
    pickle.loads(dump([attack]))
    assert marker.exists(), "the attack is a real one: the plain unpickler falls for it"


@pytest.mark.parametrize("function", [eval, exec, getattr, __import__, open, print])
def test_builtin_functions_are_refused(torch, tmp_path, function) -> None:
    state = OrderedDict(weight=Call(function, "1"))
    assert_refused(
        tmp_path, small_file(torch, state), rf"asks to load '\w+\.{function.__name__}', .*refused"
    )


@pytest.mark.parametrize(
    "name",
    [
        "collections\nOrderedDict.__init__",
        "collections\nabc.sys",
        "torch._utils\n_rebuild_tensor_v2.__globals__",
        "torch\nStorage",
        "torch.serialization\nload",
        "kerasviz.samples.torch_file\nread_torch_file",
    ],
)
def test_names_beside_the_allowed_ones_are_refused(torch, tmp_path, name) -> None:
    head = dump(MAGIC_NUMBER, 1001, SYSTEM)
    attack = pickle.PROTO + b"\x04" + pickle.GLOBAL + name.encode() + b"\n" + pickle.STOP
    assert_refused(tmp_path, head + attack, "refused")


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (9, (2, 2), (4, 1)),
        (0, (13,), (1,)),
        (0, (5, 4), (4, 0)),
        (12, (), ()),
        (0, (2,), (12,)),
        (0, (3,), (2**62,)),
        (0, (0,), (1,)),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(torch, tmp_path, offset, shape, strides) -> None:
    storage = Storage(torch.FloatStorage, "a", 12)
    state = OrderedDict(weight=tensor(torch, storage, offset, shape, strides))
    assert_refused(tmp_path, small_file(torch, state), "beyond its storage")


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (2.0,), (1,)),
        (True, (2,), (1,)),
        (0, [2], (1,)),
        (0, (2,), (1, 1)),
        (0, "2", "1"),
        (0, (1,), (2**80,)),
        (0, (1,) * 80, (1,) * 80),
    ],
)
def test_a_tensor_of_impossible_shape_is_refused(torch, tmp_path, offset, shape, strides) -> None:
    storage = Storage(torch.FloatStorage, "a", 12)
    state = OrderedDict(weight=tensor(torch, storage, offset, shape, strides), **small_state(torch))
    assert_refused(tmp_path, small_file(torch, state), "a tensor in it")


def test_a_tensor_cannot_be_altered_after_its_check(torch, tmp_path) -> None:
    good = tensor(torch, Storage(torch.FloatStorage, "a", 12), 0, (2,), (1,))
    for state in ({"offset": 10**9}, (None, {"offset": 10**9}), ["a", 10**9, (2,), (1,)]):
        altered = OrderedDict(weight=Call(*good.reduced[:1], *good.reduced[1], state=state))
        assert_refused(tmp_path, small_file(torch, altered), "damaged")


@pytest.mark.parametrize("length", [-1, 1.5, "12", None])
def test_a_storage_of_impossible_length_is_refused(torch, tmp_path, length) -> None:
    storage = Storage(torch.FloatStorage, "a", length)
    state = OrderedDict(weight=tensor(torch, storage, 0, (2,), (1,)))
    assert_refused(tmp_path, small_file(torch, state), "a storage in it")


def test_a_storage_described_in_two_ways_is_refused(torch, tmp_path) -> None:
    state = small_state(torch)
    state["more"] = tensor(torch, Storage(torch.FloatStorage, "a", 10**6), 10**5, (4,), (1,))
    assert_refused(tmp_path, small_file(torch, state), "two ways")


def test_other_contents_are_refused(torch, tmp_path) -> None:
    view = Storage(torch.FloatStorage, "a", 12, view=("b", 0, 4))
    cases = {
        "magic number": dump(MAGIC_NUMBER + 1, 1001, SYSTEM, small_state(torch)),
        "protocol": dump(MAGIC_NUMBER, 1002, SYSTEM, small_state(torch)),
        "little-endian": dump(MAGIC_NUMBER, 1001, {"little_endian": False}, small_state(torch)),
        "no dictionary": small_file(torch, [1, 2]),
        "'epoch' is not a tensor": small_file(torch, OrderedDict(epoch=3)),
        "no list of storages": dump(MAGIC_NUMBER, 1001, SYSTEM, small_state(torch), "ab"),
        "storages are not in it": dump(MAGIC_NUMBER, 1001, SYSTEM, small_state(torch), []),
        "describes its storage 'c'": dump(MAGIC_NUMBER, 1001, SYSTEM, small_state(torch), ["c"]),
        "holds 3, not 12": small_file(torch).replace(raw(FLOATS), b"\3" + raw(FLOATS)[1:]),
        "torch.ByteStorage": small_file(torch, [torch.ByteStorage]),
        "not described": small_file(torch, {"weight": tensor(torch, view, 0, (2,), (1,))}),
        "magic number|damaged": b"PK\3\4 a newer file is a zip archive",
    }
    for reason, content in cases.items():
        assert_refused(tmp_path, content, reason)


def test_a_file_cut_anywhere_is_refused(torch, tmp_path) -> None:
    content = small_file(torch)
    assert len(read(tmp_path, content)) == 4
    for length in range(len(content)):
        assert_refused(tmp_path, content[:length], "truncated|damaged")


@pytest.mark.parametrize("change", [0x00, 0xFF])
def test_a_damaged_byte_is_refused_or_harmless(torch, tmp_path, change) -> None:
    content = small_file(torch)
    refused = 0
    for position in range(len(content)):
        damaged = content[:position] + bytes([change]) + content[position + 1 :]
        try:
            read(tmp_path, damaged)
        except ModelFileError:
            refused += 1
    assert refused > len(content) / 3


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ModelFileError, match=r"nowhere\.pth.*No such file"):
        read_torch_file(tmp_path / "nowhere.pth")
