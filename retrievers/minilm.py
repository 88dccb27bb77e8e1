"""all-MiniLM-L6-v2 itself. The only importer of sentence-transformers and torch, which takes seconds: never at import.

sentence-transformers reads the model and embeds documents. One question goes a shorter way: nothing is padded, sorted
or collected, no module is called through its hooks, and the weights are read in half precision, since reading them is
most of a short text's time. Its vector is the documents' to a few 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from retrievers.long_texts import Window
from retrievers.types import Vectors

# Below so many word pieces for each, a thread more costs more than it helps.
TOKENS_PER_THREAD = 32
SAME = 0.9999

_Linear = Callable[[Any], Any]


class MiniLM:
    """Unit vectors of length 384; texts are read up to 256 word pieces. One call at a time.

    Args:
        place: The model's folder, in sentence-transformers' layout.
        threads: Threads that torch may use.

    Raises:
        ImportError: a library is missing.
        Exception: whatever the libraries raise for a folder they cannot read.
    """

    def __init__(self, place: Path, *, threads: int) -> None:
        import torch  # noqa: PLC0415 - takes seconds
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415

        self._torch: Any = torch
        self._threads = threads
        self._model: Any = SentenceTransformer(str(place), device="cpu", local_files_only=True)
        self._short_way = self._checked_short_way()

    def documents(self, texts: list[str]) -> Vectors:
        """`(len(texts), 384)` float32."""
        self._torch.set_num_threads(self._threads)
        rows: Vectors = self._model.encode(
            texts,
            batch_size=len(texts),
            convert_to_numpy=True,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return rows

    def windows(self, text: str) -> list[Window]:
        """The text in parts of at most as many word pieces as are read; a word is never parted."""
        tokenizer = self._model.tokenizer
        pieces = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        words, places = pieces.word_ids(), pieces["offset_mapping"]
        room = self._model.max_seq_length - tokenizer.num_special_tokens_to_add()
        bounds = [0]
        while len(words) - bounds[-1] > room:
            bound = bounds[-1] + room
            while words[bound] == words[bound - 1]:
                bound -= 1
            bounds.append(bound)
        if len(bounds) == 1:
            return [Window(text, max(1, len(words)))]
        return [
            Window(text[places[begin][0] : places[end - 1][1]], end - begin)
            for begin, end in pairwise([*bounds, len(words)])
        ]

    def query(self, text: str) -> Vectors:
        """`(384,)` float32."""
        vector: Vectors = self.documents([text])[0] if self._short_way is None else self._short_way(text)
        return vector

    def _checked_short_way(self) -> ShortWay | None:
        """None where a library or a folder of the user's own has it built in another way than is known here."""
        sample = "Which way does one question go?"
        expected = self.documents([sample])[0]
        try:
            short_way = ShortWay(self._model, self._threads)
            return short_way if float(short_way(sample) @ expected) > SAME else None
        except (AttributeError, RuntimeError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class _Layer:
    attend: _Linear
    project: _Linear
    norm_attended: _Linear
    widen: _Linear
    activate: _Linear
    narrow: _Linear
    norm: _Linear


class ShortWay:
    """The layers of a loaded BERT whose output is averaged, for one text at a time."""

    def __init__(self, model: Any, threads: int) -> None:
        import torch  # noqa: PLC0415 - takes seconds

        self._torch: Any = torch
        self._threads = threads
        self._tokenizer = model.tokenizer
        self._max_tokens = model.max_seq_length
        bert = model[0].auto_model
        self._heads = bert.config.num_attention_heads
        self._embed = bert.embeddings
        self._layers = [self._layer(each) for each in bert.encoder.layer]

    def __call__(self, text: str) -> Vectors:
        torch = self._torch
        pieces = self._tokenizer(text, truncation=True, max_length=self._max_tokens)["input_ids"]
        torch.set_num_threads(min(self._threads, 1 + len(pieces) // TOKENS_PER_THREAD))
        with torch.inference_mode():
            hidden = self._embed(input_ids=torch.tensor([pieces]))[0]
            for layer in self._layers:
                hidden = layer.norm_attended(hidden + layer.project(self._attended(layer.attend(hidden))))
                hidden = layer.norm(hidden + layer.narrow(layer.activate(layer.widen(hidden))))
            vector: Vectors = torch.nn.functional.normalize(hidden.mean(0), dim=0).numpy()
        return vector

    def _attended(self, mixed: Any) -> Any:
        """From query, key and value beside each other, `(n, 3 * 384)`, to `(n, 384)`."""
        pieces = len(mixed)
        query, key, value = mixed.view(1, pieces, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        heads = self._torch.nn.functional.scaled_dot_product_attention(query, key, value)
        return heads[0].transpose(0, 1).reshape(pieces, -1)

    def _layer(self, layer: Any) -> _Layer:
        attention = layer.attention
        parts = (attention.self.query, attention.self.key, attention.self.value)
        weight = self._torch.cat([part.weight for part in parts])
        bias = self._torch.cat([part.bias for part in parts])
        return _Layer(
            attend=self._linear(weight, bias),
            project=self._linear(attention.output.dense.weight, attention.output.dense.bias),
            norm_attended=attention.output.LayerNorm,
            widen=self._linear(layer.intermediate.dense.weight, layer.intermediate.dense.bias),
            activate=layer.intermediate.intermediate_act_fn,
            narrow=self._linear(layer.output.dense.weight, layer.output.dense.bias),
            norm=layer.output.LayerNorm,
        )

    def _linear(self, weight: Any, bias: Any) -> _Linear:
        torch = self._torch
        weight, bias = weight.detach(), bias.detach()
        # Half as many bytes of weights to read, while it is added up in single precision.
        if "fbgemm" in torch.backends.quantized.supported_engines:
            packed = torch.ops.quantized.linear_prepack_fp16(weight, bias)
            return lambda hidden: torch.ops.quantized.linear_dynamic_fp16(hidden, packed)
        return lambda hidden: torch.nn.functional.linear(hidden, weight, bias)
