"""all-MiniLM-L6-v2 itself. The only importer of sentence-transformers and torch, which takes seconds: never at import.

sentence-transformers reads the model and embeds documents. One question goes a shorter way: nothing is padded, sorted
or collected, no module is called through its hooks, most weights are of eight bits, and of a long one the two ends are
read. Its vector is the documents' to about 0.998 (their product), which moves a likeness by less than 0.01.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from retrievers.long_texts import Window
from retrievers.types import Vectors

# What a question wants stands at its beginning or, below what was pasted, at its end.
HEAD_PIECES, TAIL_PIECES = 64, 32
ALIKE = 0.99

_Step = Callable[[Any], Any]


class MiniLM:
    """Unit vectors of length 384; documents are read up to 256 word pieces, questions as said above. One call at once.

    Args:
        place: The model's folder, in sentence-transformers' layout.
        threads: Threads that torch may use for documents.

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
        if self._short_way is None:
            vector: Vectors = self.documents([text])[0]
            return vector
        # Two would wait for each other in every layer: on cores that a model keeps busy, twenty times as long.
        self._torch.set_num_threads(1)
        return self._short_way(text)

    def _checked_short_way(self) -> ShortWay | None:
        """None where a library or a folder of the user's own has it built in another way than is known here."""
        sample = "Which way does one question go?"
        expected = self.documents([sample])[0]
        try:
            short_way = ShortWay(self._model)
            return short_way if float(short_way(sample) @ expected) > ALIKE else None
        except (AttributeError, RuntimeError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class _Layer:
    attend: _Step
    project: _Step
    norm_attended: _Step
    widen: _Step
    narrow: _Step
    norm: _Step


class ShortWay:
    """The layers of a loaded BERT whose output is averaged, for one text at a time."""

    def __init__(self, model: Any) -> None:
        import torch  # noqa: PLC0415 - takes seconds

        # torch means to drop this way of making them; questions then go the documents' way.
        warnings.filterwarnings("ignore", r".* quantized tensor creation functions", UserWarning)
        self._torch: Any = torch
        self._tokenizer = model.tokenizer.backend_tokenizer
        bert = model[0].auto_model
        self._heads = bert.config.num_attention_heads
        self._words, self._places, self._norm = self._embeddings(bert.embeddings)
        self._layers = [self._layer(each) for each in bert.encoder.layer]

    def __call__(self, text: str) -> Vectors:
        torch = self._torch
        pieces = self._pieces(text)
        with torch.inference_mode():
            hidden = self._norm(self._words[pieces] + self._places[: len(pieces)])
            for layer in self._layers:
                hidden = layer.norm_attended(hidden + layer.project(self._attended(layer.attend(hidden))))
                hidden = layer.norm(hidden + layer.narrow(torch.nn.functional.gelu(layer.widen(hidden))))
            vector: Vectors = torch.nn.functional.normalize(hidden.mean(0), dim=0).numpy()
        return vector

    def _pieces(self, text: str) -> list[int]:
        # Set anew each time: sentence-transformers leaves its own limits on the tokenizer.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        pieces: list[int] = self._tokenizer.encode(text).ids
        return pieces if len(pieces) <= HEAD_PIECES + TAIL_PIECES else pieces[:HEAD_PIECES] + pieces[-TAIL_PIECES:]

    def _attended(self, mixed: Any) -> Any:
        """From query, key and value beside each other, `(n, 3 * 384)`, to `(n, 384)`."""
        pieces = len(mixed)
        query, key, value = mixed.view(pieces, 3, self._heads, -1).permute(1, 2, 0, 3)
        heads = self._torch.nn.functional.scaled_dot_product_attention(query, key, value)
        return heads.transpose(0, 1).reshape(pieces, -1)

    def _embeddings(self, embeddings: Any) -> tuple[Any, Any, _Step]:
        """The rows of word pieces and of places (with the one kind of text there is), and what norms their sum."""
        words, places = embeddings.word_embeddings.weight, embeddings.position_embeddings.weight
        kind = embeddings.token_type_embeddings.weight[0]
        return words.detach(), (places + kind).detach(), self._normed(embeddings.LayerNorm)

    def _layer(self, layer: Any) -> _Layer:
        attention = layer.attention
        parts = (attention.self.query, attention.self.key, attention.self.value)
        weight = self._torch.cat([part.weight for part in parts])
        bias = self._torch.cat([part.bias for part in parts])
        norm_attended = attention.output.LayerNorm
        return _Layer(
            attend=self._of_eight_bits(weight, bias),
            project=self._of_half_precision(attention.output.dense.weight, attention.output.dense.bias),
            norm_attended=self._normed(norm_attended),
            widen=self._evened(layer.intermediate.dense.weight, layer.intermediate.dense.bias, norm_attended),
            narrow=self._by_piece(layer.output.dense.weight, layer.output.dense.bias),
            norm=self._normed(layer.output.LayerNorm),
        )

    def _normed(self, norm: Any) -> _Step:
        shape, weight, bias, eps = norm.normalized_shape, norm.weight.detach(), norm.bias.detach(), norm.eps
        return lambda hidden: self._torch.layer_norm(hidden, shape, weight, bias, eps)

    def _evened(self, weight: Any, bias: Any, norm: Any) -> _Step:
        """As `_of_eight_bits`, of what `norm` gave: a few of its columns reach fifty times as far as the others, and
        eight bits for all would leave those others none. Their sizes are moved into the weights, their means into the
        bias.
        """
        size = norm.weight.detach().abs() / norm.weight.detach().abs().mean()
        mean = norm.bias.detach()
        step = self._of_eight_bits(weight.detach() * size, bias.detach() + weight.detach() @ mean)
        return lambda hidden: step((hidden - mean) / size)

    def _by_piece(self, weight: Any, bias: Any) -> _Step:
        """As `_of_eight_bits`, of word pieces some of which (the ends, stops) reach ten times as far as the others."""
        step, bias = self._of_eight_bits(weight, None), bias.detach()

        def scaled(hidden: Any) -> Any:
            reach = hidden.amax(1, keepdim=True).clamp_min(1e-3)
            return self._torch.addcmul(bias, step(hidden / reach), reach)

        return scaled

    def _of_eight_bits(self, weight: Any, bias: Any | None) -> _Step:
        """A scale for each row of weights, and one for all numbers that they meet."""
        torch = self._torch
        if not self._packs:
            return self._of_half_precision(weight, bias)
        weight = weight.detach()
        scales = weight.abs().amax(1).double() / 127
        zeros = torch.zeros(len(scales), dtype=torch.long)
        rounded = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        packed = torch.ops.quantized.linear_prepack(rounded, None if bias is None else bias.detach())
        return lambda hidden: torch.ops.quantized.linear_dynamic(hidden, packed)

    def _of_half_precision(self, weight: Any, bias: Any | None) -> _Step:
        """Half as many bytes of weights to read, while it is added up in single precision."""
        torch = self._torch
        weight, bias = weight.detach(), None if bias is None else bias.detach()
        if not self._packs:
            return lambda hidden: torch.nn.functional.linear(hidden, weight, bias)
        packed = torch.ops.quantized.linear_prepack_fp16(weight, bias)
        return lambda hidden: torch.ops.quantized.linear_dynamic_fp16(hidden, packed)

    @property
    def _packs(self) -> bool:
        return "fbgemm" in self._torch.backends.quantized.supported_engines
