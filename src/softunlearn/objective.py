"""The training objective around a head, as the array operations all three steps are made of.

F(theta) = sum_i s_i l(z_i, y_i) + l2/2 ||W||^2, in the sum convention, with s_i the row's own
training weight (1 unless the model was trained with others). G is the n x p matrix of per-row
gradients s_i grad l_i, without the penalty. G is never formed: a row's gradient is dz_i (outer)
[phi_i, 1], so every product with G or G^T is one with Phi (Eq. 1 and 2).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Float

from softunlearn.head import LinearHead
from softunlearn.losses import CrossEntropy, RowLoss, link_jvp
from softunlearn.rows import Array, Chunk, Rows

WIDEST = 4096
"""Parameters up to which H and G^T G are summed together: three such matrices take 400 MB."""


class Totals(NamedTuple):
    """Sums over all rows at one head: s_i, grad F and, where they were asked for, H and G^T G."""

    mass: float
    gradient: Float[Array, "p"]
    hessian: Float[Array, "p p"] | None
    gram: Float[Array, "p p"] | None


@dataclass(frozen=True, eq=False)
class HeadObjective:
    """Sums and products over rows, at one head.

    Parameters
    ----------
    head : LinearHead
        Where everything is evaluated.
    rows : Rows
        Features `X` are the head's inputs, an array of shape (n, d); labels are class codes.
    loss : RowLoss, default=CrossEntropy()
    totals : Totals, optional
        What `summed` has found: no pass is then made for these.
    """

    head: LinearHead
    rows: Rows
    loss: RowLoss = field(default_factory=CrossEntropy)
    totals: Totals | None = None

    def read_once(self, *, hessian: bool = False, gram: bool = False) -> "HeadObjective":
        """Return the objective for which rows that are not in memory have been read, once.

        It knows grad F and what is asked for of H and G^T G. The same one where the rows are in
        memory, or the head is too wide for such matrices: a total is then summed when it is asked
        for.
        """
        known = self.totals is not None and (
            (self.totals.hessian is not None or not hessian)
            and (self.totals.gram is not None or not gram)
        )
        if known or self.rows.in_memory or self.head.n_parameters > WIDEST:
            return self
        return self.summed(hessian=hessian, gram=gram)

    def summed(self, *, hessian: bool, gram: bool) -> "HeadObjective":
        """Return the objective that knows grad F and, where asked, H and G^T G, from one pass."""

        def part(chunk: Chunk) -> tuple[Array, ...]:
            phi, dz = self._row_gradients(chunk)
            H = self._gram_pieces(phi, self._row_curvature(chunk, phi)) if hessian else ()
            G = self._gram_pieces(phi, _outer(dz)) if gram else ()
            return (_mass(chunk), *_pull_pieces(phi, dz[:, :, None]), *H, *G)

        mass, gradient, edge, *pieces = self.rows.sum(part)
        n = len(pieces) // (hessian + gram) if pieces else 0
        totals = Totals(
            mass,
            self._pulled(gradient, edge)[:, 0] + self.head.penalty * self.head.theta,
            self._gram(pieces[:n]) + self._penalty_matrix() if hessian else None,
            self._gram(pieces[-n:]) if gram else None,
        )
        return replace(self, totals=totals)

    def mass(self) -> float:
        """Return sum_i s_i: the number of rows, if they have no weights."""
        return self.rows.sum(_mass) if self.totals is None else self.totals.mass

    def logits(self) -> Float[Array, "n k"]:
        """Return z of each row."""
        return self.rows.map(lambda chunk: self.head.logits(self._phi(chunk)))

    def logits_and_labels(self) -> tuple[Float[Array, "n k"], Array]:
        """Return z and y of each row, from one pass."""
        return self.rows.map(lambda chunk: (self.head.logits(self._phi(chunk)), chunk.y))

    def loss_sum(self) -> float:
        """Return F(theta), penalty included."""
        xp = array_namespace(self.head.W)

        def part(chunk: Chunk) -> Array:
            loss = self.loss.value(self.head.logits(self._phi(chunk)), chunk.y)
            return xp.sum(loss if chunk.weight is None else chunk.weight * loss)

        penalty = 0.5 * xp.sum(self.head.penalty * self.head.theta**2)
        return float(self.rows.sum(part) + penalty)

    def total_gradient(self) -> Float[Array, "p"]:
        """Return grad F(theta), penalty included: zero where training has converged."""
        if self.totals is not None:
            return self.totals.gradient

        def part(chunk: Chunk) -> tuple[Array, Array]:
            phi, dz = self._row_gradients(chunk)
            return phi, dz[:, :, None]

        return self._pull(part)[:, 0] + self.head.penalty * self.head.theta

    def gradient(self, w: Float[Array, "n m"]) -> Float[Array, "p m"]:
        """Return G^T w: gradients of the losses under m weightings, without the penalty."""

        def part(chunk: Chunk, w: Array) -> tuple[Array, Array]:
            phi, dz = self._row_gradients(chunk)
            return phi, dz[:, :, None] * w[:, None, :]

        return self._pull(part, w)

    def row_products(self, v: Float[Array, "p m"]) -> Float[Array, "n m"]:
        """Return G v: every row's gradient times m parameter vectors."""
        push = self._push(v)
        return self.rows.map(lambda chunk: self._row_products(chunk, push)[-1])

    def row_products_by_chunk(
        self, v: Float[Array, "p m"]
    ) -> Iterator[tuple[slice, Float[Array, "rows m"]]]:
        """Yield G v of some rows after the other, and which these are."""
        push = self._push(v)
        return self.rows.stream(lambda chunk: self._row_products(chunk, push)[-1])

    def pullback(self, dz: Float[Array, "n k m"]) -> Float[Array, "p m"]:
        """Return the parameter gradients of m functions of the logits, from their dz."""
        return self._pull(lambda chunk, dz: (self._phi(chunk), dz), dz)

    def probabilities(self, dtype: Any = None) -> Float[Array, "n k"]:
        """Return the p of which each row's curvature is made, for `hvp`, in some precision."""
        xp, dtype = array_namespace(self.head.W), dtype or self.head.W.dtype

        def part(chunk: Chunk) -> Array:
            p = self.loss.probabilities(self.head.logits(self._phi(chunk)))
            return xp.astype(p, dtype, copy=False)

        return self.rows.map(part)

    def hvp(
        self, v: Float[Array, "p m"], probabilities: Float[Array, "n k"] | None = None
    ) -> Float[Array, "p m"]:
        """Return H v, penalty included, without forming H.

        Given `probabilities`, as the method of this name returns them, logits are not computed
        anew: a third of the work.
        """
        push, kept = self._push(v), () if probabilities is None else (probabilities,)

        def part(chunk: Chunk, *kept: Array) -> tuple[Array, Array]:
            phi = self._phi(chunk)
            return phi, self._curvature_product(chunk, phi, push(phi), *kept)

        return self._pull(part, *kept) + self.head.penalty[:, None] * v

    def hessian(self) -> Float[Array, "p p"]:
        """Return H = grad^2 F, penalty included. p x p: only where that fits."""
        if self.totals is not None and self.totals.hessian is not None:
            return self.totals.hessian

        def part(chunk: Chunk) -> tuple[Array, ...]:
            phi = self._phi(chunk)
            return self._gram_pieces(phi, self._row_curvature(chunk, phi))

        return self._gram(self.rows.sum(part)) + self._penalty_matrix()

    def hessian_diagonal(self) -> Float[Array, "p"]:
        """Return the diagonal of H, penalty included, without forming H."""

        def part(chunk: Chunk) -> tuple[Array, Array]:
            phi, kappa = self._own_curvature(chunk)
            return phi**2, kappa[:, :, None]  # 1^2 = 1: the intercept's column stays

        return self._pull(part)[:, 0] + self.head.penalty

    def curvature_sum(
        self, function: Callable[..., Any], probabilities: Float[Array, "n k"] | None = None
    ) -> Any:
        """Return the sum over chunks of `function(phi, kappa)`, as `Rows.sum` does.

        kappa_ic = s_i p_ic (1 - p_ic), shape (n, k): the curvature of each logit by itself.
        """
        kept = () if probabilities is None else (probabilities,)
        return self.rows.sum(
            lambda chunk, *kept: function(*self._own_curvature(chunk, *kept)), *kept
        )

    def at(self, head: LinearHead) -> "HeadObjective":
        """Return the same objective at another head."""
        return replace(self, head=head, totals=None)

    def reweighted(self, w: Float[Array, "n"]) -> "HeadObjective":
        """Return the objective with every row's training weight times w."""
        return replace(self, rows=self.rows.reweighted(w), totals=None)

    def gram(self) -> Float[Array, "p p"]:
        """Return G^T G."""
        if self.totals is not None and self.totals.gram is not None:
            return self.totals.gram

        def part(chunk: Chunk) -> tuple[Array, ...]:
            phi, dz = self._row_gradients(chunk)
            return self._gram_pieces(phi, _outer(dz))

        return self._gram(self.rows.sum(part))

    def gram_products(self, v: Float[Array, "p m"]) -> tuple[Array, Array]:
        """Return G^T G v, shape (p, m), and v^T G^T G v, in one pass without forming G^T G."""
        if self.totals is not None and self.totals.gram is not None:
            pulled = self.totals.gram @ v
            return pulled, v.T @ pulled

        push = self._push(v)

        def part(chunk: Chunk) -> tuple[Array, ...]:
            phi, dz, a = self._row_products(chunk, push)
            return *_pull_pieces(phi, dz[:, :, None] * a[:, None, :]), a.T @ a

        gradient, edge, inner = self.rows.sum(part)
        return self._pulled(gradient, edge), inner

    def squared_gradient_norms(self) -> Float[Array, "n"]:
        """Return ||s_i grad l_i||^2 of each row."""

        def part(chunk: Chunk) -> Array:
            phi, dz = self._row_gradients(chunk)
            xp, intercept = array_namespace(phi), float(self.head.b is not None)
            return xp.sum(dz**2, axis=1) * (xp.sum(phi**2, axis=1) + intercept)

        return self.rows.map(part)

    def leverage(self, inverse: Float[Array, "p p"]) -> Float[Array, "n"]:
        """Return h_i = trace(K_i Phi_i H^-1 Phi_i^T), K_i the row's curvature in its logits.

        For one logit it is k_i phi_i^T H^-1 phi_i. The values sum to the number of parameters
        that the rows, rather than the penalty, determine. Beyond the paper.
        """
        xp, (k, d), push = array_namespace(inverse), self.head.W.shape, self._push(inverse)

        def part(chunk: Chunk) -> Array:
            phi = self._phi(chunk)
            curvature = self._row_curvature(chunk, phi)
            hat = push(phi)  # (n, a, p): rows of [Phi, 1] times H^-1
            h = xp.zeros_like(phi[:, 0])
            for b in range(k):
                block = hat[:, :, b * self.head.width : (b + 1) * self.head.width]
                product = xp.sum(block[:, :, :d] * phi[:, None, :], axis=2)
                if self.head.b is not None:
                    product = product + block[:, :, d]
                h = h + xp.sum(curvature[:, :, b] * product, axis=1)
            return h

        return self.rows.map(part)

    def _penalty_matrix(self) -> Array:
        """Return the penalty's Hessian."""
        xp, head = array_namespace(self.head.W), self.head
        identity = xp.eye(head.n_parameters, dtype=head.W.dtype, device=head.W.device)
        return head.penalty[:, None] * identity

    def _phi(self, chunk: Chunk) -> Array:
        """Return the chunk's features in the head's precision (float64)."""
        xp, dtype = array_namespace(chunk.X), self.head.W.dtype
        return chunk.X if chunk.X.dtype == dtype else xp.astype(chunk.X, dtype)

    def _row_gradients(self, chunk: Chunk) -> tuple[Array, Array]:
        """Return features and s_i dl_i/dz_i: together, the rows of G."""
        phi = self._phi(chunk)
        dz = self.loss.logit_gradient(self.head.logits(phi), chunk.y)
        return phi, dz if chunk.weight is None else chunk.weight[:, None] * dz

    def _row_products(
        self, chunk: Chunk, push: Callable[[Array], Array]
    ) -> tuple[Array, Array, Array]:
        """Return the rows of G as `_row_gradients` does, and G v; `push` is `_push(v)`."""
        phi, dz = self._row_gradients(chunk)
        return phi, dz, array_namespace(dz).sum(push(phi) * dz[:, :, None], axis=1)

    def _curvature_product(
        self, chunk: Chunk, phi: Array, u: Array, p: Array | None = None
    ) -> Array:
        """Return s_i d2l_i/dz_i2 times u_i of each row, shape (n, k, m); p where it was kept."""
        if p is None:
            product = self.loss.logit_hvp(self.head.logits(phi), chunk.y, u)
        else:
            product = link_jvp(p, u)
        return product if chunk.weight is None else chunk.weight[:, None, None] * product

    def _own_curvature(self, chunk: Chunk, p: Array | None = None) -> tuple[Array, Array]:
        """Return features and s_i p_i (1 - p_i), shape (n, k); p where it was kept."""
        phi, xp = self._phi(chunk), array_namespace(self.head.W)
        here = self.loss.probabilities(self.head.logits(phi)) if p is None else p
        kappa = xp.astype(here * (1 - here), phi.dtype, copy=False)
        return phi, kappa if chunk.weight is None else chunk.weight[:, None] * kappa

    def _row_curvature(self, chunk: Chunk, phi: Array) -> Array:
        """Return s_i d2l_i/dz_i2 of each row, shape (n, k, k)."""
        xp, W = array_namespace(phi), self.head.W
        identity = xp.eye(W.shape[0], dtype=W.dtype, device=W.device)
        return self._curvature_product(chunk, phi, identity[None, :, :])

    def _push(self, v: Array) -> Callable[[Array], Array]:
        """Return what turns features into the change of logits along m parameter vectors.

        Its shape is (n, k, m). In memory the classes of one vector lie side by side: sums over
        them are the faster.
        """
        xp, (k, d), m = array_namespace(v), self.head.W.shape, v.shape[1]
        W, b = self.head.split(v)
        stacked = xp.reshape(xp.permute_dims(W, (2, 0, 1)), (m * k, d))

        def push(phi: Array) -> Array:
            dz = xp.reshape(phi @ stacked.T, (phi.shape[0], m, k))
            dz = dz if b is None else dz + b.T[None, :, :]
            return xp.permute_dims(dz, (0, 2, 1))

        return push

    def _pull(self, part: Callable[..., tuple[Array, Array]], *aligned: Array) -> Array:
        """Return m functions' parameter gradients, shape (p, m): `_push` transposed.

        `part(chunk, *parts of aligned)` returns a chunk's features and the (n, k, m) derivatives.
        """
        return self._pulled(
            *self.rows.sum(lambda chunk, *own: _pull_pieces(*part(chunk, *own)), *aligned)
        )

    def _pulled(self, gradient: Array, edge: Array) -> Array:
        """Return the parameter gradients, shape (p, m), of which these are the summed pieces."""
        xp, k = array_namespace(self.head.W), self.head.W.shape[0]
        if self.head.b is not None:
            gradient = xp.concat([gradient, edge[:, None]], axis=1)
        by_class = xp.permute_dims(xp.reshape(gradient, (-1, k, self.head.width)), (1, 2, 0))
        return xp.reshape(by_class, (self.head.n_parameters, -1))

    def _gram_pieces(self, phi: Array, c: Array) -> tuple[Array, ...]:
        """Return the blocks of sum_i c_i (kron) [phi_i, 1][phi_i, 1]^T, c_i symmetric (k, k).

        H and G^T G are such sums. Each block is symmetric by itself; those above the diagonal are
        left out.
        """
        xp, k, edge = array_namespace(phi), self.head.W.shape[0], self.head.b is not None
        if k == 1 and bool(xp.all(c >= 0)):
            # A^T A is half the work of Phi^T (c Phi): it is known to be symmetric
            A = _scaled(phi, xp.sqrt(c[:, :, 0]), edge=edge)
            return (A.T @ A,)
        if edge:
            phi = xp.concat([phi, xp.ones_like(phi[:, :1])], axis=1)
        places = [(a, b) for a in range(k) for b in range(a, k)]
        return tuple(phi.T @ _scaled(phi, c[:, a, b][:, None]) for a, b in places)

    def _gram(self, pieces: Sequence[Array]) -> Float[Array, "p p"]:
        """Return the matrix of which these are the summed pieces."""
        xp, k = array_namespace(pieces[0]), self.head.W.shape[0]
        places = [(a, b) for a in range(k) for b in range(a, k)]
        block = dict(zip(places, pieces, strict=True))
        rows = [[block[min(a, b), max(a, b)] for b in range(k)] for a in range(k)]
        return xp.concat([xp.concat(row, axis=1) for row in rows], axis=0)


