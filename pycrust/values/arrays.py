"""Arrays and tensors: what they are beside the body of a call, and what a handler says of those it takes.

NumPy and PyTorch are optional: neither is imported before an array of its kind comes or goes.
"""

from __future__ import annotations

import array
import ctypes
import functools
import importlib
import math
import mmap
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, cast

from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import PydanticCustomError, core_schema

from pycrust._extension import Buffer
from pycrust.text.kinds import kind_of
from pycrust.values.refusals import labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import EllipsisType, ModuleType

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

#: Types of elements that cross, by the names that NumPy and PyTorch give them.
DTYPES = frozenset({
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
})  # fmt: skip

#: Formats of the buffer protocol for elements of native size and order.
_FORMATS = {
    "bool": "?",
    "uint8": "B",
    "int8": "b",
    "uint16": "H",
    "int16": "h",
    "uint32": "I",
    "int32": "i",
    "uint64": "Q",
    "int64": "q",
    "float32": "f",
    "float64": "d",
}

#: The exporter of the bytes, the type of the elements, the shape, big-endian, first dimension fastest.
Described = tuple[Any, str, tuple[int, ...], bool, bool]


# On the way out ---------------------------------------------------------------------------------------------


def describe(value: Any) -> Described | None:
    """What an array is, for the native encoder; `None` for anything else.

    Raises:
        TypeError: It is an array that can't cross; the message says why and what to do.

    Examples:
        >>> import array
        >>> bytes_, *rest = describe(array.array("d", [1.0, 2.0]))
        >>> rest
        ['float64', (2,), False, False]
    """
    cls = kind_of(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _describe_ndarray(value, numpy)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _describe_tensor(value, torch)
    if issubclass(cls, (array.array, mmap.mmap)):
        return _describe_buffer(memoryview(value))
    if cls is memoryview:
        plain = value.format in {"B", "b", "c"} and value.ndim == 1
        return None if plain else _describe_buffer(value)
    if hasattr(cls, "__dlpack__") and hasattr(cls, "__dlpack_device__"):
        numpy = _module("numpy")
        if numpy is not None:
            return _describe_ndarray(numpy.from_dlpack(value), numpy)
    return None


def _describe_ndarray(given: Any, numpy: Any) -> Described:
    if isinstance(given, numpy.ma.MaskedArray):
        raise TypeError("a masked array would lose its mask: send .filled(value), or the mask beside it")
    plain = numpy.asarray(given)
    name = str(plain.dtype.name)
    if name not in DTYPES:
        raise TypeError(f"an array of dtype {plain.dtype} can't cross: send {labels(plain.dtype)}")
    big_endian = plain.dtype.byteorder == ">" or (plain.dtype.byteorder == "=" and sys.byteorder == "big")
    column_major = not plain.flags.c_contiguous and bool(plain.flags.f_contiguous)
    ordered = plain.T if column_major else plain
    shape = tuple(int(size) for size in plain.shape)
    if not ordered.flags.c_contiguous:
        if name != "bfloat16":
            # Its elements are put in order where they are copied to.
            return ordered, name, shape, big_endian and plain.itemsize > 1, False
        ordered = numpy.ascontiguousarray(ordered)
    return ordered.reshape(-1).view(numpy.uint8), name, shape, big_endian and plain.itemsize > 1, column_major


def _describe_tensor(given: Any, torch: Any) -> Described:
    if given.layout is not torch.strided or given.is_quantized:
        raise TypeError(f"a tensor of layout {given.layout} can't cross: send .to_dense() or .dequantize()")
    if given.device.type != "cpu":
        raise TypeError(f"a tensor on {given.device} can't cross: send .cpu(), which copies it once")
    name = str(given.dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise TypeError(f"a tensor of {given.dtype} can't cross: convert it with .to() to a type of numbers")
    plain = given.detach().resolve_conj().resolve_neg()
    shape = tuple(int(size) for size in plain.shape)
    if plain.numel() == 0:
        return b"", name, shape, False, False
    big_endian = sys.byteorder == "big"
    if not plain.is_contiguous() and name != "bfloat16":
        return plain.numpy(), name, shape, big_endian, False
    return plain.contiguous().reshape(-1).view(torch.uint8).numpy(), name, shape, big_endian, False


def _describe_buffer(view: memoryview) -> Described:
    order, kind = (view.format[0], view.format[1:]) if view.format[0] in "@=<>!" else ("@", view.format)
    bits = 8 * view.itemsize
    name = {"?": "bool", "e": "float16", "f": "float32", "d": "float64", "Zf": "complex64", "Zd": "complex128"}.get(
        kind
    )
    if name is None and kind in tuple("bhilqn"):
        name = f"int{bits}"
    elif name is None and kind in tuple("cBHILQN"):
        name = f"uint{bits}"
    if name not in DTYPES:
        raise TypeError(f"a buffer of format {view.format!r} can't cross")
    big_endian = bits > 8 and (order in ">!" or (order in "@=" and sys.byteorder == "big"))  # noqa: PLR2004 - a byte
    shape = tuple(view.shape or ())
    plain = view if view.c_contiguous else memoryview(view.tobytes())
    # Without elements there is nothing to cast.
    return (plain.cast("B") if view.nbytes else b""), str(name), shape, big_endian, False


# On the way in ----------------------------------------------------------------------------------------------


def view(buffer: Buffer, dtype: str, shape: tuple[int, ...], big_endian: bool, column_major: bool) -> Any:  # noqa: FBT001 - called by the native decoder, by position
    """An array over bytes that came, without a copy: read-only.

    Returns:
        A NumPy array; where NumPy is not installed, a `memoryview` of the same shape. A bfloat16 array needs
        `ml_dtypes`, or is a PyTorch tensor as `to_torch` makes it.

    Raises:
        TypeError: Nothing that is installed has a form for it.
    """
    numpy = _module("numpy")
    if numpy is None:
        if column_major or big_endian is not (sys.byteorder == "big") or dtype not in _FORMATS:
            raise TypeError(f"an array of {dtype} came, which needs NumPy: pip install numpy")
        flat: Any = memoryview(buffer)
        return flat.cast(_FORMATS[dtype], list(shape)) if flat and shape else flat
    if dtype == "bfloat16":
        extra = _module("ml_dtypes")
        if extra is None:
            return _bfloat16(buffer, shape, big_endian=big_endian, column_major=column_major)
        kind = numpy.dtype(extra.bfloat16)
        kind = kind.newbyteorder(">") if big_endian else kind
    else:
        kind = _numpy_dtype(dtype, big_endian)
    return numpy.ndarray(shape, kind, buffer, 0, None, "F" if column_major else "C")


@functools.cache
def _numpy_dtype(name: str, big_endian: bool) -> Any:  # noqa: FBT001 - a cache's key
    return importlib.import_module("numpy").dtype(name).newbyteorder(">" if big_endian else "<")


def _bfloat16(buffer: Buffer, shape: tuple[int, ...], *, big_endian: bool, column_major: bool) -> Any:
    torch = _module("torch")
    if torch is None:
        raise TypeError("an array of bfloat16 came, which NumPy has no type for: pip install ml_dtypes, or torch")
    numpy = importlib.import_module("numpy")
    halves = numpy.ndarray(shape, ">u2" if big_endian else "<u2", buffer, 0, None, "F" if column_major else "C")
    tensor = None if big_endian else _over_private(halves, torch.int16, torch)
    if tensor is None:
        tensor = torch.from_numpy(halves.astype("=i2", order="C"))
    return tensor.view(torch.bfloat16)


@functools.cache
def _module(name: str) -> Any:
    """An optional package; `None` if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def to_torch(value: Any, device: Any = None) -> Any:
    """A PyTorch tensor of an array that came.

    A large one on the CPU is not copied: it lies in shared memory, and writing into it in place gives this process
    copies of the pages that are written. PyTorch has no read-only tensors, so nothing can refuse that; neither the
    caller nor a NumPy view of the same argument sees it. A small one, or one that is asked for again while the
    first lives, is a copy. To another device it is copied at once, from shared memory.

    Args:
        value: A NumPy array (such as an argument), or a tensor.
        device: Where the tensor is to be, `"cuda"` for example; the CPU by default.

    Returns:
        The tensor.

    Raises:
        ModuleNotFoundError: PyTorch is not installed.
    """
    torch: Any = sys.modules.get("torch") or importlib.import_module("torch")
    plain = value
    if device is None and type(getattr(plain, "base", None)) is Buffer:
        tensor = _over_private(plain, _torch_dtype(plain.dtype), torch)
        if tensor is not None:
            return tensor
    if isinstance(value, torch.Tensor):
        return value if device is None else value.to(device)
    if device is None or torch.device(device).type == "cpu":
        native = plain.astype(plain.dtype.newbyteorder("="), order="C", copy=True)
        if native.dtype.name == "bfloat16":
            return torch.from_numpy(native.view("i2")).view(torch.bfloat16)
        return torch.from_numpy(native)
    numpy = importlib.import_module("numpy")
    source = numpy.ascontiguousarray(plain.astype(plain.dtype.newbyteorder("="), copy=False))
    kind = getattr(torch, plain.dtype.name)
    if source.size == 0:
        return torch.empty(plain.shape, dtype=kind, device=device)
    # A writable stand-in over the same bytes, which nobody but this copy sees: PyTorch warns of read-only ones.
    stand_in = (ctypes.c_char * source.nbytes).from_address(source.ctypes.data)
    return torch.frombuffer(stand_in, dtype=kind).reshape(plain.shape).to(device)


def _over_private(plain: Any, dtype: Any, torch: Any) -> Any:
    """A tensor over the bytes of an array that came, without a copy; `None` where they have to be copied."""
    buffer = plain.base
    if dtype is None or plain.nbytes != len(buffer):
        return None
    flags = plain.flags
    # Either way they are all of the buffer's bytes, in their order.
    rows = flags.c_contiguous
    private = buffer.private() if rows or flags.f_contiguous else None
    if private is None:
        return None
    flat = torch.frombuffer(private, dtype=dtype)
    return flat.view(plain.shape) if rows else flat.view(plain.shape[::-1]).permute(*reversed(range(plain.ndim)))


@functools.cache
def _torch_dtype(dtype: Any) -> Any:
    """PyTorch's type for a NumPy type of native order; `None` for others."""
    return getattr(importlib.import_module("torch"), dtype.name, None) if dtype.isnative else None


class Absent:
    """In the place of an array of a recorded call that was not recorded itself.

    Args:
        dtype: The type of its elements.
        shape: Its shape.

    Examples:
        >>> Absent("uint8", (224, 224, 3))
        <uint8 array of the shape (224, 224, 3), not recorded>
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Keeps what is known."""
        self.dtype = dtype
        self.shape = shape

    def __eq__(self, other: object) -> bool:
        """Whether it stands for arrays of the same kind."""
        return isinstance(other, Absent) and (self.dtype, self.shape) == (other.dtype, other.shape)

    def __hash__(self) -> int:
        """By type and shape."""
        return hash((self.dtype, self.shape))

    def __repr__(self) -> str:
        """What it was."""
        return f"<{self.dtype} array of the shape {self.shape}, not recorded>"


def arguments_again(value: Any) -> Any:
    """The arguments of a recorded call, if the call can be made again.

    Raises:
        LookupError: Arrays among them were not recorded.
    """
    if _any_absent(value):
        raise LookupError(
            "the arrays among its arguments were not recorded: the call can't be made again; "
            "endpoint.recording(max_arrays=...) keeps those of later calls"
        )
    return value


def _any_absent(value: Any) -> bool:
    if isinstance(value, Absent):
        return True
    if isinstance(value, dict):
        return any(_any_absent(inner) for inner in cast("dict[Any, Any]", value).values())
    return isinstance(value, list) and any(_any_absent(inner) for inner in cast("list[Any]", value))


def without_elements(value: Any) -> Any:
    """A value with its arrays as they are recorded: their types and shapes."""
    if isinstance(value, dict):
        return {key: without_elements(inner) for key, inner in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [without_elements(inner) for inner in cast("list[Any]", value)]
    if not hasattr(value, "dtype") and kind_of(value) is not memoryview:
        return value
    described = describe(value)
    return cast("object", value) if described is None else Absent(described[1], described[2])


# Built in place ---------------------------------------------------------------------------------------------


def empty(shape: int | Sequence[int], dtype: Any, take: Callable[[int], Any] | None) -> Any:
    """An array whose content is not defined, over memory from `take`; from NumPy or PyTorch without it.

    Args:
        shape: Elements in each dimension.
        dtype: A NumPy type or its name; a PyTorch type gives a tensor.
        take: Gives an object of so many writable bytes.

    Returns:
        The array or tensor.
    """
    sizes = (shape,) if isinstance(shape, int) else tuple(int(size) for size in shape)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(dtype, torch.dtype):
        length = math.prod(sizes) * dtype.itemsize
        if take is None or length == 0:
            return torch.empty(sizes, dtype=dtype)
        return torch.frombuffer(take(length), dtype=dtype).reshape(sizes)
    numpy = importlib.import_module("numpy")
    kind = numpy.dtype(dtype)
    if take is None or kind.hasobject:
        return numpy.empty(sizes, kind)
    return numpy.ndarray(sizes, kind, take(math.prod(sizes) * kind.itemsize))


# Annotations ------------------------------------------------------------------------------------------------


class _Constraint(ABC):
    """What an annotation says of an array beside its class."""

    @abstractmethod
    def check(self, value: Any) -> Any:
        """The value, if it is as it should be."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """What the JSON Schema says of it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Checks after what is inside has checked."""
        try:
            inner = handler(source)
        except PydanticSchemaGenerationError:
            # Where arbitrary types are not allowed, arrays still are.
            if not is_array_class(source):
                raise
            inner = array_schema(source)
        if inner["type"] == "is-instance" and is_array_class(inner["cls"]):
            inner = array_schema(inner["cls"])
        checked = core_schema.no_info_after_validator_function(self.check, inner)
        checked["metadata"] = {"pydantic_js_functions": [functools.partial(self._json, inner)]}
        return checked

    def _json(self, inner: Any, _schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(inner), **self.schema()}


class Shape(_Constraint):
    """The shape of an array, in an annotation: a size for each dimension.

    Args:
        sizes: A number, `None` for any size, `...` (once) for any number of dimensions.

    Raises:
        TypeError: A size is none of these.

    Examples:
        >>> from typing import Annotated
        >>> import numpy as np
        >>> from pycrust import DType, RpcEndpoint, Shape
        >>> endpoint = RpcEndpoint("shape-doc")
        >>> @endpoint.register
        ... def brightness(image: Annotated[np.ndarray, Shape(..., 2, 2), DType("uint8")]) -> float:
        ...     return float(image.mean())
        >>> endpoint._dispatch("brightness", [np.array([[0, 2], [2, 4]], "uint8")])
        2.0
    """

    def __init__(self, *sizes: int | EllipsisType | None) -> None:
        """Keeps the sizes."""
        if any(size is not None and size is not ... and type(size) is not int for size in sizes):
            raise TypeError(f"a size is a number, None or ..., not {sizes!r}")
        if sizes.count(...) > 1:
            raise TypeError("... stands for any number of dimensions, once")
        self.sizes = sizes

    def check(self, value: Any) -> Any:
        """The array, if it has the shape."""
        shape = tuple(value.shape)
        if self._fits(shape):
            return value
        raise PydanticCustomError(
            "array_shape",
            "Array should have the shape {expected}, not {found}",
            {"expected": self._text(), "found": str(shape)},
        )

    def _fits(self, shape: tuple[int, ...]) -> bool:
        if ... not in self.sizes:
            wanted = self.sizes
        elif len(shape) < len(self.sizes) - 1:
            return False
        else:
            at = self.sizes.index(...)
            wanted = (*self.sizes[:at], *[None] * (len(shape) - len(self.sizes) + 1), *self.sizes[at + 1 :])
        return len(wanted) == len(shape) and all(
            size is None or size == found for size, found in zip(wanted, shape, strict=True)
        )

    def _text(self) -> str:
        inside = ", ".join("..." if size is ... else "any" if size is None else str(size) for size in self.sizes)
        return f"({inside},)" if len(self.sizes) == 1 else f"({inside})"

    def schema(self) -> dict[str, Any]:
        """The sizes."""
        return {"shape": ["..." if size is ... else size for size in self.sizes]}

    def __repr__(self) -> str:
        """As it is written."""
        return f"Shape{self._text().replace('any', 'None')}"


class DType(_Constraint):
    """The type of an array's elements, in an annotation.

    Args:
        name: NumPy's and PyTorch's name for it, such as `"uint8"`, `"float32"` or `"bfloat16"`.

    Raises:
        ValueError: No such type crosses.
    """

    def __init__(self, name: str) -> None:
        """Keeps the name."""
        if name not in DTYPES:
            raise ValueError(f"no type of elements is {name!r}: {', '.join(sorted(DTYPES))}")
        self.name = name

    def check(self, value: Any) -> Any:
        """The array, if its elements have the type."""
        found = str(value.dtype).removeprefix("torch.") if not hasattr(value.dtype, "name") else value.dtype.name
        if found == self.name:
            return value
        raise PydanticCustomError(
            "array_dtype",
            "Array should have elements of {expected}, not of {found}",
            {"expected": self.name, "found": found},
        )

    def schema(self) -> dict[str, Any]:
        """The name."""
        return {"dtype": self.name}

    def __repr__(self) -> str:
        """As it is written."""
        return f"DType({self.name!r})"


def is_array_class(cls: Any) -> bool:
    """Whether an annotation is NumPy's array or PyTorch's tensor."""
    return isinstance(cls, type) and (cls.__module__, cls.__name__) in {("numpy", "ndarray"), ("torch", "Tensor")}


def array_schema(cls: Any) -> core_schema.CoreSchema:
    """A Pydantic schema that takes arrays of either kind and gives those of `cls`."""
    package = cls.__module__

    def convert(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
        if package == "torch" and numpy is not None and isinstance(value, numpy.ndarray):
            return to_torch(value)
        if package == "numpy" and torch is not None and isinstance(value, torch.Tensor):
            return _from_torch(value, torch)
        raise PydanticCustomError(
            "is_instance_of", "Input should be an array: {class}", {"class": f"{package}.{cls.__name__}"}
        )

    def described(_schema: Any, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "array", "x-array": package}

    schema = core_schema.no_info_plain_validator_function(convert)
    schema["metadata"] = {"pydantic_js_functions": [described]}
    return schema


def _from_torch(tensor: Any, _torch: ModuleType) -> Any:
    try:
        return tensor.numpy()
    except TypeError as error:
        raise PydanticCustomError(
            "is_instance_of", "Array can't be NumPy's: {reason}", {"reason": str(error)}
        ) from error
