"""Examples row by row: their numbers, gradients and random streams, and the best picture of each so far."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

Objective = Any  # called with (pictures, rows=None) → one number for each, to be raised
AT_ONCE = 2**20  # bytes of pictures that are searched for at once
Search = TypeVar("Search", bound=Callable[..., Tensor])


class Value(NamedTuple):
    """An objective on the outputs of a network: numbers to raise, and which examples are broken."""

    module: nn.Module
    number: Callable[[Tensor, Tensor], Tensor]  # (outputs, rows of the clean batch) → one number each
    broken: Callable[[Tensor, Tensor], Tensor] | None = None
    sides: tuple[Any, ...] = ()  # objectives that are searched apart, where this one has a saddle

    def __call__(self, x: Tensor, rows: Tensor | None = None) -> Tensor:
        return self.number(self.module(x), _all(x, rows))

    def judged(self, x: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The numbers, and which examples are broken, of one forward pass."""
        return self.of(self.module(x), _all(x, rows))

    def of(self, outputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The same of outputs."""
        value = self.number(outputs, rows)
        if self.broken is None:
            return value, torch.zeros_like(value, dtype=torch.bool)
        return value, self.broken(outputs.detach(), rows)


class Fixed(NamedTuple):
    """An objective whose passes all have `at_once` rows (0: as many as there are), and are counted."""

    objective: Objective
    at_once: int = 0
    forwards: Tensor | None = None  # counts for every row of the clean batch
    gradients: Tensor | None = None

    def __call__(self, x: Tensor, rows: Tensor | None = None) -> Tensor:
        _count(self.forwards, rows)
        return self.objective(x, _all(x, rows))


class Part(NamedTuple):
    """An objective of some rows of the clean batch."""

    objective: Objective
    rows: Tensor

    def __call__(self, x: Tensor, rows: Tensor | None = None) -> Tensor:
        return self.objective(x, self.rows if rows is None else self.rows[rows])


class Best(NamedTuple):
    """The best picture of every example so far: a broken one before others, then the one of larger value."""

    x: Tensor
    value: Tensor
    broken: Tensor

    def take(self, x: Tensor, value: Tensor, broken: Tensor, rows: Tensor | None = None) -> Tensor:
        """Keeps what is better, in place; says of which of the rows that were given it was."""
        value = value.to(self.value.dtype)
        known, held = (self.value, self.broken) if rows is None else (self.value[rows], self.broken[rows])
        better = (broken & ~held) | ((broken == held) & (value > known))
        place = better.nonzero().flatten()
        if rows is None and len(place) == len(x):
            for kept, new in zip(self, (x, value, broken), strict=True):
                kept.copy_(new)
            return better
        where = place if rows is None else rows[place]
        self.x[where] = x[place]
        self.value[where], self.broken[where] = value[place], broken[place]
        return better


def fresh(x: Tensor) -> Best:
    """The clean pictures as the best so far, of no value yet."""
    value = torch.full((len(x),), -torch.inf, dtype=x.dtype, device=x.device)
    return Best(x.detach().clone(), value, torch.zeros_like(value, dtype=torch.bool))


def part(objective: Objective, rows: Tensor) -> Objective:
    """The objective of some rows of its clean batch."""
    return Part(objective, rows)


def pieces(objective: Objective, x: Tensor) -> Iterator[tuple[Objective, Tensor | slice]]:
    """A large batch in parts that a processor's cache can hold, as examples do not know of each other.

    Reads    an objective, and the clean batch
    Returns  the objective of each part, and its rows; one part elsewhere, and where passes are of fixed size
    """
    fit = max(32, AT_ONCE // max(1, x[:1].nbytes))
    many = -(-len(x) // fit)
    if many < 2 or x.device.type != "cpu" or _cut(objective):
        yield objective, slice(None)
        return
    for rows in torch.arange(len(x)).tensor_split(many):
        yield part(objective, rows), rows


def sides(objective: Objective) -> tuple[Objective, ...]:
    """The objectives that are searched one by one in its place: itself, or both signs of a displacement."""
    if isinstance(objective, Fixed):
        return tuple(objective._replace(objective=side) for side in sides(objective.objective))
    if isinstance(objective, Part):
        return tuple(objective._replace(objective=side) for side in sides(objective.objective))
    return getattr(objective, "sides", ()) or (objective,)


def sided(search: Search) -> Search:
    """The search on each side of an objective; the better picture of every example is kept."""

    @functools.wraps(search)
    def each(objective: Objective, x: Tensor, epsilon: Any, **numbers: Any) -> Tensor:
        apart = sides(objective)
        if len(apart) == 1:
            return search(apart[0], x, epsilon, **numbers)
        best = fresh(x)
        for side in apart:
            found = search(side, x, epsilon, **numbers)
            best.take(found, *look(objective, found))
        return best.x

    return each  # type: ignore[return-value]


def look(objective: Objective, x: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The numbers of the pictures and which are broken, without gradients.

    Reads    x (m, channel, y, x); rows of the clean batch that they belong to (None: all, in order)
    Returns  value (m,), broken (m,); none is broken for an objective that has no notion of it
    """
    with torch.no_grad():
        found = [judged(inner, some, place) for inner, some, place, _ in _passes(objective, x, rows, False)]
    value = torch.cat([value for value, _ in found])[: len(x)]
    return value, torch.cat([broken for _, broken in found])[: len(x)]


def climb(
    objective: Objective, x: Tensor, rows: Tensor | None = None, shared: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """What `look` returns, and the gradient of every example's number: 0 where it is not finite.

    A graph that is detached gives 0 too, so that a search goes on and the audit says why it found nothing.
    With `shared`, examples that see the same picture share its forward pass, unless passes are of fixed size.
    """
    values, judgements, slopes = [], [], []
    for inner, some, place, count in _passes(objective, x, rows, True):
        free = shared and isinstance(inner, Value) and not _cut(objective)
        same = alike(some) if free else None
        value, broken, slope = _climbed(inner, some, place, same)
        slopes.append(torch.nan_to_num_(slope.contiguous(), 0, 0, 0)[:count])
        values.append(value.detach()[:count])
        judgements.append(broken[:count])
    if len(values) == 1:
        return values[0], judgements[0], slopes[0]
    return torch.cat(values), torch.cat(judgements), torch.cat(slopes)


def _climbed(
    objective: Objective, x: Tensor, rows: Tensor, same: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Numbers, which are broken, and gradients of one pass; `same` as `alike` returned it."""
    with torch.enable_grad():
        leaf = (x if same is None else x[same[0]]).detach().requires_grad_()
        if same is None:
            value, broken = judged(objective, leaf, rows)
        else:
            assert isinstance(objective, Value)
            value, broken = objective.of(objective.module(leaf)[same[1]], rows)
        if not value.requires_grad:
            return value, broken, torch.zeros_like(x)
        if same is None:
            (slope,) = torch.autograd.grad(value.sum(), leaf, allow_unused=True)
            return value, broken, torch.zeros_like(x) if slope is None else slope
        slopes = torch.zeros_like(x)
        for turn in _turns(same[1]):
            (slope,) = torch.autograd.grad(value[turn].sum(), leaf, allow_unused=True, retain_graph=True)
            if slope is not None:
                slopes[turn] = slope[same[1][turn]]
    return value, broken, slopes


def alike(x: Tensor) -> tuple[Tensor, Tensor] | None:
    """The first row of every distinct picture, and the picture of each row; None where few are the same."""
    if len(x) < 4:
        return None
    flat = x.flatten(1)
    mark = torch.cos(torch.arange(flat.shape[1], device=x.device, dtype=x.dtype))
    _, picture, counts = torch.unique(flat @ mark, return_inverse=True, return_counts=True)
    if 2 * len(counts) > len(x):
        return None
    first = torch.empty_like(counts).scatter_reduce_(
        0, picture, torch.arange(len(x), device=x.device), "amin", include_self=False
    )
    return (first, picture) if torch.equal(x, x[first[picture]]) else None


def _turns(picture: Tensor) -> list[Tensor]:
    """Rows such that each picture stands in a turn once at most."""
    order = picture.argsort(stable=True)
    counts = torch.bincount(picture)
    start = counts.cumsum(0) - counts
    turn = torch.empty_like(order)
    turn[order] = torch.arange(len(order), device=order.device) - start[picture[order]]
    return [(turn == k).nonzero().flatten() for k in range(int(counts.max()))]


def judged(objective: Objective, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers and which are broken, of one pass; the gradient is the caller's."""
    if hasattr(objective, "judged"):
        found: tuple[Tensor, Tensor] = objective.judged(x, rows)
        return found
    value = objective(x, rows)
    return value, torch.zeros_like(value, dtype=torch.bool)


def streams(x: Tensor, seed: int, *words: int) -> list[torch.Generator]:
    """A random stream for every picture: of its own pixels, the seed and the words, and of nothing else.

    Reads    the clean pictures; words, such as the number of a restart
    Returns  generators on the CPU, so that a row draws the same whatever its batch and device
    """
    made = []
    for picture in x.detach().cpu().contiguous():
        digest = hashlib.blake2b(repr((seed, *words)).encode(), digest_size=8)
        digest.update(picture.numpy().data)
        made.append(torch.Generator("cpu").manual_seed(int.from_bytes(digest.digest(), "big") >> 1))
    return made


def drawn(streams: list[torch.Generator], like: Tensor, normal: bool = False) -> Tensor:
    """A tensor of the shape of `like`, uniform in [0, 1) or normal: row k from stream k."""
    made = torch.empty(like.shape, dtype=like.dtype)
    for row, stream in zip(made, streams, strict=True):
        _ = row.normal_(generator=stream) if normal else row.uniform_(generator=stream)
    return made.to(like.device)


def _all(x: Tensor, rows: Tensor | None) -> Tensor:
    return torch.arange(len(x), device=x.device) if rows is None else rows


def _cut(objective: Objective) -> bool:
    """Whether its passes all have the same number of rows."""
    while isinstance(objective, Fixed | Part):
        if isinstance(objective, Fixed) and objective.at_once:
            return True
        objective = objective.objective
    return False


def _count(counts: Tensor | None, rows: Tensor | None) -> None:
    if counts is None:
        return
    if rows is None:
        counts += 1
    else:
        counts.index_add_(0, rows, torch.ones_like(rows, dtype=counts.dtype))


def _passes(
    objective: Objective, x: Tensor, rows: Tensor | None, slope: bool
) -> Iterator[tuple[Objective, Tensor, Tensor, int]]:
    """The objective within its wrappers, and pictures and rows of every pass, filled up with the first."""
    at_once = 0
    while isinstance(objective, Fixed | Part):
        if isinstance(objective, Part):
            rows = objective.rows if rows is None else objective.rows[rows]
        else:
            at_once = objective.at_once or at_once
            _count(objective.forwards, rows)
            _count(objective.gradients if slope else None, rows)
        objective = objective.objective
    place = _all(x, rows)
    if not at_once or not len(x):
        yield objective, x, place, len(x)
        return
    for start in range(0, len(x), at_once):
        some, these = x[start : start + at_once], place[start : start + at_once]
        count = len(some)
        if count < at_once:
            some = torch.cat([some, some[:1].expand(at_once - count, *some.shape[1:])])
            these = torch.cat([these, these[:1].expand(at_once - count)])
        yield objective, some, these, count
