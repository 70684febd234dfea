"""One text through one session, with input and output arrays that are bound once and reused."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixkd.errors import BundleError, DeadlineError, first_line
from mixkd.runtime.encoding import Tokens

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Answer = TypeVar("Answer")

LONGEST_KEPT = 64
"""Arrays are kept for texts of up to this many tokens; for longer ones, making them costs next to nothing."""

_KEPT = 4
"""Arrays kept per length: one for each thread that asks at the same time; a fifth thread makes its own."""


class SinglePredictor:
    """A session, for one text at a time; any number of threads may share one.

    Inference evicts the processor's caches, so that Python code around it takes several times its usual time.
    That is why arrays are bound to the session once, and not handed over at each call.
    """

    def __init__(self, session: "InferenceSession", *, output: str, width: int) -> None:
        """Keep the session; arrays are made when they are first needed.

        Args:
            session: The session that answers.
            output: The name of the output to read, (1, C).
            width: The number of labels, C.
        """
        self._session = session
        self._inputs = tuple(entry.name for entry in session.get_inputs())
        self._output = output
        self._width = width
        self._free: dict[tuple[int, bool], list[_Slot]] = {}

    def run(self, tokens: Tokens, read: Callable[[NDArray[np.float32], bool], Answer]) -> Answer:
        """Return `read(outputs, truncated)` for one text; the outputs are (C,) float32.

        Args:
            tokens: The text or pair, tokenised by the session's encoder.
            read: Must not keep the outputs: the next call overwrites them.

        Raises:
            BundleError: If the graph fails on this text.
        """
        ids, type_ids, truncated = tokens
        length, typed = len(ids), type_ids is not None
        free = self._free.get((length, typed))
        try:
            # pop is atomic, so that no two threads get the same arrays.
            slot = free.pop() if free else self._new_slot(length)
        except IndexError:
            slot = self._new_slot(length)
        slot.ids[:] = ids
        if typed:
            slot.type_ids[:] = type_ids
        try:
            self._session.run_with_iobinding(slot.binding)
        except DeadlineError:
            raise
        except Exception as error:  # onnxruntime's own exceptions share no base
            raise BundleError(
                f"the graph can't answer, export the bundle again: {first_line(error)}"
            ) from error
        answer = read(slot.outputs, truncated)
        if free is None and length <= LONGEST_KEPT:
            free = self._free.setdefault((length, typed), [])
        if free is not None and len(free) < _KEPT:
            free.append(slot)
        return answer

    def _new_slot(self, length: int) -> "_Slot":
        return _Slot(self._session, self._inputs, length, self._output, self._width)


class _Slot:
    """The arrays of one call, bound to the session: inputs of one length, and the outputs."""

    def __init__(
        self, session: "InferenceSession", inputs: tuple[str, ...], length: int, output: str, width: int
    ) -> None:
        shape = (1, length)
        columns = {
            "input_ids": np.zeros(shape, np.int64),
            "attention_mask": np.ones(shape, np.int64),
            "token_type_ids": np.zeros(shape, np.int64),
        }
        outputs = np.zeros((1, width), np.float32)
        self.binding = session.io_binding()
        for name in inputs:
            address = columns[name].ctypes.data
            self.binding.bind_input(name, "cpu", 0, np.int64, shape, address)
        self.binding.bind_output(output, "cpu", 0, np.float32, outputs.shape, outputs.ctypes.data)
        # The binding holds only addresses: these references keep the arrays alive.
        self.ids, self.type_ids = columns["input_ids"][0], columns["token_type_ids"][0]
        self.mask, self.outputs = columns["attention_mask"], outputs[0]
