"""What a handler says of the arrays that it takes: `Shape`, `DType`, NumPy's and PyTorch's classes."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import PydanticCustomError, core_schema

from pycrust.arrays.elements import DTYPES, name_of
from pycrust.arrays.incoming import to_torch
from pycrust.arrays.records import fitted, layout_of, schema_of, structured, text_of
from pycrust.text.values import elements_text

if TYPE_CHECKING:
    from types import EllipsisType, ModuleType

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

    from pycrust.arrays.records import Layout


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
        checked["metadata"] = {"pydantic_js_functions": [self._json]}
        return checked

    def _json(self, checked: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # Of the whole, so that what another constraint inside says is kept.
        return {**handler(checked), **self.schema()}


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
        elements: NumPy's and PyTorch's name for it, such as `"uint8"`, `"float32"` or `"bfloat16"`. Of records, a
            structured `np.dtype`, or the list of fields that one is made of.

    Raises:
        ValueError: No such type crosses.
        TypeError: A field of the records can't cross.

    Examples:
        >>> from typing import Annotated
        >>> import numpy as np
        >>> from pycrust import DType, RpcEndpoint
        >>> endpoint = RpcEndpoint("records-doc")
        >>> tick = np.dtype([("at", "i8"), ("price", "f8"), ("size", "u4"), ("side", "u1")], align=True)
        >>> @endpoint.register
        ... def turnover(ticks: Annotated[np.ndarray, DType(tick)]) -> float:
        ...     return float((ticks["price"] * ticks["size"]).sum())
        >>> endpoint._dispatch("turnover", [np.array([(1, 2.5, 4, 0), (2, 1.5, 2, 1)], tick)])
        13.0
    """

    def __init__(self, elements: Any) -> None:
        """Keeps the name, and what is in a record."""
        self.layout: Layout | None = None
        if not isinstance(elements, str):
            given = structured(elements)
            elements = given.name
            self.layout = layout_of(given) if given.names is not None else None
        if self.layout is None and elements not in DTYPES:
            raise ValueError(f"no type of elements is {elements!r}: {', '.join(sorted(DTYPES))}")
        self.name = str(elements) if self.layout is None else text_of(self.layout)

    def check(self, value: Any) -> Any:
        """The array, if its elements have the type."""
        if self.layout is not None and getattr(value.dtype, "names", None) is not None:
            return self._check_records(value, self.layout)
        found = name_of(value.dtype) if getattr(value.dtype, "names", None) is None else elements_text(value.dtype)
        if found == self.name:
            return value
        raise PydanticCustomError(
            "array_dtype",
            "Array should have elements of {expected}, not of {found}",
            {"expected": self.name, "found": found},
        )

    def _check_records(self, value: Any, layout: Layout) -> Any:
        target = None
        try:
            differs, target = fitted(layout, value.dtype)
        except TypeError as error:
            differs = str(error)
        if differs is None:
            return value if target is None else value.view(target)
        raise PydanticCustomError(
            "array_dtype",
            "Array should have elements of {expected}: {difference}",
            {"expected": self.name, "difference": differs},
        )

    def schema(self) -> dict[str, Any]:
        """The name, or of records the fields and how many bytes there are."""
        return {"dtype": self.name} if self.layout is None else schema_of(self.layout)

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
            return _to_torch(value)
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


def _to_torch(array: Any) -> Any:
    try:
        return to_torch(array)
    except TypeError as error:
        raise PydanticCustomError(
            "is_instance_of", "Array can't be PyTorch's: {reason}", {"reason": str(error)}
        ) from error


def _from_torch(tensor: Any, _torch: ModuleType) -> Any:
    try:
        return tensor.numpy()
    except TypeError as error:
        raise PydanticCustomError(
            "is_instance_of", "Array can't be NumPy's: {reason}", {"reason": str(error)}
        ) from error