def _mass(chunk: Chunk) -> float:
    """Return the sum of the rows' weights."""
    if chunk.weight is None:
        return float(len(chunk.y))
    return float(array_namespace(chunk.weight).sum(chunk.weight))


def _pull_pieces(phi: Array, dz: Array) -> tuple[Array, Array]:
    """Return dz^T [Phi, 1] of the (n, k, m) derivatives, the intercept's column by itself."""
    xp, (n, k, m) = array_namespace(dz), dz.shape
    flat = xp.reshape(xp.permute_dims(dz, (0, 2, 1)), (n, m * k))
    return flat.T @ phi, xp.sum(flat, axis=0)


def _outer(dz: Array) -> Array:
    """Return every row's dz dz^T, shape (n, k, k)."""
    return dz[:, :, None] * dz[:, None, :]


class _Scratch(threading.local):
    """Memory of one thread for what is used at once.

    A chunk's worth of new memory for every chunk costs more in page faults than the product it is
    needed for.
    """

    memory = np.empty(0)


_scratch = _Scratch()


def _scaled(phi: Array, w: Array, *, edge: bool = False) -> Array:
    """Return w [phi, 1], or w phi without an `edge`, row by row.

    In memory that the thread's next call uses anew.
    """
    if not isinstance(phi, np.ndarray) or phi.dtype != np.float64:
        scaled = w * phi
        return array_namespace(phi).concat([scaled, w], axis=1) if edge else scaled
    n, d = phi.shape
    width = d + edge
    if _scratch.memory.size < n * width:
        _scratch.memory = np.empty(n * width)
    flat = _scratch.memory[: n * width]
    by_column = phi.strides[0] < phi.strides[1]
    scaled = flat.reshape(width, n).T if by_column else flat.reshape(n, width)
    np.multiply(phi, w, out=scaled[:, :d])
    scaled[:, d:] = w
    return scaled
